//! What other gateways spend and hold: taken over from the books that they share, so that a budget is one budget over all of
//! them; and what is held here, shown to them.
//!
//! Owns when it is looked and shown, and who tells that a mark was passed. Leaves the arithmetic to `accounts`, and what has changed to the
//! books.
//!
//! **Invariant:** it is looked only while each row of this process is known to be in the books or not to be there, so that none
//! is counted twice or left out. **Invariant:** books that are away keep nobody from going on alone.

use crate::charge::Charge;
use crate::journal::Position;
use crate::ledger::{Ledger, batch};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, OnceLock, PoisonError, Weak};
use std::time::{Duration, Instant};
use tokio::sync::{Notify, OwnedMutexGuard};
use tokio::time::{sleep, timeout};
use tollgate_catalog::PicoDollars;
use tollgate_identity::Scope;
use tollgate_policy::accounts::{Crossing, Extent, Shown, Threshold};
use tollgate_store::StoreError;
use tollgate_store::books::{Account, Books, Claim, Holds, Joined, Settled, SpendRow};

/// How often it is looked what others have spent.
const LOOK_EVERY: Duration = Duration::from_millis(250);
/// The same while the books are away, at most.
const LOOK_AWAY: Duration = Duration::from_secs(5);
/// How often it is shown that this gateway is there, and all that it holds.
const RENEW_EVERY: Duration = Duration::from_secs(5);
/// How long what others hold counts after it was looked at last; the books leave it out after as long.
const HELD_FOR: Duration = Duration::from_secs(30);
/// How long a gateway that begins waits until the others have shown it what they hold, and how often it looks.
const JOINING_MAX: Duration = Duration::from_secs(1);
const JOINING_EVERY: Duration = Duration::from_millis(50);

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
    /// Under which name it is shown what is held here.
    gateway: OnceLock<String>,
}

impl Following {
    /// It is shown under this name what is held here.
    pub(crate) fn name(&self, gateway: &str) {
        let _ = self.gateway.set(gateway.to_owned());
    }

    /// Under which name that is.
    pub(crate) fn gateway(&self) -> &str {
        self.gateway.get().map_or("", String::as_str)
    }

    /// Takes back what is shown, since nothing is held any more.
    pub(crate) async fn leave(&self, ledger: &Ledger, books: &Books) {
        let Some(gateway) = self.gateway.get() else { return };
        let shown = ledger.accounts().show(Extent::Whole, ledger.clock().wall());
        if shown.iter().all(|(_, shown)| shown.amount == PicoDollars::ZERO) {
            // What is left is left out by the others after a while.
            let _ = books.leave(gateway.clone()).await;
        }
    }

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
    /// It is not known of each row whether it is in the books.
    pub(crate) fn is_in_doubt(&self) -> bool {
        self.is_in_doubt
    }

    /// Brings rows, and with them how much less is held since they are there.
    pub(crate) async fn bring(
        &mut self,
        ledger: &Ledger,
        books: &Books,
        (journal, upto, rows): (&str, Position, &[SpendRow]),
    ) -> Result<(), StoreError> {
        let sums = sums(rows);
        let held = ledger.accounts().show_posted(&sums);
        let gateway = ledger.following().gateway().to_owned();
        let holds = Holds { gateway, held: held.clone() };
        let brought = books.post_and_show(batch(journal, upto, rows.to_vec()), holds).await;
        self.is_in_doubt = brought.is_err();
        if brought.is_ok() {
            for (account, sum) in sums {
                if let Some(charge) = Charge::from_account(account) {
                    ledger.accounts().posted(charge, PicoDollars(sum));
                }
            }
        }
        ledger.accounts().shown(held.iter(), brought.is_ok());
        brought.map(|_| ())
    }
}

