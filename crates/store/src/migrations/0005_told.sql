-- What was told once and is not to be told again after a restart: reports of spend, users' spend, anomalies, projections.
CREATE TABLE told (
    kind      TEXT    NOT NULL,
    id        TEXT    NOT NULL,
    model     TEXT    NOT NULL,
    cadence   TEXT    NOT NULL,
    start     INTEGER NOT NULL,
    threshold TEXT    NOT NULL,
    mark      INTEGER NOT NULL,
    PRIMARY KEY (kind, id, model, cadence, start, threshold)
) STRICT, WITHOUT ROWID;

CREATE INDEX told_by_start ON told (start);
