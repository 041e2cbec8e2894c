//! What a model id of Bedrock stands for, and where the model is called.
//!
//! Owns the forms of an id and what a maker's models take over Converse (AWS's tables of supported models and features,
//! and the service model's remarks at each member). Leaves prefixes that only LiteLLM knows (`converse/`, `invoke/`,
//! `bedrock/`, a region) to whoever resolves the name. **Invariant:** an id that does not tell its maker (the ARN of a
//! provisioned or imported model) is taken for one of Anthropic's in what may be asked of it, and for none of them in
//! what its signatures are worth.

use crate::conversation::Issuer;
use crate::wire::EncodeError;

/// Prefixes of inference profiles, which reach over regions.
const GEOGRAPHIES: [&str; 10] =
    ["us.", "eu.", "apac.", "global.", "jp.", "au.", "ca.", "us-gov.", "sa.", "me."];

/// Longest model id that the service takes, in bytes.
const ID_BYTES_MAX: usize = 2_048;

/// Who made a model.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Maker {
    /// Claude.
    Anthropic,
    /// Nova and Titan.
    Amazon,
    /// Mistral's.
    Mistral,
    /// Command.
    Cohere,
    /// OpenAI's open models.
    OpenAi,
    /// Somebody whose models take no choice of tools (Meta, AI21, DeepSeek, Qwen, ...).
    Other,
    /// The id does not tell.
    Unknown,
}

/// How far the use of tools can be steered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Choices {
    /// Not at all.
    None,
    /// `auto` and `any`.
    Any,
    /// One tool by its name as well.
    Named,
}

/// Where prompt-cache marks may stand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct CachePlaces {
    /// After instructions and content.
    pub(super) content: bool,
    /// After tools, and with a time of an hour.
    pub(super) tools: bool,
}

/// A model, as its id tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Model<'i> {
    /// Who made it.
    pub(super) maker: Maker,
    /// The maker's own name for it: `claude-sonnet-4-5-20250929-v1:0`.
    pub(super) name: &'i str,
}

impl<'i> Model<'i> {
    /// Reads an id: a foundation model's, an inference profile's, or an ARN of anything.
    pub(super) fn of(id: &'i str) -> Self {
        let last = if id.starts_with("arn:") { id.rsplit('/').next().unwrap_or(id) } else { id };
        let foundation = GEOGRAPHIES.iter().find_map(|prefix| last.strip_prefix(prefix)).unwrap_or(last);
        let Some((maker, name)) = foundation.split_once('.') else {
            return Self { maker: Maker::Unknown, name: foundation };
        };
        let maker = match maker {
            "anthropic" => Maker::Anthropic,
            "amazon" => Maker::Amazon,
            "mistral" => Maker::Mistral,
            "cohere" => Maker::Cohere,
            "openai" => Maker::OpenAi,
            _ => Maker::Other,
        };
        Self { maker, name }
    }

    /// Who signs its reasoning.
    pub(super) fn issuer(self) -> Issuer {
        if self.maker == Maker::Anthropic { Issuer::Anthropic } else { Issuer::Amazon }
    }

    /// It takes Anthropic's own parameters.
    pub(super) fn is_anthropic(self) -> bool {
        matches!(self.maker, Maker::Anthropic | Maker::Unknown)
    }

    /// One of Amazon's Nova models.
    pub(super) fn is_nova(self) -> bool {
        self.maker == Maker::Amazon && self.name.starts_with("nova")
    }

    /// A Nova model that can reason (the second generation).
    pub(super) fn is_reasoning_nova(self) -> bool {
        self.maker == Maker::Amazon && self.name.starts_with("nova-2")
    }

    /// How its use of tools can be steered.
    pub(super) fn choices(self) -> Choices {
        match self.maker {
            Maker::Anthropic | Maker::Amazon | Maker::Unknown => Choices::Named,
            Maker::Mistral => Choices::Any,
            Maker::Cohere | Maker::OpenAi | Maker::Other => Choices::None,
        }
    }

    /// Where its prompt cache takes marks.
    pub(super) fn cache_places(self) -> CachePlaces {
        CachePlaces { content: self.is_anthropic() || self.is_nova(), tools: self.is_anthropic() }
    }
}

