//! What of a call is billed and is not tokens: pictures, characters and seconds that are spoken, seconds that are heard,
//! queries.
//!
//! Owns finding it in request and reply. Leaves what it costs to the catalogue, and when it is due to the settlement.
//! **Invariant:** what a request says of itself is known before it is sent; a reply can only say it more exactly.

use super::receive::Received;
use crate::surface::Surface;
use crate::target::Target;
use std::borrow::Cow;
use tollgate_catalog::Prices;
use tollgate_dialect::json::{Kind, Limits, Object, scan};
use tollgate_dialect::sound;

/// Documents that one query ranks: Cohere's search unit, and that of those who sell its way of counting.
const DOCUMENTS_PER_QUERY: usize = 100;
/// More pictures than any provider makes at a time.
const IMAGES_MAX: u64 = 1_000;
/// Longest side of a picture that is believed.
const SIDE_MAX: u32 = 1 << 16;
/// Longest sound that is believed: a week.
const SOUND_MS_MAX: u64 = 7 * 24 * 3_600_000;
/// LiteLLM's size of a picture whose size nobody says; OpenAI's default.
const SIZE_DEFAULT: (u32, u32) = (1024, 1024);

/// What one call uses beside tokens.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Units {
    images: u64,
    size: Option<(u32, u32)>,
    quality: Option<String>,
    characters: u64,
    text_bytes: u64,
    spoken_ms: u64,
    heard: Heard,
    queries: u64,
}

/// How long a sound was.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum Heard {
    /// There was none.
    #[default]
    Nothing,
    /// Nobody says.
    Untold,
    /// So many milliseconds.
    Milliseconds(u64),
}

impl Units {
    /// What a request says of itself.
    pub(crate) fn asked(surface: Surface, received: &Received<'_>, target: &Target) -> Self {
        let asked = Asked { received, target };
        match surface {
            Surface::ImageGeneration | Surface::ImageEdit | Surface::ImageVariation => Self {
                images: asked.number("n").unwrap_or(1).clamp(1, IMAGES_MAX),
                size: asked.size(),
                quality: asked.text("quality").filter(|quality| is_said(quality)).map(Cow::into_owned),
                ..Self::default()
            },
            Surface::Speech => {
                let text = asked.text("input").unwrap_or_default();
                let (characters, text_bytes) = (text.chars().count() as u64, text.len() as u64);
                Self { characters, text_bytes, ..Self::default() }
            }
            Surface::Transcription | Surface::Translation => {
                let length =
                    received.form.as_ref().and_then(|form| form.file("file")).and_then(sound::length_ms);
                Self { heard: length.map_or(Heard::Untold, Heard::of), ..Self::default() }
            }
            _ => Self::default(),
        }
    }

    /// With what a JSON reply says more exactly.
    pub(crate) fn answered(mut self, reply: &[u8]) -> Self {
        if self.images == 0 && self.heard == Heard::Nothing {
            return self;
        }
        let Ok(reply) = scan(reply, &Limits::REPLY) else { return self };
        if self.heard != Heard::Nothing {
            self.heard = seconds(&reply).map_or(self.heard, Heard::of);
            return self;
        }
        let text = |name: &str| reply.get(name).and_then(|value| value.as_str());
        self.size = self.size.or_else(|| size_of(&text("size")?));
        self.quality =
            self.quality.or_else(|| text("quality").filter(|quality| is_said(quality)).map(Cow::into_owned));
        if let Some(made) = reply.get("data").filter(|data| data.kind() == Kind::Array) {
            self.images = (made.array_items().count() as u64).min(IMAGES_MAX);
        }
        self
    }

    /// Speech was so long, in milliseconds.
    pub(crate) fn spoken(&mut self, length: u64) {
        self.spoken_ms = if self.characters > 0 { length.min(SOUND_MS_MAX) } else { 0 };
    }

    /// Bytes of the text that was spoken.
    pub(crate) fn text_bytes(&self) -> u64 {
        self.text_bytes
    }

    /// A ranking of so many documents, for which the provider says that it bills `told` units, or says nothing.
    pub(crate) fn ranked(told: u64, documents: usize) -> Self {
        let counted = documents.div_ceil(DOCUMENTS_PER_QUERY).max(1) as u64;
        Self { queries: if told > 0 { told } else { counted }, ..Self::default() }
    }

