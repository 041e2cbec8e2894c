//! What a call can use at most that is not a conversation: pictures, speech, sound, vectors, rankings.
//!
//! Owns the bounds of each. Leaves conversations to its parent, and what was used after all to the settlement.
//! **Invariant:** a bound is at least what the settlement would count for the same request.

use super::Words;
use super::prompt::Prompt;
use crate::pipeline::units::{is_said, size_of};
use crate::surface::Surface;
use tollgate_catalog::Bounds;
use tollgate_dialect::sound;

/// More pictures than any provider makes at a time.
const IMAGES_MAX: u64 = 1_000;
/// Picture elements of a picture whose size is left to the provider: 2048 square.
const PIXELS_DEFAULT: u64 = 1 << 22;
/// Picture elements of the largest picture that is made where nobody asks for a size (1024x1536).
const PIXELS_UNASKED: u64 = 1_024 * 1_536;
/// Tokens of a picture of 1024 pixels square in high quality (OpenAI's guide to making images); others in proportion.
const TOKENS_PER_MEBIPIXEL: u64 = 4_160;
/// The same in medium and low quality.
const TOKENS_PER_MEBIPIXEL_MEDIUM: u64 = 1_056;
const TOKENS_PER_MEBIPIXEL_LOW: u64 = 272;
/// What a picture may have beyond that, and what its previews have (three at most, 100 each).
const TOKENS_BEYOND: u64 = 364;
/// The longest that a character takes to say at plain speed, in milliseconds: a syllable of a slow voice.
const CHARACTER_MS: u64 = 400;
/// The lowest speed at which speech is made, in hundredths.
const SPEED_MIN: u64 = 25;
/// Tokens of a second of speech that is made (Google's; OpenAI's are 21).
const SPOKEN_TOKENS_PER_SECOND: u64 = 25;
/// Tokens of a second of sound that is heard (Google's; OpenAI's are ten).
const HEARD_TOKENS_PER_SECOND: u64 = 32;
/// Tokens of the text of a second of speech.
const WRITTEN_TOKENS_PER_SECOND: u64 = 15;
/// What such a text may have beyond that: an answer to noise.
const WRITTEN_BEYOND: u64 = 256;
/// Bytes of a second of the leanest sound.
const SOUND_BYTES_PER_SECOND: u64 = 500;
/// Documents that one query ranks: Cohere's search unit. A document counts once for each of its pieces of 500 tokens.
const DOCUMENTS_PER_QUERY: u64 = 100;
const PIECE_BYTES: u64 = 500;

/// What is asked for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) enum Task {
    /// An answer in words.
    #[default]
    Talk,
    /// Vectors or a verdict: nothing is made that is billed.
    Read,
    /// So many pictures, of that size and quality where they are said.
    Draw { images: u64, size: Option<(u32, u32)>, quality: Option<String> },
    /// A text of so many characters and bytes is spoken, at a speed in hundredths.
    Speak { characters: u64, bytes: u64, speed: u64 },
    /// A sound of at most so many milliseconds is written down.
    Hear { length_ms: u64 },
    /// So many documents are ranked by a question of so many bytes.
    Rank { documents: u64, question_bytes: u64 },
}

impl Task {
    pub(super) fn of(surface: Surface, words: &Words<'_>, prompt: &Prompt) -> Self {
        match surface {
            Surface::ImageGeneration | Surface::ImageEdit | Surface::ImageVariation => draw(words),
            Surface::Speech => {
                let text = words.get("input").and_then(|input| input.as_str()).unwrap_or_default();
                let speed = words.get("speed").and_then(|speed| speed.as_f64()).unwrap_or(1.0);
                Self::Speak {
                    characters: text.chars().count() as u64,
                    bytes: prompt.text_tokens,
                    // Half a hundredth less is as good as the lowest.
                    speed: if speed >= 1.0 { 100 } else { SPEED_MIN },
                }
            }
            Surface::Transcription | Surface::Translation => hear(words),
            Surface::Rerank => {
                let documents = words.get("documents").or_else(|| words.get("texts"));
                let documents = documents.map_or(0, |listed| listed.array_items().count() as u64);
                let question = words.get("query").map_or(0, |query| query.text().len() as u64);
                Self::Rank { documents, question_bytes: question }
            }
            Surface::Moderation => Self::Read,
            surface if surface.is_embedding() => Self::Read,
            _ => Self::Talk,
        }
    }

