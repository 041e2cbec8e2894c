//! What other gateways spend: taken over from the books that they share, so that a budget is one budget over all of them.
//!
//! Owns when it is looked, and who tells that a mark was passed. Leaves the arithmetic to `accounts`, and what has changed to the
//! books.
//!
//! **Invariant:** it is looked only while each row of this process is known to be in the books or not to be there, so that none
//! is counted twice or left out. **Invariant:** books that are away keep nobody from going on alone.

use crate::charge::Charge;
use crate::ledger::Ledger;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::{Duration, Instant};
use tokio::sync::{Notify, OwnedMutexGuard};
use tokio::time::{sleep, timeout};
use tollgate_catalog::PicoDollars;
use tollgate_identity::Scope;
use tollgate_policy::accounts::{Crossing, Threshold};
use tollgate_store::StoreError;
use tollgate_store::books::{Account, Books, Claim, Settled, SpendRow};

/// How often it is looked what others have spent.
const LOOK_EVERY: Duration = Duration::from_millis(250);
/// The same while the books are away, at most.
const LOOK_AWAY: Duration = Duration::from_secs(5);

/// How long it is waited at most until what was spent is in the books, before it is set to something else.
const BEFORE_SET: Duration = Duration::from_millis(500);

/// Who brings rows, sets accounts or looks at them does it one after another.
#[derive(Debug, Default)]
pub(crate) struct Order {
    /// Rows were brought, and nobody knows whether they have arrived.
    is_in_doubt: bool,
}

/// What is to be told and to be looked at.
#[derive(Default)]
pub(crate) struct Following {
    order: Arc<tokio::sync::Mutex<Order>>,
    /// Marks that were passed, of which it is to be found out whether another gateway has told them.
    passed: Mutex<Vec<(Scope, Crossing)>>,
    has_more: Notify,
}

impl Following {
    /// Whoever holds it is alone with the accounts of the books.
    pub(crate) fn order(&self) -> Arc<tokio::sync::Mutex<Order>> {
        Arc::clone(&self.order)
    }

    /// Has it looked at once.
    pub(crate) fn hurry(&self) {
        self.has_more.notify_one();
    }

    /// Has a mark told, by this gateway or another.
    pub(crate) fn pass(&self, scope: &Scope, crossing: &Crossing) {
        self.passed.lock().unwrap_or_else(PoisonError::into_inner).push((scope.clone(), *crossing));
        self.hurry();
    }

