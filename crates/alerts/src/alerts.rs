//! The way alerts take: who is told, what was said, and the lanes.
//!
//! Owns: [`Alerts`]. Leaves to others: a lane's own affairs.
//!
//! **Invariant:** telling takes a lock for a few lines and never waits for a receiver, from whatever thread.

use crate::alert::Alert;
use crate::channel::Channel;
use crate::lane::{Errand, Kit, Lane, Queued, lock};
use crate::memory::{Memory, Now, Ttls};
use crate::signature::hex;
use ring::digest::{SHA256, digest};
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;
use tokio::runtime::Handle;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout_at};
use tollgate_config::{AlertChannel, Alerting};
use tollgate_upstream::Shared;

/// Letters of what identifies a delivery.
const ID_LETTERS: usize = 32;

/// Who counts.
pub trait Observe: Send + Sync {
    /// An alert is said: the word of its event.
    fn raised(&self, event: &'static str);
    /// So many alerts were delivered to a channel.
    fn delivered(&self, channel: &'static str, alerts: u64);
    /// So many alerts were not.
    fn dropped(&self, channel: &'static str, alerts: u64);
}

/// The clock and the dice.
#[derive(Clone)]
pub struct Surroundings {
    /// Microseconds since 1970 (UTC).
    pub wall: Arc<dyn Fn() -> i64 + Send + Sync>,
    /// A number from 0 to 1.
    pub draw: Arc<dyn Fn() -> f64 + Send + Sync>,
}

/// A lane and what it is told of.
#[derive(Debug, Clone)]
struct Branch {
    setting: AlertChannel,
    lane: Arc<Lane>,
}

/// Where alerts go. A clone is the same.
#[derive(Clone)]
pub struct Alerts {
    inner: Arc<Inner>,
}

struct Inner {
    branches: Mutex<Arc<[Branch]>>,
    memory: Mutex<Memory>,
    ttls: Mutex<Ttls>,
    shared: OnceLock<Arc<Shared>>,
    /// Where errands run that are begun outside of any runtime.
    runtime: Mutex<Option<Handle>>,
    draining: watch::Sender<bool>,
    told: AtomicU64,
    surroundings: Surroundings,
    observer: Arc<dyn Observe>,
}

impl fmt::Debug for Alerts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Alerts").field("branches", &lock(&self.inner.branches).len()).finish_non_exhaustive()
    }
}

impl Alerts {
    /// Nobody is told yet.
    pub fn new(observer: Arc<dyn Observe>, surroundings: Surroundings) -> Self {
        let defaults = Alerting::default();
        let inner = Inner {
            branches: Mutex::default(),
            memory: Mutex::default(),
            ttls: Mutex::new(Ttls { budget: defaults.budget_ttl, outage: defaults.outage_ttl }),
            shared: OnceLock::new(),
            runtime: Mutex::default(),
            draining: watch::Sender::new(false),
            told: AtomicU64::new(0),
            surroundings,
            observer,
        };
        Self { inner: Arc::new(inner) }
    }

    /// Tells these from now on. A channel that stays keeps what waits for it; one that goes still tells what it has.
    pub fn configure(&self, alerting: &Alerting) {
        *lock(&self.inner.ttls) = Ttls { budget: alerting.budget_ttl, outage: alerting.outage_ttl };
        let mut branches = lock(&self.inner.branches);
        let next = alerting.channels.iter().filter_map(|setting| {
            let known = branches.iter().find(|known| known.setting.way == setting.way);
            let lane = match known {
                Some(known) => Arc::clone(&known.lane),
                None => Arc::new(Lane::new(Channel::new(&setting.way)?, Instant::now())),
            };
            Some(Branch { setting: setting.clone(), lane })
        });
        *branches = next.collect();
    }

