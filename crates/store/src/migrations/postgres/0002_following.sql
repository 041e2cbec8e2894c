-- What gateways have to know of each other's spending.
--
-- The transaction that wrote an account last. Numbers of transactions are given in the order in which they begin: whoever has seen
-- everything that was over before one of them asks for what has that number or a later one.
ALTER TABLE accounts ADD COLUMN changed BIGINT NOT NULL DEFAULT 0;

CREATE INDEX accounts_by_change ON accounts (changed);

-- A trigger, so that gateways of the release before, and people, tell what they write too.
CREATE FUNCTION account_changes() RETURNS trigger LANGUAGE plpgsql AS $body$
BEGIN
    NEW.changed := txid_current();
    RETURN NEW;
END
$body$;

CREATE TRIGGER account_is_changed BEFORE INSERT OR UPDATE ON accounts
    FOR EACH ROW EXECUTE FUNCTION account_changes();

-- The marks of budgets that were told in a period, by whichever gateway found them passed first.
CREATE TABLE told (
    kind      TEXT COLLATE "C" NOT NULL,
    id        TEXT COLLATE "C" NOT NULL,
    model     TEXT COLLATE "C" NOT NULL,
    cadence   TEXT COLLATE "C" NOT NULL,
    start     BIGINT NOT NULL,
    threshold TEXT COLLATE "C" NOT NULL, -- soft, warn, downgrade, spent
    mark      NUMERIC(38, 0) NOT NULL, -- picodollars: another mark is told again
    PRIMARY KEY (kind, id, model, cadence, start, threshold)
);

CREATE INDEX told_by_start ON told (start);
