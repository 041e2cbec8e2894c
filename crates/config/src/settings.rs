//! `litellm_settings`, `general_settings` and `tollgate_settings`.
//!
//! Owns: the resolved settings and their rules. Leaves to others: acting on them (server, upstream, the binary).
//!
//! **Invariant:** a master key is never empty. **Invariant:** every limit and timeout has a value.

use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::address::AddressRange;
use crate::environment::Environment;
use crate::keys;
use crate::report::Collector;
use crate::secret::Secret;
use crate::section::{Section, items_of, texts_of};
use crate::yaml::{Data, Node, Place};

/// LiteLLM's time for a whole reply, where no setting says so.
pub const REQUEST_TIMEOUT_DEFAULT: Duration = Duration::from_secs(6000);

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
    /// Whether a cache was asked for; not active yet.
    pub cache: bool,
}

/// The resolved `general_settings`.
#[derive(Clone, Debug, Default, PartialEq)]
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
    /// The global budget in USD as a decimal text, from here or from `litellm_settings`; not active yet.
    pub max_budget: Option<String>,
    /// The span of the global budget; not active yet.
    pub budget_duration: Option<String>,
    /// Address of the database with its password, from here or `DATABASE_URL`; not active yet.
    pub database_url: Option<Secret>,
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
}

impl Default for TollgateSettings {
    fn default() -> Self {
        Self::read(&Section::new(None, keys::tollgate::TABLE, "tollgate_settings"))
    }
}

impl TollgateSettings {
    fn read(section: &Section<'_>) -> Self {
        let seconds = |name, default| section.seconds(name).unwrap_or(Duration::from_secs(default));
        let log = section.section("log", keys::tollgate::LOG);
        let ranges = section.node("trusted_proxies").map(texts_of).unwrap_or_default();
        Self {
            body_bytes_max: section.count("body_bytes_max").unwrap_or(32 * MIB),
            header_timeout: seconds("header_timeout_seconds", 10),
            body_timeout: seconds("body_timeout_seconds", 30),
            connect_timeout: seconds("connect_timeout_seconds", 3),
            first_token_timeout: seconds("first_token_timeout_seconds", 60),
            chunk_timeout: seconds("chunk_timeout_seconds", 30),
            client_stall_timeout: seconds("client_stall_timeout_seconds", 60),
            drain_timeout: seconds("drain_timeout_seconds", 120),
            connections_max: section.count("connections_max"),
            trusted_proxies: ranges.iter().filter_map(|text| AddressRange::parse(text)).collect(),
            log_level: log.text("level").map_or(LogLevel::Info, |level| log_level(&level)),
            log_format: match log.text("format").as_deref() {
                Some("json") => LogFormat::Json,
                _ => LogFormat::Text,
            },
            model_prices_file: section.text("model_prices_file").map(PathBuf::from),
            database_file: match section.text("database_file") {
                Some(file) if file == ":memory:" => None,
                file => Some(PathBuf::from(file.unwrap_or_else(|| "tollgate.db".to_owned()))),
            },
            responses_retention: Duration::from_secs(
                section.count("responses_retention_days").unwrap_or(30).saturating_mul(24 * 60 * 60),
            ),
            media_bytes_max: section.count("media_bytes_max").unwrap_or(20 * MIB),
            on_unsupported_param: section
                .text("on_unsupported_param")
                .and_then(|word| OnUnsupported::named(&word)),
            workers: section.count("workers"),
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

/// Resolves `tollgate_settings`.
pub(crate) fn tollgate(root: &Node, found: &mut Collector) -> TollgateSettings {
    let section = Section::new(root.get("tollgate_settings"), keys::tollgate::TABLE, "tollgate_settings");
    for item in section.node("trusted_proxies").map(items_of).unwrap_or_default() {
        if item.text().is_some_and(|text| AddressRange::parse(text).is_none()) {
            found.error(
                item.place,
                &section.path_of("trusted_proxies"),
                "wants an address or a range such as 10.0.0.0/8",
            );
        }
    }
    let settings = TollgateSettings::read(&section);
    let written_in = section.place("model_prices_file").map(|place| found.file(place));
    let folder = written_in.as_deref().and_then(Path::parent);
    let model_prices_file = settings.model_prices_file.map(|file| match folder {
        Some(folder) => folder.join(file),
        None => file,
    });
    TollgateSettings { model_prices_file, ..settings }
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
        cache: section.flag("cache").unwrap_or(false),
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
    let database = || environment.first_of(&["DATABASE_URL"]).map(Secret::new);
    let price = |section: &Section<'_>| section.node("max_budget").and_then(Node::price);
    General {
        master_key: master_key(&section, root.place, environment, found),
        user_url_allowed_hosts: [&section, &litellm]
            .into_iter()
            .filter_map(|section| section.node("user_url_allowed_hosts").map(texts_of))
            .flatten()
            .collect(),
        request_bytes_max: section.count("max_request_size_mb").map(|mb| mb.saturating_mul(MIB)),
        response_bytes_max: section.count("max_response_size_mb").map(|mb| mb.saturating_mul(MIB)),
        max_budget: price(&section).or_else(|| price(&litellm)),
        budget_duration: section.text("budget_duration").or_else(|| litellm.text("budget_duration")),
        database_url: section.secret("database_url").or_else(database),
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
