//! The toll of a count of tokens: a request that costs nothing.
//!
//! Owns what it is held to and its row. Leaves counting to `counting`. **Invariant:** a count is a request of every rate and
//! takes a place of everybody whom a call of the same model would be charged to, and no money; a spent budget is no
//! reason to refuse one. **Invariant:** one that a provider was asked for is a row that costs nothing.

use super::headers::ratelimits;
use super::row::Facts;
use super::{Party, failed, refusal};
use crate::error::Rejection;
use crate::pipeline::Call;
use crate::routing::Wish;
use crate::snapshot::Snapshot;
use crate::target::Target;
use http::HeaderMap;
use std::sync::Arc;
use tollgate_catalog::PicoDollars;
use tollgate_ledger::{Admission, Ledger};
use tollgate_policy::accounts::Money;
use tollgate_store::books::{SpendRow, Status};

/// What a row calls such a request.
const CALL_TYPE: &str = "count_tokens";

/// A count that was let in; dropped, it gives its place back, and counts as a request.
pub(crate) struct CountToll {
    admission: Admission,
    /// What it takes of rates.
    _rates: Option<Admission>,
    facts: Facts,
    began_at: i64,
}

impl CountToll {
    /// Lets a count for a group in by everybody whom it is charged to, or by nobody.
    pub(crate) fn enter(
        ledger: &Arc<Ledger>,
        snapshot: &Snapshot,
        (call, wish): (&Call, &Wish),
        group: &str,
    ) -> Result<Self, Rejection> {
        let rules = snapshot.toll_rules();
        let facts = Facts::of(call, wish, group);
        let party = Party::of(&ledger.directory(), snapshot, (&call.caller, wish), group);
        if let Some(end_user) = &party.blocked {
            return Err(Rejection::end_user_blocked(&end_user.id));
        }
        let money = Money { most: PicoDollars::ZERO, is_free: true, is_critical: false };
        let nothing = (0, Some(0));
        let admission = Admission::enter(ledger, party.touch(ledger), nothing, money).map_err(|refused| {
            let mut rejection = refusal::reject(&refused, ledger, rules, &call.caller);
            let accounts = party.touch(ledger).0;
            rejection.headers_mut().extend(ratelimits(ledger, &accounts, rules.token_unit));
            failed::note_refused(ledger, call, &facts, (&refused, rules.token_unit, &rejection));
            rejection
        })?;
        // Whether it is counted here or there, it has been served.
        let rates = admission.answer(0, Some(0)).ok();
        let began_at = ledger.clock().wall().micros();
        Ok(Self { admission, _rates: rates, facts, began_at })
    }

    /// What every reply to it says of limits.
    pub(crate) fn headers(&self, snapshot: &Snapshot) -> HeaderMap {
        let unit = snapshot.toll_rules().token_unit;
        ratelimits(self.admission.ledger(), self.admission.accounts(), unit)
    }

    /// Writes down that a provider was asked, and how that ended: none where it answered.
    pub(crate) fn note(&self, target: &Target, failed: Option<&Rejection>) {
        let ledger = self.admission.ledger();
        let row = SpendRow {
            attempt_id: crate::chance::bits(),
            call_type: CALL_TYPE.to_owned(),
            started_at: self.began_at,
            status: if failed.is_none() { Status::Success } else { Status::Failure },
            status_code: failed.map_or(0, |rejection| rejection.status().as_u16()),
            unpriced: false,
            metadata: self.facts.metadata(&[]),
            ..self.facts.row(target, ledger.clock().wall())
        };
        ledger.settled(&row);
    }
}