/// The path at which a model converses, below the runtime's base URL: `/model/{id}/converse`, or `converse-stream`.
///
/// The id is a foundation model's, an inference profile's (`us.anthropic...`) or an ARN, percent-encoded whole as AWS's
/// own clients do it (`:` as `%3A`, `/` as `%2F`); it has none of LiteLLM's prefixes any more.
///
/// # Errors
/// [`EncodeError::Invalid`] for an id that is empty or longer than 2,048 bytes.
pub fn call_path(model: &str, stream: bool) -> Result<String, EncodeError> {
    path(model, if stream { "converse-stream" } else { "converse" })
}

/// The path at which a model takes a body of its maker's own (embeddings).
///
/// # Errors
/// As [`call_path`].
pub fn invoke_path(model: &str) -> Result<String, EncodeError> {
    path(model, "invoke")
}

/// The path at which a model's tokens are counted.
///
/// # Errors
/// As [`call_path`].
pub fn count_path(model: &str) -> Result<String, EncodeError> {
    path(model, "count-tokens")
}

fn path(model: &str, action: &str) -> Result<String, EncodeError> {
    if model.is_empty() || model.len() > ID_BYTES_MAX {
        return Err(EncodeError::Invalid {
            param: "model".to_owned(),
            message: format!("must be a model id of 1 to {ID_BYTES_MAX} bytes"),
        });
    }
    let mut path = String::with_capacity(model.len() + 32);
    path.push_str("/model/");
    for byte in model.bytes() {
        // RFC 3986, section 2.3.
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~') {
            path.push(char::from(byte));
        } else {
            path.push_str(&format!("%{byte:02X}"));
        }
    }
    path.push('/');
    path.push_str(action);
    Ok(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_tells_the_maker_and_the_model() {
        let check =
            |id: &str, maker: Maker, name: &str| assert_eq!(Model::of(id), Model { maker, name }, "{id}");
        check("anthropic.claude-3-haiku-20240307-v1:0", Maker::Anthropic, "claude-3-haiku-20240307-v1:0");
        check("us.anthropic.claude-sonnet-4-6", Maker::Anthropic, "claude-sonnet-4-6");
        check("us-gov.anthropic.claude-v2:1", Maker::Anthropic, "claude-v2:1");
        check("amazon.nova-lite-v1:0", Maker::Amazon, "nova-lite-v1:0");
        check("mistral.mistral-large-2402-v1:0", Maker::Mistral, "mistral-large-2402-v1:0");
        check("eu.meta.llama3-2-1b-instruct-v1:0", Maker::Other, "llama3-2-1b-instruct-v1:0");
        check("openai.gpt-oss-120b-1:0", Maker::OpenAi, "gpt-oss-120b-1:0");
        let profile = "arn:aws:bedrock:us-east-1:123456789012:inference-profile/eu.amazon.nova-lite-v1:0";
        check(profile, Maker::Amazon, "nova-lite-v1:0");
        check("arn:aws:bedrock:us-east-1::foundation-model/cohere.embed-v4:0", Maker::Cohere, "embed-v4:0");
        check("arn:aws:bedrock:us-east-1:1:application-inference-profile/a1b2", Maker::Unknown, "a1b2");
    }

    #[test]
    fn paths_are_encoded_as_awss_clients_do_it() {
        let check = |id: &str, stream: bool, expect: &str| assert_eq!(call_path(id, stream).unwrap(), expect);
        check("amazon.nova-lite-v1:0", false, "/model/amazon.nova-lite-v1%3A0/converse");
        check("amazon.nova-lite-v1:0", true, "/model/amazon.nova-lite-v1%3A0/converse-stream");
        check(
            "arn:aws:bedrock:us-east-1:1:provisioned-model/a~b_c",
            false,
            "/model/arn%3Aaws%3Abedrock%3Aus-east-1%3A1%3Aprovisioned-model%2Fa~b_c/converse",
        );
        check("../../é?#", false, "/model/..%2F..%2F%C3%A9%3F%23/converse");
        assert_eq!(invoke_path("cohere.embed-v4:0").unwrap(), "/model/cohere.embed-v4%3A0/invoke");
        assert!(call_path("", false).is_err());
        assert!(call_path(&"x".repeat(2_049), false).is_err());
    }
}