    /// Puts it into the bounds of a conversation of the same prompt.
    pub(super) fn bound(&self, bounds: &mut Bounds) {
        match self {
            Self::Talk => {}
            Self::Read => bounds.output_tokens = 0,
            Self::Draw { images, size, quality } => {
                let pixels =
                    size.map_or(PIXELS_UNASKED, |(width, height)| u64::from(width) * u64::from(height));
                let each = tokens_of(pixels, quality.as_deref());
                bounds.choices = 1;
                bounds.output_tokens = images.saturating_mul(each);
                bounds.may_draw = true;
                bounds.images = *images;
                bounds.image_size = *size;
                bounds.image_quality.clone_from(quality);
                bounds.image_pixels = PIXELS_DEFAULT;
            }
            Self::Speak { characters, bytes, speed } => {
                let spoken = characters.saturating_mul(CHARACTER_MS * 100 / speed);
                bounds.characters = *characters;
                bounds.input_tokens = bounds.input_tokens.max(*bytes);
                bounds.spoken_ms = spoken;
                bounds.output_tokens = tokens_in(spoken, SPOKEN_TOKENS_PER_SECOND);
                bounds.may_speak = true;
            }
            Self::Hear { length_ms } => {
                let heard = tokens_in(*length_ms, HEARD_TOKENS_PER_SECOND);
                bounds.audio_ms = *length_ms;
                bounds.input_audio_tokens = heard;
                bounds.input_tokens = bounds.input_tokens.saturating_add(heard);
                bounds.output_tokens = tokens_in(*length_ms, WRITTEN_TOKENS_PER_SECOND) + WRITTEN_BEYOND;
            }
            Self::Rank { documents, question_bytes } => {
                let pieces = documents.saturating_add(bounds.input_tokens / PIECE_BYTES);
                bounds.queries = pieces.div_ceil(DOCUMENTS_PER_QUERY).max(1);
                // Some bill the question once for each document.
                let questions = question_bytes.saturating_mul(*documents);
                bounds.input_tokens = bounds.input_tokens.saturating_add(questions);
                bounds.output_tokens = 0;
            }
        }
    }
}

fn draw(words: &Words<'_>) -> Task {
    let text = |name: &str| match words.form {
        Some(form) => form.text(name).map(str::to_owned),
        None => {
            words.get(name).map(|value| value.as_str().map_or_else(|| value.text().to_owned(), Into::into))
        }
    };
    let number = |name: &str| text(name).and_then(|text| text.trim().parse::<u64>().ok());
    let side = |name: &str| number(name).and_then(|side| u32::try_from(side).ok());
    let sides = || Some((side("width")?, side("height")?));
    Task::Draw {
        images: number("n").unwrap_or(1).clamp(1, IMAGES_MAX),
        size: text("size").and_then(|size| size_of(&size)).or_else(sides),
        quality: text("quality").filter(|quality| is_said(quality)),
    }
}

fn hear(words: &Words<'_>) -> Task {
    let file = words.form.and_then(|form| form.file("file")).unwrap_or_default();
    let by_bytes = (file.len() as u64).saturating_mul(1_000) / SOUND_BYTES_PER_SECOND;
    let length = sound::length_ms(file).unwrap_or(by_bytes);
    // Providers bill whole seconds, and measure a little otherwise than here.
    Task::Hear { length_ms: length.saturating_add(length / 50).saturating_add(2_000) }
}

/// Most tokens of one picture.
fn tokens_of(pixels: u64, quality: Option<&str>) -> u64 {
    let rate = match quality {
        Some("low") => TOKENS_PER_MEBIPIXEL_LOW,
        Some("medium") => TOKENS_PER_MEBIPIXEL_MEDIUM,
        _ => TOKENS_PER_MEBIPIXEL,
    };
    pixels.saturating_mul(rate).div_ceil(1 << 20).saturating_add(TOKENS_BEYOND)
}

fn tokens_in(length_ms: u64, per_second: u64) -> u64 {
    length_ms.saturating_mul(per_second).div_ceil(1_000).saturating_add(per_second)
}
