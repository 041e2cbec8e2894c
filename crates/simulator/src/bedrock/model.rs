//! What a model id of Bedrock stands for.
//!
//! Owns: the forms of an id (a foundation model, an inference profile, an ARN of either, an imported or provisioned
//! model) and what a family of models takes over Converse ("Supported models and model features"). Leaves to others: the
//! words of a refusal (`check`).
//!
//! **Invariant:** a model that is not known takes the most.

/// Prefixes of inference profiles that reach over regions.
const GEOGRAPHIES: [&str; 9] = ["us.", "eu.", "apac.", "global.", "jp.", "au.", "ca.", "us-gov.", "sa."];

/// The foundation model of an id, `anthropic.claude-sonnet-4-5-20250929-v1:0`; of an ARN that does not tell, its end.
pub(crate) fn foundation(id: &str) -> &str {
    let last = if id.starts_with("arn:") { id.rsplit('/').next().unwrap_or(id) } else { id };
    GEOGRAPHIES.iter().find_map(|prefix| last.strip_prefix(prefix)).unwrap_or(last)
}

/// The maker and the maker's own name of a model: `("anthropic", "claude-sonnet-4-5-20250929-v1:0")`.
pub(crate) fn maker(id: &str) -> (&str, &str) {
    let foundation = foundation(id);
    foundation.split_once('.').unwrap_or(("", foundation))
}

/// Whether an id is of a form that the service knows. Names that spell a behaviour may hold a `+` besides.
pub(super) fn is_id(id: &str) -> bool {
    let spelt = id.contains(crate::names::PREFIX);
    let good =
        |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | ':' | '_') || (spelt && c == '+');
    let body = if id.starts_with("arn:aws") {
        let mut parts = id.splitn(6, ':').skip(2);
        let service = parts.next().unwrap_or_default();
        let resource = parts.nth(2).unwrap_or_default();
        let Some((kind, name)) = resource.split_once('/') else { return false };
        let known = match service {
            "bedrock" => KINDS.contains(&kind),
            "sagemaker" => kind == "endpoint",
            _ => false,
        };
        if !known {
            return false;
        }
        name.replace('/', "-")
    } else {
        id.to_owned()
    };
    !body.is_empty() && id.len() <= 2_048 && body.chars().all(good)
}

/// What an ARN of Bedrock may name.
const KINDS: [&str; 9] = [
    "foundation-model",
    "inference-profile",
    "application-inference-profile",
    "custom-model",
    "custom-model-deployment",
    "imported-model",
    "provisioned-model",
    "prompt-router",
    "default-prompt-router",
];

/// What a family of models takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Features {
    pub(super) system: bool,
    pub(super) tools: bool,
    /// A choice of tools that forces one.
    pub(super) forced_tools: bool,
    pub(super) images: bool,
    pub(super) documents: bool,
    pub(super) cache: bool,
    pub(super) stop_sequences: usize,
}

const ALL: Features = Features {
    system: true,
    tools: true,
    forced_tools: true,
    images: true,
    documents: true,
    cache: true,
    stop_sequences: 2_500,
};

/// What a model of this id takes.
pub(super) fn features(id: &str) -> Features {
    let (maker, name) = maker(id);
    let chat = Features { cache: false, ..ALL };
    let begins = |prefixes: &[&str]| prefixes.iter().any(|prefix| name.starts_with(prefix));
    match maker {
        "amazon" if begins(&["titan-text"]) => {
            Features { system: false, tools: false, images: false, ..chat }
        }
        "amazon" if begins(&["nova-micro"]) => Features { images: false, documents: false, ..ALL },
        "amazon" | "anthropic" => ALL,
        "meta" if begins(&["llama2", "llama3-8b", "llama3-70b"]) => {
            Features { tools: false, images: false, ..chat }
        }
        "meta" => Features { forced_tools: false, ..chat },
        "mistral" if begins(&["mistral-7b", "mixtral"]) => {
            Features { system: false, tools: false, images: false, stop_sequences: 10, ..chat }
        }
        "mistral" => Features { stop_sequences: 10, ..chat },
        "cohere" if begins(&["command-r"]) => Features { forced_tools: false, images: false, ..chat },
        "cohere" => Features { system: false, tools: false, images: false, ..chat },
        "ai21" | "deepseek" | "openai" | "qwen" => Features { images: false, forced_tools: false, ..chat },
        _ => ALL,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_tells_the_maker_and_the_model() {
        for (id, expect) in [
            ("anthropic.claude-3-haiku-20240307-v1:0", ("anthropic", "claude-3-haiku-20240307-v1:0")),
            (
                "us.anthropic.claude-sonnet-4-5-20250929-v1:0",
                ("anthropic", "claude-sonnet-4-5-20250929-v1:0"),
            ),
            (
                "arn:aws:bedrock:us-east-1:123456789012:inference-profile/eu.amazon.nova-lite-v1:0",
                ("amazon", "nova-lite-v1:0"),
            ),
            ("arn:aws:bedrock:us-east-1::foundation-model/cohere.embed-v4:0", ("cohere", "embed-v4:0")),
            ("arn:aws:bedrock:us-east-1:1:application-inference-profile/a1b2", ("", "a1b2")),
            ("sim-tools", ("", "sim-tools")),
        ] {
            assert_eq!(maker(id), expect, "{id}");
        }
    }

    #[test]
    fn only_ids_of_a_known_form_are_ids() {
        for (id, expect) in [
            ("anthropic.claude-v2:1", true),
            ("sim-tokens-5+pace-1ms", true),
            ("arn:aws:bedrock:us-east-1:123456789012:imported-model/abc", true),
            ("arn:aws:sagemaker:us-east-1:123456789012:endpoint/e", true),
            ("arn:aws:s3:::bucket/key", false),
            ("arn:aws:bedrock:us-east-1:1:other/x", false),
            ("gpt/4", false),
            ("a b", false),
            ("a+b", false),
            ("", false),
        ] {
            assert_eq!(is_id(id), expect, "{id}");
        }
    }

    #[test]
    fn families_differ_in_what_they_take() {
        for (id, system, tools, forced, cache) in [
            ("anthropic.claude-sonnet-4-5-20250929-v1:0", true, true, true, true),
            ("amazon.titan-text-express-v1", false, false, true, false),
            ("us.meta.llama3-3-70b-instruct-v1:0", true, true, false, false),
            ("mistral.mistral-7b-instruct-v0:2", false, false, true, false),
            ("sim-x", true, true, true, true),
        ] {
            let found = features(id);
            assert_eq!(
                (found.system, found.tools, found.forced_tools, found.cache),
                (system, tools, forced, cache),
                "{id}"
            );
        }
    }
}
