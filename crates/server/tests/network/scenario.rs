//! What a seed stands for: the providers and their troubles, the configuration, the callers, and what befalls the network.
//!
//! Owns the drawing of scenarios. Leaves to others: playing them (world). **Invariant:** the same seed is the same
//! scenario, and from [`QUIET_FROM`] on the network is whole and every provider is well.

use serde_json::{Value, json};
use std::net::Ipv4Addr;
use std::time::Duration;

/// Faults end here.
pub(crate) const QUIET_FROM: Duration = Duration::from_secs(20);
/// Within so long after that, a fresh request is answered.
pub(crate) const RECOVERY_MAX: Duration = Duration::from_secs(30);
/// Longest time for all attempts of a request, until its first content where it is streamed.
const REQUEST_MAX: Duration = Duration::from_secs(8);
/// Time for one plain attempt.
const ATTEMPT_MAX: Duration = Duration::from_secs(4);
/// Time for a stream's first content.
const FIRST_TOKEN_MAX: Duration = Duration::from_secs(3);
/// Longest pause within a stream.
const CHUNK_MAX: Duration = Duration::from_secs(2);
/// Longest wait for a place.
const PLACE_MAX: Duration = Duration::from_secs(3);
/// Time to connect to a provider.
const CONNECT_MAX: Duration = Duration::from_secs(1);
/// A caller who takes nothing, or says nothing, for so long is let go.
pub(crate) const CALLER_MAX: Duration = Duration::from_secs(3);
/// Slowest pace of a stream.
const PACE_MAX_MS: u64 = 60;
/// Slowest link.
pub(crate) const LATENCY_MAX: Duration = Duration::from_millis(700);
/// The usual link.
pub(crate) const LATENCY: Duration = Duration::from_millis(25);
/// The port of every provider.
pub(crate) const PROVIDER_PORT: u16 = 80;
/// The gateway's port.
pub(crate) const GATEWAY_PORT: u16 = 4_000;
/// What callers show.
pub(crate) const MASTER_KEY: &str = "sk-network";
/// The group that callers ask for, and the one that follows.
pub(crate) const GROUPS: [&str; 2] = ["main", "second"];
/// Hosts of callers.
pub(crate) const CALLER_HOSTS: usize = 2;

/// A host of the network.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Host {
    Gateway,
    Provider(usize),
    Caller(usize),
    /// Who asks once the faults are over.
    Judge,
}

impl Host {
    pub(crate) fn address(self) -> Ipv4Addr {
        let (net, number) = match self {
            Self::Gateway => (0, 1),
            Self::Provider(number) => (1, number + 1),
            Self::Caller(number) => (2, number + 1),
            Self::Judge => (3, 1),
        };
        Ipv4Addr::new(10, 0, net, u8::try_from(number).unwrap())
    }
}

/// How a provider is spoken to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Dialect {
    OpenAi,
    Anthropic,
}

/// What a provider does with a request.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Act {
    /// Answers.
    Well,
    /// Answers, so much later.
    Slow(Duration),
    /// Refuses, with seconds of Retry-After.
    Refuse { status: u16, retry_after: Option<u64> },
    /// Says nothing at all.
    Silent,
    /// After so many pieces closes the connection.
    Cut(usize),
    /// After so many pieces falls silent.
    Stall(usize),
    /// After so many pieces ends the body as if that were all.
    EndEarly(usize),
    /// After so many pieces sends an event of an error.
    ErrorEvent(usize),
}

/// A provider's bad time.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Trouble {
    pub(crate) from: Duration,
    pub(crate) to: Duration,
    /// So many of a hundred requests meet it.
    pub(crate) percent: u64,
    pub(crate) act: Act,
}

/// A deployment, on a provider's host of its own.
#[derive(Debug)]
pub(crate) struct Spec {
    pub(crate) id: String,
    pub(crate) group: &'static str,
    pub(crate) dialect: Dialect,
    pub(crate) parallel: Option<u32>,
    pub(crate) rpm: Option<u64>,
    weight: u64,
    order: Option<u64>,
    pub(crate) first_ms: u64,
    pub(crate) pace_ms: u64,
    /// Bytes of each piece of a stream.
    pub(crate) piece_bytes: usize,
    pub(crate) troubles: Vec<Trouble>,
}

/// When a caller goes away.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Leave {
    After(Duration),
    /// Once it has so many bytes of the answer.
    AtBytes(usize),
}

/// A request.
#[derive(Debug, Clone)]
pub(crate) struct Call {
    pub(crate) number: u64,
    pub(crate) host: usize,
    pub(crate) at: Duration,
    pub(crate) model: String,
    pub(crate) dialect: Dialect,
    pub(crate) is_stream: bool,
    pub(crate) words: u64,
    pub(crate) leaves: Option<Leave>,
}

