//! How PostgreSQL is reached: the limits, and the address with what it says about TLS.
//!
//! Owns the reading of `database_url`, in which libpq's options and those that Prisma has added for LiteLLM both occur.
//! What TLS does with them is `tls.rs`'s.
//!
//! **Invariant**: no text that comes from here has a user or a password in it. **Invariant**: an option is acted upon,
//! known to have no meaning here, or refused by name.

use std::path::PathBuf;
use std::time::Duration;

use tokio_postgres::Config;
use tokio_postgres::config::{Host, SslMode};

use super::link::Mode;
use crate::error::StoreError;
use crate::options::SEARCH_TIMEOUT;

/// How long a statement of somebody in haste may take: it is of no use later.
const HASTE_MAX: Duration = Duration::from_secs(1);

/// The limits of the books in PostgreSQL.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PostgresOptions {
    /// The schema in which the tables are: lower-case letters, digits and `_`. It is made if it is not there.
    pub schema: String,
    /// Connections, each with a thread; at least 1. One more listens, if somebody does.
    pub connections: usize,
    /// Requests that may wait for a connection; at least 1.
    pub queue_max: usize,
    /// How long a request waits for a connection to be free.
    pub acquire_timeout: Duration,
    /// How long a connection may take to be made, TLS and password included.
    pub connect_timeout: Duration,
    /// How long one statement may take: the server ends it then.
    pub statement_timeout: Duration,
    /// How long one statement of a search may take, among rows or in the audit: callers say what is looked for.
    pub search_timeout: Duration,
    /// How long a transaction may take, whatever the server does.
    pub transaction_timeout: Duration,
    /// How long it may take to read what the gateway has to know as a whole: all records, all accounts.
    pub load_timeout: Duration,
    /// How long the steps to this release's schema may take.
    pub migration_timeout: Duration,
    /// How often it is asked whether records have changed, should a notice have been lost.
    pub poll_interval: Duration,
}

impl Default for PostgresOptions {
    fn default() -> Self {
        Self {
            schema: "tollgate".to_owned(),
            connections: 4,
            queue_max: 256,
            acquire_timeout: Duration::from_secs(2),
            connect_timeout: Duration::from_secs(3),
            statement_timeout: Duration::from_secs(5),
            search_timeout: SEARCH_TIMEOUT,
            transaction_timeout: Duration::from_secs(10),
            load_timeout: Duration::from_secs(60),
            migration_timeout: Duration::from_secs(120),
            poll_interval: Duration::from_secs(1),
        }
    }
}

impl PostgresOptions {
    /// How long a statement may take.
    pub(super) fn statement_limit(&self, mode: Mode) -> Duration {
        match mode {
            Mode::Search => self.search_timeout,
            Mode::Look | Mode::Write => self.statement_timeout,
            Mode::Haste => self.statement_timeout.min(HASTE_MAX),
            Mode::Load => self.load_timeout,
        }
    }

    /// How long a transaction may take.
    pub(super) fn transaction_limit(&self, mode: Mode) -> Duration {
        match mode {
            Mode::Search | Mode::Look | Mode::Write | Mode::Haste => self.transaction_timeout,
            Mode::Load => self.load_timeout,
        }
    }

    /// Whether the schema's name can stand in a statement as it is.
    pub(super) fn check(&self) -> Result<(), StoreError> {
        let mut bytes = self.schema.bytes();
        let begins = bytes.next().is_some_and(|byte| byte.is_ascii_lowercase() || byte == b'_');
        let goes_on = bytes.all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_');
        // The longest name that PostgreSQL does not cut off ("Identifiers and Key Words" in its manual).
        if begins && goes_on && self.schema.len() <= 63 && !self.schema.starts_with("pg_") {
            Ok(())
        } else {
            Err(StoreError::Invalid("the schema's name has characters that it cannot have".to_owned()))
        }
    }
}

/// What `sslmode` asks for ("SSL Support" of libpq's manual).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum Security {
    /// No TLS.
    Disable,
    /// TLS if the server has it, whoever it is.
    #[default]
    Prefer,
    /// TLS, whoever the server is; with a root certificate given, as `verify-ca`.
    Require,
    /// TLS with a certificate that a known authority has signed, for whatever host.
    VerifyCa,
    /// TLS with a certificate for this very host.
    VerifyFull,
}

/// An address, taken apart.
pub(super) struct Address {
    /// Hosts, user, password, database: the driver's.
    pub(super) config: Config,
    /// The schema of LiteLLM's own tables, if one is named.
    pub(super) schema: Option<String>,
    /// What is asked of TLS.
    pub(super) security: Security,
    /// The authorities' certificates (PEM); `None` for those that browsers trust.
    pub(super) root_file: Option<PathBuf>,
    /// Our certificate and its key (PEM).
    pub(super) client_files: Option<(PathBuf, PathBuf)>,
}

