//! Looks at books with a clock of their own: what is told, of whom, and how often.

use super::*;
use serde_json::{Value, json};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::Duration;
use tollgate_alerts::Event;
use tollgate_catalog::PicoDollars;
use tollgate_config::Config;
use tollgate_identity::Record;
use tollgate_ledger::{Accounts, Clock, Defaults, Past, scope_of};
use tollgate_policy::accounts::Kernel;
use tollgate_policy::anomaly::AnomalyRule;
use tollgate_policy::clock::Moment;
use tollgate_store::books::{Batch, Checkpoint, Expected, Put, RecordChange, SpendRow};
use tollgate_store::{Location, Store, StoreOptions};

const HOUR: i64 = DAY_MICROS / 24;

/// The start of a day of November 2026.
fn november(day: i64) -> i64 {
    Wall::from_rfc3339("2026-11-01T00:00:00Z").unwrap().micros() + (day - 1) * DAY_MICROS
}

fn dollars(text: &str) -> PicoDollars {
    PicoDollars::parse_dollars(text).unwrap()
}

/// Books, a ledger and a foresight over them, at a time of the test's own.
struct World {
    now: Arc<AtomicI64>,
    books: Books,
    ledger: Arc<Ledger>,
    foresight: Foresight,
    rules: TollRules,
    settings: AnomalySettings,
    rows: AtomicU64,
}

impl World {
    async fn at(now: i64) -> Self {
        let store = Store::open(Location::Memory, &StoreOptions::default()).await.unwrap();
        let books = Books::of_store(store);
        let now = Arc::new(AtomicI64::new(now));
        let read = Arc::clone(&now);
        let micros = move || read.load(Ordering::Relaxed);
        let moment = micros.clone();
        let clock = Clock::new(
            move || Moment::from_micros(moment().unsigned_abs()),
            move || Wall::from_micros(micros()),
        );
        let accounts = Accounts::new(Kernel::new(Kernel::utc()), Defaults::default());
        let ledger = Arc::new(Ledger::new(clock, accounts));
        ledger.begin(books.clone(), None).await.unwrap();
        let (foresight, rules) = (Foresight::default(), TollRules::of(&Config::default()));
        let settings = AnomalySettings::default();
        Self { now, books, ledger, foresight, rules, settings, rows: AtomicU64::new(1) }
    }

    fn go_to(&self, now: i64) {
        self.now.store(now, Ordering::Relaxed);
    }

    async fn put(&self, kind: Kind, id: &str, doc: Value) -> Arc<Record> {
        let put = Put {
            kind: kind.word().to_owned(),
            id: id.to_owned(),
            doc: doc.to_string(),
            expected: Expected::Any,
        };
        self.ledger.commit(RecordChange { puts: vec![put], ..RecordChange::default() }).await.unwrap();
        self.ledger.directory().get(kind, id).map(Arc::clone).unwrap()
    }

    /// An attempt at this moment, of a key and a user.
    async fn spend(&self, at: i64, (key, user): (&str, &str), cost: &str) {
        let number = self.rows.fetch_add(1, Ordering::Relaxed);
        let row = SpendRow {
            attempt_id: u128::from(number),
            api_key: key.to_owned(),
            user_id: user.to_owned(),
            started_at: at,
            ended_at: at,
            cost: dollars(cost).0,
            ..SpendRow::default()
        };
        let upto = Checkpoint { segment: 1, offset: number };
        let batch = Batch { journal: "j".to_owned(), upto, rows: vec![row] };
        assert_eq!(self.books.post(batch).await.unwrap(), 1);
    }

    /// Books what a record has spent in its period up to now, where memory has it.
    fn settle(&self, record: &Record, cost: &str) {
        let wall = self.ledger.clock().wall();
        let cadence = record.limits.cadence.unwrap();
        let start = cadence.period(wall, record.limits.anchor, self.rules.zone_ref()).start;
        let past = Past { cadence: Some(cadence), start, settled: dollars(cost) };
        let (accounts, scope) = (self.ledger.accounts(), scope_of(record).unwrap());
        // An open account goes over to this period first.
        accounts.budgets(&scope, &record.limits, wall);
        accounts.remember(scope, past);
    }

    async fn look(&self) -> Vec<Alert> {
        let (rules, anomaly, alerting) = (&self.rules, &self.settings, &Alerting::default());
        self.foresight.look(&self.ledger, Sought { rules, anomaly, alerting }).await.unwrap()
    }

    async fn sentences(&self) -> Vec<String> {
        self.look().await.into_iter().map(|alert| alert.sentence).collect()
    }