impl Call {
    /// What every provider answers to it, and no other request gets.
    pub(crate) fn text(&self) -> String {
        text(self.number, self.words)
    }

    /// The latest end that keeps all time limits.
    pub(crate) fn longest(&self) -> Duration {
        let head = REQUEST_MAX + Duration::from_secs(1) + 2 * LATENCY_MAX;
        if !self.is_stream {
            return head;
        }
        // A break for each send, each found by silence, and each rescue as slow as it may be.
        let breaks = (CHUNK_MAX + PLACE_MAX + CONNECT_MAX + FIRST_TOKEN_MAX) * 6;
        head + breaks
            + Duration::from_millis(PACE_MAX_MS) * u32::try_from(text(self.number, self.words).len()).unwrap()
    }
}

/// The words of an answer.
pub(crate) fn text(number: u64, words: u64) -> String {
    (1..=words).map(|word| format!("{number}.{word} ")).collect::<String>().trim_end().to_owned()
}

/// What happens to the network.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Blow {
    /// Nothing passes between two hosts, in either direction.
    Partition(Host, Host),
    /// Nothing passes from the first to the second.
    OneWay(Host, Host),
    /// What is sent between two hosts waits, and comes all at once.
    Hold(Host, Host),
    /// All takes so long between two hosts.
    Latency(Host, Host, Duration),
    /// A provider's host dies, and comes back at the end.
    Crash(usize),
    /// So many of a hundred connections to providers are reset, each after at most so many bytes of replies.
    Resets { percent: u64, bytes_max: u64 },
}

/// A blow and its time.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Fault {
    pub(crate) from: Duration,
    pub(crate) to: Duration,
    pub(crate) blow: Blow,
}

impl Fault {
    /// Whether it may take from a caller's host what the gateway has sent it, or the other way.
    pub(crate) fn cuts_off(&self, host: usize) -> bool {
        let ends = match self.blow {
            Blow::Partition(one, other) | Blow::OneWay(one, other) | Blow::Hold(one, other) => [one, other],
            _ => return false,
        };
        ends.contains(&Host::Caller(host))
    }
}

/// How many retries a group may cause: of its requests in ten seconds, and beside that each second.
#[derive(Debug, Clone, Copy)]
pub(crate) struct RetryBudget {
    pub(crate) ratio: f64,
    pub(crate) floor_per_second: f64,
}

/// One play.
#[derive(Debug)]
pub(crate) struct Scenario {
    pub(crate) seed: u64,
    pub(crate) deployments: Vec<Spec>,
    pub(crate) calls: Vec<Call>,
    pub(crate) faults: Vec<Fault>,
    /// Time for all attempts of a request, until its first content where it is streamed.
    pub(crate) request_max: Duration,
    pub(crate) num_retries: u32,
    pub(crate) hedges: bool,
    pub(crate) retry_budget: RetryBudget,
    /// Waits after the faults until no deployment's minute is used up.
    pub(crate) rests: bool,
    /// The gateway's configuration.
    pub(crate) config: Value,
}

/// Random numbers of one seed.
pub(crate) struct Draws(fastrand::Rng);

impl Draws {
    pub(crate) fn new(seed: u64) -> Self {
        Self(fastrand::Rng::with_seed(seed))
    }

    /// In `least..=most`.
    pub(crate) fn between(&mut self, least: u64, most: u64) -> u64 {
        self.0.u64(least..=most)
    }

    pub(crate) fn chance(&mut self, percent: u64) -> bool {
        self.0.u64(0..100) < percent
    }

    pub(crate) fn one_of<T: Copy>(&mut self, choices: &[T]) -> T {
        choices[self.0.usize(0..choices.len())]
    }

    fn ms(&mut self, least: u64, most: u64) -> Duration {
        Duration::from_millis(self.between(least, most))
    }

    /// A time of trouble: begins and ends before the quiet.
    fn span(&mut self, longest_ms: u64) -> (Duration, Duration) {
        let from = self.ms(500, 16_000);
        (from, (from + self.ms(200, longest_ms)).min(QUIET_FROM))
    }
}