/// Options that mean something to LiteLLM's own driver (Prisma) and nothing here: the pool has its settings elsewhere, no
/// statement is kept prepared.
const WITHOUT_MEANING: &[&str] = &[
    "connection_limit",
    "pool_timeout",
    "pgbouncer",
    "statement_cache_size",
    "socket_timeout",
    "max_idle_connection_lifetime",
    "max_connection_lifetime",
    "sslpassword",
];

impl Address {
    /// Reads `postgresql://user:password@host:port/database?option=value`.
    ///
    /// # Errors
    /// [`StoreError::Invalid`], with the option that is wrong, and without its value.
    pub(super) fn read(url: &str) -> Result<Self, StoreError> {
        let is_known = url.starts_with("postgres://") || url.starts_with("postgresql://");
        if !is_known {
            return Err(invalid("the database's address does not begin with postgresql://"));
        }
        let (base, query) = url.split_once('?').unwrap_or((url, ""));
        let mut passed = Vec::new();
        let (mut security, mut root_file, mut accepts) = (Security::Prefer, None, None);
        let (mut certificate, mut key, mut schema) = (None, None, None);
        for option in query.split('&').filter(|option| !option.is_empty()) {
            let (name, value) = option.split_once('=').unwrap_or((option, ""));
            match name {
                "sslmode" => security = security_of(value)?,
                "sslaccept" => accepts = Some(decoded(value)),
                "sslrootcert" => root_file = Some(PathBuf::from(decoded(value))),
                // Prisma's name for the authority's certificate, unless a key comes with it.
                "sslcert" => certificate = Some(PathBuf::from(decoded(value))),
                "schema" => schema = Some(decoded(value)),
                "sslkey" => key = Some(PathBuf::from(decoded(value))),
                name if WITHOUT_MEANING.contains(&name) => {}
                _ => passed.push(option),
            }
        }
        let client_files = match (certificate, key) {
            (Some(certificate), Some(key)) => Some((certificate, key)),
            (Some(certificate), None) => {
                root_file = root_file.or(Some(certificate));
                None
            }
            (None, Some(_)) => return Err(invalid("the database's address has a sslkey without a sslcert")),
            (None, None) => None,
        };
        // libpq: "system" are the authorities that are trusted anyway, and nothing less than `verify-full` goes with them.
        let is_public = root_file.as_ref().is_some_and(|file| file.as_os_str() == "system");
        let root_file = root_file.filter(|_| !is_public);
        let is_strict = is_public || accepts.as_deref() == Some("strict");
        if is_strict && security != Security::Disable {
            security = Security::VerifyFull;
        }
        let joint = if passed.is_empty() { "" } else { "?" };
        let mut config: Config = format!("{base}{joint}{}", passed.join("&"))
            .parse()
            .map_err(|error: tokio_postgres::Error| invalid(&unread(&error)))?;
        config.ssl_mode(match security {
            Security::Disable => SslMode::Disable,
            Security::Prefer => SslMode::Prefer,
            Security::Require | Security::VerifyCa | Security::VerifyFull => SslMode::Require,
        });
        if config.get_application_name().is_none() {
            config.application_name("tollgate");
        }
        if config.get_hosts().is_empty() {
            return Err(invalid("the database's address names no host"));
        }
        Ok(Self { config, schema, security, root_file, client_files })
    }

    /// The database, for people: host, port and name.
    pub(super) fn name(&self) -> String {
        let hosts = self.config.get_hosts().iter().map(|host| match host {
            Host::Tcp(host) => host.clone(),
            #[cfg(unix)]
            Host::Unix(path) => path.display().to_string(),
        });
        let port = self.config.get_ports().first().copied().unwrap_or(5432);
        let name = self.config.get_dbname().unwrap_or_default();
        format!("PostgreSQL at {}:{port}/{name}", hosts.collect::<Vec<_>>().join(","))
    }
}

fn invalid(text: &str) -> StoreError {
    StoreError::Invalid(text.to_owned())
}

/// What the driver does not understand: its own words name an option, never a value.
fn unread(error: &tokio_postgres::Error) -> String {
    let cause = std::error::Error::source(error).map(ToString::to_string).unwrap_or_default();
    // "unknown option `x`", "invalid value for option `x`"; whatever else it says may quote the address.
    let is_named = cause.starts_with("unknown option") || cause.starts_with("invalid value for option");
    let cause = if is_named { cause } else { "it is no address".to_owned() };
    format!("the database's address cannot be read: {cause}")
}