fn sums(rows: &[SpendRow]) -> BTreeMap<&Account, i128> {
    let mut sums: BTreeMap<&Account, i128> = BTreeMap::new();
    for row in rows {
        for account in &row.accounts {
            let sum = sums.entry(account).or_default();
            *sum = sum.saturating_add(row.charge());
        }
    }
    sums
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
pub(crate) async fn follow_accounts(ledger: &Weak<Ledger>, books: &Books, follower: Option<Follower>) {
    let Some(mut follower) = follower else { return std::future::pending().await };
    loop {
        let Some(strong) = ledger.upgrade() else { return };
        let _ = timeout(follower.pause, strong.following().has_more.notified()).await;
        tell_passed(&strong, books).await;
        follower.look(&strong, books).await;
    }
}

/// Whoever looks what others spend and hold, and shows them what is held here.
pub(crate) struct Follower {
    gateway: String,
    seen: i64,
    /// What others have spent in periods that have not begun here: their clocks are ahead.
    later: BTreeMap<Account, i128>,
    pause: Duration,
    /// What a process before this one held, and is on its way to the books.
    left: Vec<Settled>,
    others: u64,
    /// The last of all gateways that is known to have begun.
    newest: i64,
    /// It is to be shown again what is held, and that this gateway is there.
    is_due: bool,
    renewed: Instant,
    looked: Instant,
}

impl Follower {
    /// Joins the gateways that share the books, and waits a moment until all of them have shown what they hold.
    pub(crate) async fn join(
        ledger: &Ledger,
        books: &Books,
        gateway: String,
        seen: i64,
    ) -> Result<Self, StoreError> {
        let Joined { joined, left } = books.join(gateway.clone()).await?;
        let now = Instant::now();
        let mut follower = Self {
            gateway,
            seen,
            later: BTreeMap::new(),
            pause: LOOK_EVERY,
            left,
            others: 0,
            newest: joined,
            is_due: false,
            renewed: now,
            looked: now,
        };
        while follower.look_once(ledger, books).await? < joined && now.elapsed() < JOINING_MAX {
            sleep(JOINING_EVERY).await;
        }
        Ok(follower)
    }

    /// Under whose name it is shown what is held.
    pub(crate) fn gateway(&self) -> &str {
        &self.gateway
    }

    async fn look(&mut self, ledger: &Ledger, books: &Books) {
        let order = ledger.following().order();
        let order = order.lock().await;
        if order.is_in_doubt {
            // Whoever brings rows asks again soon, and says what is wrong.
            return;
        }
        let mut looked = self.look_once(ledger, books).await;
        if looked.is_ok() && self.is_due {
            // Whoever has begun waits until it sees what is held here.
            looked = self.look_once(ledger, books).await;
        }
        match looked {
            Ok(_) => {
                if self.pause > LOOK_EVERY {
                    tracing::info!("it is known again what other gateways spend");
                }
                self.pause = LOOK_EVERY;
                ledger.confirming().heard();
            }
            Err(StoreError::Closed) => self.pause = LOOK_AWAY,
            Err(error) => {
                if self.pause == LOOK_EVERY {
                    tracing::warn!(
                        %error,
                        "it is not known what other gateways spend: until it is, each counts for itself"
                    );
                }
                if self.looked.elapsed() >= HELD_FOR {
                    ledger.accounts().set_elsewhere(Vec::new());
                }
                self.pause = (self.pause * 2).min(LOOK_AWAY);
            }
        }
    }

    /// Shows what is held here, and looks what others hold and have spent; says up to which gateway all of them have shown it.
    async fn look_once(&mut self, ledger: &Ledger, books: &Books) -> Result<i64, StoreError> {
        let is_whole = self.is_due || self.renewed.elapsed() >= RENEW_EVERY;
        let extent = if is_whole { Extent::Whole } else { Extent::Changed };
        let wall = ledger.clock().wall();
        let shown = if self.others > 0 { ledger.accounts().show(extent, wall) } else { Vec::new() };
        let looked = match self.show(ledger, books, (&shown, is_whole)).await {
            // What could not be read in a short time may be much by now.
            Ok(()) => books.others(self.gateway.clone(), self.seen, self.pause > LOOK_EVERY).await,
            Err(error) => Err(error),
        };
        let shown = shown.iter().map(|(_, shown)| shown);
        let look = match looked {
            Ok(look) => look,
            Err(error) => {
                ledger.accounts().show_again(shown);
                return Err(error);
            }
        };
        ledger.accounts().vouch(shown);
        self.looked = Instant::now();
        self.seen = look.changes.seen;
        let changed = look.changes.accounts.into_iter().map(|settled| (settled.account, settled.amount));
        self.later.extend(changed);
        self.take_over(ledger);
        ledger.accounts().set_elsewhere(look.held);
        if (look.others > 0) != (self.others > 0) {
            ledger.accounts().share(look.others > 0);
            self.is_due = true;
        }
        self.is_due |= look.newest > self.newest;
        (self.others, self.newest) = (look.others, look.newest.max(self.newest));
        Ok(look.knows)
    }

    /// Shows others what is held here, where that is news or due.
    async fn show(
        &mut self,
        ledger: &Ledger,
        books: &Books,
        (shown, is_whole): (&[(Account, Shown)], bool),
    ) -> Result<(), StoreError> {
        let is_wanted = |shown: &Shown| shown.is_news || is_whole && shown.amount > PicoDollars::ZERO;
        let wanted = shown.iter().filter(|(_, shown)| is_wanted(shown));
        let mut held: Vec<Settled> = wanted
            .map(|(account, shown)| Settled { account: account.clone(), amount: shown.amount.0 })
            .collect();
        if !is_whole && held.is_empty() {
            return Ok(());
        }
        let own = held.len();
        if is_whole {
            self.forget_left(ledger);
            let is_new = |left: &&Settled| !held.iter().any(|held| held.account == left.account);
            held.extend(self.left.iter().filter(is_new).cloned().collect::<Vec<_>>());
        }
        let holds = Holds { gateway: self.gateway.clone(), held: held.clone() };
        let made =
            if is_whole { books.renew(holds, self.newest).await } else { books.show_holds(holds).await };
        ledger.accounts().shown(held.iter().take(own), made.is_ok());
        if is_whole && made.is_ok() {
            (self.renewed, self.is_due) = (Instant::now(), false);
        }
        made
    }

    /// Of what a process before this one held, what was on its way has arrived: it is held no more.
    fn forget_left(&mut self, ledger: &Ledger) {
        let is_on_its_way = |left: &Settled| {
            let charge = Charge::from_account(&left.account);
            charge.is_some_and(|charge| ledger.accounts().unposted(&charge) > PicoDollars::ZERO)
        };
        if !self.left.iter().any(is_on_its_way) {
            self.left.clear();
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