impl Scenario {
    pub(crate) fn from_seed(seed: u64) -> Self {
        let mut draws = Draws::new(seed);
        let in_main = draws.between(2, 3) as usize;
        let in_second = draws.between(1, 2) as usize;
        let mut deployments: Vec<Spec> = (0..in_main + in_second)
            .map(|number| spec(&mut draws, number, GROUPS[usize::from(number >= in_main)]))
            .collect();
        let faults = faults(&mut draws, deployments.len());
        let calls = calls(&mut draws);
        let mut num_retries = u32::try_from(draws.between(0, 3)).unwrap();
        let hedges = draws.chance(30);
        let is_stormy = draws.chance(35);
        if is_stormy {
            num_retries = 4;
            storm(&mut draws, &mut deployments);
        }
        let retry_budget = if draws.chance(35) {
            RetryBudget { ratio: 0.1, floor_per_second: 0.3 }
        } else {
            RetryBudget { ratio: 0.1, floor_per_second: 3.0 }
        };
        let rests = draws.chance(10);
        let request_max = Duration::from_secs(draws.between(3, REQUEST_MAX.as_secs()));
        let config = Value::Null;
        let mut scenario = Self {
            seed,
            deployments,
            calls,
            faults,
            request_max,
            num_retries,
            hedges,
            retry_budget,
            rests,
            config,
        };
        scenario.config = scenario.config(&mut draws);
        if is_stormy && draws.chance(75) {
            // Or nobody would be asked so often.
            scenario.config["router_settings"]["disable_cooldowns"] = json!(true);
        }
        scenario
    }

    fn config(&self, draws: &mut Draws) -> Value {
        let models: Vec<Value> =
            self.deployments.iter().enumerate().map(|(number, spec)| entry(number, spec)).collect();
        let strategies = [
            "simple-shuffle",
            "round-robin",
            "least-busy",
            "latency-based-routing",
            "usage-based-routing-v2",
        ];
        let mut router = json!({
            "num_retries": self.num_retries,
            "routing_strategy": draws.one_of(&strategies),
        });
        if draws.chance(30) {
            router["allowed_fails"] = json!(draws.between(0, 3));
            router["cooldown_time"] = json!(draws.between(1, 5));
        }
        let budget = self.retry_budget;
        let mut own = json!({
            "connect_timeout_seconds": CONNECT_MAX.as_secs(),
            "total_timeout_seconds": self.request_max.as_secs(),
            "first_token_timeout_seconds": FIRST_TOKEN_MAX.as_secs(),
            "chunk_timeout_seconds": CHUNK_MAX.as_secs(),
            "retry_budget": {"ratio": budget.ratio, "floor_per_second": budget.floor_per_second},
            "queue": {"max_wait_seconds": draws.between(0, PLACE_MAX.as_secs()), "enabled": draws.chance(80)},
        });
        if self.hedges {
            let after = draws.one_of(&["200ms", "400ms", "1s"]);
            own["hedge"] = json!({"after": after, "max": draws.between(1, 2), "budget": "100%"});
        }
        match draws.between(0, 9) {
            0 => {}
            1..=4 => router["fallbacks"] = json!([{"main": ["second"]}]),
            _ => {
                let moves =
                    json!(["rate_limit", "server_error", {"first_token": draws.one_of(&["1s", "2s"])}]);
                own["tiers"] = json!([{"name": "one", "model": "main", "move_on": moves}, {"name": "two", "model": "second"}]);
            }
        }
        json!({
            "model_list": models,
            "router_settings": router,
            "litellm_settings": {"request_timeout": ATTEMPT_MAX.as_secs()},
            "general_settings": {"master_key": MASTER_KEY},
            "tollgate_settings": own,
        })
    }

    /// A deployment by its id.
    pub(crate) fn spec(&self, id: &str) -> Option<&Spec> {
        self.deployments.iter().find(|spec| spec.id == id)
    }
}

/// A deployment's entry of the list of models.
fn entry(number: usize, spec: &Spec) -> Value {
    let address = format!("http://{}:{PROVIDER_PORT}/d/{}", Host::Provider(number).address(), spec.id);
    let (model, base) = match spec.dialect {
        Dialect::OpenAi => ("openai/gpt-4o", format!("{address}/v1")),
        Dialect::Anthropic => ("anthropic/claude-sonnet-4-5", address),
    };
    let mut parameters = json!({
        "model": model,
        "api_base": base,
        "api_key": format!("sk-of-{}", spec.id),
        "timeout": ATTEMPT_MAX.as_secs(),
        "stream_timeout": FIRST_TOKEN_MAX.as_secs(),
        "weight": spec.weight,
    });
    let limits =
        [("max_parallel_requests", spec.parallel.map(u64::from)), ("rpm", spec.rpm), ("order", spec.order)];
    for (name, value) in limits {
        if let Some(value) = value {
            parameters[name] = json!(value);
        }
    }
    json!({"model_name": spec.group, "litellm_params": parameters, "model_info": {"id": spec.id}})
}

fn spec(draws: &mut Draws, number: usize, group: &'static str) -> Spec {
    let letter = char::from(b'a' + u8::try_from(number).unwrap());
    let troubles = (0..draws.between(0, 3)).map(|_| trouble(draws)).collect();
    Spec {
        id: format!("deployment-{letter}"),
        group,
        dialect: if draws.chance(30) { Dialect::Anthropic } else { Dialect::OpenAi },
        parallel: draws.chance(40).then(|| u32::try_from(draws.between(1, 4)).unwrap()),
        rpm: draws.chance(25).then(|| draws.between(3, 20)),
        weight: draws.between(1, 5),
        order: draws.chance(15).then(|| draws.between(1, 2)),
        first_ms: draws.between(20, 600),
        pace_ms: draws.between(5, PACE_MAX_MS),
        piece_bytes: draws.between(2, 24) as usize,
        troubles,
    }
}

