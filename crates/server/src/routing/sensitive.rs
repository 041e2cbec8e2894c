//! `tollgate_settings.sensitive`: requests with certain tags stay where their data may be.
//!
//! Owns which rules a request falls under. Leaves holding deployments against them to `policy`. **Invariant:** a rule only
//! adds to what a request requires. **Invariant:** in doubt a request falls under a rule: case, the mark of a required tag
//! (`&pii`) and the prefix of routing tags make no difference.

use tollgate_config::{Config, SensitiveRule};
use tollgate_policy::ask::Requirements;

/// The rules of a configuration.
#[derive(Debug, Default)]
pub(crate) struct Sensitive {
    rules: Vec<(Vec<String>, Requirements)>,
    prefix: String,
}

impl Sensitive {
    /// From the configuration.
    pub(crate) fn of(config: &Config) -> Self {
        let rule = |rule: &SensitiveRule| {
            let requirements = Requirements {
                region: rule.region.clone(),
                data_residency: rule.data_residency.clone(),
                zero_data_retention: rule.zero_data_retention,
                ..Requirements::default()
            };
            (rule.tags.iter().map(|tag| folded(tag)).collect(), requirements)
        };
        Self {
            rules: config.tollgate.sensitive.iter().map(rule).collect(),
            prefix: folded(&config.router.tag_routing_prefix),
        }
    }

    /// What a request requires that has these tags and asks for this itself.
    pub(crate) fn requirements(&self, own: &Requirements, tags: &[String]) -> Requirements {
        if self.rules.is_empty() || tags.is_empty() {
            return own.clone();
        }
        let tags: Vec<String> = tags.iter().map(|tag| folded(tag)).collect();
        let has = |wanted: &String| {
            tags.iter().any(|tag| {
                let plain = tag.strip_prefix('&').unwrap_or(tag).trim_start();
                plain == wanted || plain.strip_prefix(self.prefix.as_str()) == Some(wanted)
            })
        };
        let rules = self.rules.iter().filter(|(marks, _)| marks.iter().any(has));
        rules.fold(own.clone(), |all, (_, requirements)| all.merge(requirements))
    }
}

fn folded(tag: &str) -> String {
    tag.trim().to_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(region: &str) -> Requirements {
        Requirements { region: Some(region.to_owned()), ..Requirements::default() }
    }

    #[test]
    fn a_request_falls_under_every_rule_whose_tag_it_has_however_it_is_written() {
        let sensitive = Sensitive {
            rules: vec![
                (vec!["pii".into(), "client data".into()], at("eu")),
                (vec!["hr".into()], Requirements { zero_data_retention: true, ..Requirements::default() }),
            ],
            prefix: "route:".into(),
        };
        let check = |tags: &[&str], (region, retention): (Option<&str>, bool)| {
            let tags: Vec<String> = tags.iter().map(|tag| (*tag).to_owned()).collect();
            let found = sensitive.requirements(&Requirements::default(), &tags);
            assert_eq!((found.region.as_deref(), found.zero_data_retention), (region, retention), "{tags:?}");
        };
        check(&[], (None, false));
        check(&["other", "pi", "!pii"], (None, false));
        check(&["pii"], (Some("eu"), false));
        check(&["x", "PII "], (Some("eu"), false));
        check(&["&pii"], (Some("eu"), false));
        check(&["route:pii"], (Some("eu"), false));
        check(&["Client Data", "hr"], (Some("eu"), true));
        let tags = ["pii".to_owned()];
        assert_eq!(sensitive.requirements(&at("westeurope"), &tags).region.as_deref(), Some("westeurope"));
        assert!(sensitive.requirements(&at("us"), &tags).is_contradictory);
    }
}
