//! What is told of the ledger's own trouble: a disk that refuses the journal, a database that is away, a journal that was
//! found damaged.
//!
//! **Invariant:** each trouble is told once while it lasts.

use std::sync::atomic::{AtomicU32, Ordering};
use tollgate_alerts::Alert;
use tollgate_ledger::{Ledger, Recovery};

/// Looks in a row that have to find the database away: one that is back with the next is nobody's business.
const AWAY_LOOKS: u32 = 2;

/// What was seen last.
#[derive(Debug, Default)]
pub(crate) struct Trouble {
    /// Looks in a row that found the disk refusing.
    refused: AtomicU32,
    /// The same of the database.
    away: AtomicU32,
}

impl Trouble {
    /// Looks once.
    pub(crate) fn look(&self, ledger: &Ledger) -> Vec<Alert> {
        let (refuses, waiting) = ledger.journal_trouble();
        self.found(refuses, waiting, !ledger.are_books_there())
    }

    fn found(&self, refuses: bool, waiting: usize, is_away: bool) -> Vec<Alert> {
        let mut alerts = Vec::new();
        if noted(&self.refused, refuses) == 1 {
            let sentence = format!(
                "The journal cannot be written: {waiting} records wait in memory. Requests under a budget are refused \
                 until its disk takes them."
            );
            alerts.push(Alert::journal("disk_refuses", sentence));
        }
        if noted(&self.away, is_away) == AWAY_LOOKS {
            let sentence = "The database does not answer: spend waits in the journal, and changes of records are refused.";
            alerts.push(Alert::database("away", sentence));
        }
        alerts
    }
}

/// How often in a row it is so, this time included.
fn noted(count: &AtomicU32, is_so: bool) -> u32 {
    if is_so {
        return count.fetch_add(1, Ordering::Relaxed).saturating_add(1);
    }
    count.store(0, Ordering::Relaxed);
    0
}

/// What is told of a journal as it was found at the start.
pub(crate) fn found_at_start(recovery: &Recovery) -> Option<Alert> {
    let damages = recovery.damages;
    let sentence = format!(
        "The journal was damaged in {damages} places when the gateway started: what could not be read was copied beside it."
    );
    (damages > 0).then(|| Alert::journal("quarantined", sentence))
}

#[cfg(test)]
mod tests {
    use super::*;
    use tollgate_alerts::Event;

    #[test]
    fn each_trouble_is_told_once_while_it_lasts_and_again_when_it_is_back() {
        let trouble = Trouble::default();
        let check = |(refuses, is_away): (bool, bool), expect: &[Event]| {
            let told: Vec<Event> =
                trouble.found(refuses, 7, is_away).iter().map(|alert| alert.event).collect();
            assert_eq!(told, expect, "{refuses} {is_away}");
        };
        check((false, false), &[]);
        check((true, false), &[Event::JournalTrouble]);
        check((true, true), &[]);
        check((true, true), &[Event::DatabaseTrouble]);
        check((true, true), &[]);
        check((false, true), &[]);
        check((true, false), &[Event::JournalTrouble]);
        check((false, true), &[]);
        check((false, false), &[]);
        check((false, true), &[]);
        check((false, true), &[Event::DatabaseTrouble]);
    }

    #[test]
    fn a_journal_that_was_found_damaged_is_told_with_how_often() {
        assert!(found_at_start(&Recovery { orphans: 3, replayed: 2, ..Recovery::default() }).is_none());
        let alert = found_at_start(&Recovery { damages: 2, ..Recovery::default() }).unwrap();
        assert!(alert.sentence.contains("2 places"), "{}", alert.sentence);
        assert_eq!(alert.event, Event::JournalTrouble);
    }
}
