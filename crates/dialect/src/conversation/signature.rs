//! Proof by which a model's maker knows its own reasoning again, and how it travels through a dialect of another maker.
//!
//! A signature means something to its issuer alone; sent to another one it is an error there. So a signature that
//! leaves in a dialect that is not its issuer's carries its issuer's name, and comes back with it.
//! **Invariant:** `Signature::read(&signature.written(home), home) == signature`, whatever the home.

use std::borrow::Cow;

/// What stands before a signature that is not in its issuer's own dialect: this, the issuer's word, a dot.
const MARK: &str = "tollgate.";

/// Who issued a signature. Anthropic's hold on every cloud that serves its models.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Issuer {
    /// Anthropic's models, also on Bedrock and Vertex.
    Anthropic,
    /// Google's thought signatures.
    Google,
    /// OpenAI's encrypted reasoning: the item's id, a dot, `encrypted_content`.
    OpenAi,
    /// Amazon's own models on Bedrock.
    Amazon,
}

impl Issuer {
    const ALL: [(Self, &'static str); 4] = [
        (Self::Anthropic, "anthropic"),
        (Self::Google, "google"),
        (Self::OpenAi, "openai"),
        (Self::Amazon, "amazon"),
    ];

    fn word(self) -> &'static str {
        Self::ALL.iter().find(|(issuer, _)| *issuer == self).map_or("", |(_, word)| word)
    }
}

/// A signature, or reasoning that only its issuer can read.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Signature {
    /// Who made it and alone understands it.
    pub issuer: Issuer,
    /// Its opaque text, letter by letter as the issuer wrote it.
    pub text: String,
}

impl Signature {
    /// A signature as its issuer wrote it.
    pub fn new(issuer: Issuer, text: impl Into<String>) -> Self {
        Self { issuer, text: text.into() }
    }

    /// The text for a dialect whose own signatures `home` issues.
    pub fn written(&self, home: Issuer) -> Cow<'_, str> {
        if self.issuer == home && !self.text.starts_with(MARK) {
            return Cow::Borrowed(&self.text);
        }
        Cow::Owned(format!("{MARK}{}.{}", self.issuer.word(), self.text))
    }

    /// What [`Self::written`] wrote; an unmarked text is of `home` itself.
    pub fn read(text: &str, home: Issuer) -> Self {
        let marked =
            text.strip_prefix(MARK).and_then(|rest| rest.split_once('.')).and_then(|(word, text)| {
                let (issuer, _) = Issuer::ALL.iter().find(|(_, known)| *known == word)?;
                Some(Self::new(*issuer, text))
            });
        marked.unwrap_or_else(|| Self::new(home, text))
    }

    /// The text, if `issuer` made it.
    pub fn of(&self, issuer: Issuer) -> Option<&str> {
        (self.issuer == issuer).then_some(self.text.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signature_comes_back_from_any_dialect_as_it_left() {
        for (issuer, _) in Issuer::ALL {
            for (home, _) in Issuer::ALL {
                for text in ["", "abc==", "rs_1.gAAA.x", "tollgate.google.fake", "tollgate."] {
                    let signature = Signature::new(issuer, text);
                    assert_eq!(Signature::read(&signature.written(home), home), signature, "{home:?}");
                }
            }
        }
    }

    #[test]
    fn at_home_it_is_written_as_it_is() {
        let signature = Signature::new(Issuer::Anthropic, "EqQB");
        assert_eq!(signature.written(Issuer::Anthropic), "EqQB");
        assert_eq!(signature.written(Issuer::Google), "tollgate.anthropic.EqQB");
        assert_eq!(signature.of(Issuer::Google), None);
        assert_eq!(signature.of(Issuer::Anthropic), Some("EqQB"));
    }
}
