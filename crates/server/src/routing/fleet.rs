//! What is known of every deployment and group while the process runs: health, limits, latency, budgets.
//!
//! Owns who shares it: it outlives configurations, so that a reload forgets no cooldown. Leaves every rule to `policy`.
//! **Invariant:** a lock is held for the length of one call into `policy`, never across an await.

use super::waiting::WaitingRoom;
use super::watched::WatchedHealth;
use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::time::Instant;
use tollgate_policy::affinity::Affinities;
use tollgate_policy::budget::{BudgetRules, RatioBudget};
use tollgate_policy::clock::Moment;
use tollgate_policy::health::{Forced, Health, Standing};
use tollgate_policy::latency::{Latency, LatencyRules, Measure};
use tollgate_policy::limits::{Limiter, Used};
use tollgate_policy::quantile::Recent;
use tollgate_policy::strategy::StrategyState;

/// Locks what no panic can leave in an odd state: every change is one call.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Time for the policies.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Clock(Instant);

impl Clock {
    /// Now.
    pub(crate) fn now(self) -> Moment {
        let micros = Instant::now().saturating_duration_since(self.0).as_micros();
        Moment::from_micros(u64::try_from(micros).unwrap_or(u64::MAX))
    }

    /// When a moment is.
    pub(crate) fn instant(self, moment: Moment) -> Instant {
        self.0 + std::time::Duration::from_micros(moment.micros())
    }
}

/// One deployment's state for one model of its provider.
#[derive(Debug)]
pub(crate) struct Live {
    pub(crate) clock: Clock,
    pub(crate) health: WatchedHealth,
    pub(crate) latency: Mutex<Latency>,
    /// Of the deployment, whatever the model.
    pub(crate) limiter: Arc<Mutex<Limiter>>,
    /// Of everyone who shows the same credential.
    pub(crate) credential: Arc<WatchedHealth>,
    /// Who waits for a place at it.
    pub(crate) room: Arc<WaitingRoom>,
}

/// How a deployment is at one moment.
#[derive(Debug, Clone, Copy)]
pub(crate) struct LiveReading {
    pub(crate) standing: Standing,
    /// Of its credential.
    pub(crate) credential: Standing,
    pub(crate) forced: Option<Forced>,
    pub(crate) consecutive_failures: u32,
    pub(crate) ejections: u32,
    pub(crate) used: Used,
}

impl Default for LiveReading {
    /// Of one that was not asked yet.
    fn default() -> Self {
        let (standing, credential) = (Standing::Up, Standing::Up);
        let used = Used::default();
        Self { standing, credential, forced: None, consecutive_failures: 0, ejections: 0, used }
    }
}

impl Live {
    /// How it is now.
    pub(crate) fn read(&self) -> LiveReading {
        let now = self.clock.now();
        let credential = self.credential.condition(now).standing;
        let used = lock(&self.limiter).used(now);
        let health = self.health.lock();
        LiveReading {
            standing: health.standing(now),
            credential,
            forced: health.forced(now),
            consecutive_failures: health.consecutive_failures(),
            ejections: health.ejections(),
            used,
        }
    }

    /// How long it takes, by its last answers.
    pub(crate) fn latency(&self, measure: Measure, rules: &LatencyRules) -> Option<Duration> {
        lock(&self.latency).score(self.clock.now(), measure, rules)
    }
}

/// A group's state.
#[derive(Debug)]
pub(crate) struct GroupState {
    pub(crate) strategy: Mutex<StrategyState>,
    pub(crate) retries: Mutex<RatioBudget>,
    pub(crate) hedges: Mutex<RatioBudget>,
    /// Times to the first token of its streams.
    pub(crate) first_tokens: Mutex<Recent>,
    pub(crate) sessions: Mutex<Affinities>,
    pub(crate) caches: Mutex<Affinities>,
    pub(crate) room: Arc<WaitingRoom>,
}

/// Most sessions, and prompts, of one group that are remembered.
const REMEMBERED_MAX: usize = 100_000;
/// How long providers keep a prompt that is not used (Anthropic, prompt caching: 5 minutes; OpenAI: 5 to 10).
const CACHE_TTL: Duration = Duration::from_secs(300);

/// How the budgets of a group are sized.
#[derive(Debug, Clone, Copy)]
pub(crate) struct GroupBudgets {
    pub(crate) retries: BudgetRules,
    pub(crate) hedges: BudgetRules,
    /// Most requests that wait for a place.
    pub(crate) waiting_max: usize,
    /// How long a session is remembered.
    pub(crate) session_ttl: Duration,
}

/// By what a deployment's state is found.
#[derive(Debug, Clone, Copy)]
pub(crate) struct LiveKey<'a> {
    /// The deployment's id.
    pub(crate) id: &'a str,
    /// The provider's model, or a wildcard's pattern.
    pub(crate) model: &'a str,
    /// The credential, with the host that it is for.
    pub(crate) credential: (&'a str, &'a str),
}

/// Everything that is known.
#[derive(Debug)]
pub(crate) struct Fleet {
    clock: Clock,
    hasher: RandomState,
    live: Mutex<HashMap<(String, String), Arc<Live>>>,
    limiters: Mutex<HashMap<String, Arc<Mutex<Limiter>>>>,
    credentials: Mutex<HashMap<u64, Arc<WatchedHealth>>>,
    /// What operators say of deployments, by their ids; it holds for those that are made later, too.
    forced: Mutex<HashMap<String, (Forced, Moment)>>,
    groups: Mutex<HashMap<String, Arc<GroupState>>>,
    rooms: Mutex<HashMap<String, Arc<WaitingRoom>>>,
}

