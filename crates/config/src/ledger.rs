//! Where records and spend are kept: the databases and the journal.
//!
//! Owns: `database_url` and its variables, the pool, `tollgate_database`, `journal`, how long rows are kept, the salt key.
//! Leaves to others: connecting (store), writing (ledger).
//!
//! **Invariant:** an address of a database is never printed. **Invariant:** no two databases share the default journal.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tollgate_policy::period::Cadence;

use crate::environment::Environment;
use crate::keys::{self, general, tollgate};
use crate::report::Collector;
use crate::secret::Secret;
use crate::section::Section;
use crate::span::cadence;
use crate::yaml::{Node, Place};

/// LiteLLM's connections to PostgreSQL.
pub const DATABASE_CONNECTIONS_DEFAULT: u32 = 10;

/// LiteLLM's time that a connection is waited for.
pub const DATABASE_TIMEOUT_DEFAULT: Duration = Duration::from_secs(60);

/// The embedded database's file, in the working directory.
const DATABASE_FILE: &str = "tollgate.db";
/// In place of a file: the database is in memory.
const MEMORY: &str = ":memory:";
/// What is appended to the database's file. SQLite's own files have a `-` there.
const JOURNAL_SUFFIX: &str = ".journal";

/// What a request under a budget waits for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Durability {
    /// The disk has it: it outlives the loss of power.
    #[default]
    Strict,
    /// The system has it: it outlives the end of the process.
    Relaxed,
}

/// The resolved settings of the databases and the journal.
#[derive(Clone, Debug, PartialEq)]
pub struct LedgerSettings {
    /// Connections to PostgreSQL at the same time; 1 or more.
    pub database_connections_max: u32,
    /// How long a connection, or a free one, is waited for.
    pub database_timeout: Duration,
    /// The journal's folder, relative to the working directory; `None` to keep none.
    pub journal: Option<PathBuf>,
    /// What a request under a budget waits for.
    pub durability: Durability,
    /// Whether there is a row for each request; else only what was spent by whom and when.
    pub keeps_rows: bool,
    /// How long such a row is kept; `None` for ever.
    pub rows_kept_for: Option<Duration>,
    /// What providers' keys that are stored by the API are sealed with; `None` to make it from the master key.
    pub salt_key: Option<Secret>,
    /// What they were sealed with before, which opens them still.
    pub former_salt_keys: Vec<Secret>,
}

impl Default for LedgerSettings {
    fn default() -> Self {
        let section = |table, name| Section::new(None, table, name);
        let general = section(general::TABLE, "general_settings");
        Self::read(&general, &section(tollgate::TABLE, "tollgate_settings"), Some(Path::new(DATABASE_FILE)))
    }
}

impl LedgerSettings {
    fn read(general: &Section<'_>, own: &Section<'_>, file: Option<&Path>) -> Self {
        let journal = own.section("journal", keys::ledger::JOURNAL);
        let beside = || {
            let mut path = file?.as_os_str().to_owned();
            path.push(JOURNAL_SUFFIX);
            Some(PathBuf::from(path))
        };
        let kept = general.text("maximum_spend_logs_retention_period").and_then(|text| cadence(&text));
        Self {
            database_connections_max: general
                .count32("database_connection_pool_limit")
                .unwrap_or(DATABASE_CONNECTIONS_DEFAULT),
            database_timeout: general
                .seconds("database_connection_timeout")
                .unwrap_or(DATABASE_TIMEOUT_DEFAULT),
            journal: journal
                .text("folder")
                .filter(|folder| !folder.is_empty())
                .map(PathBuf::from)
                .or_else(beside),
            durability: match journal.text("durability").as_deref() {
                Some("relaxed") => Durability::Relaxed,
                _ => Durability::Strict,
            },
            keeps_rows: !general.flag("disable_spend_logs").unwrap_or(false),
            rows_kept_for: kept.map(lifetime),
            salt_key: general.secret("salt_key").filter(|key| !key.expose().trim().is_empty()),
            former_salt_keys: Vec::new(),
        }
    }

    /// Resolves the settings of a checked configuration, beside the database in `file`.
    pub(crate) fn resolve(
        root: &Node,
        file: Option<&Path>,
        environment: &Environment<'_>,
        found: &mut Collector,
    ) -> Self {
        let general = Section::new(root.get("general_settings"), general::TABLE, "general_settings");
        let own = Section::new(root.get("tollgate_settings"), tollgate::TABLE, "tollgate_settings");
        let mut settings = Self::read(&general, &own, file);
        if let (None, Some(place)) = (&settings.salt_key, general.place("salt_key")) {
            found.error(place, &general.path_of("salt_key"), "is empty: write a key, or leave the line out");
        }
        if settings.salt_key.is_none() && !general.is_unset("salt_key") {
            settings.salt_key = environment.first_of(&["LITELLM_SALT_KEY"]).map(Secret::new);
        }
        let former = environment.first_of(&["LITELLM_SALT_KEY_PREVIOUS"]).unwrap_or_default();
        let former = former.split(',').map(str::trim).filter(|key| !key.is_empty());
        settings.former_salt_keys = former.map(Secret::new).collect();
        if let (Some(place), Some(false)) =
            (general.place("store_model_in_db"), general.flag("store_model_in_db"))
        {
            let message = "has no effect: what the admin API makes is always kept";
            found.warning(place, &general.path_of("store_model_in_db"), message);
        }
        if let (Some(place), false) =
            (general.place("maximum_spend_logs_retention_period"), settings.keeps_rows)
        {
            let message = "has no effect: with disable_spend_logs there are no rows";
            found.warning(place, &general.path_of("maximum_spend_logs_retention_period"), message);
        }
        settings
    }
}

