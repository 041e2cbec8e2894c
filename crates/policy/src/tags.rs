//! LiteLLM's choice by tags.
//!
//! A request's tags come in three kinds: `!tag` excludes the deployments that carry it, `&tag` keeps only those that
//! do, and a plain tag is matched (any of them, or all with [`TagRules::matches_any`] off). `tag_regex` matches the
//! request's headers. Where nothing matches, the pool of deployments tagged `default` serves, unless a plain tag is one
//! that some deployment of the group carries: then the caller meant that one. An untagged request goes to the default
//! pool where there is one, else to all.
//!
//! Leaves to others: matching patterns against headers ([`Ask::patterns`]), and stripping a routing prefix.
//! **Invariant:** an excluded tag never serves, and a required one always does.

use crate::ask::Ask;
use crate::profile::Profile;

/// The tag of the default pool.
pub const DEFAULT_TAG: &str = "default";

/// How tags are matched.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TagRules {
    /// One plain tag in common is enough (LiteLLM's `tag_filtering_match_any`, on by default); else all are needed.
    pub matches_any: bool,
}

impl Default for TagRules {
    fn default() -> Self {
        Self { matches_any: true }
    }
}

/// Who serves, given what the group has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Pool {
    /// Those that match.
    Matching,
    /// Those tagged `default`.
    Default,
    /// All.
    All,
    /// Nobody.
    None,
}

/// The tags of one request, held against one group.
#[derive(Debug)]
pub(crate) struct TagFilter<'a> {
    rules: TagRules,
    tags: &'a [String],
    patterns: Option<&'a [String]>,
    /// Whether there is any tag that excludes or requires.
    has_bounds: bool,
    has_plain: bool,
    pool: Pool,
}

