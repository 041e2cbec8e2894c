//! Why a deployment was passed over, why one was chosen, and what stands in the way where none was.
//!
//! Owns the words and sentences of the candidate table. Leaves to others: finding the reasons (`filter`).
//! **Invariant:** reasons are small and copied; names appear by their place in the request's requirements.

use crate::ask::Requirements;
use crate::clock::Moment;
use crate::limits::{Full, LimitKind};

/// Why a deployment was passed over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reason {
    /// The configuration blocks it.
    Blocked,
    /// An operator forced it down.
    ForcedDown,
    /// An operator is draining it: it goes on with what it holds, and with nothing else.
    Draining,
    /// The request's requirements exclude each other.
    Contradiction,
    /// It is not in the region that is required, or does not say.
    Region,
    /// Its data is not kept where it is required, or it does not say.
    DataResidency,
    /// It keeps data, or does not say that it keeps none.
    DataRetention,
    /// It lacks the capability at this position of the requirements.
    Capability(u16),
    /// It is not as good as is required, or does not say.
    Quality,
    /// Its tags are not what the request asks for.
    Tags,
    /// The prompt does not fit.
    ContextWindow,
    /// It has failed this request already.
    Failed,
    /// It asked for a pause, or its credential did.
    Paused {
        /// The pause's end.
        until: Moment,
    },
    /// It is ejected for its failures, or its credential is benched.
    Ejected {
        /// When it may be probed.
        until: Moment,
    },
    /// It is being probed, by one request at a time.
    ProbeUnderWay,
    /// It waits to be probed, and a retry is no probe while another deployment is up.
    NotForRetries,
    /// One of its own limits is reached.
    Full(Full),
    /// Another with a lower `order` has room.
    Order,
}

impl Reason {
    /// One word for logs, metrics and tables.
    pub fn word(self) -> &'static str {
        match self {
            Self::Blocked => "blocked",
            Self::ForcedDown => "forced_down",
            Self::Draining => "draining",
            Self::Contradiction => "contradiction",
            Self::Region => "region",
            Self::DataResidency => "data_residency",
            Self::DataRetention => "data_retention",
            Self::Capability(_) => "capability",
            Self::Quality => "quality",
            Self::Tags => "tags",
            Self::ContextWindow => "context_window",
            Self::Failed => "failed_before",
            Self::Paused { .. } => "paused",
            Self::Ejected { .. } => "ejected",
            Self::ProbeUnderWay => "probe_under_way",
            Self::NotForRetries => "half_open",
            Self::Full(full) => full.by.word(),
            Self::Order => "order",
        }
    }

    /// A sentence for people. `requirements` are those of the request; `now` is what times are counted from.
    pub fn sentence(self, requirements: &Requirements, now: Moment) -> String {
        let wanted = |what: &Option<String>| what.clone().unwrap_or_default();
        let seconds = |until: Moment| now.until(until).as_secs_f64();
        match self {
            Self::Blocked => "the configuration blocks it".to_owned(),
            Self::ForcedDown => "an operator forced it down".to_owned(),
            Self::Draining => "an operator is draining it".to_owned(),
            Self::Contradiction => "the requirements of the request exclude each other".to_owned(),
            Self::Region => format!("it does not declare a region within {}", wanted(&requirements.region)),
            Self::DataResidency => {
                format!("it does not declare that data stays in {}", wanted(&requirements.data_residency))
            }
            Self::DataRetention => "it does not declare zero data retention".to_owned(),
            Self::Capability(position) => {
                let name = requirements.capabilities.get(usize::from(position));
                format!("it lacks the capability {}", name.map_or("asked for", String::as_str))
            }
            Self::Quality => {
                format!("it does not declare a quality of {}", requirements.min_quality.unwrap_or_default())
            }
            Self::Tags => "its tags are not what the request asks for".to_owned(),
            Self::ContextWindow => "the prompt does not fit into its context window".to_owned(),
            Self::Failed => "it has failed this request already".to_owned(),
            Self::Paused { until } => format!("it is paused for another {:.1} s", seconds(until)),
            Self::Ejected { until } => {
                format!("it is ejected for its failures for another {:.1} s", seconds(until))
            }
            Self::ProbeUnderWay => "it is being probed, by one request at a time".to_owned(),
            Self::NotForRetries => "it waits to be probed, and a retry is no probe".to_owned(),
            Self::Full(full) => match full.free_at {
                Some(at) => format!("its {} is used up for another {:.1} s", self.word(), seconds(at)),
                None if full.by == LimitKind::Parallel => "all its parallel places are taken".to_owned(),
                None if full.by == LimitKind::Tokens => {
                    "its tpm has nothing left, unless requests under way give some back".to_owned()
                }
                None => format!("its {} lets nothing through", self.word()),
            },
            Self::Order => "another one with a lower order has room".to_owned(),
        }
    }

    /// How near a deployment came to being chosen: what is passed over last stands most usefully in the way.
    pub(crate) fn nearness(self) -> u8 {
        match self {
            Self::Blocked | Self::ForcedDown | Self::Draining => 0,
            Self::Contradiction
            | Self::Region
            | Self::DataResidency
            | Self::DataRetention
            | Self::Capability(_)
            | Self::Quality => 1,
            Self::Tags => 2,
            Self::ContextWindow => 3,
            Self::Ejected { .. } | Self::ProbeUnderWay => 4,
            Self::Paused { .. } => 5,
            Self::Failed => 6,
            Self::Full(_) => 7,
            Self::NotForRetries | Self::Order => 8,
        }
    }

    /// When it will be no more; the end of time where that is not known.
    pub(crate) fn ends(self) -> Moment {
        match self {
            Self::Paused { until } | Self::Ejected { until } => until,
            Self::Full(full) => full.free_at.unwrap_or(Moment::from_micros(u64::MAX)),
            _ => Moment::from_micros(u64::MAX),
        }
    }
}

