//! `litellm_settings`, `general_settings` and `tollgate_settings`.
//!
//! Owns: the resolved settings and their rules. Leaves to others: acting on them (server, upstream, the binary).
//!
//! **Invariant:** a master key is never empty. **Invariant:** every limit and timeout has a value.

use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::address::AddressRange;
use crate::alerts::{self, Alerting};
use crate::environment::Environment;
use crate::keys;
use crate::ledger;
use crate::report::Collector;
use crate::routing::{Hedge, Queue, RetryBudget, SensitiveRule, sensitive};
use crate::secret::Secret;
use crate::section::{Section, items_of, texts_of};
use crate::tier::{TierReading, Tiers};
use crate::yaml::{Data, Node, Place};

/// LiteLLM's time for a whole reply, where no setting says so.
pub const REQUEST_TIMEOUT_DEFAULT: Duration = Duration::from_secs(6000);

/// LiteLLM's time between two background health checks.
pub const HEALTH_CHECK_INTERVAL_DEFAULT: Duration = Duration::from_secs(300);

/// LiteLLM's time that a request waits to be admitted.
pub const ADMISSION_TIMEOUT_DEFAULT: Duration = Duration::from_secs(1);

const MIB: u64 = 1 << 20;

/// The resolved `litellm_settings`, but for what it shares with `router_settings`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct LitellmSettings {
    /// Whether parameters that a provider does not take are left out.
    pub drop_params: bool,
    /// Time for a whole reply, where the deployment sets none.
    pub request_timeout: Option<Duration>,
    /// Names in `callbacks`, `success_callback` and the like; not active yet.
    pub callbacks: Vec<String>,
}

/// The resolved `general_settings`.
#[derive(Clone, Debug, PartialEq)]
pub struct General {
    /// The operator's key; without one no key is asked of anybody.
    pub master_key: Option<Secret>,
    /// Hosts of media, each with or without its port, that may be fetched from although they are not public; from here
    /// or from `litellm_settings`.
    pub user_url_allowed_hosts: Vec<String>,
    /// `max_request_size_mb` in bytes.
    pub request_bytes_max: Option<u64>,
    /// `max_response_size_mb` in bytes.
    pub response_bytes_max: Option<u64>,
    /// Address of PostgreSQL with its password, from here or from the environment; `None` for the embedded database.
    pub database_url: Option<Secret>,
    /// Every deployment is asked from time to time whether it answers.
    pub background_health_checks: bool,
    /// Time between two such rounds; more than 0.
    pub health_check_interval: Duration,
    /// `/health` says why a deployment is unhealthy, and its parameters.
    pub health_check_details: bool,
    /// Requests that are served at one time; 1 or more, `None` for no limit.
    pub max_in_flight_requests: Option<u64>,
    /// Requests beyond these that wait.
    pub max_queued_requests: u64,
    /// How long such a request waits at most.
    pub admission_queue_timeout: Duration,
    /// Who is told when something needs an operator, wherever it is written: `general_settings.alerting`,
    /// `router_settings.alerting_config`, `tollgate_settings.alerts`.
    pub alerts: Alerting,
}

impl Default for General {
    fn default() -> Self {
        Self {
            master_key: None,
            user_url_allowed_hosts: Vec::new(),
            request_bytes_max: None,
            response_bytes_max: None,
            database_url: None,
            background_health_checks: false,
            health_check_interval: HEALTH_CHECK_INTERVAL_DEFAULT,
            health_check_details: true,
            max_in_flight_requests: None,
            max_queued_requests: 0,
            admission_queue_timeout: ADMISSION_TIMEOUT_DEFAULT,
            alerts: Alerting::default(),
        }
    }
}

/// Least important line of the log.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names are those of the levels")]
pub enum LogLevel {
    Error,
    Warn,
    #[default]
    Info,
    Debug,
    Trace,
}

/// For whom the log is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// For machines: one JSON object per line.
    Json,
}

/// What is done with a parameter that a provider cannot express.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnUnsupported {
    /// Left out, told in a header, and logged as a warning.
    Warn,
    /// Left out, and told in a header.
    Drop,
    /// The request is refused.
    Reject,
}

impl OnUnsupported {
    pub(crate) fn named(word: &str) -> Option<Self> {
        match word {
            "warn" => Some(Self::Warn),
            "drop" => Some(Self::Drop),
            "reject" => Some(Self::Reject),
            _ => None,
        }
    }
}

