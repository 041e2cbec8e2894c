//! What operators and callers have written about where a request goes on.
//!
//! Owns the lists, and looking a group up in them. Leaves to others: reading them from a configuration (server).
//! **Invariant:** none of this changes while a request is under way.

use crate::choice::Nobody;
use crate::failure::FailureKind;
use std::time::Duration;

/// A group to go on to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// A model group, or the name of a list of tiers.
    pub group: String,
    /// Which request fields take the place of the caller's: a number that whoever made the target knows the meaning
    /// of. Targets of one group with different overrides are different targets.
    pub overrides: Option<usize>,
}

impl Target {
    /// A group, with the request as it is.
    pub fn new(group: impl Into<String>) -> Self {
        Self { group: group.into(), overrides: None }
    }

    /// Its parts.
    pub(super) fn parts(&self) -> (&str, Option<usize>) {
        (&self.group, self.overrides)
    }
}

/// Chains of groups by the group that they follow (a pattern with a star for several, `*` for all), in the order of the
/// file.
pub type Fallbacks = Vec<(String, Vec<Target>)>;

/// What brings an end to a request's attempts within a group.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Setback {
    /// The last attempt failed.
    Failed(FailureKind),
    /// Every deployment is paused or full, and waiting did not help.
    NoPlace,
    /// Every deployment is ejected or forced down, or the group has none.
    Down,
    /// The requirements or the tags of the request admit none of the deployments.
    NotAllowed,
}

impl From<FailureKind> for Setback {
    fn from(kind: FailureKind) -> Self {
        Self::Failed(kind)
    }
}

impl From<Nobody> for Setback {
    /// What stood in the way of a choice. Where all have failed the request, its last failure says more than this does.
    fn from(nobody: Nobody) -> Self {
        match nobody {
            Nobody::Paused { .. } | Nobody::Full(_) => Self::NoPlace,
            Nobody::Empty | Nobody::ForcedDown | Nobody::Ejected { .. } | Nobody::Failed => Self::Down,
            Nobody::NotAllowed(_) | Nobody::NoTags => Self::NotAllowed,
            Nobody::ContextWindow => Self::Failed(FailureKind::ContextWindow),
        }
    }
}

/// What moves a request on from a tier to the next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MovesOn {
    /// 429, and no place in time.
    pub rate_limit: bool,
    /// Whatever is wrong with the deployments or the way to them: 5xx, timeouts, resets, refused credentials, unknown
    /// models; and that all are ejected.
    pub server_error: bool,
    /// A prompt that does not fit.
    pub context_window: bool,
    /// An answer that does not do.
    pub quality: bool,
    /// The time that the tier has for its first token; when it is over, the request moves on.
    pub first_token: Option<Duration>,
}

impl Default for MovesOn {
    /// Where `move_on` is not written.
    fn default() -> Self {
        Self { rate_limit: true, server_error: true, context_window: true, quality: false, first_token: None }
    }
}

impl MovesOn {
    /// Whether the tier lets a request go on after `setback`. A request that the tier must not or cannot serve at all
    /// always goes on; a caller's own fault never does.
    pub fn by(self, setback: Setback) -> bool {
        let kind = match setback {
            Setback::NoPlace => return self.rate_limit,
            Setback::Down => return self.server_error,
            Setback::NotAllowed => return true,
            Setback::Failed(kind) => kind,
        };
        match kind {
            FailureKind::BadRequest | FailureKind::TooLarge | FailureKind::ContentPolicy => false,
            FailureKind::ContextWindow => self.context_window,
            FailureKind::RateLimit => self.rate_limit,
            FailureKind::Quality => self.quality,
            FailureKind::Timeout => self.server_error || self.first_token.is_some(),
            FailureKind::NotExpressible => true,
            FailureKind::Authentication
            | FailureKind::Permission
            | FailureKind::NotFound
            | FailureKind::Connection
            | FailureKind::Server
            | FailureKind::BadGateway
            | FailureKind::Unavailable => self.server_error,
        }
    }
}

/// One step of a list of tiers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tier {
    /// Its name.
    pub name: String,
    /// Its model group; `None` is the tier of canned answers.
    pub group: Option<String>,
    /// What moves a request on to the next.
    pub moves_on: MovesOn,
}

