//! How long a session's conversation can be at most, in tokens: what the next answer reads.
//!
//! Owns what each message adds. Leaves prices to the catalogue. The provider's own count of an answer's prompt takes the
//! place of what was reckoned up to then: from there on only what came since is reckoned.
//!
//! **Invariant:** a conversation is never reckoned shorter than it can be: a token for each byte of text, twice the tokens
//! of the leanest sound, and as much as the model can read where something in it cannot be measured.

use super::events::News;
use memchr::memmem;
use tollgate_dialect::json::Object;

/// Bytes of sound in base64 per token: OpenAI counts ten tokens for a second of what is heard (guide to managing Realtime
/// costs), and a second of telephone sound has 10,667 such bytes; half of that, to be sure.
const SOUND_BYTES_PER_TOKEN: u64 = 512;

/// What a caller's message can lead to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Means {
    /// No answer, and no longer conversation.
    Nothing,
    /// A longer conversation, and perhaps an answer that nobody asks for: providers hear when somebody has spoken.
    Adds(Addition),
    /// An answer.
    Asks(Addition),
}

/// What a message adds to a conversation.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Addition {
    text_bytes: u64,
    sound_bytes: u64,
    /// Something in it cannot be measured: a picture, a prompt that the provider keeps, tools that it asks for itself.
    is_open: bool,
    /// It asks for an answer to something else than the conversation, whose count says nothing of that.
    is_apart: bool,
}

impl Means {
    /// Of an event of a caller's.
    pub(super) fn of(kind: &str, text: &str, event: &Object<'_>) -> Self {
        match kind {
            "response.cancel"
            | "input_audio_buffer.clear"
            | "output_audio_buffer.clear"
            | "conversation.item.retrieve"
            | "conversation.item.truncate"
            | "conversation.item.delete" => Self::Nothing,
            "input_audio_buffer.append" => {
                let sound_bytes = event.get("audio").map_or(0, |audio| audio.raw().len() as u64);
                let text_bytes = (text.len() as u64).saturating_sub(sound_bytes);
                Self::Adds(Addition { text_bytes, sound_bytes, ..Addition::default() })
            }
            "response.create" => {
                let own = event.get("response").and_then(|response| response.as_object());
                let apart = ["input", "conversation", "instructions", "tools", "prompt"];
                let is_apart = own.is_some_and(|own| apart.iter().any(|name| own.get(name).is_some()));
                Self::Asks(Addition { is_apart, ..Addition::of_text(text) })
            }
            _ => Self::Adds(Addition::of_text(text)),
        }
    }
}

impl Addition {
    fn of_text(text: &str) -> Self {
        const OPEN: [&[u8]; 3] = [b"input_image", b"\"prompt\"", b"\"mcp\""];
        let has = |word: &[u8]| memmem::find(text.as_bytes(), word).is_some();
        Self {
            text_bytes: text.len() as u64,
            is_open: OPEN.into_iter().any(has) || spells_letters(text),
            ..Self::default()
        }
    }

    fn tokens(&self) -> u64 {
        self.text_bytes.saturating_add(self.sound_bytes.div_ceil(SOUND_BYTES_PER_TOKEN))
    }
}

/// Whether letters that need no escape are escaped: no program writes them so, but for one that hides a word.
fn spells_letters(text: &str) -> bool {
    memmem::find_iter(text.as_bytes(), b"\\u00").any(|at| {
        let digit = text.as_bytes().get(at + 4);
        digit.is_some_and(|digit| (b'4'..=b'7').contains(digit))
    })
}

/// A conversation, as long as it can be.
#[derive(Debug, Default)]
pub(super) struct Conversation {
    /// All that was ever said.
    all: u64,
    /// What the provider counted last: a prompt and its answer.
    counted: Option<u64>,
    /// What was said since the answer before began, and since the last did.
    since: [u64; 2],
    is_open: bool,
    /// An answer was asked for to something else, so that counts say nothing any more.
    is_apart: bool,
    /// Sound that is to be written down: in tokens, of pieces that are and of what is not yet one; how many pieces.
    heard: [u64; 2],
    pieces: u64,
}

impl Conversation {
    /// A message of the caller's goes to the provider.
    pub(super) fn add(&mut self, addition: Addition) {
        self.is_open |= addition.is_open;
        self.is_apart |= addition.is_apart;
        self.grow(addition.tokens());
        let [_, heard] = &mut self.heard;
        *heard = heard.saturating_add(addition.sound_bytes.div_ceil(SOUND_BYTES_PER_TOKEN));
    }

    /// What a provider says of it.
    pub(super) fn note(&mut self, news: &News) {
        match news {
            // Its own instructions are read, where the caller has given none.
            News::Settings { bytes, .. } => self.grow(*bytes),
            News::ResponseBegins { .. } => self.since = [self.since[1], 0],
            News::ResponseEnds { usage: Some(usage), .. } => {
                self.all = self.all.saturating_add(usage.output_tokens);
                self.counted = Some(usage.input_tokens.saturating_add(usage.output_tokens));
            }
            News::Committed => {
                let [pieces, rest] = self.heard;
                self.heard = [pieces.saturating_add(rest), 0];
                self.pieces = self.pieces.saturating_add(1);
            }
            News::Transcribed(_) | News::NotTranscribed => {
                self.pieces = self.pieces.saturating_sub(1);
                if self.pieces == 0 {
                    self.heard[0] = 0;
                }
            }
            _ => {}
        }
    }