/// A request's tag by its kind; a lone marker is none.
enum Tag<'a> {
    Excluded(&'a str),
    Required(&'a str),
    Plain(&'a str),
    Empty,
}

impl<'a> Tag<'a> {
    fn read(tag: &'a str) -> Self {
        match (tag.strip_prefix('!'), tag.strip_prefix('&')) {
            (Some(""), _) | (_, Some("")) => Self::Empty,
            (Some(tag), _) => Self::Excluded(tag),
            (_, Some(tag)) => Self::Required(tag),
            _ => Self::Plain(tag),
        }
    }
}

fn carries(profile: &Profile, tag: &str) -> bool {
    profile.tags.iter().any(|carried| carried == tag)
}

impl<'a> TagFilter<'a> {
    /// The filter for a request among the deployments of `pool`; `None` where it leaves out nobody.
    pub(crate) fn new<'p>(
        rules: TagRules,
        ask: &Ask<'a>,
        pool: &(impl Iterator<Item = &'p Profile> + Clone),
    ) -> Option<Self> {
        let has = |is_wanted: fn(Tag<'_>) -> bool| ask.tags.iter().any(|tag| is_wanted(Tag::read(tag)));
        let mut filter = Self {
            rules,
            tags: ask.tags,
            patterns: ask.patterns,
            has_bounds: has(|tag| matches!(tag, Tag::Excluded(_) | Tag::Required(_))),
            has_plain: has(|tag| matches!(tag, Tag::Plain(_))),
            pool: Pool::All,
        };
        filter.pool = filter.pool_among(pool);
        let leaves_out_nobody = filter.pool == Pool::All && !filter.has_bounds;
        (!leaves_out_nobody).then_some(filter)
    }

    /// Whether a deployment may serve the request.
    pub(crate) fn admits(&self, profile: &Profile) -> bool {
        self.is_within_bounds(profile)
            && match self.pool {
                Pool::Matching => self.matches(profile),
                Pool::Default => carries(profile, DEFAULT_TAG),
                Pool::All => true,
                Pool::None => false,
            }
    }

    fn pool_among<'p>(&self, pool: &(impl Iterator<Item = &'p Profile> + Clone)) -> Pool {
        let bounded = pool.clone().filter(|profile| self.is_within_bounds(profile));
        let requires = self.tags.iter().any(|tag| matches!(Tag::read(tag), Tag::Required(_)));
        let has_patterns = || bounded.clone().any(|profile| !profile.tag_regex.is_empty());
        let is_matched = self.has_plain || (self.patterns.is_some() && !requires && has_patterns());
        let is_default = |profile: &Profile| carries(profile, DEFAULT_TAG);
        if !is_matched {
            // Required tags name their deployments, default or not; what is only excluded is excluded from the
            // default pool.
            let is_from_all = requires || !pool.clone().any(is_default);
            return if is_from_all { Pool::All } else { Pool::Default };
        }
        if bounded.clone().any(|profile| self.matches(profile)) {
            return Pool::Matching;
        }
        let is_known = self
            .plain_tags()
            .any(|tag| pool.clone().any(|profile| profile.tags.iter().any(|known| known == tag)));
        if !is_known && bounded.clone().any(is_default) { Pool::Default } else { Pool::None }
    }

    fn plain_tags(&self) -> impl Iterator<Item = &'a str> {
        self.tags.iter().filter_map(|tag| match Tag::read(tag) {
            Tag::Plain(tag) => Some(tag),
            _ => None,
        })
    }

    fn is_within_bounds(&self, profile: &Profile) -> bool {
        let mut tags = self.tags.iter();
        !self.has_bounds
            || tags.all(|tag| match Tag::read(tag) {
                Tag::Excluded(tag) => !carries(profile, tag),
                Tag::Required(tag) => carries(profile, tag),
                Tag::Plain(_) | Tag::Empty => true,
            })
    }

    fn matches(&self, profile: &Profile) -> bool {
        let mut plain = self.plain_tags();
        let matches_tags = self.has_plain
            && if self.rules.matches_any {
                plain.any(|tag| carries(profile, tag))
            } else {
                plain.all(|tag| carries(profile, tag))
            };
        // With all tags needed, a pattern does not help past tags that the deployment has.
        let is_strict = !self.rules.matches_any && !profile.tags.is_empty();
        let matches_header = || {
            self.patterns
                .is_some_and(|patterns| profile.tag_regex.iter().any(|pattern| patterns.contains(pattern)))
        };
        matches_tags || (!is_strict && matches_header())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ask::Requirements;
    use crate::choice::testing::texts;

    /// Deployments by their tags, a request's tags, and who of them serves; written with blanks.
    fn check_with(rules: TagRules, deployments: &[&str], tags: &str, expect: &[usize]) {
        let profiles: Vec<Profile> = deployments
            .iter()
            .map(|tags| {
                let (patterns, tags): (Vec<&str>, Vec<&str>) =
                    tags.split_whitespace().partition(|tag| tag.starts_with('^'));
                Profile { tags: texts(&tags), tag_regex: texts(&patterns), ..Profile::default() }
            })
            .collect();
        // Patterns among the request's tags are those that match its headers; `-` is a request without the header.
        let (patterns, tags): (Vec<&str>, Vec<&str>) =
            tags.split_whitespace().partition(|tag| tag.starts_with('^'));
        let has_header = !tags.contains(&"-");
        let (patterns, tags) = (texts(&patterns), texts(&tags));
        let tags: Vec<String> = tags.into_iter().filter(|tag| tag != "-").collect();
        let requirements = Requirements::default();
        let mut ask = Ask::new(&requirements);
        ask.tags = &tags;
        ask.patterns = has_header.then_some(patterns.as_slice());
        let filter = TagFilter::new(rules, &ask, &profiles.iter());
        let serving: Vec<usize> = (0..profiles.len())
            .filter(|&index| filter.as_ref().is_none_or(|filter| filter.admits(&profiles[index])))
            .collect();
        assert_eq!(serving, expect, "{tags:?} {patterns:?} among {deployments:?}");
    }

    fn check(deployments: &[&str], tags: &str, expect: &[usize]) {
        check_with(TagRules::default(), deployments, tags, expect);
    }

    fn check_all(deployments: &[&str], tags: &str, expect: &[usize]) {
        check_with(TagRules { matches_any: false }, deployments, tags, expect);
    }

    #[test]
    fn an_untagged_request_goes_to_the_default_pool_where_there_is_one() {
        check(&["free", "paid", ""], "", &[0, 1, 2]);
        check(&["free", "paid default", "default"], "", &[1, 2]);
        check(&["free"], "!", &[0]);
    }

    #[test]
    fn any_tag_in_common_is_enough_unless_all_are_asked_for() {
        let deployments = ["free", "paid", "free teamA", ""];
        check(&deployments, "free", &[0, 2]);
        check(&deployments, "free paid", &[0, 1, 2]);
        check(&deployments, "teamA nothing", &[2]);
        check_all(&deployments, "free", &[0, 2]);
        check_all(&deployments, "free teamA", &[2]);
        check_all(&deployments, "free paid", &[]);
    }

    #[test]
    fn a_tag_that_nobody_has_goes_to_the_default_pool_or_nowhere() {
        check(&["free", "default"], "gold", &[1]);
        check(&["free", "paid"], "gold", &[]);
        check(&["", ""], "gold", &[]);
        check(&["free", "default"], "default", &[1]);
    }

    #[test]
    fn a_tag_that_somebody_has_does_not_end_in_the_default_pool() {
        check_all(&["free", "paid", "default"], "free paid", &[]);
        check(&["free", "default"], "free !free", &[]);
        check_all(&["free", "paid", "default"], "gold silver", &[2]);
    }

    #[test]
    fn an_excluded_tag_never_serves() {
        check(&["free", "paid", ""], "!free", &[1, 2]);
        check(&["free", "paid"], "!free !paid", &[]);
        check(&["default free", "default", "paid"], "!free", &[1]);
        check(&["default free", "paid"], "!free", &[]);
        check(&["free eu", "free us", "eu"], "free !us", &[0]);
    }

    #[test]
    fn a_required_tag_serves_alone_default_or_not() {
        check(&["eu", "us", "eu default", "default"], "&eu", &[0, 2]);
        check(&["eu gpu", "eu", "gpu"], "&eu &gpu", &[0]);
        check(&["eu", "default"], "&mars", &[]);
        check(&["eu free", "eu", "free"], "&eu free", &[0]);
        check(&["eu gpu", "eu"], "&eu !gpu", &[1]);
        check(&["eu default", "us default", "paid"], "&eu gold", &[0]);
    }

    #[test]
    fn a_pattern_that_matches_the_header_counts_as_a_tag() {
        let deployments = ["^claude", "^cursor", "paid", "default"];
        check(&deployments, "^claude", &[0]);
        check(&deployments, "^claude ^cursor", &[0, 1]);
        check(&deployments, "^claude paid", &[0, 2]);
        check(&deployments, "", &[3]);
        check(&deployments, "-", &[3]);
        check(&["^claude", "paid"], "", &[]);
        check(&["^claude", "paid"], "-", &[0, 1]);
        check(&["^claude eu", "eu"], "&eu", &[0, 1]);
        check(&["^claude eu", "eu"], "&eu ^claude", &[0, 1]);
        check(&["^claude eu", "eu"], "!eu ^claude", &[]);
    }

    #[test]
    fn with_all_tags_needed_a_pattern_does_not_help_past_tags() {
        check_all(&["^claude paid", "^claude"], "^claude", &[1]);
        check_all(&["^claude paid", "^claude"], "paid ^claude", &[0, 1]);
        check_all(&["^claude paid", "^claude"], "paid gold ^claude", &[1]);
        check(&["^claude paid", "^claude"], "^claude", &[0, 1]);
    }
}
