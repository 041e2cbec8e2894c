//! What becomes of one feature between one caller and one provider.

use crate::surface::{SURFACES, Surface};
use std::collections::BTreeMap;

/// The outcome of a cell.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// It arrives.
    Kept,
    /// It arrives in another form, which is named: the nearest that this provider has.
    Near(String),
    /// It does not, and the caller is told: what is noted as lost.
    Told(String),
    /// The request is refused with the name of the parameter, unless parameters may be dropped; then it is told.
    Refused(String),
    /// The request cannot be written for this provider: the place that is at fault.
    Impossible(String),
    /// It was dropped or changed in silence: how.
    Lost(String),
}

/// One feature's row: who can say it, and what becomes of it.
#[derive(Debug, Clone)]
pub(crate) struct Row {
    pub(crate) feature: String,
    /// By caller and provider, as indices into [`SURFACES`].
    pub(crate) cells: BTreeMap<(usize, usize), Outcome>,
}

/// A heading and the rows below it.
pub(crate) type Group = (&'static str, Vec<Row>);

/// Every pair of a caller and a provider.
pub(crate) fn pairs() -> impl Iterator<Item = ((usize, usize), &'static Surface, &'static Surface)> {
    SURFACES.iter().enumerate().flat_map(|(c, caller)| {
        SURFACES.iter().enumerate().map(move |(p, provider)| ((c, p), caller, provider))
    })
}

/// Fails with every cell that is lost.
pub(crate) fn require_nothing_lost(groups: &[Group]) {
    let cells = groups
        .iter()
        .flat_map(|(_, rows)| rows)
        .flat_map(|row| row.cells.iter().map(move |cell| (row, cell)));
    let lost = cells.filter_map(|(row, ((c, p), outcome))| match outcome {
        Outcome::Lost(how) => {
            let (caller, provider) = (SURFACES[*c].title, SURFACES[*p].title);
            Some(format!("{}: {caller} -> {provider}: {how}", row.feature))
        }
        _ => None,
    });
    let lost: Vec<String> = lost.collect();
    assert!(lost.is_empty(), "{} lost in silence:\n{}", lost.len(), lost.join("\n"));
}
