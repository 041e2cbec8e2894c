//! Attempts priced again: what the tokens of a row cost by other prices.
//!
//! Pure. Owns what of a row is billed, and the sums of a change. Leaves where prices come from to the caller, and the
//! change of rows to the books.
//!
//! **Invariant:** a row of which not everything that was billed is known keeps its cost.

use std::collections::BTreeMap;
use tollgate_catalog::{Adjustment, PicoDollars, Prices, ServiceTier, Usage, cost};
use tollgate_store::books::{Repriced, SpendRow, day_of};

/// Why a row keeps its cost.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kept {
    /// There is no price for its model.
    Unpriced,
    /// It has no tokens: it failed, came from a cache, or was billed by something else.
    NoTokens,
    /// Something else than tokens was billed, of which the row has no count.
    Units,
    /// It costs what it did.
    Same,
}

impl Kept {
    /// Its word in reports.
    pub fn word(self) -> &'static str {
        match self {
            Self::Unpriced => "unpriced",
            Self::NoTokens => "no_tokens",
            Self::Units => "not_only_tokens",
            Self::Same => "same",
        }
    }
}

/// What a row was billed for, in tokens.
pub fn usage_of(row: &SpendRow) -> Usage {
    Usage {
        input_tokens: row.prompt_tokens,
        cached_tokens: row.cache_read_tokens,
        cache_write_tokens: row.cache_write_tokens,
        cache_write_1h_tokens: row.cache_write_1h_tokens,
        input_audio_tokens: row.audio_input_tokens,
        input_image_tokens: row.image_input_tokens,
        output_tokens: row.completion_tokens,
        reasoning_tokens: row.reasoning_tokens,
        output_audio_tokens: row.audio_output_tokens,
        output_image_tokens: row.image_output_tokens,
        ..Usage::default()
    }
}

/// The provider's tier that served a row.
fn tier_of(row: &SpendRow) -> Option<ServiceTier> {
    let metadata: serde_json::Value = serde_json::from_str(&row.metadata).ok()?;
    ServiceTier::from_name(metadata.get("service_tier")?.as_str()?)
}

/// What a row costs by these prices, with the operator's discount and margin; or why it keeps its cost. What it was not
/// charged for it is not charged for again.
///
/// # Errors
/// Why it keeps its cost.
pub fn reprice(row: &SpendRow, found: Option<(&Prices, &Adjustment)>) -> Result<Repriced, Kept> {
    if !row.usage.is_empty() {
        return Err(Kept::Units);
    }
    if row.cache_hit || (row.prompt_tokens == 0 && row.completion_tokens == 0) {
        return Err(Kept::NoTokens);
    }
    let (prices, adjustment) = found.ok_or(Kept::Unpriced)?;
    let cost = cost(prices, &usage_of(row), tier_of(row)).ok_or(Kept::Unpriced)?;
    let cost = adjustment.total(cost.total).0;
    if cost == row.cost && !row.unpriced {
        return Err(Kept::Same);
    }
    let charged = row.charged.filter(|charged| *charged == 0 && row.overhead);
    Ok(Repriced { attempt_id: row.attempt_id, cost, charged })
}

/// The sums of one day and one model before and after.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Change {
    /// Rows whose cost changes.
    pub rows: u64,
    /// What they cost.
    pub before: PicoDollars,
    /// What they cost by the other prices.
    pub after: PicoDollars,
}

/// What pricing again comes to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Repricing {
    /// By day (UTC), provider and model.
    pub changes: BTreeMap<(String, String, String), Change>,
    /// Rows that keep their cost, by why.
    pub kept: BTreeMap<Kept, u64>,
}

impl Repricing {
    /// Adds what became of a row.
    pub fn add(&mut self, row: &SpendRow, became: &Result<Repriced, Kept>) {
        match became {
            Err(kept) => *self.kept.entry(*kept).or_default() += 1,
            Ok(priced) => {
                let key = (day_of(row.started_at), row.provider.clone(), row.model.clone());
                let change = self.changes.entry(key).or_default();
                change.rows += 1;
                change.before = change.before.saturating_add(PicoDollars(row.cost));
                change.after = change.after.saturating_add(PicoDollars(priced.cost));
            }
        }
    }

    /// The sum over all days and models.
    pub fn total(&self) -> Change {
        self.changes.values().fold(Change::default(), |sum, change| Change {
            rows: sum.rows.saturating_add(change.rows),
            before: sum.before.saturating_add(change.before),
            after: sum.after.saturating_add(change.after),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row() -> SpendRow {
        SpendRow {
            provider: "openai".to_owned(),
            model: "gpt-4o".to_owned(),
            prompt_tokens: 1_000,
            completion_tokens: 100,
            cost: 1,
            ..SpendRow::default()
        }
    }

    #[test]
    fn tokens_are_priced_again_and_what_is_not_known_keeps_its_cost() {
        let model = tollgate_catalog::model("openai", "gpt-4o").unwrap();
        let found = Some((&model.prices, &Adjustment::default()));
        let check = |row: SpendRow, expect: Result<i128, Kept>| {
            assert_eq!(reprice(&row, found).map(|priced| priced.cost), expect, "{row:?}");
        };
        check(row(), Ok(3_500_000_000));
        check(SpendRow { cost: 3_500_000_000, ..row() }, Err(Kept::Same));
        check(SpendRow { cache_read_tokens: 400, ..row() }, Ok(3_000_000_000));
        check(SpendRow { usage: r#"{"units":true}"#.to_owned(), ..row() }, Err(Kept::Units));
        check(SpendRow { prompt_tokens: 0, completion_tokens: 0, ..row() }, Err(Kept::NoTokens));
        check(SpendRow { cache_hit: true, ..row() }, Err(Kept::NoTokens));
        assert_eq!(reprice(&row(), None), Err(Kept::Unpriced));
    }

    #[test]
    fn what_nobody_was_charged_for_is_charged_to_nobody() {
        let model = tollgate_catalog::model("openai", "gpt-4o").unwrap();
        let lost = SpendRow { overhead: true, charged: Some(0), ..row() };
        let priced = reprice(&lost, Some((&model.prices, &Adjustment::default()))).unwrap();
        assert_eq!((priced.cost, priced.charged), (3_500_000_000, Some(0)));
    }

    #[test]
    fn changes_are_summed_by_day_and_model() {
        let mut repricing = Repricing::default();
        let priced = Repriced { cost: 3, ..Repriced::default() };
        repricing.add(&row(), &Ok(priced.clone()));
        repricing.add(&row(), &Ok(priced));
        repricing.add(&row(), &Err(Kept::Same));
        let total = repricing.total();
        assert_eq!((total.rows, total.before, total.after), (2, PicoDollars(2), PicoDollars(6)));
        assert_eq!((repricing.changes.len(), repricing.kept[&Kept::Same]), (1, 1));
    }
}
