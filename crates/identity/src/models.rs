//! The list of models that someone may use: names, patterns, and LiteLLM's words for all or none of them.

/// Everything (LiteLLM's word).
const ALL: &str = "all-proxy-models";
/// What the team has (LiteLLM's word).
const TEAMS: &str = "all-team-models";
/// Nothing that is not given otherwise (LiteLLM's word).
const NONE: &str = "no-default-models";

/// A list of models.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Models(Box<[Box<str>]>);

impl Models {
    /// The models of these names. No names are all models.
    pub fn new<'a>(names: impl IntoIterator<Item = &'a str>) -> Self {
        Self(names.into_iter().map(Into::into).collect())
    }

    /// The names as they were given.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(AsRef::as_ref)
    }

    /// Whether it says anything: an empty list does not.
    pub fn is_unlimited(&self) -> bool {
        self.0.is_empty() || self.names().any(|name| name == ALL || name == "*")
    }

    /// Whether the model may be used. `names` are those that it has: its own, its group's, its access groups'.
    pub fn allow<'a>(&self, mut names: impl Iterator<Item = &'a str>) -> bool {
        self.is_unlimited() || names.any(|name| self.names().any(|allowed| covers(allowed, name)))
    }

    /// Whether everything that this list allows, `other` allows too, as far as the names say it: the rule for children.
    pub fn are_within(&self, other: &Models) -> bool {
        if other.is_unlimited() {
            return true;
        }
        // A child that lists nothing is held to its parent's list when it is used.
        self.names().all(|name| {
            matches!(name, TEAMS | NONE)
                || (name != ALL && other.names().any(|allowed| covers(allowed, name)))
        })
    }
}

/// Whether a name in a list stands for a model: itself, or a pattern with stars.
fn covers(allowed: &str, name: &str) -> bool {
    if matches!(allowed, TEAMS) {
        // The team's own list is asked beside this one.
        return true;
    }
    match allowed.split_once('*') {
        None => allowed == name,
        Some((before, after)) => {
            let Some(rest) = name.strip_prefix(before) else { return false };
            if after.is_empty() {
                return true;
            }
            (0..=rest.len()).filter(|at| rest.is_char_boundary(*at)).any(|at| {
                rest.get(at..)
                    .is_some_and(|rest| covers(after, rest) && (after.contains('*') || rest == after))
            })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(list: &[&str], name: &str, is_allowed: bool) {
        assert_eq!(
            Models::new(list.iter().copied()).allow([name].into_iter()),
            is_allowed,
            "{list:?} {name}"
        );
    }

    #[test]
    fn a_list_allows_its_names_and_patterns_and_an_empty_one_everything() {
        check(&[], "gpt-4o", true);
        check(&["gpt-4o"], "gpt-4o", true);
        check(&["gpt-4o"], "gpt-4o-mini", false);
        check(&["openai/*"], "openai/gpt-4o", true);
        check(&["openai/*"], "anthropic/claude", false);
        check(&["*-mini"], "gpt-4o-mini", true);
        check(&["*-mini"], "gpt-4o-minimal", false);
        check(&["a*b*c"], "axxbyyc", true);
        check(&["a*b*c"], "axxbyy", false);
        check(&["all-proxy-models"], "anything", true);
        check(&["all-team-models"], "anything", true);
        check(&["no-default-models"], "anything", false);
        check(&["*"], "anything", true);
    }

    #[test]
    fn a_childs_list_lies_within_its_parents() {
        let within = |child: &[&str], parent: &[&str]| {
            Models::new(child.iter().copied()).are_within(&Models::new(parent.iter().copied()))
        };
        assert!(within(&["a"], &[]));
        assert!(within(&[], &["a"]));
        assert!(within(&["a"], &["a", "b"]));
        assert!(!within(&["a", "c"], &["a", "b"]));
        assert!(within(&["openai/gpt-4o"], &["openai/*"]));
        assert!(within(&["openai/*"], &["openai/*"]));
        assert!(!within(&["*"], &["openai/*"]));
        assert!(!within(&["all-proxy-models"], &["a"]));
        assert!(within(&["all-team-models"], &["a"]));
    }
}