/// The resolved `tollgate_settings`.
#[derive(Clone, Debug, PartialEq)]
pub struct TollgateSettings {
    /// Largest request body, in bytes.
    pub body_bytes_max: u64,
    /// Time for the head of a request.
    pub header_timeout: Duration,
    /// Longest pause in a request body.
    pub body_timeout: Duration,
    /// Time to connect to a provider, TLS included.
    pub connect_timeout: Duration,
    /// Time of all attempts of a request together, where it names none itself.
    pub total_timeout: Duration,
    /// Time to the first part of a stream, where no `stream_timeout` says so.
    pub first_token_timeout: Duration,
    /// Longest pause between two parts of a stream.
    pub chunk_timeout: Duration,
    /// How long a caller may read nothing.
    pub client_stall_timeout: Duration,
    /// Time for requests in flight at shutdown.
    pub drain_timeout: Duration,
    /// Callers' connections at one time; `None` to derive it from the limit of open files.
    pub connections_max: Option<u64>,
    /// Memory that the process may take; `None` for what its control group allows.
    pub memory_bytes_max: Option<u64>,
    /// Wrong keys that one address may send in a minute; 0 for any number.
    pub wrong_keys_per_minute: u64,
    /// Whose `x-forwarded-for` is believed.
    pub trusted_proxies: Vec<AddressRange>,
    /// Least important line of the log.
    pub log_level: LogLevel,
    /// For whom the log is written.
    pub log_format: LogFormat,
    /// A file that overrides the catalogue, relative to nothing: the folder of the configuration is in it.
    pub model_prices_file: Option<PathBuf>,
    /// The embedded database's file, relative to the working directory; `None` to keep it in memory.
    pub database_file: Option<PathBuf>,
    /// How long a response of the Responses API is kept.
    pub responses_retention: Duration,
    /// Most bytes of one address that is fetched for a provider which takes none; 0 fetches nothing.
    pub media_bytes_max: u64,
    /// What is done with a parameter that a provider cannot express; `None` for what its dialect's callers expect.
    pub on_unsupported_param: Option<OnUnsupported>,
    /// Threads that serve requests; `None` for one per core.
    pub workers: Option<u64>,
    /// The order in which requests try model groups; those of `model_groups` are among them.
    pub tiers: Tiers,
    /// Hedging, where [`TollgateSettings::group_hedges`] says nothing else; `None` for none.
    pub hedge: Option<Hedge>,
    /// Hedging of single model groups.
    pub group_hedges: Vec<(String, Option<Hedge>)>,
    /// A stream that breaks off goes on from another deployment.
    pub rescue: bool,
    /// Waiting for a deployment that is at its limits.
    pub queue: Queue,
    /// How many retries a model group may cause.
    pub retry_budget: RetryBudget,
    /// Where requests with certain tags may go.
    pub sensitive: Vec<SensitiveRule>,
}

impl Default for TollgateSettings {
    fn default() -> Self {
        Self::read(&Section::new(None, keys::tollgate::TABLE, "tollgate_settings"), Vec::new())
    }
}

impl TollgateSettings {
    /// Hedging of requests for the model group or the name that a caller asks for.
    pub fn hedge_of(&self, name: &str) -> Option<Hedge> {
        let own = self.group_hedges.iter().find(|(group, _)| group == name);
        own.map_or(self.hedge, |(_, hedge)| *hedge)
    }

    /// Reads a checked section, but for what refers to model groups and other files.
    fn read(section: &Section<'_>, proxies: Vec<AddressRange>) -> Self {
        let seconds = |name, default| section.seconds(name).unwrap_or(Duration::from_secs(default));
        let log = section.section("log", keys::tollgate::LOG);
        Self {
            body_bytes_max: section.count("body_bytes_max").unwrap_or(32 * MIB),
            header_timeout: seconds("header_timeout_seconds", 10),
            body_timeout: seconds("body_timeout_seconds", 30),
            connect_timeout: seconds("connect_timeout_seconds", 3),
            total_timeout: seconds("total_timeout_seconds", 6_000),
            first_token_timeout: seconds("first_token_timeout_seconds", 60),
            chunk_timeout: seconds("chunk_timeout_seconds", 30),
            client_stall_timeout: seconds("client_stall_timeout_seconds", 60),
            drain_timeout: seconds("drain_timeout_seconds", 120),
            connections_max: section.count("connections_max"),
            memory_bytes_max: section.count("memory_bytes_max"),
            wrong_keys_per_minute: section.count("wrong_keys_per_minute").unwrap_or(100),
            trusted_proxies: proxies,
            log_level: log.text("level").map_or(LogLevel::Info, |level| log_level(&level)),
            log_format: match log.text("format").as_deref() {
                Some("json") => LogFormat::Json,
                _ => LogFormat::Text,
            },
            model_prices_file: section.text("model_prices_file").map(PathBuf::from),
            database_file: ledger::file_of(None),
            responses_retention: Duration::from_secs(
                section.count("responses_retention_days").unwrap_or(30).saturating_mul(24 * 60 * 60),
            ),
            media_bytes_max: section.count("media_bytes_max").unwrap_or(20 * MIB),
            on_unsupported_param: section
                .text("on_unsupported_param")
                .and_then(|word| OnUnsupported::named(&word)),
            workers: section.count("workers"),
            tiers: Tiers::default(),
            hedge: section.node("hedge").and_then(|node| Hedge::read(node, &section.path_of("hedge"))),
            group_hedges: Vec::new(),
            rescue: section.flag("rescue").unwrap_or(true),
            queue: Queue::read(&section.section("queue", keys::tiers::QUEUE)),
            retry_budget: RetryBudget::read(&section.section("retry_budget", keys::tiers::RETRY_BUDGET)),
            sensitive: Vec::new(),
        }
    }
}