/// Why a deployment was chosen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Why {
    /// No other was left.
    Only,
    /// By its part in a random choice.
    Weight,
    /// It was its turn.
    RoundRobin,
    /// It has the fewest requests in flight.
    LeastBusy,
    /// It is among the fastest, or has not been tried yet.
    Latency,
    /// It has used least of what it may.
    Usage,
    /// It is the cheapest for this request.
    Cost,
    /// The request's key leads to it.
    Hash,
    /// It holds the request's session or the cache of its prompt.
    Affinity,
    /// All are ejected, and this one is the least bad.
    LeastBad,
    /// It is back from an ejection and gets one request to show it.
    Probe,
}

impl Why {
    /// Whether the strategy decided, and not a rule that goes before it.
    pub(crate) fn is_strategy(self) -> bool {
        match self {
            Self::Weight
            | Self::RoundRobin
            | Self::LeastBusy
            | Self::Latency
            | Self::Usage
            | Self::Cost
            | Self::Hash => true,
            Self::Only | Self::Affinity | Self::LeastBad | Self::Probe => false,
        }
    }

    /// One word for headers, logs, metrics and tables.
    pub fn word(self) -> &'static str {
        match self {
            Self::Only => "only",
            Self::Weight => "weight",
            Self::RoundRobin => "round-robin",
            Self::LeastBusy => "least-busy",
            Self::Latency => "latency",
            Self::Usage => "usage",
            Self::Cost => "cost",
            Self::Hash => "hash",
            Self::Affinity => "affinity",
            Self::LeastBad => "least-bad",
            Self::Probe => "probe",
        }
    }
}

/// What stands in the way where no deployment can be had: of all the reasons, the one that is most use to know.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Nobody {
    /// The group has no deployments.
    Empty,
    /// Operators have taken all of them out.
    ForcedDown,
    /// The requirements admit none of them; the reason is that of the first one.
    NotAllowed(Reason),
    /// No tag matches, and there is no default pool (LiteLLM's 401).
    NoTags,
    /// The prompt fits into none.
    ContextWindow,
    /// All that are left are ejected, and one that is up has failed this request.
    Ejected {
        /// When the first may be probed.
        until: Moment,
    },
    /// All that are left are paused.
    Paused {
        /// When the first pause ends.
        until: Moment,
    },
    /// All that are left have failed this request.
    Failed,
    /// All that are left are full: waiting may help.
    Full(Full),
}

impl Nobody {
    pub(crate) fn from_reason(reason: Option<Reason>) -> Self {
        match reason {
            None => Self::Empty,
            Some(reason) => match reason {
                Reason::Blocked | Reason::ForcedDown | Reason::Draining => Self::ForcedDown,
                Reason::Contradiction
                | Reason::Region
                | Reason::DataResidency
                | Reason::DataRetention
                | Reason::Capability(_)
                | Reason::Quality => Self::NotAllowed(reason),
                Reason::Tags => Self::NoTags,
                Reason::ContextWindow => Self::ContextWindow,
                Reason::Ejected { until } => Self::Ejected { until },
                Reason::ProbeUnderWay => Self::Ejected { until: Moment::ZERO },
                Reason::Paused { until } => Self::Paused { until },
                // The last two say that another one was eligible, which then was chosen.
                Reason::Failed | Reason::NotForRetries | Reason::Order => Self::Failed,
                Reason::Full(full) => Self::Full(full),
            },
        }
    }

    /// One word for logs, metrics and tables.
    pub fn word(self) -> &'static str {
        match self {
            Self::Empty => "empty",
            Self::ForcedDown => "forced_down",
            Self::NotAllowed(_) => "not_allowed",
            Self::NoTags => "no_tags",
            Self::ContextWindow => "context_window",
            Self::Ejected { .. } => "ejected",
            Self::Paused { .. } => "paused",
            Self::Failed => "failed_before",
            Self::Full(_) => "full",
        }
    }

    /// When asking again may help; `None` where time alone does not.
    pub fn until(self) -> Option<Moment> {
        match self {
            Self::Paused { until } | Self::Ejected { until } => Some(until),
            Self::Full(full) => full.free_at,
            _ => None,
        }
    }
}
