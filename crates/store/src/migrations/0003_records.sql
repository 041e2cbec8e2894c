-- What the admin API keeps: one row an object, and what was last deleted, for gateways that follow the changes.
CREATE TABLE records (
    kind       TEXT    NOT NULL, -- key, team, user, ...
    id         TEXT    NOT NULL,
    doc        TEXT    NOT NULL, -- JSON
    revision   INTEGER NOT NULL, -- of the change that wrote it last; also its version
    updated_at INTEGER NOT NULL, -- microseconds since 1970
    PRIMARY KEY (kind, id)
) STRICT, WITHOUT ROWID;

CREATE INDEX records_by_revision ON records (revision);

CREATE TABLE deletions (
    kind       TEXT    NOT NULL,
    id         TEXT    NOT NULL,
    revision   INTEGER NOT NULL, -- of the change that deleted it
    PRIMARY KEY (kind, id)
) STRICT, WITHOUT ROWID;

CREATE INDEX deletions_by_revision ON deletions (revision);

-- One row: how far the changes and the audit have come.
CREATE TABLE heads (
    id         INTEGER PRIMARY KEY CHECK (id = 1),
    revision   INTEGER NOT NULL, -- of the last change
    audit_seq  INTEGER NOT NULL, -- the last row of the audit
    audit_hash TEXT    NOT NULL  -- its hash
) STRICT;

INSERT INTO heads (id, revision, audit_seq, audit_hash) VALUES (1, 0, 0, '');

-- Who changed what. Every row has the hash of the one before it in its own.
CREATE TABLE audit (
    seq           INTEGER PRIMARY KEY, -- 1, 2, 3, ... without a gap
    at            INTEGER NOT NULL,    -- microseconds since 1970
    actor         TEXT    NOT NULL,    -- who: a user's id
    actor_key     TEXT    NOT NULL,    -- hash of the key that was used
    action        TEXT    NOT NULL,    -- created, updated, deleted, ...
    kind          TEXT    NOT NULL,    -- of the object
    object_id     TEXT    NOT NULL,
    before        TEXT,                -- JSON
    after         TEXT,                -- JSON
    previous_hash TEXT    NOT NULL,
    hash          TEXT    NOT NULL     -- SHA-256 of all of the above
) STRICT;

CREATE INDEX audit_by_time ON audit (at);

CREATE INDEX audit_by_object ON audit (kind, object_id, seq);

CREATE TRIGGER audit_is_not_changed BEFORE UPDATE ON audit
BEGIN
    SELECT RAISE(ABORT, 'the audit is only added to');
END;

CREATE TRIGGER audit_is_not_deleted BEFORE DELETE ON audit
BEGIN
    SELECT RAISE(ABORT, 'the audit is only added to');
END;