    /// Requests a minute that a key is held to.
    fn rate(&self, key: &Record) -> Option<u64> {
        let times = self.ledger.clock().times();
        let accounts = self.ledger.accounts();
        let id = accounts.touch(&scope_of(key).unwrap(), &key.limits, times.wall).unwrap();
        let rates = accounts.rates(&[id], times.now);
        rates.first().and_then(|(_, rates)| rates.first()).map(|rate| rate.rule.limit)
    }

    async fn close(self) {
        self.ledger.close(Duration::from_secs(5)).await;
    }
}

#[tokio::test]
async fn a_budget_that_will_not_last_is_told_once_a_period() {
    let world = World::at(november(6)).await;
    let doc = json!({"key_alias": "chatbot", "max_budget": 100, "budget_duration": "30d"});
    let key = world.put(Kind::Key, "k", doc).await;
    for day in 1..=5 {
        world.spend(november(day), ("k", ""), "10").await;
    }
    world.settle(&key, "50");
    let told = world.look().await;
    assert_eq!(told.len(), 1);
    assert_eq!(told[0].event, Event::ProjectedLimitExceeded);
    assert_eq!(
        told[0].sentence,
        "Key chatbot has spent $50.00 of $100.00 and will have spent $300.00 when its period ends. \
         The budget will be spent on 2026-11-11."
    );
    assert_eq!(told[0].amounts.projected_spend, Some(dollars("300")));
    world.go_to(november(7));
    assert_eq!(world.sentences().await, Vec::<String>::new());
    // The next month is another period.
    world.go_to(november(30 + 4));
    for day in 31..=33 {
        world.spend(november(day), ("k", ""), "20").await;
    }
    world.settle(&key, "60");
    let told = world.sentences().await;
    assert_eq!(told.len(), 1, "{told:?}");
    assert!(told[0].contains("will have spent $620.00"), "{told:?}");
    world.close().await;
}

#[tokio::test]
async fn what_lasts_is_not_told_nor_what_is_known_late() {
    let world = World::at(november(6)).await;
    let check = async |id: &str, budget: u64, day: i64, count: usize| {
        let key = world.put(Kind::Key, id, json!({"max_budget": budget, "budget_duration": "30d"})).await;
        for day in 1..day {
            world.spend(november(day), (id, ""), "10").await;
        }
        world.go_to(november(day));
        world.settle(&key, &format!("{}", (day - 1) * 10));
        assert_eq!(world.look().await.len(), count, "{id}");
    };
    // 300 dollars at the end, of 250, and of 249.
    check("enough", 250, 6, 0).await;
    check("short", 249, 6, 1).await;
    // One day says little of a month, and after its middle the budget's marks tell it.
    check("early", 100, 2, 0).await;
    check("late", 200, 17, 0).await;
    world.close().await;
}

#[tokio::test]
async fn the_whole_gateway_has_a_projection() {
    let mut world = World::at(november(6)).await;
    let text = "general_settings: {max_budget: 100, budget_duration: 1mo}\n";
    let config = Config::from_yaml_text(text, &|_| None).config.unwrap();
    world.rules = TollRules::of(&config);
    for day in 1..=5 {
        world.spend(november(day), ("k", ""), "4").await;
        world.spend(november(day), ("", ""), "6").await;
    }
    let cadence = Cadence::Months(1);
    let past = Past { cadence: Some(cadence), start: Wall::from_micros(november(1)), settled: dollars("50") };
    world.ledger.accounts().remember(Scope::global(), past);
    let told = world.sentences().await;
    assert_eq!(told.len(), 1, "{told:?}");
    assert!(
        told[0].starts_with("The gateway has spent $50.00 of $100.00 and will have spent $300.00"),
        "{told:?}"
    );
    world.close().await;
}

/// Six pupils with a key each, who spend a dollar a day, for a week.
async fn class(world: &World) {
    for pupil in 1..=6 {
        let (key, user) = (format!("key{pupil}"), format!("pupil{pupil}"));
        world.put(Kind::User, &user, json!({})).await;
        world.put(Kind::Key, &key, json!({"user_id": user, "rpm_limit": 100})).await;
        for day in 8..15 {
            world.spend(november(day), (&key, &user), "1").await;
        }
    }
}

