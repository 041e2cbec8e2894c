-- What was spent: every attempt, its sums by day, and what stands in the accounts that budgets look at.
-- Times are microseconds since 1970, money is picodollars (1e-12 USD).
CREATE TABLE attempts (
    attempt_id            TEXT    PRIMARY KEY, -- 32 hexadecimal digits
    request_id            TEXT    NOT NULL,
    call_id               TEXT    NOT NULL,
    call_type             TEXT    NOT NULL,
    session_id            TEXT,
    api_key               TEXT    NOT NULL,    -- hash of the key
    user_id               TEXT,
    team_id               TEXT,
    organization_id       TEXT,
    project_id            TEXT,
    end_user              TEXT,
    model                 TEXT    NOT NULL,
    model_id              TEXT    NOT NULL,
    model_group           TEXT    NOT NULL,
    provider              TEXT    NOT NULL,
    api_base              TEXT    NOT NULL,
    started_at            INTEGER NOT NULL,
    ended_at              INTEGER NOT NULL,
    first_token_at        INTEGER NOT NULL,    -- 0: none
    status                TEXT    NOT NULL,    -- success, failure
    status_code           INTEGER NOT NULL,
    prompt_tokens         INTEGER NOT NULL,
    completion_tokens     INTEGER NOT NULL,
    total_tokens          INTEGER NOT NULL,
    cache_read_tokens     INTEGER NOT NULL,
    cache_write_tokens    INTEGER NOT NULL,
    cache_write_1h_tokens INTEGER NOT NULL,
    reasoning_tokens      INTEGER NOT NULL,
    audio_input_tokens    INTEGER NOT NULL,
    audio_output_tokens   INTEGER NOT NULL,
    image_input_tokens    INTEGER NOT NULL,
    image_output_tokens   INTEGER NOT NULL,
    usage                 TEXT    NOT NULL,    -- JSON
    cost                  INTEGER NOT NULL,
    charged               INTEGER NOT NULL,
    prices                TEXT    NOT NULL,    -- JSON
    estimated             INTEGER NOT NULL,
    recovered             INTEGER NOT NULL,
    unpriced              INTEGER NOT NULL,
    overhead              INTEGER NOT NULL,
    cache_hit             INTEGER NOT NULL,
    cache_key             TEXT    NOT NULL,
    tags                  TEXT    NOT NULL,    -- JSON
    metadata              TEXT    NOT NULL,    -- JSON
    requester_ip          TEXT    NOT NULL,
    agent_id              TEXT    NOT NULL,
    tool_name             TEXT    NOT NULL,
    messages              TEXT    NOT NULL,    -- JSON
    response              TEXT    NOT NULL,    -- JSON
    proxy_request         TEXT    NOT NULL,    -- JSON
    accounts              TEXT    NOT NULL     -- JSON: what was charged
) STRICT;

CREATE INDEX attempts_by_time ON attempts (started_at, attempt_id);

CREATE INDEX attempts_by_key ON attempts (api_key, started_at);

CREATE INDEX attempts_by_user ON attempts (user_id, started_at) WHERE user_id IS NOT NULL;

CREATE INDEX attempts_by_team ON attempts (team_id, started_at) WHERE team_id IS NOT NULL;

CREATE INDEX attempts_by_end_user ON attempts (end_user, started_at) WHERE end_user IS NOT NULL;

CREATE INDEX attempts_by_session ON attempts (session_id) WHERE session_id IS NOT NULL;

CREATE INDEX attempts_by_request ON attempts (request_id);

CREATE INDEX attempts_by_call ON attempts (call_id);

CREATE TABLE attempt_tags (
    attempt_id TEXT NOT NULL,
    tag        TEXT NOT NULL,
    PRIMARY KEY (attempt_id, tag)
) STRICT, WITHOUT ROWID;

CREATE INDEX attempt_tags_by_tag ON attempt_tags (tag);

-- An attempt is counted once for everybody (global) and once for each of its user, team, member, organization, project,
-- end user and tags.
CREATE TABLE daily (
    entity_kind        TEXT    NOT NULL,
    entity_id          TEXT    NOT NULL, -- empty for everybody
    day                TEXT    NOT NULL, -- 2026-11-22, UTC
    api_key            TEXT    NOT NULL,
    model              TEXT    NOT NULL,
    model_group        TEXT    NOT NULL,
    provider           TEXT    NOT NULL,
    spend              TEXT    NOT NULL, -- picodollars, decimal
    prompt_tokens      INTEGER NOT NULL,
    completion_tokens  INTEGER NOT NULL,
    total_tokens       INTEGER NOT NULL,
    cache_read_tokens  INTEGER NOT NULL,
    cache_write_tokens INTEGER NOT NULL,
    requests           INTEGER NOT NULL,
    successes          INTEGER NOT NULL,
    failures           INTEGER NOT NULL,
    rate_limited       INTEGER NOT NULL, -- of the failures: with status 429
    response_ms        INTEGER NOT NULL, -- of the successes, together
    PRIMARY KEY (entity_kind, entity_id, day, api_key, model, model_group, provider)
) STRICT, WITHOUT ROWID;

CREATE INDEX daily_by_day ON daily (entity_kind, day);

CREATE TABLE accounts (
    kind    TEXT    NOT NULL,
    id      TEXT    NOT NULL,
    model   TEXT    NOT NULL, -- empty: all models
    cadence TEXT    NOT NULL, -- empty: for ever
    start   INTEGER NOT NULL, -- of the period; 0: for ever
    settled TEXT    NOT NULL, -- picodollars, decimal
    PRIMARY KEY (kind, id, model, cadence, start)
) STRICT, WITHOUT ROWID;

CREATE INDEX accounts_by_start ON accounts (start);

-- How far each journal of a gateway is in the tables above.
CREATE TABLE journals (
    journal TEXT    PRIMARY KEY,
    segment INTEGER NOT NULL,
    place   INTEGER NOT NULL -- bytes into the segment
) STRICT, WITHOUT ROWID;
