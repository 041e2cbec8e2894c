//! What the configuration says of the cache of answers.
//!
//! Owns: the resolved settings. Leaves to others: keys and entries (`cache`), which requests they apply to (`server`).
//!
//! **Invariant:** whose answers are shared is always said: nobody's but a team's where the operator says nothing.

use std::path::PathBuf;
use std::time::Duration;

use crate::keys;
use crate::report::Collector;
use crate::section::{Section, entries_of};
use crate::yaml::Node;

/// LiteLLM's time that an answer stays in memory, where no setting says so.
pub const TTL_DEFAULT: Duration = Duration::from_secs(600);

/// Where answers on the disk are, where no setting says so.
const DISK_FOLDER: &str = "tollgate_cache";
/// Bytes that they may take there.
const DISK_BYTES_MAX: u64 = 1 << 30;
/// The longest that a request waits for a look outside of the process: a provider takes longer for most answers.
const LOOKUP_TIMEOUT: Duration = Duration::from_millis(100);

/// Whose answers are given to whom.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Sharing {
    /// Those of a team to that team; of a key without one to its user's keys, or to itself alone.
    #[default]
    Team,
    /// Those of an organization to that; where there is none, as for a team.
    Organization,
    /// Those of a user to that user's keys; where there is none, as for a key.
    User,
    /// Those of a key to that key.
    Key,
    /// Those of an end user to that one, within what is a team's; where none is named, as for a team.
    EndUser,
    /// To everybody.
    Shared,
}

/// Which requests with tools may be answered from the cache.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ToolRule {
    /// All.
    Any,
    /// Those whose tools the caller runs itself.
    #[default]
    Functions,
    /// Those without tools.
    None,
}

/// Some requests: those that meet one of these.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Which {
    /// Model groups; `*` stands for any text.
    pub models: Vec<String>,
    /// Tags.
    pub tags: Vec<String>,
    /// Members of `metadata` and their values; `*` for any.
    pub metadata: Vec<(String, String)>,
}

impl Which {
    /// It names none.
    pub fn is_empty(&self) -> bool {
        self.models.is_empty() && self.tags.is_empty() && self.metadata.is_empty()
    }

    fn read(section: &Section<'_>) -> Self {
        let metadata = section.node("metadata").map(entries_of).unwrap_or_default();
        let text = |value: &Node| value.text().unwrap_or_default().to_owned();
        Self {
            models: section.texts("models"),
            tags: section.texts("tags"),
            metadata: metadata.iter().map(|entry| (entry.key.to_string(), text(&entry.value))).collect(),
        }
    }
}

/// A place for answers outside of the process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FarPlace {
    /// A folder.
    Disk {
        /// Where it is; from the folder in which the gateway was started, where it does not begin with `/`.
        folder: PathBuf,
        /// Bytes that answers may take there.
        bytes_max: u64,
    },
}

/// Answers outside of the process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FarCaching {
    /// Where they are.
    pub place: FarPlace,
    /// The longest that a request waits for a look.
    pub lookup_timeout: Duration,
}

/// The cache of answers.
#[derive(Clone, Debug, PartialEq)]
pub struct Caching {
    /// Where answers are kept besides memory.
    pub far: Option<FarCaching>,
    /// It is on for requests that say nothing else.
    pub is_default_on: bool,
    /// How long an answer is kept where its request names no time.
    pub ttl: Duration,
    /// How long it stays in memory at most, where another place has it too.
    pub memory_ttl: Duration,
    /// The namespace of requests that name none.
    pub namespace: Option<String>,
    /// LiteLLM's names of the kinds of calls that are kept; `None` for all.
    pub call_types: Option<Vec<String>>,
    /// Who shares answers.
    pub sharing: Sharing,
    /// Memory for answers, in bytes.
    pub memory_bytes_max: u64,
    /// Longest answer that is kept, in bytes.
    pub entry_bytes_max: usize,
    /// The same requests at the same time are sent once.
    pub single_flight: bool,
    /// Of what an answer has cost, whoever gets it again is charged so many millionths.
    pub hit_cost_millionths: u32,
    /// Requests with a higher temperature have nothing to do with the cache.
    pub temperature_max: Option<f64>,
    /// Which requests with tools may be answered.
    pub tools: ToolRule,
    /// The only requests that it is for; all where it names none.
    pub only: Which,
    /// Those that it is not for.
    pub never: Which,
}

