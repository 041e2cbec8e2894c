-- What operators said of deployments, one row a deployment: the last word that still holds.
CREATE TABLE overrides (
    deployment_id TEXT    PRIMARY KEY,
    state         TEXT    NOT NULL, -- up, down, draining
    expires_at    INTEGER NOT NULL  -- seconds since 1970; from then on it is not there
) STRICT;

CREATE INDEX overrides_by_expiry ON overrides (expires_at);