    /// Goes by these sockets; called within a runtime, it is where errands run that are begun outside of any.
    pub fn attach(&self, shared: &Arc<Shared>) {
        // All workers share one.
        let _ = self.inner.shared.set(Arc::clone(shared));
        if let Ok(runtime) = Handle::try_current() {
            *lock(&self.inner.runtime) = Some(runtime);
        }
    }

    /// Says something; false where the same was said lately, and nobody is told. Never waits.
    pub fn tell(&self, mut alert: Alert) -> bool {
        let inner = &self.inner;
        let now = Now { steady: Instant::now(), wall: (inner.surroundings.wall)() };
        let ttls = *lock(&inner.ttls);
        if !lock(&inner.memory).may_say(&alert.key, alert.quiet, ttls, now) {
            return false;
        }
        inner.observer.raised(alert.event.word());
        alert.at = now.wall;
        let of = alert.event.alert_type();
        let branches = Arc::clone(&lock(&inner.branches));
        let mut queued: Option<Queued> = None;
        let is_told = |setting: &AlertChannel| setting.types.has(of) && alert.event.is_for(&setting.way);
        for branch in branches.iter().filter(|branch| is_told(&branch.setting)) {
            let queued = queued.get_or_insert_with(|| {
                let id = inner.id_of(&alert);
                Queued { alert: Arc::new(alert.clone()), id, stands_for: 1 }
            });
            let dropped = branch.lane.put(queued.clone());
            if dropped > 0 {
                inner.observer.dropped(branch.lane.channel.word(), dropped);
            }
            self.send(&branch.lane);
        }
        true
    }

    /// Sends an errand where one is wanted.
    fn send(&self, lane: &Arc<Lane>) {
        let Some(kit) = self.inner.kit() else { return };
        let runtime = Handle::try_current().ok().or_else(|| lock(&self.inner.runtime).clone());
        let Some(runtime) = runtime else { return };
        if lane.claim() {
            runtime.spawn(Errand::new(Arc::clone(lane), kit).run());
        }
    }

    /// Tells what waits, each once and without pauses, within `limit`; what is left then is counted as dropped. Called
    /// when nobody has anything more to say, within a runtime.
    pub async fn close(&self, limit: Duration) {
        self.inner.draining.send_replace(true);
        let by = Instant::now() + limit;
        let branches = Arc::clone(&lock(&self.inner.branches));
        let mut lanes = JoinSet::new();
        for branch in branches.iter() {
            let (lane, kit) = (Arc::clone(&branch.lane), self.inner.kit());
            lanes.spawn(async move {
                let Some(kit) = kit else { return };
                while !lane.is_idle() {
                    if lane.claim() {
                        Errand::new(Arc::clone(&lane), kit.clone()).run().await;
                    } else {
                        lane.ended().await;
                    }
                }
            });
        }
        let all = async { while lanes.join_next().await.is_some() {} };
        // What is late is cut off, and counted below.
        let _ = timeout_at(by, all).await;
        lanes.shutdown().await;
        for branch in branches.iter() {
            let lost = branch.lane.forget();
            if lost > 0 {
                let channel = branch.lane.channel.word();
                tracing::warn!(channel, alerts = lost, "alerts were not delivered before the end");
                self.inner.observer.dropped(channel, lost);
            }
        }
    }
}

impl Inner {
    fn kit(&self) -> Option<Kit> {
        Some(Kit {
            shared: Arc::clone(self.shared.get()?),
            surroundings: self.surroundings.clone(),
            observer: Arc::clone(&self.observer),
            draining: self.draining.subscribe(),
        })
    }

    /// What identifies an alert for its receivers.
    fn id_of(&self, alert: &Alert) -> Arc<str> {
        let number = self.told.fetch_add(1, Ordering::Relaxed);
        let text = format!("{}\0{}\0{number}", alert.key, alert.at);
        let id = hex(digest(&SHA256, text.as_bytes()).as_ref());
        Arc::from(id.get(..ID_LETTERS).unwrap_or(&id))
    }
}