/// Reads the cache's settings; `None` where there is none.
pub(crate) fn read(root: &Node, found: &mut Collector) -> Option<Caching> {
    let litellm = Section::new(root.get("litellm_settings"), keys::litellm::TABLE, "litellm_settings");
    let tollgate = Section::new(root.get("tollgate_settings"), keys::tollgate::TABLE, "tollgate_settings");
    let params = litellm.section("cache_params", keys::caching::PARAMS);
    let own = tollgate.section("cache", keys::caching::OWN);
    let is_on = litellm.flag("cache").unwrap_or(false);
    let kind = params.text("type");
    if let (true, Some(kind), Some(place)) = (is_on, kind.as_deref(), params.place("type"))
        && !matches!(kind, "local" | "disk")
    {
        let message =
            format!("'{kind}' is not yet active: answers are kept in memory, for the same requests");
        found.warning(place, &params.path_of("type"), message);
    }
    if !is_on && let Some(place) = tollgate.place("cache") {
        let message = "has no effect without litellm_settings.cache: true";
        found.warning(place, &tollgate.path_of("cache"), message);
    }
    let far = far(kind.as_deref(), &params, &own);
    let memory_ttl = params.seconds("ttl").or(params.seconds("default_in_memory_ttl")).unwrap_or(TTL_DEFAULT);
    let caching = Caching {
        is_default_on: params.text("mode").is_none_or(|mode| mode != "default_off"),
        ttl: match far {
            // What memory does not have any more is still there.
            Some(_) => params.seconds("ttl").unwrap_or(TTL_DEFAULT),
            None => memory_ttl,
        },
        memory_ttl,
        far,
        namespace: params.text("namespace"),
        call_types: params.node("supported_call_types").map(|_| params.texts("supported_call_types")),
        sharing: own.text("scope").map_or(Sharing::Team, |word| sharing(&word)),
        memory_bytes_max: own.count("memory_bytes_max").unwrap_or(64 << 20),
        entry_bytes_max: own
            .count("entry_bytes_max")
            .map_or(1 << 20, |bytes| usize::try_from(bytes).unwrap_or(usize::MAX)),
        single_flight: own.flag("single_flight").unwrap_or(true),
        hit_cost_millionths: own.share("hit_cost_share").map_or(0, millionths),
        temperature_max: own.number("temperature_max"),
        tools: match own.text("tools").as_deref() {
            Some("any") => ToolRule::Any,
            Some("none") => ToolRule::None,
            _ => ToolRule::Functions,
        },
        only: Which::read(&own.section("only", keys::caching::WHICH)),
        never: Which::read(&own.section("never", keys::caching::WHICH)),
    };
    is_on.then_some(caching)
}

/// The place outside of the process that a type of cache means.
fn far(kind: Option<&str>, params: &Section<'_>, own: &Section<'_>) -> Option<FarCaching> {
    let folder = params.text("disk_cache_dir").unwrap_or_else(|| DISK_FOLDER.to_owned());
    let bytes_max = own.count("disk_bytes_max").unwrap_or(DISK_BYTES_MAX);
    let lookup_timeout = own.seconds("lookup_timeout").unwrap_or(LOOKUP_TIMEOUT);
    let place = match kind {
        Some("disk") => FarPlace::Disk { folder: folder.into(), bytes_max },
        _ => return None,
    };
    Some(FarCaching { place, lookup_timeout })
}

fn sharing(word: &str) -> Sharing {
    match word {
        "organization" => Sharing::Organization,
        "user" => Sharing::User,
        "key" => Sharing::Key,
        "end_user" => Sharing::EndUser,
        "shared" => Sharing::Shared,
        _ => Sharing::Team,
    }
}