fn log_level(name: &str) -> LogLevel {
    match name {
        "error" => LogLevel::Error,
        "warn" => LogLevel::Warn,
        "debug" => LogLevel::Debug,
        "trace" => LogLevel::Trace,
        _ => LogLevel::Info,
    }
}

/// Whose `x-forwarded-for` is believed, by our own name for it and by LiteLLM's two.
fn proxies(root: &Node, section: &Section<'_>, found: &mut Collector) -> Vec<AddressRange> {
    const SWITCH: &str = "use_x_forwarded_for";
    const RANGES: &str = "trusted_proxy_ranges";
    let general = Section::new(root.get("general_settings"), keys::general::TABLE, "general_settings");
    let mut all = ranges(section, "trusted_proxies", found);
    let theirs = ranges(&general, RANGES, found);
    let is_on = general.flag(SWITCH).unwrap_or(false);
    match (is_on, general.place(SWITCH), general.place(RANGES)) {
        (true, Some(place), _) if all.is_empty() && theirs.is_empty() => {
            let message =
                format!("has no effect without {RANGES}: a header that anybody can write is not believed");
            found.warning(place, &general.path_of(SWITCH), message);
        }
        (false, _, Some(place)) => {
            found.warning(place, &general.path_of(RANGES), format!("has no effect without {SWITCH}: true"));
        }
        _ => {}
    }
    if is_on {
        all.extend(theirs);
    }
    all
}

fn ranges(section: &Section<'_>, name: &'static str, found: &mut Collector) -> Vec<AddressRange> {
    let mut all = Vec::new();
    for item in section.node(name).map(items_of).unwrap_or_default() {
        let Some(text) = item.text() else { continue };
        match AddressRange::parse(text) {
            Some(range) => all.push(range),
            None => {
                let message = "wants an address or a range such as 10.0.0.0/8";
                found.error(item.place, &section.path_of(name), message);
            }
        }
    }
    all
}

/// Resolves `tollgate_settings`.
pub(crate) fn tollgate(
    root: &Node,
    reading: &mut TierReading<'_, '_>,
    found: &mut Collector,
) -> TollgateSettings {
    let section = Section::new(root.get("tollgate_settings"), keys::tollgate::TABLE, "tollgate_settings");
    let proxies = proxies(root, &section, found);
    let settings = TollgateSettings::read(&section, proxies);
    let written_in = section.place("model_prices_file").map(|place| found.file(place));
    let folder = written_in.as_deref().and_then(Path::parent);
    let model_prices_file = settings.model_prices_file.map(|file| match folder {
        Some(folder) => folder.join(file),
        None => file,
    });
    let mut tiers = reading.tiers(&section, found);
    let group_hedges = reading.model_groups(&section, &mut tiers, found);
    let sensitive = sensitive(&section, found);
    let database_file = ledger::database_file(root, found);
    TollgateSettings { model_prices_file, database_file, tiers, group_hedges, sensitive, ..settings }
}

/// Resolves `litellm_settings`.
pub(crate) fn litellm(root: &Node, found: &mut Collector) -> LitellmSettings {
    let section = Section::new(root.get("litellm_settings"), keys::litellm::TABLE, "litellm_settings");
    let mut callbacks = Vec::new();
    for name in keys::litellm::CALLBACK_LISTS {
        let Some(node) = section.node(name) else { continue };
        let one = node.text().map(|_| node);
        for item in items_of(node).iter().chain(one) {
            let Some(text) = item.text() else { continue };
            // `module.object` is LiteLLM's way to name a Python object.
            if text.contains('.') {
                let path = section.path_of(name);
                found.warning(
                    item.place,
                    &path,
                    "unsupported: Python code; Tollgate runs none from a configuration",
                );
            } else {
                callbacks.push(text.to_owned());
            }
        }
    }
    LitellmSettings {
        drop_params: section.flag("drop_params").unwrap_or(false),
        request_timeout: section.seconds("request_timeout"),
        callbacks,
    }
}

