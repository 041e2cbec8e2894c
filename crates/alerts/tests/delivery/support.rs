//! What the tests share: a way for alerts with a clock that stands and dice that always show the same.
//!
//! Owns: [`Stand`], sample alerts, and waiting. Leaves to others: the receivers. **Invariant:** nothing here waits for the
//! machine's clock but patience itself.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tollgate_alerts::{
    Alert, AlertTypes, Alerts, Anomaly, Event, Observe, Period, Report, Scope, ScopeKind, Severity, Share,
    Spent, Surroundings, UserSpend,
};
use tollgate_config::{AlertChannel, AlertWay, Alerting, Secret};
use tollgate_upstream::{Limits, Resolver, Shared};

/// 2026-11-23T04:46:27Z, in microseconds.
pub(crate) const AT: i64 = 1_795_409_187_000_000;
/// How long anything may take.
const PATIENCE: Duration = Duration::from_secs(60);

/// What was counted.
#[derive(Debug, Default)]
pub(crate) struct Counts {
    raised: Mutex<BTreeMap<&'static str, u64>>,
    delivered: Mutex<BTreeMap<&'static str, u64>>,
    dropped: Mutex<BTreeMap<&'static str, u64>>,
}

fn count(counts: &Mutex<BTreeMap<&'static str, u64>>, name: &'static str, by: u64) {
    *counts.lock().unwrap().entry(name).or_default() += by;
}

impl Observe for Counts {
    fn raised(&self, event: &'static str) {
        count(&self.raised, event, 1);
    }

    fn delivered(&self, channel: &'static str, alerts: u64) {
        count(&self.delivered, channel, alerts);
    }

    fn dropped(&self, channel: &'static str, alerts: u64) {
        count(&self.dropped, channel, alerts);
    }
}

impl Counts {
    pub(crate) fn raised(&self) -> u64 {
        self.raised.lock().unwrap().values().sum()
    }

    pub(crate) fn delivered(&self, channel: &str) -> u64 {
        self.delivered.lock().unwrap().get(channel).copied().unwrap_or(0)
    }

    pub(crate) fn dropped(&self, channel: &str) -> u64 {
        self.dropped.lock().unwrap().get(channel).copied().unwrap_or(0)
    }
}

/// Alerts, and what was counted of them.
pub(crate) struct Stand {
    pub(crate) alerts: Alerts,
    pub(crate) counts: Arc<Counts>,
    /// Microseconds since 1970, as the alerts are told.
    pub(crate) wall: Arc<Mutex<i64>>,
}

impl Stand {
    /// These are told of everything.
    pub(crate) fn new(ways: Vec<AlertWay>) -> Self {
        Self::trusting(ways, Vec::new())
    }

    /// The same, with further root certificates.
    pub(crate) fn trusting(
        ways: Vec<AlertWay>,
        roots: Vec<rustls::pki_types::CertificateDer<'static>>,
    ) -> Self {
        let stand = Self::detached();
        stand.configure(ways);
        let shared = Shared::new(Resolver::default(), Limits::default(), roots).unwrap();
        stand.alerts.attach(&Arc::new(shared));
        stand
    }

    /// Nobody is told, and there are no sockets.
    pub(crate) fn detached() -> Self {
        let (counts, wall) = (Arc::new(Counts::default()), Arc::new(Mutex::new(AT)));
        let now = Arc::clone(&wall);
        let surroundings =
            Surroundings { wall: Arc::new(move || *now.lock().unwrap()), draw: Arc::new(|| 1.0) };
        let alerts = Alerts::new(Arc::clone(&counts) as Arc<dyn Observe>, surroundings);
        Self { alerts, counts, wall }
    }

    pub(crate) fn configure(&self, ways: Vec<AlertWay>) {
        let channels = ways.into_iter().map(|way| AlertChannel { way, types: AlertTypes::ALL });
        self.alerts.configure(&Alerting { channels: channels.collect(), ..Alerting::default() });
    }
}

pub(crate) fn webhook(url: &str, secret: Option<&str>) -> AlertWay {
    AlertWay::Webhook { url: Secret::new(url), secret: secret.map(Secret::new) }
}

pub(crate) fn slack(url: &str) -> AlertWay {
    AlertWay::Slack { url: Secret::new(url) }
}

/// An alert that is unlike that of any other number.
pub(crate) fn numbered(number: usize) -> Alert {
    let sentence = format!("Deployment {number} is out.");
    Alert::new(Event::Cooldown, Severity::Warning, &number.to_string(), sentence).fact("number", number)
}

