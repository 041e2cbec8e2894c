//! `tollgate_fault`: a deployment that fails on purpose, for staging.
//!
//! Owns: the resolved fault and what is said of parameters that its kind does not have. Leaves to others: failing
//! (server).
//!
//! **Invariant:** a fault has a kind; its status is that of an error.

use std::time::Duration;

use crate::keys::model::FAULTS;
use crate::report::Collector;
use crate::section::Section;
use crate::yaml::Place;

/// A way to fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum FaultKind {
    /// An error with a status.
    Error,
    /// A 429.
    RateLimit,
    /// An answer that begins late.
    Latency,
    /// A stream that falls silent.
    Stall,
    /// A stream that ends without its end.
    Cut,
    /// A stream with an event that is no JSON.
    Malformed,
    /// A connection that is reset.
    Reset,
}

impl FaultKind {
    const ALL: [FaultKind; 7] = [
        FaultKind::Error,
        FaultKind::RateLimit,
        FaultKind::Latency,
        FaultKind::Stall,
        FaultKind::Cut,
        FaultKind::Malformed,
        FaultKind::Reset,
    ];

    /// Its name in the file.
    pub fn name(self) -> &'static str {
        let at = Self::ALL.iter().position(|kind| *kind == self);
        at.and_then(|at| FAULTS.get(at)).copied().unwrap_or_default()
    }

    /// The parameters that mean something to it.
    fn parameters(self) -> &'static [&'static str] {
        match self {
            Self::Error | Self::RateLimit => &["status", "retry_after"],
            Self::Latency => &["delay"],
            Self::Stall | Self::Cut | Self::Malformed | Self::Reset => &["after"],
        }
    }
}

/// A fault and its parameters.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Fault {
    /// How the deployment fails.
    pub kind: FaultKind,
    /// Share of the requests that fail, 0 to 1.
    pub rate: f64,
    /// The status of an error, 400 to 599.
    pub status: u16,
    /// The Retry-After of an error.
    pub retry_after: Option<Duration>,
    /// How late a late answer begins.
    pub delay: Duration,
    /// Content events of a stream that go out before it fails; a reset after none of them takes the place of the reply.
    pub after: u32,
}

impl Fault {
    /// Reads the block at `place`.
    pub(crate) fn read(section: &Section<'_>, place: Place, found: &mut Collector) -> Option<Self> {
        let word = crate::model::required(section, "kind", place, found)?;
        let kind = FaultKind::ALL.into_iter().find(|kind| kind.name() == word)?;
        for name in ["status", "retry_after", "delay", "after"] {
            if let Some(place) = section.place(name)
                && !kind.parameters().contains(&name)
            {
                found.warning(place, &section.path_of(name), format!("has no effect with {word}"));
            }
        }
        let default = if kind == FaultKind::RateLimit { 429 } else { 500 };
        // A reset comes before the answer, unless it is told to come later.
        let after = if kind == FaultKind::Reset { 0 } else { 1 };
        let status = section.count("status").unwrap_or(default);
        let status = u16::try_from(status).ok().filter(|status| (400..=599).contains(status));
        if status.is_none() {
            let place = section.place("status").unwrap_or(place);
            found.error(place, &section.path_of("status"), "wants the status of an error, 400 to 599");
        }
        Some(Self {
            kind,
            rate: section.share("rate").unwrap_or(1.0),
            status: status.unwrap_or(500),
            retry_after: section.duration("retry_after"),
            delay: section.duration("delay").unwrap_or(Duration::from_secs(1)),
            after: section.count32("after").unwrap_or(after),
        })
    }
}
