-- Stored responses of the Responses API, one row a turn.
--
-- An id belongs to its owner: two owners may have the same, and neither learns of the other's.
CREATE TABLE responses (
    seq                  INTEGER PRIMARY KEY,
    owner                TEXT    NOT NULL, -- hash of the caller's key
    id                   TEXT    NOT NULL, -- as the caller knows it
    previous_id          TEXT,             -- the turn before, of the same owner; it may be gone already
    model_group          TEXT    NOT NULL, -- as it was asked for
    deployment_id        TEXT,             -- which deployment's provider keeps it as well
    provider_response_id TEXT,             -- and under which id
    status               TEXT    NOT NULL, -- completed, in_progress, ...
    created_at           INTEGER NOT NULL, -- seconds since 1970
    expires_at           INTEGER NOT NULL, -- seconds since 1970; from then on it is not there
    input_items          BLOB    NOT NULL, -- JSON array: the items of this turn
    response             BLOB    NOT NULL  -- JSON: the whole response object
) STRICT;

CREATE UNIQUE INDEX responses_by_owner_and_id ON responses (owner, id);

CREATE INDEX responses_by_expiry ON responses (expires_at);