/// How long something of this length lives, months being 30 days.
fn lifetime(length: Cadence) -> Duration {
    let days = |count: u32| Duration::from_secs(u64::from(count) * 30 * 24 * 60 * 60);
    match length {
        Cadence::Months(count) => days(count),
        other => other.seconds().unwrap_or(Duration::MAX),
    }
}

/// The embedded database's file, by either of its names; `None` to keep it in memory.
pub(crate) fn database_file(root: &Node, found: &mut Collector) -> Option<PathBuf> {
    let general = Section::new(root.get("general_settings"), general::TABLE, "general_settings");
    let own = Section::new(root.get("tollgate_settings"), tollgate::TABLE, "tollgate_settings");
    if let (Some(place), Some(_)) = (general.place("tollgate_database"), own.place("database_file")) {
        let message = "means the same as tollgate_settings.database_file: write one of the two";
        found.error(place, &general.path_of("tollgate_database"), message);
    }
    let named = [(&general, "tollgate_database"), (&own, "database_file")];
    for (section, name) in named {
        if let (Some(place), Some("")) = (section.place(name), section.text(name).as_deref()) {
            found.error(place, &section.path_of(name), "is empty: write a file, or :memory:");
        }
    }
    let written = named.iter().find_map(|(section, name)| section.text(name));
    file_of(written)
}

/// The file of a name, where it is one.
pub(crate) fn file_of(written: Option<String>) -> Option<PathBuf> {
    match written {
        Some(file) if file == MEMORY => None,
        file => Some(PathBuf::from(file.unwrap_or_else(|| DATABASE_FILE.to_owned()))),
    }
}

/// The address of PostgreSQL from the file, else from the environment.
pub(crate) fn database_url(
    root: Place,
    general: &Section<'_>,
    environment: &Environment<'_>,
    found: &mut Collector,
) -> Option<Secret> {
    const NAME: &str = "database_url";
    let path = general.path_of(NAME);
    if let Some(place) = general.place(NAME) {
        let url = general.secret(NAME)?;
        if let Some(why) = why_no_database(url.expose()) {
            found.error(place, &path, why);
            return None;
        }
        return Some(url);
    }
    if general.is_unset(NAME) {
        return None;
    }
    let (url, variables) = match environment.first_of(&["DATABASE_URL"]) {
        Some(url) => (url, "the variable DATABASE_URL"),
        None => (of_parts(environment)?, "the variables DATABASE_HOST, DATABASE_USERNAME and DATABASE_NAME"),
    };
    if let Some(why) = why_no_database(&url) {
        found.error(root, &path, format!("{variables}: {why}"));
        return None;
    }
    Some(Secret::new(url))
}

/// LiteLLM's variables for the parts of an address.
fn of_parts(environment: &Environment<'_>) -> Option<String> {
    let part = |name: &str| environment.first_of(&[name]);
    let encoded = |name: &str| part(name).map(|text| percent_encoded(&text));
    let (host, user, name) =
        (part("DATABASE_HOST")?, encoded("DATABASE_USERNAME")?, encoded("DATABASE_NAME")?);
    let password = encoded("DATABASE_PASSWORD").map(|password| format!(":{password}")).unwrap_or_default();
    Some(format!("postgresql://{user}{password}@{host}/{name}"))
}

/// Every byte as `%XX` that could mean something in an address.
fn percent_encoded(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b'~') {
            out.push(char::from(byte));
        } else {
            // Writing to a text cannot fail.
            let _ = write!(out, "%{byte:02X}");
        }
    }
    out
}

/// Why `text` is no address of a database that is supported, in words that repeat none of it.
fn why_no_database(text: &str) -> Option<&'static str> {
    const SUPPORTED: &str = "wants postgresql://user:password@host:5432/database; without it the state is in the \
         SQLite file of tollgate_database";
    let (scheme, rest) = text.split_once("://").unwrap_or_default();
    if !matches!(scheme.to_ascii_lowercase().as_str(), "postgres" | "postgresql") {
        return Some(SUPPORTED);
    }
    if rest.chars().any(|c| c.is_control() || c.is_whitespace()) {
        return Some("has white space or a control character: write it as %20 and the like");
    }
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
    let is_elsewhere =
        rest.split_once('?').is_some_and(|(_, query)| query.split('&').any(|it| it.starts_with("host=")));
    if (host.is_empty() || host.starts_with(':')) && !is_elsewhere {
        return Some("names no host");
    }
    None
}