    /// A sound was heard, and nobody says how long it was.
    pub(crate) fn are_untold(&self) -> bool {
        self.heard == Heard::Untold
    }

    /// The prices that hold for these pictures.
    pub(crate) fn prices<'p>(&self, prices: &'p Prices) -> Cow<'p, Prices> {
        if self.images == 0 {
            return Cow::Borrowed(prices);
        }
        Cow::Owned(prices.at_size(self.quality.as_deref(), self.size.unwrap_or(SIZE_DEFAULT)))
    }

    /// Adds them to the tokens.
    pub(crate) fn add_to(&self, usage: &mut tollgate_catalog::Usage) {
        let (width, height) = self.size.unwrap_or(SIZE_DEFAULT);
        usage.images = self.images;
        usage.pixels = self.images.saturating_mul(u64::from(width) * u64::from(height));
        usage.input_characters = self.characters;
        usage.spoken_ms = self.spoken_ms;
        usage.queries = self.queries;
        if let Heard::Milliseconds(length) = self.heard {
            usage.audio_ms = length;
        }
        // A model that makes pictures and does not say what its tokens were has made pictures with them.
        if self.images > 0 && usage.output_image_tokens == 0 {
            usage.output_image_tokens = usage.output_tokens.saturating_sub(usage.reasoning_tokens);
        }
    }
}

impl Heard {
    fn of(milliseconds: u64) -> Self {
        if milliseconds <= SOUND_MS_MAX { Self::Milliseconds(milliseconds) } else { Self::Untold }
    }
}

/// A request with its deployment's defaults.
struct Asked<'a> {
    received: &'a Received<'a>,
    target: &'a Target,
}

impl Asked<'_> {
    /// A member or field as text; a number's digits.
    fn text(&self, name: &str) -> Option<Cow<'_, str>> {
        if let Some(form) = &self.received.form {
            return form.text(name).map(Cow::Borrowed);
        }
        match self.received.object.get(name) {
            Some(value) if value.is_null() => None,
            Some(value) => Some(value.as_str().unwrap_or_else(|| Cow::Borrowed(value.text()))),
            None => {
                let (_, json) = self.target.defaults.iter().find(|(default, _)| default == name)?;
                Some(serde_json::from_str(json).map_or_else(|_| Cow::Borrowed(json.as_str()), Cow::Owned))
            }
        }
    }

    fn number(&self, name: &str) -> Option<u64> {
        self.text(name)?.trim().parse().ok()
    }

    /// `size`, or `width` and `height` (FLUX).
    fn size(&self) -> Option<(u32, u32)> {
        let side = |name: &str| u32::try_from(self.number(name)?).ok().filter(|side| is_side(*side));
        self.text("size").and_then(|size| size_of(&size)).or_else(|| Some((side("width")?, side("height")?)))
    }
}

/// `1024x1536`; `None` for `auto` and the like.
pub(super) fn size_of(text: &str) -> Option<(u32, u32)> {
    let (width, height) = text.trim().split_once('x')?;
    // LiteLLM's spelling has dashes: `1024-x-1536`.
    let side = |text: &str| text.trim_matches('-').parse().ok().filter(|side| is_side(*side));
    Some((side(width)?, side(height)?))
}

fn is_side(side: u32) -> bool {
    (1..=SIDE_MAX).contains(&side)
}

/// `auto` leaves the choice to the provider.
pub(super) fn is_said(quality: &str) -> bool {
    !quality.is_empty() && quality != "auto"
}

