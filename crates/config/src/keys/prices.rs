//! The names of prices in `litellm_params` and `model_info`: those that the catalogue has.
//!
//! Owns: the types of the few prices that are not one number. Leaves to others: the names, and what each price
//! multiplies (catalog).
//!
//! **Invariant:** a price acts exactly if the catalogue bills by it.

use tollgate_catalog::prices::{PRICE_KEYS, UNBILLED_PRICE_KEYS};

use super::{ANY_LIST, ANY_MAP, Key, Kind, active, later};

const BILLED_DOC: &str = "Price in USD of one unit, in place of the catalogue's.";

static BILLED_ROWS: [Key; PRICE_KEYS.len()] = {
    let mut rows = [active("", Kind::Price, "the catalogue's", BILLED_DOC); PRICE_KEYS.len()];
    let mut at = 0;
    while at < rows.len() {
        rows[at].name = PRICE_KEYS[at];
        rows[at].kind = kind(PRICE_KEYS[at]);
        at += 1;
    }
    rows
};

static UNBILLED_ROWS: [Key; UNBILLED_PRICE_KEYS.len()] = {
    let mut rows = [later("", Kind::Price, ""); UNBILLED_PRICE_KEYS.len()];
    let mut at = 0;
    while at < rows.len() {
        rows[at].name = UNBILLED_PRICE_KEYS[at];
        rows[at].kind = kind(UNBILLED_PRICE_KEYS[at]);
        at += 1;
    }
    rows
};

/// Prices that a cost is made of.
pub(crate) static BILLED: &[Key] = &BILLED_ROWS;

/// The row of `name`, if it is a price that costs are made of.
pub(crate) fn billed(name: &str) -> Option<Key> {
    BILLED.iter().find(|key| key.name == name).copied()
}

/// Prices that nothing is billed by yet.
pub(crate) static UNBILLED: &[Key] = &UNBILLED_ROWS;

/// The type of a price, by its name; computed while the program is compiled, where texts cannot be compared.
const fn kind(name: &str) -> Kind {
    const SEARCH: &[u8] = b"search_context_cost_per_query";
    const TIERS: &[u8] = b"tiered_pricing";
    const UNIT: &[u8] = b"web_search_billing_unit";
    const OFF_PEAK: &[u8] = b"off_peak_pricing";
    let name = name.as_bytes();
    if is_same(name, TIERS) {
        ANY_LIST
    } else if is_same(name, SEARCH) || is_same(name, OFF_PEAK) {
        ANY_MAP
    } else if is_same(name, UNIT) {
        Kind::Text
    } else {
        Kind::Price
    }
}

const fn is_same(a: &[u8], b: &[u8]) -> bool {
    if a.len() != b.len() {
        return false;
    }
    let mut at = 0;
    while at < a.len() {
        if a[at] != b[at] {
            return false;
        }
        at += 1;
    }
    true
}