/// A list of tiers, the best first.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TierList {
    /// The name that callers may ask for; `None` where the list is reached by its groups alone.
    pub name: Option<String>,
    /// The tiers.
    pub tiers: Vec<Tier>,
}

/// LiteLLM's default of `max_fallbacks`.
pub const FALLBACKS_MAX_DEFAULT: u32 = 5;

/// Where requests go on, for all groups.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChainRules {
    /// After any failure that may be mended elsewhere. `default_fallbacks` are the entry `*`.
    pub fallbacks: Fallbacks,
    /// After a prompt that did not fit; empty is not configured, and then `fallbacks` serve.
    pub context_window_fallbacks: Fallbacks,
    /// After a refusal by a provider's policy; nothing else serves then.
    pub content_policy_fallbacks: Fallbacks,
    /// Most fallbacks of one request; tiers do not count.
    pub fallbacks_max: u32,
    /// All lists of tiers.
    pub tiers: Vec<TierList>,
}

impl Default for ChainRules {
    fn default() -> Self {
        Self {
            fallbacks: Vec::new(),
            context_window_fallbacks: Vec::new(),
            content_policy_fallbacks: Vec::new(),
            fallbacks_max: FALLBACKS_MAX_DEFAULT,
            tiers: Vec::new(),
        }
    }
}

/// A tier by its list and its place in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct TierPlace {
    /// Position in [`ChainRules::tiers`].
    pub list: usize,
    /// Position in the list.
    pub tier: usize,
}

impl ChainRules {
    /// Where a request for `name` enters the tiers: in the list of that name, at the group of that name or else at the
    /// first tier; where no list has the name, at the tier whose group it is.
    pub fn tier_for(&self, name: &str) -> Option<TierPlace> {
        let group_in =
            |list: &TierList| list.tiers.iter().position(|tier| tier.group.as_deref() == Some(name));
        let is_named = |list: &&TierList| list.name.as_deref() == Some(name) && !list.tiers.is_empty();
        let lists = || self.tiers.iter().enumerate();
        let named = lists().find(|(_, list)| is_named(list));
        named.map(|(list, tiers)| TierPlace { list, tier: group_in(tiers).unwrap_or(0) }).or_else(|| {
            lists().find_map(|(list, tiers)| group_in(tiers).map(|tier| TierPlace { list, tier }))
        })
    }

    /// The tier at a place.
    pub fn tier(&self, place: TierPlace) -> Option<&Tier> {
        self.tiers.get(place.list)?.tiers.get(place.tier)
    }
}

/// The chain for a group: by its name, by its name without the provider (`openai/gpt-4o` and an entry `gpt-4o`), by an
/// entry with a provider (`gpt-4o` and an entry `openai/gpt-4o`), by the longest pattern that it matches (`openai/*`), or
/// by `*`.
pub(super) fn find(fallbacks: &Fallbacks, group: &str) -> Option<usize> {
    let position = |is_wanted: &dyn Fn(&str) -> bool| fallbacks.iter().position(|(name, _)| is_wanted(name));
    let bare = group.split_once('/').map(|(_, bare)| bare);
    position(&|name| name == group)
        .or_else(|| bare.and_then(|bare| position(&|name| name == bare)))
        .or_else(|| {
            let is_prefixed = |name: &str| name.split_once('/').is_some_and(|(_, bare)| bare == group);
            position(&is_prefixed)
        })
        .or_else(|| longest_pattern(fallbacks, group))
        .or_else(|| position(&|name| name == "*"))
}

/// The entry whose pattern says most of `group`, the first of several. As in the name of a model group, one star stands
/// for a text that is not empty.
fn longest_pattern(fallbacks: &Fallbacks, group: &str) -> Option<usize> {
    let matching = fallbacks.iter().enumerate().filter_map(|(index, (name, _))| {
        let (before, after) = name.split_once('*')?;
        let star = group.strip_prefix(before)?.strip_suffix(after)?;
        (name != "*" && !star.is_empty()).then_some((name.len(), index))
    });
    matching.max_by_key(|&(length, index)| (length, std::cmp::Reverse(index))).map(|(_, index)| index)
}
