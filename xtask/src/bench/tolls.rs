//! What keys and budgets cost: the stages by themselves, and as part of a request.
//!
//! By themselves they are timed where they are private: by a test of the server's crate that prints its figures. As part
//! of a request it is the processor time of gateways that differ in who calls. The words are `accounted.rs`'s.
//!
//! **Invariant**: the gateways take turns within each round, all before the same stand-in, the others stopped.

use std::path::Path;
use std::time::Duration;

use super::contender::{Contender, MASTER_KEY, deployment};
use super::people::{self, Budgets};
use super::threads::{Paused, Threads};
use super::{CONNECTIONS, load, printed};
use crate::shell::Workspace;

/// The test that prints the figures.
const TEST: &str = "pipeline::cost::of_a_request";

/// Who calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Who {
    /// Anybody, of a gateway that asks for no key and keeps nothing on a disk.
    Anyone,
    /// The operator.
    Master,
    /// A key of a team and a user, none of whom has a limit.
    Key,
    /// The same, where each has a budget, and all together.
    Budgets,
}

impl Who {
    const ALL: [Self; 4] = [Self::Anyone, Self::Master, Self::Key, Self::Budgets];

    /// The words for tables, as the test has them.
    pub(crate) fn title(self) -> &'static str {
        match self {
            Self::Anyone => "no key asked for, nothing on disk",
            Self::Master => "master key",
            Self::Key => "key without limits",
            Self::Budgets => "key, team, user and global budgets",
        }
    }

    /// Starts a gateway that lets them in, and makes their key.
    ///
    /// # Errors
    /// When it does not start, or refuses the key.
    pub(crate) async fn start(
        self,
        place: (&Workspace, &Path),
        upstream_port: u16,
    ) -> Result<Contender, String> {
        let config = self.config(upstream_port);
        match self {
            Self::Anyone | Self::Master => Contender::gateway(place.0, place.1, (self.name(), &config)),
            Self::Key | Self::Budgets => {
                people::gateway(place, (self.name(), &config), self.budgets(), 1).await
            }
        }
    }

    /// Starts one by another program, where it was started before and has ended.
    ///
    /// # Errors
    /// When it does not start.
    pub(crate) fn start_by(
        self,
        place: (&Workspace, &Path),
        upstream_port: u16,
        program: &[&str],
    ) -> Result<Contender, String> {
        Contender::gateway_by(place, (self.name(), &self.config(upstream_port)), program)
    }

    fn name(self) -> &'static str {
        match self {
            Self::Anyone => "toll-anyone",
            Self::Master => "toll-master",
            Self::Key => "toll-key",
            Self::Budgets => "toll-budgets",
        }
    }

    fn budgets(self) -> Budgets {
        if self == Self::Budgets { Budgets::All } else { Budgets::None }
    }

    fn config(self, upstream_port: u16) -> String {
        if self != Self::Anyone {
            return people::config(upstream_port, self.budgets(), ("", ""));
        }
        let deployment = deployment(people::GROUP, "bench", 0, upstream_port, &[]);
        format!("model_list:\n{deployment}general_settings:\n  tollgate_database: \":memory:\"\n")
    }

    /// The key that they show.
    pub(crate) fn key(self) -> Option<String> {
        match self {
            Self::Anyone => None,
            Self::Master => Some(MASTER_KEY.to_owned()),
            Self::Key | Self::Budgets => Some(people::key(0)),
        }
    }
}

/// What the stages cost by themselves, microseconds of processor time.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Stages {
    /// To find out who calls.
    pub(crate) authenticate: f64,
    /// To let the request in.
    pub(crate) admit: f64,
    /// To hold what it may cost, to have that written, and to book what it did cost.
    pub(crate) settle: f64,
    /// All of it, on the thread that serves the request.
    pub(crate) whole: f64,
    /// The same on the journal's thread.
    pub(crate) journal: f64,
    /// The same on the database's.
    pub(crate) database: f64,
}

impl Stages {
    fn read(printed: &str, who: Who) -> Option<Self> {
        let figure = |what: &str| printed::figure(printed, &format!("toll {what}, {}: ", who.title()), " us");
        Some(Self {
            authenticate: figure("authenticate")?,
            admit: figure("admit")?,
            settle: figure("stake and settle")?,
            whole: figure("whole")?,
            journal: figure("journal")?,
            database: figure("database")?,
        })
    }
}

/// What a request costs, by who calls.
#[derive(Clone, Debug)]
pub(crate) struct TollRow {
    /// Who.
    pub(crate) who: Who,
    /// The stages; not told for those who need no key.
    pub(crate) stages: Option<Stages>,
    /// Microseconds of processor time of a plain request, one value a round.
    pub(crate) cpu_us: Vec<Threads>,
}

/// Times the stages, then the requests.
///
/// # Errors
/// When the test cannot be built, a gateway does not start, or an exchange fails.
pub(crate) async fn measure(
    place: (&Workspace, &Path),
    upstream_port: u16,
    rounds: usize,
    (warm, window): (Duration, Duration),
) -> Result<Vec<TollRow>, String> {
    let printed = printed::by_test(place.0, TEST)?;
    let mut gateways = Vec::new();
    for who in Who::ALL {
        gateways.push(who.start(place, upstream_port).await?);
    }
    let servers: Vec<_> = gateways.iter().map(|gateway| gateway.server.as_ref()).collect();
    let row = |who| TollRow { who, stages: Stages::read(&printed, who), cpu_us: vec![] };
    let mut rows = Who::ALL.map(row);
    for round in 1..=rounds {
        eprintln!("keys and budgets: round {round} of {rounds}");
        for (at, (gateway, row)) in gateways.iter().zip(&mut rows).enumerate() {
            let _paused = Paused::but(at, &servers);
            let target = gateway.chat_as(row.who.key().as_deref(), people::GROUP);
            let sample = || Threads::of(gateway.server.as_ref());
            let burst = load::saturate(&[target], CONNECTIONS, warm, window, sample)
                .await
                .map_err(|error| format!("{}: {error}", row.who.title()))?;
            row.cpu_us.push((burst.after - burst.before).per_request(burst.requests));
        }
    }
    Ok(rows.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_stages_are_read_by_who_calls() {
        let of = |who: &str| {
            ["authenticate", "admit", "stake and settle", "whole", "journal", "database"]
                .iter()
                .zip(1..)
                .map(|(what, figure)| format!("toll {what}, {who}: {figure}.50 us\n"))
                .collect::<String>()
        };
        let printed = format!("test of_a_request ... {}{}ok\n", of("master key"), of("a key"));
        let stages =
            Stages { authenticate: 1.5, admit: 2.5, settle: 3.5, whole: 4.5, journal: 5.5, database: 6.5 };
        assert_eq!(Stages::read(&printed, Who::Master), Some(stages));
        assert_eq!(Stages::read(&printed, Who::Anyone), None);
    }

    #[test]
    fn whoever_has_a_key_shows_it() {
        let shown = Who::ALL.map(|who| who.key().is_some());
        assert_eq!(shown, [false, true, true, true]);
    }
}
