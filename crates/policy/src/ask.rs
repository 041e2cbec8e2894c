//! What a request asks of the deployment that is to serve it.
//!
//! Owns the requirements and how they add up (request, key, team). Leaves to others: reading them from a request
//! (server), holding deployments against them ([`crate::choice`]). **Invariant:** adding requirements never admits a
//! deployment that one of them alone refuses.

use crate::choice::region;

/// What a deployment must fulfil. Hard: never relaxed, whatever stands in the way of the request.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Requirements {
    /// A region by name, or a family of them (`eu`, `us`); see [`region::admits`].
    pub region: Option<String>,
    /// Where data may be kept, by the same rule as `region`.
    pub data_residency: Option<String>,
    /// Nothing may be kept at all.
    pub zero_data_retention: bool,
    /// What the deployment must be able to do.
    pub capabilities: Vec<String>,
    /// The least quality, in `0..=1`.
    pub min_quality: Option<f64>,
    /// Two places were asked for that are not one within the other: nobody can serve that.
    pub is_contradictory: bool,
}

impl Requirements {
    /// Whether nothing is required.
    pub fn is_empty(&self) -> bool {
        self.region.is_none()
            && self.data_residency.is_none()
            && !self.zero_data_retention
            && self.capabilities.is_empty()
            && self.min_quality.is_none()
            && !self.is_contradictory
    }

    /// Both sets of requirements at once: the stricter of each.
    #[must_use]
    pub fn merge(&self, other: &Self) -> Self {
        let region = narrower(self.region.as_deref(), other.region.as_deref());
        let residency = narrower(self.data_residency.as_deref(), other.data_residency.as_deref());
        let mut capabilities = self.capabilities.clone();
        for wanted in &other.capabilities {
            if !capabilities.contains(wanted) {
                capabilities.push(wanted.clone());
            }
        }
        Self {
            is_contradictory: self.is_contradictory
                || other.is_contradictory
                || region.is_err()
                || residency.is_err(),
            region: region.unwrap_or_default(),
            data_residency: residency.unwrap_or_default(),
            zero_data_retention: self.zero_data_retention || other.zero_data_retention,
            capabilities,
            min_quality: match (self.min_quality, other.min_quality) {
                (Some(one), Some(two)) => Some(one.max(two)),
                (one, two) => one.or(two),
            },
        }
    }
}

/// Two places that exclude each other.
struct Apart;

/// The place that lies within both.
fn narrower(one: Option<&str>, two: Option<&str>) -> Result<Option<String>, Apart> {
    match (one, two) {
        (Some(one), Some(two)) if region::admits(one, two) => Ok(Some(two.to_owned())),
        (Some(one), Some(two)) if region::admits(two, one) => Ok(Some(one.to_owned())),
        (Some(_), Some(_)) => Err(Apart),
        (one, two) => Ok(one.or(two).map(str::to_owned)),
    }
}

/// What a request says of itself, in place of its group's strategy.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Leaning {
    /// Nothing: the group's strategy decides.
    #[default]
    None,
    /// `metadata.latency_sensitive`: the fastest.
    Latency,
    /// `metadata.cost_sensitive`: the cheapest.
    Cost,
}

/// One request, as far as the choice of its deployment goes.
#[derive(Debug, Clone, Copy)]
pub struct Ask<'a> {
    /// Tokens of the prompt, counted or estimated.
    pub prompt_tokens: u64,
    /// Whether they are counted well enough to refuse a deployment for its context window.
    pub is_counted: bool,
    /// Most tokens that the answer may have, where the request says so.
    pub output_tokens: Option<u64>,
    /// Whether the answer is to be streamed.
    pub is_stream: bool,
    /// Whether an attempt of this request has failed before: a retry is no probe while another deployment is up.
    pub is_retry: bool,
    /// Tags of the request, key and team; `!tag` excludes and `&tag` requires.
    pub tags: &'a [String],
    /// Those of the candidates' `tag_regex` patterns that match the request's headers; `None` where the request has no
    /// header that patterns are matched against.
    pub patterns: Option<&'a [String]>,
    /// What the deployment must fulfil.
    pub requirements: &'a Requirements,
    /// What consistent hashing goes by: the hash of a session, a user or a key.
    pub sticky_key: Option<u64>,
    /// The id of the deployment that holds this request's session or a warm cache of its prompt.
    pub affinity: Option<&'a str>,
    /// What the request says of itself.
    pub leaning: Leaning,
    /// Weights of this request by deployment id (LiteLLM's per-request `router_settings.weights`).
    pub weights: &'a [(String, f64)],
}