/// Resolves `general_settings`.
pub(crate) fn general(root: &Node, environment: &Environment<'_>, found: &mut Collector) -> General {
    let section = Section::new(root.get("general_settings"), keys::general::TABLE, "general_settings");
    let litellm = Section::new(root.get("litellm_settings"), keys::litellm::TABLE, "litellm_settings");
    if section.flag("cancel_on_disconnect") == Some(false) {
        let place = section.place("cancel_on_disconnect").unwrap_or(root.place);
        let message = "has no effect: a caller who hangs up always ends the upstream request";
        found.warning(place, &section.path_of("cancel_on_disconnect"), message);
    }
    for section in [&section, &litellm] {
        if section.flag("user_url_validation") == Some(false) {
            let place = section.place("user_url_validation").unwrap_or(root.place);
            let message =
                "has no effect: every address is judged; name hosts in user_url_allowed_hosts instead";
            found.warning(place, &section.path_of("user_url_validation"), message);
        }
    }
    let max_in_flight = section.count("max_in_flight_requests_per_worker");
    if max_in_flight.is_none()
        && let Some(place) = section.place("max_queued_requests_per_worker")
    {
        let message = "has no effect without max_in_flight_requests_per_worker";
        found.warning(place, &section.path_of("max_queued_requests_per_worker"), message);
    }
    General {
        master_key: master_key(&section, root.place, environment, found),
        user_url_allowed_hosts: [&section, &litellm]
            .into_iter()
            .filter_map(|section| section.node("user_url_allowed_hosts").map(texts_of))
            .flatten()
            .collect(),
        request_bytes_max: section.count("max_request_size_mb").map(|mb| mb.saturating_mul(MIB)),
        response_bytes_max: section.count("max_response_size_mb").map(|mb| mb.saturating_mul(MIB)),
        database_url: ledger::database_url(root.place, &section, environment, found),
        background_health_checks: section.flag("background_health_checks").unwrap_or(false),
        health_check_interval: section
            .seconds("health_check_interval")
            .unwrap_or(HEALTH_CHECK_INTERVAL_DEFAULT),
        health_check_details: section.flag("health_check_details").unwrap_or(true),
        max_in_flight_requests: max_in_flight,
        max_queued_requests: section.count("max_queued_requests_per_worker").unwrap_or(0),
        admission_queue_timeout: section
            .seconds("admission_queue_timeout_seconds")
            .unwrap_or(ADMISSION_TIMEOUT_DEFAULT),
        alerts: alerts::resolve(root, environment, found),
    }
}

/// The master key from the file, else from `LITELLM_MASTER_KEY`. Written and empty, in either place, is an error: it
/// would open the gateway that it was meant to close.
fn master_key(
    section: &Section<'_>,
    root: Place,
    environment: &Environment<'_>,
    found: &mut Collector,
) -> Option<Secret> {
    let path = section.path_of("master_key");
    let place = section.written_at("master_key");
    if section.is_unset("master_key") {
        return None;
    }
    let key = match (place, section.secret("master_key")) {
        (Some(_), None) => Secret::new(""),
        (_, Some(key)) => key,
        (None, None) => Secret::new(environment.get("LITELLM_MASTER_KEY")?),
    };
    let place = place.unwrap_or(root);
    if key.expose().trim().is_empty() {
        found.error(
            place,
            &path,
            "is empty: write a key, or leave the line out to run without keys on loopback",
        );
        return None;
    }
    if !key.expose().starts_with("sk-") {
        found.warning(place, &path, "does not begin with sk-, as LiteLLM's clients expect");
    }
    if WELL_KNOWN_KEYS.contains(&key.expose()) {
        found.warning(place, &path, "is the key of LiteLLM's examples: everybody knows it");
    }
    Some(key)
}

/// Master keys that stand in public documentation.
const WELL_KNOWN_KEYS: &[&str] = &["sk-1234", "sk-12345", "sk-123456"];

impl Section<'_> {
    /// Where the key stands, even with nothing after it.
    fn written_at(&self, name: &str) -> Option<Place> {
        self.raw(name).filter(|node| !matches!(node.data, Data::Unset)).map(|node| node.place)
    }
}
