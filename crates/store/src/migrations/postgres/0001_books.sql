-- All times are microseconds since 1970, all texts are compared byte by byte, as SQLite does it.
--
-- What the admin API keeps: one row an object, and what was last deleted, for gateways that follow the changes.
CREATE TABLE records (
    kind       TEXT COLLATE "C" NOT NULL, -- key, team, user, ...
    id         TEXT COLLATE "C" NOT NULL,
    doc        TEXT COLLATE "C" NOT NULL, -- JSON
    revision   BIGINT NOT NULL, -- of the change that wrote it last; also its version
    updated_at BIGINT NOT NULL, -- microseconds since 1970
    PRIMARY KEY (kind, id)
);

CREATE INDEX records_by_revision ON records (revision);

CREATE TABLE deletions (
    kind       TEXT COLLATE "C" NOT NULL,
    id         TEXT COLLATE "C" NOT NULL,
    revision   BIGINT NOT NULL, -- of the change that deleted it
    PRIMARY KEY (kind, id)
);

CREATE INDEX deletions_by_revision ON deletions (revision);

-- One row: how far the changes and the audit have come.
CREATE TABLE heads (
    id         BIGINT PRIMARY KEY CHECK (id = 1),
    revision   BIGINT NOT NULL, -- of the last change
    audit_seq  BIGINT NOT NULL, -- the last row of the audit
    audit_hash TEXT COLLATE "C" NOT NULL  -- its hash
);

INSERT INTO heads (id, revision, audit_seq, audit_hash) VALUES (1, 0, 0, '');

-- Who changed what. Every row has the hash of the one before it in its own.
CREATE TABLE audit (
    seq           BIGINT PRIMARY KEY, -- 1, 2, 3, ... without a gap
    at            BIGINT NOT NULL,    -- microseconds since 1970
    actor         TEXT COLLATE "C" NOT NULL,    -- who: a user's id
    actor_key     TEXT COLLATE "C" NOT NULL,    -- hash of the key that was used
    action        TEXT COLLATE "C" NOT NULL,    -- created, updated, deleted, ...
    kind          TEXT COLLATE "C" NOT NULL,    -- of the object
    object_id     TEXT COLLATE "C" NOT NULL,
    before        TEXT COLLATE "C",                -- JSON
    after         TEXT COLLATE "C",                -- JSON
    previous_hash TEXT COLLATE "C" NOT NULL,
    hash          TEXT COLLATE "C" NOT NULL     -- SHA-256 of all of the above
);

CREATE INDEX audit_by_time ON audit (at);

CREATE INDEX audit_by_object ON audit (kind, object_id, seq);

CREATE FUNCTION audit_refuses() RETURNS trigger LANGUAGE plpgsql AS $body$
BEGIN
    RAISE EXCEPTION 'the audit is only added to';
END
$body$;

CREATE TRIGGER audit_is_not_changed BEFORE UPDATE OR DELETE OR TRUNCATE ON audit
    FOR EACH STATEMENT EXECUTE FUNCTION audit_refuses();

-- What was spent: every attempt, its sums by day, and what stands in the accounts that budgets look at.
-- Times are microseconds since 1970, money is picodollars (1e-12 USD).
CREATE TABLE attempts (
    attempt_id            TEXT COLLATE "C" PRIMARY KEY, -- 32 hexadecimal digits
    request_id            TEXT COLLATE "C" NOT NULL,
    call_id               TEXT COLLATE "C" NOT NULL,
    call_type             TEXT COLLATE "C" NOT NULL,
    session_id            TEXT COLLATE "C",
    api_key               TEXT COLLATE "C" NOT NULL,    -- hash of the key
    user_id               TEXT COLLATE "C",
    team_id               TEXT COLLATE "C",
    organization_id       TEXT COLLATE "C",
    project_id            TEXT COLLATE "C",
    end_user              TEXT COLLATE "C",
    model                 TEXT COLLATE "C" NOT NULL,
    model_id              TEXT COLLATE "C" NOT NULL,
    model_group           TEXT COLLATE "C" NOT NULL,
    provider              TEXT COLLATE "C" NOT NULL,
    api_base              TEXT COLLATE "C" NOT NULL,
    started_at            BIGINT NOT NULL,
    ended_at              BIGINT NOT NULL,
    first_token_at        BIGINT NOT NULL,    -- 0: none
    status                TEXT COLLATE "C" NOT NULL,    -- success, failure
    status_code           BIGINT NOT NULL,
    prompt_tokens         BIGINT NOT NULL,
    completion_tokens     BIGINT NOT NULL,
    total_tokens          BIGINT NOT NULL,
    cache_read_tokens     BIGINT NOT NULL,
    cache_write_tokens    BIGINT NOT NULL,
    cache_write_1h_tokens BIGINT NOT NULL,
    reasoning_tokens      BIGINT NOT NULL,
    audio_input_tokens    BIGINT NOT NULL,
    audio_output_tokens   BIGINT NOT NULL,
    image_input_tokens    BIGINT NOT NULL,
    image_output_tokens   BIGINT NOT NULL,
    usage                 TEXT COLLATE "C" NOT NULL,    -- JSON
    cost                  BIGINT NOT NULL,
    charged               BIGINT NOT NULL,
    prices                TEXT COLLATE "C" NOT NULL,    -- JSON
    estimated             BIGINT NOT NULL,
    recovered             BIGINT NOT NULL,
    unpriced              BIGINT NOT NULL,
    overhead              BIGINT NOT NULL,
    cache_hit             BIGINT NOT NULL,
    cache_key             TEXT COLLATE "C" NOT NULL,
    tags                  TEXT COLLATE "C" NOT NULL,    -- JSON
    metadata              TEXT COLLATE "C" NOT NULL,    -- JSON
    requester_ip          TEXT COLLATE "C" NOT NULL,
    agent_id              TEXT COLLATE "C" NOT NULL,
    tool_name             TEXT COLLATE "C" NOT NULL,
    messages              TEXT COLLATE "C" NOT NULL,    -- JSON
    response              TEXT COLLATE "C" NOT NULL,    -- JSON
    proxy_request         TEXT COLLATE "C" NOT NULL,    -- JSON
    accounts              TEXT COLLATE "C" NOT NULL     -- JSON: what was charged
);