/// Answer tokens that are reckoned with where a request sets no maximum.
pub const OUTPUT_TOKENS_EXPECTED: u64 = 256;

impl<'a> Ask<'a> {
    /// A request that asks for nothing but an answer.
    pub fn new(requirements: &'a Requirements) -> Self {
        Self {
            prompt_tokens: 0,
            is_counted: false,
            output_tokens: None,
            is_stream: false,
            is_retry: false,
            tags: &[],
            patterns: None,
            requirements,
            sticky_key: None,
            affinity: None,
            leaning: Leaning::None,
            weights: &[],
        }
    }

    /// Answer tokens to reckon with.
    pub fn output_tokens_expected(&self) -> u64 {
        self.output_tokens.unwrap_or(OUTPUT_TOKENS_EXPECTED)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(region: Option<&str>) -> Requirements {
        Requirements { region: region.map(str::to_owned), ..Requirements::default() }
    }

    #[test]
    fn of_two_places_the_narrower_holds_and_two_that_lie_apart_admit_nobody() {
        let check = |one: Option<&str>, two: Option<&str>, expect: Result<Option<&str>, ()>| {
            for (one, two) in [(one, two), (two, one)] {
                let merged = at(one).merge(&at(two));
                assert_eq!(merged.is_contradictory, expect.is_err(), "{one:?} {two:?}");
                assert_eq!(merged.region.as_deref(), expect.unwrap_or(None), "{one:?} {two:?}");
            }
        };
        check(None, None, Ok(None));
        check(Some("eu"), None, Ok(Some("eu")));
        check(Some("eu"), Some("eu"), Ok(Some("eu")));
        check(Some("eu"), Some("westeurope"), Ok(Some("westeurope")));
        check(Some("eu"), Some("us"), Err(()));
        check(Some("eu-west-1"), Some("eu-central-1"), Err(()));
        check(Some("us"), Some("eu-west-1"), Err(()));
    }

    #[test]
    fn residency_merges_as_regions_do() {
        let kept_in =
            |place: &str| Requirements { data_residency: Some(place.to_owned()), ..Default::default() };
        assert_eq!(
            kept_in("eu").merge(&kept_in("swedencentral")).data_residency.as_deref(),
            Some("swedencentral")
        );
        assert!(kept_in("eu").merge(&kept_in("eastus")).is_contradictory);
    }

    #[test]
    fn a_contradiction_stays_one() {
        let apart = at(Some("eu")).merge(&at(Some("us")));
        assert!(apart.merge(&Requirements::default()).is_contradictory);
        assert!(Requirements::default().merge(&apart).is_contradictory);
        assert!(!apart.is_empty());
    }

    #[test]
    fn the_stricter_of_everything_else_holds() {
        let one = Requirements {
            zero_data_retention: true,
            capabilities: vec!["vision".into(), "tools".into()],
            min_quality: Some(0.5),
            ..Requirements::default()
        };
        let two = Requirements {
            capabilities: vec!["tools".into(), "audio".into()],
            min_quality: Some(0.8),
            ..Requirements::default()
        };
        for (merged, capabilities) in
            [(one.merge(&two), ["vision", "tools", "audio"]), (two.merge(&one), ["tools", "audio", "vision"])]
        {
            assert!(merged.zero_data_retention);
            assert_eq!(merged.min_quality, Some(0.8));
            assert_eq!(merged.capabilities, capabilities);
        }
        assert_eq!(one.merge(&Requirements::default()), one);
        assert!(Requirements::default().is_empty());
        assert!(!one.is_empty());
    }
}