fn security_of(value: &str) -> Result<Security, StoreError> {
    Ok(match value {
        "disable" => Security::Disable,
        // libpq tries without TLS first there, which protects nobody; Prisma has only the other.
        "allow" | "prefer" => Security::Prefer,
        "require" => Security::Require,
        "verify-ca" => Security::VerifyCa,
        "verify-full" => Security::VerifyFull,
        _ => return Err(invalid("the database's address has a sslmode that does not exist")),
    })
}

/// The value with its `%41` undone; what is no UTF-8 after that stays as it was.
fn decoded(value: &str) -> String {
    let mut bytes = Vec::with_capacity(value.len());
    let mut rest = value.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        let pair = after.get(..2).filter(|_| *first == b'%').and_then(|pair| std::str::from_utf8(pair).ok());
        match pair.and_then(|pair| u8::from_str_radix(pair, 16).ok()) {
            Some(byte) => {
                bytes.push(byte);
                rest = after.get(2..).unwrap_or_default();
            }
            None => {
                bytes.push(*first);
                rest = after;
            }
        }
    }
    String::from_utf8(bytes).unwrap_or_else(|_| value.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(query: &str) -> Address {
        Address::read(&format!("postgresql://ann:s%40crt@db.test:6543/gate{query}")).unwrap()
    }

    #[test]
    fn sslmode_means_what_libpq_means_by_it() {
        let check = |query: &str, security: Security, mode: SslMode| {
            let address = read(query);
            assert_eq!((address.security, address.config.get_ssl_mode()), (security, mode), "{query}");
        };
        check("", Security::Prefer, SslMode::Prefer);
        check("?sslmode=disable", Security::Disable, SslMode::Disable);
        check("?sslmode=allow", Security::Prefer, SslMode::Prefer);
        check("?sslmode=prefer", Security::Prefer, SslMode::Prefer);
        check("?sslmode=require", Security::Require, SslMode::Require);
        check("?sslmode=verify-ca", Security::VerifyCa, SslMode::Require);
        check("?sslmode=verify-full&sslrootcert=system", Security::VerifyFull, SslMode::Require);
        check("?sslrootcert=system", Security::VerifyFull, SslMode::Require);
        check("?sslmode=require&sslaccept=strict", Security::VerifyFull, SslMode::Require);
        check("?sslmode=require&sslaccept=accept_invalid_certs", Security::Require, SslMode::Require);
    }

    #[test]
    fn options_of_libpq_and_of_prisma_are_understood() {
        let address =
            read("?schema=public&connection_limit=10&pgbouncer=true&application_name=x&connect_timeout=7");
        assert_eq!(address.config.get_application_name(), Some("x"));
        assert_eq!(address.config.get_connect_timeout(), Some(&Duration::from_secs(7)));
        assert_eq!(address.config.get_password(), Some(b"s@crt".as_slice()));
        assert_eq!(address.name(), "PostgreSQL at db.test:6543/gate");
        let address = read("?sslrootcert=%2Fetc%2Fca.pem&sslcert=a.pem&sslkey=b.pem");
        assert_eq!(address.root_file, Some(PathBuf::from("/etc/ca.pem")));
        assert_eq!(address.client_files, Some((PathBuf::from("a.pem"), PathBuf::from("b.pem"))));
        assert_eq!(read("?sslcert=ca.pem").root_file, Some(PathBuf::from("ca.pem")));
        assert_eq!(read("?sslrootcert=system").root_file, None);
    }

    #[test]
    fn what_is_wrong_is_named_and_nothing_secret_is_told() {
        let check = |url: &str, expect: &str| {
            let error = Address::read(url).map(|_| ()).unwrap_err();
            assert_eq!(error.to_string(), expect, "{url}");
        };
        check("mysql://ann:secret@db/gate", "the database's address does not begin with postgresql://");
        let unread = "the database's address cannot be read";
        check("postgresql://ann:secret@db/gate?colour=red", &format!("{unread}: unknown option `colour`"));
        check("postgresql://ann:secret@db:port/gate", &format!("{unread}: invalid value for option `port`"));
        check(
            "postgresql://ann:secret@db/gate?sslmode=maybe",
            "the database's address has a sslmode that does not exist",
        );
        check(
            "postgresql://ann:secret@db/gate?sslkey=k",
            "the database's address has a sslkey without a sslcert",
        );
        check("postgresql:///gate", "the database's address names no host");
    }

    #[test]
    fn a_schema_is_a_plain_name() {
        let check = |schema: &str| {
            PostgresOptions { schema: schema.to_owned(), ..PostgresOptions::default() }.check()
        };
        assert!(["tollgate", "_t1", &"x".repeat(63)].into_iter().all(|schema| check(schema).is_ok()));
        for schema in ["", "1a", "a b", "A", "a;drop", "a\"", "pg_x", "ü", &"x".repeat(64)] {
            assert!(check(schema).is_err(), "{schema}");
        }
    }
}
