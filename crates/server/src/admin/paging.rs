//! Lists in pages, and their order.

use super::Problem;
use super::query::Query;
use serde_json::Value;
use std::cmp::Ordering;
use std::sync::Arc;
use tollgate_catalog::PicoDollars;
use tollgate_identity::Record;
use tollgate_identity::reply::Page;
use tollgate_policy::clock::Wall;

/// The page that a query asks for, and what is on it: `names` are the parameters for its number and its size, `sizes` the
/// size where none is asked for, and the largest.
pub(super) fn page<T>(
    query: &Query,
    names: (&str, &str),
    (size, size_max): (usize, Option<usize>),
    rows: Vec<T>,
) -> Result<(Page, Vec<T>), Problem> {
    let whole = |number: u64| usize::try_from(number).unwrap_or(usize::MAX);
    let at = query.count(names.0, None)?.map_or(1, whole);
    let size_max = size_max.map(|most| most as u64);
    let size = query.count(names.1, size_max)?.map_or(size, whole);
    let page = Page { number: at, size, total: rows.len() };
    let first = size.saturating_mul(at.saturating_sub(1));
    Ok((page, rows.into_iter().skip(first).take(size).collect()))
}

/// What a list is ordered by.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum SortKey {
    /// A text; nothing comes first.
    Text(Option<String>),
    /// An amount.
    Money(PicoDollars),
    /// A number.
    Number(f64),
    /// A moment.
    Moment(Wall),
}

impl SortKey {
    /// A member of a record's document.
    pub(super) fn of_member(record: &Record, name: &str) -> Self {
        if name == "created_at" {
            return Self::Moment(record.created_at());
        }
        match record.member(name) {
            Some(Value::String(text)) => Self::Text(Some(text).filter(|text| !text.is_empty())),
            value => value.and_then(|value| value.as_f64()).map_or(Self::Text(None), Self::Number),
        }
    }

    /// Which of two comes first.
    pub(super) fn order(&self, other: &Self) -> Ordering {
        match (self, other) {
            (Self::Text(one), Self::Text(other)) => one.cmp(other),
            (Self::Money(one), Self::Money(other)) => one.cmp(other),
            (Self::Number(one), Self::Number(other)) => one.total_cmp(other),
            (Self::Moment(one), Self::Moment(other)) => one.cmp(other),
            (Self::Moment(_), _) => Ordering::Less,
            (_, Self::Moment(_)) => Ordering::Greater,
            (Self::Text(_), _) => Ordering::Less,
            (_, Self::Text(_)) => Ordering::Greater,
            (Self::Money(_), Self::Number(_)) => Ordering::Less,
            (Self::Number(_), Self::Money(_)) => Ordering::Greater,
        }
    }
}

/// Orders records as they were made.
pub(super) fn oldest_first(records: &mut [Arc<Record>]) {
    records.sort_by_cached_key(|record| (record.created_at(), Arc::clone(&record.id)));
}

/// Orders records by `sort_by` and `sort_order`; the newest first where nothing is asked for.
pub(super) fn sort(records: &mut [Arc<Record>], query: &Query, by: impl Fn(&Record, &str) -> SortKey) {
    let name = query.get("sort_by").unwrap_or("created_at");
    let is_rising = query.get("sort_order").is_some_and(|order| order.eq_ignore_ascii_case("asc"));
    let mut keyed: Vec<(SortKey, Arc<Record>)> =
        records.iter().map(|record| (by(record, name), Arc::clone(record))).collect();
    // Those that are alike have an order too, so that a page is the same each time.
    keyed.sort_by(|(one, a), (other, b)| {
        let order = one.order(other);
        let order = if is_rising { order } else { order.reverse() };
        order.then_with(|| a.id.cmp(&b.id))
    });
    for (place, (_, record)) in records.iter_mut().zip(keyed) {
        *place = record;
    }
}