CREATE INDEX attempts_by_time ON attempts (started_at, attempt_id);

CREATE INDEX attempts_by_key ON attempts (api_key, started_at);

CREATE INDEX attempts_by_user ON attempts (user_id, started_at) WHERE user_id IS NOT NULL;

CREATE INDEX attempts_by_team ON attempts (team_id, started_at) WHERE team_id IS NOT NULL;

CREATE INDEX attempts_by_end_user ON attempts (end_user, started_at) WHERE end_user IS NOT NULL;

CREATE INDEX attempts_by_session ON attempts (session_id) WHERE session_id IS NOT NULL;

CREATE INDEX attempts_by_request ON attempts (request_id);

CREATE INDEX attempts_by_call ON attempts (call_id);

CREATE TABLE attempt_tags (
    attempt_id TEXT COLLATE "C" NOT NULL,
    tag        TEXT COLLATE "C" NOT NULL,
    PRIMARY KEY (attempt_id, tag)
);

CREATE INDEX attempt_tags_by_tag ON attempt_tags (tag);

-- An attempt is counted once for everybody (global) and once for each of its user, team, member, organization, project,
-- end user and tags.
CREATE TABLE daily (
    entity_kind        TEXT COLLATE "C" NOT NULL,
    entity_id          TEXT COLLATE "C" NOT NULL, -- empty for everybody
    day                TEXT COLLATE "C" NOT NULL, -- 2026-11-22, UTC
    api_key            TEXT COLLATE "C" NOT NULL,
    model              TEXT COLLATE "C" NOT NULL,
    model_group        TEXT COLLATE "C" NOT NULL,
    provider           TEXT COLLATE "C" NOT NULL,
    spend              NUMERIC(38, 0) NOT NULL, -- picodollars
    prompt_tokens      BIGINT NOT NULL,
    completion_tokens  BIGINT NOT NULL,
    total_tokens       BIGINT NOT NULL,
    cache_read_tokens  BIGINT NOT NULL,
    cache_write_tokens BIGINT NOT NULL,
    requests           BIGINT NOT NULL,
    successes          BIGINT NOT NULL,
    failures           BIGINT NOT NULL,
    rate_limited       BIGINT NOT NULL, -- of the failures: with status 429
    response_ms        BIGINT NOT NULL, -- of the successes, together
    PRIMARY KEY (entity_kind, entity_id, day, api_key, model, model_group, provider)
);

CREATE INDEX daily_by_day ON daily (entity_kind, day);

CREATE TABLE accounts (
    kind    TEXT COLLATE "C" NOT NULL,
    id      TEXT COLLATE "C" NOT NULL,
    model   TEXT COLLATE "C" NOT NULL, -- empty: all models
    cadence TEXT COLLATE "C" NOT NULL, -- empty: for ever
    start   BIGINT NOT NULL, -- of the period; 0: for ever
    settled NUMERIC(38, 0) NOT NULL, -- picodollars
    PRIMARY KEY (kind, id, model, cadence, start)
);

CREATE INDEX accounts_by_start ON accounts (start);

-- How far each journal of a gateway is in the tables above.
CREATE TABLE journals (
    journal TEXT COLLATE "C" PRIMARY KEY,
    segment BIGINT NOT NULL,
    place   BIGINT NOT NULL -- bytes into the segment
);