/// How long the sound of a transcript was, in milliseconds: as it is billed (`usage.seconds`), else as it is
/// (`duration`).
fn seconds(reply: &Object<'_>) -> Option<u64> {
    let billed = || reply.get("usage")?.as_object()?.get("seconds")?.as_f64();
    let plain = || {
        let value = reply.get("duration")?;
        // Some write the number as a text.
        value.as_f64().or_else(|| value.as_str()?.parse().ok())
    };
    let seconds = billed().or_else(plain).filter(|seconds| *seconds >= 0.0 && seconds.is_finite())?;
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "not negative, and saturating"
    )]
    Some((seconds * 1_000.0).round() as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reply_says_more_exactly_what_was_made() {
        let asked = |images: u64| Units { images, ..Units::default() };
        let check = |asked: Units, reply: &str, expect: (u64, Option<(u32, u32)>, Option<&str>)| {
            let units = asked.answered(reply.as_bytes());
            assert_eq!((units.images, units.size, units.quality.as_deref()), expect, "{reply}");
        };
        check(asked(3), r#"{"data":[{"url":"a"},{"url":"b"}]}"#, (2, None, None));
        check(asked(3), r#"{"data":[]}"#, (0, None, None));
        check(asked(3), r#"{"data":null}"#, (3, None, None));
        check(asked(3), r#"{"images":[1]}"#, (3, None, None));
        check(asked(3), "no json", (3, None, None));
        let whole = r#"{"data":[1],"size":"1024x1536","quality":"high"}"#;
        check(asked(1), whole, (1, Some((1024, 1536)), Some("high")));
        let said = Units { size: Some((256, 256)), quality: Some("low".to_owned()), ..asked(1) };
        check(said, whole, (1, Some((256, 256)), Some("low")));
        check(asked(1), r#"{"data":[1],"size":"auto","quality":"auto"}"#, (1, None, None));
        check(Units::default(), whole, (0, None, None));
    }

    #[test]
    fn a_transcripts_length_is_what_is_billed_then_what_it_was_then_what_the_file_says() {
        let check = |file: Heard, reply: &str, expect: Heard| {
            let units = Units { heard: file, ..Units::default() }.answered(reply.as_bytes());
            assert_eq!(units.heard, expect, "{reply}");
            assert_eq!(units.are_untold(), expect == Heard::Untold);
        };
        use Heard::{Milliseconds, Untold};
        check(Untold, r#"{"usage":{"type":"duration","seconds":9},"duration":8.47}"#, Milliseconds(9_000));
        check(Untold, r#"{"usage":{"type":"tokens"},"duration":8.470000267028809}"#, Milliseconds(8_470));
        check(Untold, r#"{"duration":"8.47"}"#, Milliseconds(8_470));
        check(Milliseconds(5), r#"{"duration":8}"#, Milliseconds(8_000));
        check(Milliseconds(5), r#"{"text":"a"}"#, Milliseconds(5));
        check(Milliseconds(5), "no json", Milliseconds(5));
        check(Untold, r#"{"text":"a"}"#, Untold);
        check(Milliseconds(5), r#"{"duration":-1}"#, Milliseconds(5));
        check(Untold, r#"{"duration":1e300}"#, Untold);
        check(Heard::Nothing, r#"{"duration":8}"#, Heard::Nothing);
    }

    #[test]
    fn sizes_are_read_in_both_spellings() {
        let check = |text: &str, expect| assert_eq!(size_of(text), expect, "{text}");
        check("1024x1536", Some((1024, 1536)));
        check("1024-x-1536", Some((1024, 1536)));
        check(" 512x512", Some((512, 512)));
        for wrong in ["auto", "", "x", "1024", "1024x", "0x0", "-1x5x", "99999x1", "1024X1024", "2K"] {
            check(wrong, None);
        }
    }

    #[test]
    fn a_ranking_is_a_query_for_every_hundred_documents_where_the_provider_does_not_count() {
        let check = |told: u64, documents: usize, expect: u64| {
            assert_eq!(Units::ranked(told, documents).queries, expect, "{told} {documents}");
        };
        check(0, 0, 1);
        check(0, 1, 1);
        check(0, 100, 1);
        check(0, 101, 2);
        check(3, 101, 3);
    }

    #[test]
    fn tokens_of_a_reply_with_pictures_are_pictures_unless_it_says_otherwise() {
        let check = |images: u64, (output, of_images): (u64, u64), expect: u64| {
            let mut usage = tollgate_catalog::Usage {
                output_tokens: output,
                output_image_tokens: of_images,
                ..tollgate_catalog::Usage::default()
            };
            Units { images, ..Units::default() }.add_to(&mut usage);
            assert_eq!(usage.output_image_tokens, expect);
            assert_eq!((usage.images, usage.pixels), (images, images * 1024 * 1024));
        };
        check(1, (4_160, 0), 4_160);
        check(1, (4_200, 4_160), 4_160);
        check(0, (4_200, 0), 0);
    }
}
