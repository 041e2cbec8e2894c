//! What PostgreSQL's errors mean here.
//!
//! Owns the codes ("Appendix A. PostgreSQL Error Codes" of its manual) that are told apart.
//!
//! **Invariant**: no text of an error has a statement, a value of a column, a user or a password in it: of what the server
//! says only the code is kept, and of what the network says the kind.

use tokio_postgres::Error;
use tokio_postgres::error::SqlState;

use crate::error::StoreError;

/// What follows an error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Aftermath {
    /// Two transactions got into each other's way and this one was ended: it can be run again at once.
    Again,
    /// The connection is gone.
    Lost,
    /// The connection stands.
    Stands,
}

/// An error, and what follows it.
pub(super) struct Failure {
    pub(super) error: StoreError,
    pub(super) aftermath: Aftermath,
}

impl Failure {
    /// A failure after which the connection cannot be used, or there is none.
    pub(super) fn lost(database: &str, detail: &str) -> Self {
        let (database, detail) = (database.to_owned(), detail.to_owned());
        Self { error: StoreError::Unavailable { database, detail }, aftermath: Aftermath::Lost }
    }

    /// What an error of the driver is.
    pub(super) fn of(database: &str, error: &Error) -> Self {
        match error.code() {
            Some(code) => Self::of_code(database, code),
            // Read and written wrong, or the driver and the server do not understand one another.
            None if !error.is_closed() && source_of(error).is_none() => {
                let detail = "the driver does not understand what was said".to_owned();
                let error = StoreError::Other { file: database.to_owned(), detail };
                Self { error, aftermath: Aftermath::Lost }
            }
            None => Self::lost(database, &network(error)),
        }
    }

    fn of_code(database: &str, code: &SqlState) -> Self {
        let unavailable = |detail: &str| StoreError::Unavailable {
            database: database.to_owned(),
            detail: format!("{detail} ({})", code.code()),
        };
        let (error, aftermath) = match code.code() {
            "40001" | "40P01" => (unavailable("transactions are in each other's way"), Aftermath::Again),
            "57014" => (unavailable("a statement took too long"), Aftermath::Stands),
            "55P03" => (unavailable("a lock was not to be had in time"), Aftermath::Stands),
            "25006" => (unavailable("it can only be read"), Aftermath::Lost),
            "53300" => (unavailable("it has too many connections"), Aftermath::Lost),
            "53100" => (unavailable("its disk is full"), Aftermath::Lost),
            "57P01" | "57P02" | "57P03" | "57P05" => {
                (unavailable("it is starting or stopping"), Aftermath::Lost)
            }
            "28P01" | "28000" => (unavailable("it refuses the user or the password"), Aftermath::Lost),
            "3D000" => (unavailable("there is no such database"), Aftermath::Lost),
            "42501" => (unavailable("the user may not do that there"), Aftermath::Lost),
            other if other.starts_with("08") || other.starts_with("57") => {
                (unavailable("the connection broke"), Aftermath::Lost)
            }
            other if other.starts_with("53") => (unavailable("it is out of resources"), Aftermath::Lost),
            other if other.starts_with("58") || other.starts_with("XX") => {
                (unavailable("it is damaged"), Aftermath::Lost)
            }
            other => {
                let detail = format!("error {other}");
                (StoreError::Other { file: database.to_owned(), detail }, Aftermath::Stands)
            }
        };
        Self { error, aftermath }
    }
}

fn source_of(error: &Error) -> Option<&(dyn std::error::Error + 'static)> {
    std::error::Error::source(error)
}

/// The kind of what went wrong on the way: the text may have more in it than is to be told.
fn network(error: &Error) -> String {
    let mut cause = source_of(error);
    while let Some(source) = cause {
        if let Some(error) = source.downcast_ref::<std::io::Error>() {
            let inner = error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>());
            return match inner {
                Some(tls) => format!("no TLS with it: {tls}"),
                None => format!("it cannot be reached: {}", error.kind()),
            };
        }
        cause = source.source();
    }
    "the connection broke".to_owned()
}