/// A share from 0 to 1 in millionths.
fn millionths(share: f64) -> u32 {
    // The section has checked that it lies between the two.
    (share * 1e6).round().clamp(0.0, 1e6) as u32
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Config;

    fn read(yaml: &str) -> (Option<Caching>, String) {
        let loaded = Config::from_yaml_text(&format!("model_list: []\n{yaml}"), &|_| None);
        let report = loaded.report.to_string();
        (loaded.config.and_then(|config| config.cache), report)
    }

    #[test]
    fn there_is_none_unless_it_is_asked_for() {
        assert_eq!(read("").0, None);
        assert_eq!(read("litellm_settings: {cache: false, cache_params: {ttl: 5}}").0, None);
        let (none, report) = read("tollgate_settings: {cache: {scope: key}}");
        assert!(
            none.is_none() && report.contains("has no effect without litellm_settings.cache: true"),
            "{report}"
        );
    }

    #[test]
    fn what_is_not_said_keeps_tenants_apart() {
        let caching = read("litellm_settings: {cache: true}").0.unwrap();
        assert_eq!(
            (caching.sharing, caching.tools, caching.is_default_on),
            (Sharing::Team, ToolRule::Functions, true)
        );
        assert_eq!((caching.ttl, caching.call_types, caching.hit_cost_millionths), (TTL_DEFAULT, None, 0));
        assert!(caching.only.is_empty() && caching.never.is_empty());
    }

    #[test]
    fn everything_that_is_said_is_read() {
        let (caching, report) = read(
            "litellm_settings:\n  cache: true\n  cache_params: {type: redis, mode: default_off, ttl: 60, \
             default_in_memory_ttl: 30, namespace: n, supported_call_types: [acompletion]}\n\
             tollgate_settings:\n  cache: {scope: end_user, memory_bytes_max: 5, entry_bytes_max: 4, single_flight: false, \
             hit_cost_share: 12.5%, temperature_max: 0.5, tools: none, only: {models: [gpt-*], tags: [faq]}, \
             never: {metadata: {kind: '*'}}}\n",
        );
        let texts = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>();
        assert_eq!(
            caching.unwrap(),
            Caching {
                is_default_on: false,
                far: None,
                ttl: Duration::from_secs(60),
                memory_ttl: Duration::from_secs(60),
                namespace: Some("n".to_owned()),
                call_types: Some(texts(&["acompletion"])),
                sharing: Sharing::EndUser,
                memory_bytes_max: 5,
                entry_bytes_max: 4,
                single_flight: false,
                hit_cost_millionths: 125_000,
                temperature_max: Some(0.5),
                tools: ToolRule::None,
                only: Which { models: texts(&["gpt-*"]), tags: texts(&["faq"]), metadata: Vec::new() },
                never: Which { metadata: vec![("kind".to_owned(), "*".to_owned())], ..Which::default() },
            }
        );
        assert!(report.contains("'redis' is not yet active: answers are kept in memory"), "{report}");
        assert_eq!(
            read("litellm_settings: {cache: true, cache_params: {default_in_memory_ttl: 30}}")
                .0
                .unwrap()
                .ttl
                .as_secs(),
            30
        );
    }

    #[test]
    fn a_disk_keeps_longer_than_memory() {
        let (caching, report) =
            read("litellm_settings: {cache: true, cache_params: {type: disk, default_in_memory_ttl: 30}}\n");
        let caching = caching.unwrap();
        let place = FarPlace::Disk { folder: "tollgate_cache".into(), bytes_max: 1 << 30 };
        assert_eq!(caching.far, Some(FarCaching { place, lookup_timeout: Duration::from_millis(100) }));
        assert_eq!((caching.ttl, caching.memory_ttl), (TTL_DEFAULT, Duration::from_secs(30)));
        assert!(!report.contains("not yet active"), "{report}");
        let caching = read(
            "litellm_settings: {cache: true, cache_params: {type: disk, ttl: 5, default_in_memory_ttl: 30, disk_cache_dir: /a}}\n\
             tollgate_settings: {cache: {disk_bytes_max: 7, lookup_timeout: 2}}\n",
        );
        let caching = caching.0.unwrap();
        let place = FarPlace::Disk { folder: "/a".into(), bytes_max: 7 };
        assert_eq!(caching.far, Some(FarCaching { place, lookup_timeout: Duration::from_secs(2) }));
        assert_eq!((caching.ttl, caching.memory_ttl), (Duration::from_secs(5), Duration::from_secs(5)));
    }
}