#[tokio::test]
async fn the_pupil_at_25_times_is_told_once_a_day_and_held_until_midnight() {
    let mut world = World::at(november(15) + 12 * HOUR).await;
    world.settings.throttle_rpm = Some(6);
    class(&world).await;
    for pupil in 2..=6 {
        world.spend(november(15), (&format!("key{pupil}"), &format!("pupil{pupil}")), "1.2").await;
    }
    assert_eq!(world.sentences().await, Vec::<String>::new());
    world.spend(november(15) + 11 * HOUR, ("key1", "pupil1"), "25").await;
    let key = world.ledger.directory().get(Kind::Key, "key1").map(Arc::clone).unwrap();
    assert_eq!(world.rate(&key), Some(100));
    assert_eq!(
        world.sentences().await,
        [
            "Key key1 has spent $25.00 within a day; $1.00 is usual. It is slowed down.",
            "User pupil1 has spent $25.00 within a day; $1.00 is usual.",
        ]
    );
    assert_eq!(world.rate(&key), Some(6));
    // Other limits do not end it.
    let key = world.put(Kind::Key, "key1", json!({"user_id": "pupil1", "rpm_limit": 50})).await;
    assert_eq!(world.rate(&key), Some(6));
    world.go_to(november(16) - 1);
    world.spend(november(16) - HOUR, ("key1", "pupil1"), "5").await;
    assert_eq!((world.sentences().await.len(), world.rate(&key)), (0, Some(6)));
    world.go_to(november(16));
    assert_eq!((world.sentences().await.len(), world.rate(&key)), (0, Some(50)));
    // Another day is told again: one wild day among eight has not become usual.
    world.spend(november(16), ("key1", "pupil1"), "25").await;
    assert_eq!((world.sentences().await.len(), world.rate(&key)), (2, Some(6)));
    world.close().await;
}

#[tokio::test]
async fn what_is_usual_for_oneself_or_for_the_organization_is_no_anomaly() {
    let world = World::at(november(15) + HOUR).await;
    class(&world).await;
    // Always dear.
    for day in 8..15 {
        world.spend(november(day), ("dear", "researcher"), "30").await;
    }
    world.spend(november(15), ("dear", "researcher"), "200").await;
    // New, and like all others.
    world.spend(november(15), ("new", "newcomer"), "9").await;
    assert_eq!(world.sentences().await, Vec::<String>::new());
    // New, and not like the others.
    world.spend(november(15), ("new", "newcomer"), "2").await;
    assert_eq!(world.look().await.len(), 2);
    world.close().await;
}

#[tokio::test]
async fn a_key_is_compared_with_the_keys_of_its_organization() {
    let world = World::at(november(15) + HOUR).await;
    class(&world).await;
    world.put(Kind::Organization, "lab", json!({})).await;
    for number in 1..=4 {
        let key = format!("lab{number}");
        world.put(Kind::Key, &key, json!({"organization_id": "lab"})).await;
        for day in 8..15 {
            world.spend(november(day), (&key, ""), "20").await;
        }
    }
    world.put(Kind::Key, "lab5", json!({"organization_id": "lab"})).await;
    world.spend(november(15), ("lab5", ""), "50").await;
    assert_eq!(world.sentences().await, Vec::<String>::new());
    world.put(Kind::Key, "alone", json!({})).await;
    world.spend(november(15), ("alone", ""), "50").await;
    assert_eq!(world.sentences().await, ["Key alone has spent $50.00 within a day; $1.00 is usual."]);
    world.close().await;
}

#[tokio::test]
async fn an_hour_is_told_before_the_day_is() {
    let world = World::at(november(15) + 10 * HOUR).await;
    for number in 1..=4 {
        for day in 8..15 {
            world.spend(november(day), (&format!("k{number}"), ""), "16").await;
        }
    }
    world.spend(november(15) + 9 * HOUR, ("k1", ""), "15").await;
    assert_eq!(world.sentences().await, Vec::<String>::new());
    world.spend(november(15) + 10 * HOUR, ("k1", ""), "19").await;
    world.go_to(november(15) + 11 * HOUR - 1);
    assert_eq!(world.sentences().await, Vec::<String>::new());
    world.go_to(november(15) + 11 * HOUR);
    // 19 in an hour of which 2 are usual is below ten times, 21 is above.
    assert_eq!(world.sentences().await, Vec::<String>::new());
    world.spend(november(15) + 11 * HOUR, ("k1", ""), "2").await;
    assert_eq!(world.sentences().await, ["Key k1 has spent $21.00 within an hour; $2.00 is usual."]);
    world.close().await;
}

#[tokio::test]
async fn below_the_floor_and_without_anything_to_compare_nothing_is_told() {
    let mut world = World::at(november(15) + HOUR).await;
    world.spend(november(15), ("first", "one"), "500").await;
    assert_eq!(world.sentences().await, Vec::<String>::new());
    class(&world).await;
    world.settings.rule = AnomalyRule { floor: dollars("600"), ..AnomalyRule::default() };
    assert_eq!(world.sentences().await, Vec::<String>::new());
    world.settings.rule = AnomalyRule { factor: 501, ..AnomalyRule::default() };
    assert_eq!(world.sentences().await, Vec::<String>::new());
    world.settings.rule = AnomalyRule::default();
    assert_eq!(world.look().await.len(), 2);
    world.close().await;
}