    fn grow(&mut self, tokens: u64) {
        self.all = self.all.saturating_add(tokens);
        self.since[1] = self.since[1].saturating_add(tokens);
    }

    /// The most tokens that it has; what cannot be measured has as many as there are.
    pub(super) fn tokens_max(&self) -> u64 {
        if self.is_open {
            return u64::MAX;
        }
        let [before, last] = self.since;
        let counted = self.counted.filter(|_| !self.is_apart);
        counted.map_or(self.all, |counted| counted.saturating_add(before).saturating_add(last).min(self.all))
    }

    /// The most tokens of sound that are still to be written down.
    pub(super) fn unwritten_max(&self) -> u64 {
        let [pieces, rest] = self.heard;
        pieces.saturating_add(rest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tollgate_catalog::Usage;
    use tollgate_dialect::json::{Limits, scan};

    fn means(text: &str) -> Means {
        let event = scan(text.as_bytes(), &Limits::REQUEST).unwrap();
        let kind = event.get("type").unwrap().as_str().unwrap().into_owned();
        Means::of(&kind, text, &event)
    }

    fn added(text: &str) -> u64 {
        let mut conversation = Conversation::default();
        match means(text) {
            Means::Nothing => {}
            Means::Adds(addition) | Means::Asks(addition) => conversation.add(addition),
        }
        conversation.tokens_max()
    }

    #[test]
    fn text_has_a_token_for_each_byte_sound_a_few_and_what_cannot_be_measured_all_that_there_are() {
        let item = r#"{"type":"conversation.item.create","item":{"type":"message","role":"user","content":[{"type":"input_text","text":"caf\u00e9"}]}}"#;
        assert_eq!(added(item), item.len() as u64);
        let sound = format!(r#"{{"type":"input_audio_buffer.append","audio":"{}"}}"#, "A".repeat(51_198));
        assert_eq!(added(&sound), 100 + (sound.len() as u64 - 51_200));
        for open in [
            r#"{"type":"conversation.item.create","item":{"content":[{"type":"input_image"}]}}"#,
            r#"{"type":"conversation.item.create","item":{"content":[{"type":"input\u005fimage"}]}}"#,
            r#"{"type":"session.update","session":{"prompt":{"id":"pmpt_1"}}}"#,
            r#"{"type":"session.update","session":{"tools":[{"type":"mcp"}]}}"#,
        ] {
            assert_eq!(added(open), u64::MAX, "{open}");
        }
        assert_eq!(means(r#"{"type":"response.cancel"}"#), Means::Nothing);
        assert!(matches!(means(r#"{"type":"response.create"}"#), Means::Asks(_)));
        assert!(matches!(means(r#"{"type":"input_audio_buffer.commit"}"#), Means::Adds(_)));
    }

    fn text(bytes: u64) -> Addition {
        Addition { text_bytes: bytes, ..Addition::default() }
    }

    fn ends(input_tokens: u64, output_tokens: u64) -> News {
        let usage = Some(Usage { input_tokens, output_tokens, ..Usage::default() });
        News::ResponseEnds { id: "r".to_owned(), usage }
    }

    #[test]
    fn a_count_of_the_providers_takes_the_place_of_what_was_reckoned() {
        let begins = News::ResponseBegins { id: "r".to_owned() };
        let mut conversation = Conversation::default();
        conversation.add(text(4_000));
        conversation.note(&begins);
        conversation.add(text(30));
        conversation.note(&ends(1_000, 50));
        // What was said shortly before an answer began may not be in it.
        assert_eq!(conversation.tokens_max(), 4_000 + 30 + 50);
        conversation.note(&begins);
        conversation.note(&ends(1_060, 40));
        assert_eq!(conversation.tokens_max(), 1_100 + 30);
        conversation.add(text(7));
        assert_eq!(conversation.tokens_max(), 1_100 + 30 + 7);
        conversation.add(Addition { is_apart: true, ..text(10) });
        conversation.note(&begins);
        conversation.note(&ends(3, 2));
        assert_eq!(conversation.tokens_max(), 4_000 + 30 + 50 + 40 + 7 + 10 + 2, "a count of something else");
    }

    #[test]
    fn sound_is_to_be_written_down_until_all_its_pieces_are() {
        let mut conversation = Conversation::default();
        let sound = Addition { sound_bytes: 5_120, ..Addition::default() };
        conversation.add(sound);
        conversation.note(&News::Committed);
        conversation.add(sound);
        conversation.note(&News::Committed);
        conversation.note(&News::Transcribed(None));
        assert_eq!(conversation.unwritten_max(), 20);
        conversation.add(sound);
        conversation.note(&News::NotTranscribed);
        assert_eq!(conversation.unwritten_max(), 10);
    }
}