impl Fleet {
    /// Nothing is known yet.
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self {
            clock: Clock(Instant::now()),
            hasher: RandomState::new(),
            live: Mutex::default(),
            limiters: Mutex::default(),
            credentials: Mutex::default(),
            forced: Mutex::default(),
            groups: Mutex::default(),
            rooms: Mutex::default(),
        })
    }

    /// Time for the policies.
    pub(crate) fn clock(&self) -> Clock {
        self.clock
    }

    /// A group's state, made when it is first asked for.
    pub(crate) fn group(&self, name: &str, budgets: GroupBudgets) -> Arc<GroupState> {
        let room = self.room(name);
        room.resize(budgets.waiting_max);
        let mut groups = lock(&self.groups);
        let state = groups.entry(name.to_owned()).or_insert_with(|| {
            Arc::new(GroupState {
                strategy: Mutex::default(),
                retries: Mutex::new(RatioBudget::new(budgets.retries)),
                hedges: Mutex::new(RatioBudget::new(budgets.hedges)),
                first_tokens: Mutex::default(),
                sessions: Mutex::new(Affinities::new(REMEMBERED_MAX, budgets.session_ttl)),
                caches: Mutex::new(Affinities::new(REMEMBERED_MAX, CACHE_TTL)),
                room,
            })
        });
        lock(&state.retries).set_rules(budgets.retries);
        lock(&state.hedges).set_rules(budgets.hedges);
        Arc::clone(state)
    }

    fn room(&self, group: &str) -> Arc<WaitingRoom> {
        Arc::clone(lock(&self.rooms).entry(group.to_owned()).or_default())
    }

    /// Lets those who wait in the rooms of routing groups know of places that become free at their members: of each, its
    /// name and its models. Until the next configuration.
    pub(crate) fn let_in<'a>(&self, groups: impl Iterator<Item = (&'a str, &'a [String])>) {
        let mut beside: HashMap<&str, Vec<Arc<WaitingRoom>>> = HashMap::new();
        for (name, models) in groups {
            for model in models {
                beside.entry(model).or_default().push(self.room(name));
            }
        }
        for model in beside.keys() {
            self.room(model);
        }
        for (name, room) in lock(&self.rooms).iter() {
            room.set_beside(beside.remove(name.as_str()).unwrap_or_default());
        }
    }

    /// A deployment's state, made when it is first asked for.
    pub(crate) fn live(&self, key: LiveKey<'_>, group: &str) -> Arc<Live> {
        let room = self.room(group);
        let limiter = Arc::clone(lock(&self.limiters).entry(key.id.to_owned()).or_default());
        let credential = self.hasher.hash_one(key.credential);
        let credential = Arc::clone(lock(&self.credentials).entry(credential).or_default());
        let mut live = lock(&self.live);
        let state = live.entry((key.id.to_owned(), key.model.to_owned())).or_insert_with(|| {
            let mut health = Health::default();
            if let Some((forced, until)) = lock(&self.forced).get(key.id) {
                health.force(Some(*forced), Some(*until));
            }
            Arc::new(Live {
                clock: self.clock,
                health: WatchedHealth::new(health),
                latency: Mutex::default(),
                limiter,
                credential,
                room,
            })
        });
        Arc::clone(state)
    }

    /// An operator's word on a deployment, whatever its model, and until when it holds; none takes the last one back.
    pub(crate) fn force(&self, id: &str, word: Option<(Forced, Moment)>) {
        // In this order everywhere: a state that is made meanwhile must not miss the word.
        let live = lock(&self.live);
        let mut known = lock(&self.forced);
        match word {
            Some(word) => known.insert(id.to_owned(), word),
            None => known.remove(id),
        };
        for (_, state) in live.iter().filter(|((known, _), _)| known == id) {
            state.health.lock().force(word.map(|(forced, _)| forced), word.map(|(_, until)| until));
        }
    }

    /// Forgets what speaks against a deployment, whatever its model, and against the credential that it shows; the
    /// operator's word holds on. Whoever waits looks again.
    pub(crate) fn reset(&self, id: &str) {
        for (_, state) in self.models_of(id) {
            state.health.lock().reset();
            state.credential.lock().reset();
            state.room.note_freed();
        }
    }

    /// The operator's word that holds on a deployment, and until when.
    pub(crate) fn word(&self, id: &str) -> Option<(Forced, Moment)> {
        lock(&self.forced).get(id).copied()
    }

    /// The operators' words that hold, by the deployments' ids.
    pub(crate) fn forced(&self) -> Vec<(String, Forced, Moment)> {
        let now = self.clock.now();
        let mut known = lock(&self.forced);
        known.retain(|_, (_, until)| *until > now);
        let mut words: Vec<_> =
            known.iter().map(|(id, (forced, until))| (id.clone(), *forced, *until)).collect();
        words.sort_by(|(one, ..), (other, ..)| one.cmp(other));
        words
    }

    /// What is known of a deployment: by its provider's models, in their order.
    pub(crate) fn models_of(&self, id: &str) -> Vec<(String, Arc<Live>)> {
        let live = lock(&self.live);
        let of = live.iter().filter(|((known, _), _)| known == id);
        let mut models: Vec<_> = of.map(|((_, model), state)| (model.clone(), Arc::clone(state))).collect();
        models.sort_by(|(one, _), (other, _)| one.cmp(other));
        models
    }

    /// Forgets what no configuration and no request holds any more.
    pub(crate) fn prune(&self) {
        lock(&self.live).retain(|_, state| Arc::strong_count(state) > 1);
        lock(&self.limiters).retain(|_, state| Arc::strong_count(state) > 1);
        lock(&self.credentials).retain(|_, state| Arc::strong_count(state) > 1);
        lock(&self.groups).retain(|_, state| Arc::strong_count(state) > 1);
        lock(&self.rooms).retain(|_, room| Arc::strong_count(room) > 1);
    }
}
