-- Nobody has ever written any: what a row has cost can be worked out again from its tokens.
ALTER TABLE attempts DROP COLUMN prices;