/// A key that has spent so many cents of its ten dollars.
pub(crate) fn spent(id: &str, cents: i128, period: Option<Period>) -> Spent {
    Spent {
        scope: Scope::new(ScopeKind::Key, id).alias(format!("alias of {id}")),
        spend: tollgate_catalog::PicoDollars(cents * 10_000_000_000),
        budget: tollgate_catalog::PicoDollars::parse_dollars("10").ok(),
        period,
    }
}

/// One of everything that can be said, and what is as nasty as it can be.
pub(crate) fn everything() -> Vec<Alert> {
    let month = Period { start: 1_793_491_200_000_000, end: Some(1_796_083_200_000_000) };
    let dollars = |text: &str| tollgate_catalog::PicoDollars::parse_dollars(text).unwrap();
    let nasty =
        "<!channel> <@U1> @everyone [x](https://evil.test) *b* `c` \u{202e}\r\nBcc: x@y.z ".repeat(300);
    let share = |id: &str, alias: &str| Share {
        id: id.to_owned(),
        alias: Some(alias.to_owned()),
        spend: dollars("12.5"),
    };
    let user = Scope::new(ScopeKind::User, "pupil").alias("Pupil");
    let hostile = Alert::new(Event::SpendAnomaly, Severity::Critical, &nasty, nasty.clone());
    let hostile = hostile.scope(Scope::new(ScopeKind::EndUser, nasty.clone()).alias(nasty.clone()));
    let hostile = (0..60).fold(hostile, |alert, at| alert.fact(&format!("{at} {nasty}"), nasty.as_str()));
    let back = Alert::new(Event::Recovered, Severity::Info, "dep-a", "Deployment dep-a answers again.");
    vec![
        Alert::threshold(spent("k1", 750, Some(month)), 750_000, "warn"),
        Alert::threshold(spent("k1", 1_000, None), 1_000_000, "refuse"),
        Alert::soft_budget(spent("k1", 600, Some(month)), dollars("5")),
        Alert::projected(spent("k1", 400, Some(month)), dollars("12.5"), Some("2026-11-27".to_owned())),
        Alert::anomaly(Anomaly {
            scope: user.clone(),
            spend: dollars("40"),
            usual: dollars("0.5"),
            within: "day",
            is_throttled: false,
        }),
        Alert::unpriced("mystery", "openai"),
        Alert::journal("disk_full", "The journal's disk is full: what is spent is kept in memory."),
        Alert::database("gone", "The database does not answer."),
        Alert::record(Event::KeyCreated, Scope::new(ScopeKind::Key, "k2"), "admin"),
        Alert::record(Event::TeamDeleted, Scope::new(ScopeKind::Team, "t1").alias("research"), "admin"),
        Alert::record(Event::UserCreated, user.clone(), "admin"),
        Alert::spend_report(Report {
            period: month,
            frequency: "1mo".to_owned(),
            spend: dollars("12.5"),
            teams: (0..60).map(|team| share(&format!("t{team}"), &nasty)).collect(),
            tags: vec![share(&nasty, "")],
        }),
        Alert::user_spend(UserSpend {
            scope: user,
            spend: dollars("60"),
            threshold: dollars("50"),
            within: "month",
            period: month,
        }),
        numbered(1),
        back.resolves(vec![numbered(1).key]),
        hostile,
    ]
}

/// Lets everything that is on its way through local sockets arrive.
pub(crate) async fn settle() {
    for _ in 0..1_000 {
        tokio::task::yield_now().await;
    }
}

/// Waits, without the runtime's clock, until something is so.
pub(crate) async fn until(what: &str, is_so: impl Fn() -> bool) {
    let started = std::time::Instant::now();
    while !is_so() {
        assert!(started.elapsed() < PATIENCE, "waited in vain until {what}");
        tokio::task::yield_now().await;
    }
}

/// The same, while the runtime's clock goes on in steps.
pub(crate) async fn until_later(what: &str, step: Duration, is_so: impl Fn() -> bool) {
    let started = std::time::Instant::now();
    loop {
        settle().await;
        if is_so() {
            return;
        }
        assert!(started.elapsed() < PATIENCE, "waited in vain until {what}");
        advance(step).await;
    }
}

/// Moves the runtime's clock. It is not left paused: a paused clock jumps whenever bytes are on their way.
pub(crate) async fn advance(by: Duration) {
    tokio::time::pause();
    tokio::time::advance(by).await;
    tokio::time::resume();
}