    fn take_passed(&self) -> Vec<(Scope, Crossing)> {
        std::mem::take(&mut *self.passed.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Order {
    /// What came of rows that were brought.
    pub(crate) fn note(&mut self, ledger: &Ledger, rows: &[SpendRow], error: Option<&StoreError>) {
        self.is_in_doubt = error.is_some();
        if error.is_some() {
            return;
        }
        let mut sums: BTreeMap<&Account, i128> = BTreeMap::new();
        for row in rows {
            for account in &row.accounts {
                let sum = sums.entry(account).or_default();
                *sum = sum.saturating_add(row.charge());
            }
        }
        for (account, sum) in sums {
            if let Some(charge) = Charge::from_account(account) {
                ledger.accounts().posted(charge, PicoDollars(sum));
            }
        }
    }
}

/// Waits a moment until what was spent of these accounts up to now is in the books, where it is to be set, and lets nobody look
/// at accounts or bring rows from then on.
pub(crate) async fn alone_with(ledger: &Ledger, accounts: &[Settled]) -> Option<OwnedMutexGuard<Order>> {
    if accounts.is_empty() {
        return None;
    }
    let charges: Vec<Charge> =
        accounts.iter().filter_map(|settled| Charge::from_account(&settled.account)).collect();
    let is_on_its_way =
        || charges.iter().any(|charge| ledger.accounts().unposted(charge) > PicoDollars::ZERO);
    let until = Instant::now() + BEFORE_SET;
    while is_on_its_way() && !ledger.feeder().is_away() && Instant::now() < until {
        ledger.feeder().hurry();
        sleep(Duration::from_millis(5)).await;
    }
    Some(ledger.following().order().lock_owned().await)
}

/// Follows the accounts of the books as long as the ledger is there; of books that nobody shares there is nothing to be
/// followed.
pub(crate) async fn follow_accounts(ledger: &Weak<Ledger>, books: &Books, seen: i64) {
    if !books.are_shared() {
        return std::future::pending().await;
    }
    let mut follower = Follower { seen, later: BTreeMap::new(), pause: LOOK_EVERY };
    loop {
        let Some(strong) = ledger.upgrade() else { return };
        let _ = timeout(follower.pause, strong.following().has_more.notified()).await;
        tell_passed(&strong, books).await;
        follower.look(&strong, books).await;
    }
}

struct Follower {
    seen: i64,
    /// What others have spent in periods that have not begun here: their clocks are ahead.
    later: BTreeMap<Account, i128>,
    pause: Duration,
}

impl Follower {
    async fn look(&mut self, ledger: &Ledger, books: &Books) {
        let order = ledger.following().order();
        let order = order.lock().await;
        if order.is_in_doubt {
            // Whoever brings rows asks again soon, and says what is wrong.
            return;
        }
        // What could not be read in a short time may be much by now.
        let is_long = self.pause > LOOK_EVERY;
        match books.accounts_changed(self.seen, is_long).await {
            Ok(changes) => {
                self.seen = changes.seen;
                let changed = changes.accounts.into_iter().map(|settled| (settled.account, settled.amount));
                self.later.extend(changed);
                self.take_over(ledger);
                if self.pause > LOOK_EVERY {
                    tracing::info!("it is known again what other gateways spend");
                }
                self.pause = LOOK_EVERY;
            }
            Err(StoreError::Closed) => self.pause = LOOK_AWAY,
            Err(error) => {
                if self.pause == LOOK_EVERY {
                    tracing::warn!(
                        %error,
                        "it is not known what other gateways spend: until it is, each counts for itself"
                    );
                }
                self.pause = (self.pause * 2).min(LOOK_AWAY);
            }
        }
    }

    fn take_over(&mut self, ledger: &Ledger) {
        let wall = ledger.clock().wall();
        let all = std::mem::take(&mut self.later).into_iter();
        let (begun, later): (BTreeMap<_, _>, _) =
            all.partition(|(account, _)| account.start <= wall.micros());
        self.later = later;
        for (account, amount) in begun {
            let Some(charge) = Charge::from_account(&account) else { continue };
            for (scope, crossing) in ledger.accounts().follow(charge, wall, PicoDollars(amount)) {
                ledger.tell(&scope, &crossing);
            }
        }
    }
}

/// Tells those marks that no other gateway has told; all of them where it cannot be asked for.
pub(crate) async fn tell_passed(ledger: &Ledger, books: &Books) {
    let passed = ledger.following().take_passed();
    if passed.is_empty() {
        return;
    }
    let claims = passed.iter().map(|(scope, crossing)| claim(scope, crossing)).collect();
    let mine = books.claim(claims).await.unwrap_or_else(|_| vec![true; passed.len()]);
    for ((scope, crossing), _) in passed.iter().zip(mine).filter(|(_, is_mine)| *is_mine) {
        ledger.tell_here(scope, crossing);
    }
}

fn claim(scope: &Scope, crossing: &Crossing) -> Claim {
    let (cadence, start) = (crossing.cadence, crossing.period.start);
    let account = Charge { scope: scope.clone(), cadence, start }.into_account();
    let threshold = match crossing.threshold {
        Threshold::Soft => "soft",
        Threshold::Warn => "warn",
        Threshold::Downgrade => "downgrade",
        Threshold::Spent => "spent",
    };
    Claim { account, threshold: threshold.to_owned(), mark: crossing.mark.0 }
}
