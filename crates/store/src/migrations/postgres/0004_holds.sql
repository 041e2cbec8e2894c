-- What gateways hold of budgets for requests that are under way, so that what one holds another does not give away.
--
-- Those that there are. One that is not heard of any more is left out after a while, with what it holds.
CREATE TABLE gateways (
    gateway TEXT COLLATE "C" PRIMARY KEY, -- its journal's id
    joined  BIGSERIAL NOT NULL,           -- in the order in which they began
    knows   BIGINT NOT NULL,              -- those that have joined by then are shown what it holds
    seen_at BIGINT NOT NULL               -- microseconds since 1970, by the clock of this server
);

-- What each of them holds, and has spent without its being in the accounts yet.
CREATE TABLE holds (
    kind    TEXT COLLATE "C" NOT NULL,
    id      TEXT COLLATE "C" NOT NULL,
    model   TEXT COLLATE "C" NOT NULL,
    cadence TEXT COLLATE "C" NOT NULL,
    start   BIGINT NOT NULL,
    gateway TEXT COLLATE "C" NOT NULL,
    held    NUMERIC(38, 0) NOT NULL, -- picodollars
    PRIMARY KEY (kind, id, model, cadence, start, gateway)
);

CREATE INDEX holds_by_gateway ON holds (gateway);