fn trouble(draws: &mut Draws) -> Trouble {
    let (from, to) = draws.span(8_000);
    let pieces = draws.between(0, 15) as usize;
    let act = match draws.between(0, 9) {
        0 => Act::Slow(draws.ms(500, 6_000)),
        1 | 2 => Act::Refuse { status: draws.one_of(&[500, 502, 503, 529]), retry_after: None },
        3 | 4 => {
            let seconds = draws.between(1, 6);
            Act::Refuse { status: 429, retry_after: draws.chance(70).then_some(seconds) }
        }
        5 => Act::Silent,
        6 => Act::Cut(pieces),
        7 => Act::Stall(pieces),
        8 => Act::EndEarly(pieces),
        _ => Act::ErrorEvent(pieces),
    };
    Trouble { from, to, percent: draws.between(20, 100), act }
}

/// All providers fail at once, now and then.
fn storm(draws: &mut Draws, deployments: &mut [Spec]) {
    let from = draws.ms(500, 8_000);
    let to = from + draws.ms(3_000, 8_000);
    let refuses = |status| Act::Refuse { status, retry_after: None };
    let act = draws.one_of(&[
        refuses(500),
        refuses(502),
        refuses(503),
        refuses(529),
        Act::Cut(0),
        Act::Cut(2),
        Act::ErrorEvent(3),
        Act::Silent,
        Act::Silent,
    ]);
    for spec in deployments {
        spec.troubles.insert(0, Trouble { from, to, percent: draws.between(85, 100), act });
    }
}

/// Blows, of which no two hit a link, or a host, at a time.
fn faults(draws: &mut Draws, providers: usize) -> Vec<Fault> {
    let mut faults: Vec<Fault> = Vec::new();
    for _ in 0..draws.between(3, 12) {
        let (from, to) = draws.span(7_000);
        let end = if draws.chance(12) {
            Host::Caller(draws.between(0, CALLER_HOSTS as u64 - 1) as usize)
        } else {
            Host::Provider(draws.between(0, providers as u64 - 1) as usize)
        };
        let pair = if draws.chance(50) { (Host::Gateway, end) } else { (end, Host::Gateway) };
        let blow = match (draws.between(0, 7), end) {
            (0 | 1, _) => Blow::Partition(pair.0, pair.1),
            (2 | 3, _) => Blow::OneWay(pair.0, pair.1),
            (4, _) => Blow::Hold(pair.0, pair.1),
            (5, Host::Provider(number)) => Blow::Crash(number),
            (6, Host::Provider(_)) => {
                Blow::Resets { percent: draws.between(10, 80), bytes_max: draws.between(100, 6_000) }
            }
            _ => Blow::Latency(pair.0, pair.1, draws.ms(100, LATENCY_MAX.as_millis() as u64)),
        };
        let hits = |blow: &Blow| match *blow {
            Blow::Partition(one, other)
            | Blow::OneWay(one, other)
            | Blow::Hold(one, other)
            | Blow::Latency(one, other, _) => Some(if one == Host::Gateway { other } else { one }),
            Blow::Crash(number) => Some(Host::Provider(number)),
            Blow::Resets { .. } => None,
        };
        let overlaps =
            |other: &Fault| hits(&other.blow) == hits(&blow) && from <= other.to && other.from <= to;
        if !faults.iter().any(overlaps) {
            faults.push(Fault { from, to, blow });
        }
    }
    faults
}

fn calls(draws: &mut Draws) -> Vec<Call> {
    let mut calls = Vec::new();
    let mut at = Duration::from_millis(300);
    for number in 1..=draws.between(20, 40) {
        // Now and then some at once.
        if !draws.chance(30) {
            at += draws.ms(20, 1_000);
        }
        let is_stream = draws.chance(70);
        let words = draws.between(1, 60);
        let leaves = draws.chance(12).then(|| {
            if is_stream && draws.chance(60) {
                Leave::AtBytes(draws.between(1, 4 * words) as usize)
            } else {
                Leave::After(draws.ms(50, 4_000))
            }
        });
        calls.push(Call {
            number,
            host: draws.between(0, CALLER_HOSTS as u64 - 1) as usize,
            at: at.min(QUIET_FROM),
            model: GROUPS[usize::from(draws.chance(15))].to_owned(),
            dialect: if draws.chance(25) { Dialect::Anthropic } else { Dialect::OpenAi },
            is_stream,
            words,
            leaves,
        });
    }
    calls
}
