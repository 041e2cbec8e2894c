//! Images: made, edited, varied; plain and streamed.
//!
//! Owns: what each family of models takes, the replies. Leaves to others: the fields (`tables`).
//!
//! **Invariant:** a GPT image model gives base64 and token counts, a DALL-E model whichever form was asked for and no
//! counts.

use super::{Sent, fields, tables, too_long, unknown, wrong_value};
use crate::ask::{flag_at, number_at, text_at, tokens_of};
use crate::error::ApiError;
use crate::openai::check::is_set;
use crate::platform::{FILE, Op};
use crate::reply::{Event, Making, Reply, Role};
use serde_json::{Value, json};

/// A PNG of one pixel, in base64.
pub(crate) const PIXEL: &str =
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==";
/// Tokens of an input image.
const INPUT_IMAGE_TOKENS: u64 = 194;

/// A family of image models.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Family {
    Gpt,
    Dalle2,
    Dalle3,
}

fn family(model: &str) -> Family {
    match model {
        "dall-e-2" => Family::Dalle2,
        "dall-e-3" => Family::Dalle3,
        _ => Family::Gpt,
    }
}

/// Parameters that GPT image models alone have.
const OF_GPT: &[&str] = &[
    "background",
    "complexity",
    "frame_count",
    "frame_duration_ms",
    "input_fidelity",
    "markup",
    "moderation",
    "output_compression",
    "output_format",
    "partial_images",
    "stream",
    "svg",
];

fn check_common(body: &Value, model: &str) -> Result<(), ApiError> {
    let family = family(model);
    let foreign: &[&str] = match family {
        Family::Gpt => &["response_format", "style"],
        Family::Dalle2 | Family::Dalle3 => OF_GPT,
    };
    if let Some(name) = foreign.iter().find(|name| is_set(body, name)) {
        return Err(unknown(name));
    }
    let prompt_max = match family {
        Family::Gpt => 32_000,
        Family::Dalle2 => 1_000,
        Family::Dalle3 => 4_000,
    };
    let prompt = text_at(body, "prompt").chars().count();
    if prompt > prompt_max {
        return Err(too_long("prompt", prompt_max, prompt));
    }
    if family == Family::Dalle3 && number_at(body, "n").is_some_and(|n| n > 1) {
        return Err(ApiError::bad_request("You must provide n=1 for this model.").param("n"));
    }
    let quality = text_at(body, "quality");
    let (qualities, takes): (&[&str], &str) = match family {
        Family::Gpt => (
            &["low", "medium", "high", "xhigh", "max", "auto"],
            "'low', 'medium', 'high', 'xhigh', 'max', and 'auto'",
        ),
        Family::Dalle2 => (&["standard"], "'standard'"),
        Family::Dalle3 => (&["standard", "hd"], "'standard' and 'hd'"),
    };
    if is_set(body, "quality") && !qualities.contains(&quality) {
        return Err(wrong_value("quality", quality, takes));
    }
    if is_set(body, "size") && !takes_size(family, text_at(body, "size")) {
        let takes = match family {
            Family::Gpt => "'1024x1024', '1024x1536', '1536x1024', and 'auto'",
            Family::Dalle2 => "'256x256', '512x512', and '1024x1024'",
            Family::Dalle3 => "'1024x1024', '1024x1792', and '1792x1024'",
        };
        return Err(wrong_value("size", text_at(body, "size"), takes));
    }
    of_gpt(body)
}

/// GPT image models take sides that 16 divides, of 1:3 to 3:1, up to 3840x2160 (image generation reference).
fn takes_size(family: Family, size: &str) -> bool {
    match family {
        Family::Dalle2 => ["256x256", "512x512", "1024x1024"].contains(&size),
        Family::Dalle3 => ["1024x1024", "1024x1792", "1792x1024"].contains(&size),
        Family::Gpt if size == "auto" => true,
        Family::Gpt => {
            let sides =
                size.split_once('x').map(|(width, height)| (width.parse::<u32>(), height.parse::<u32>()));
            let Some((Ok(width), Ok(height))) = sides else { return false };
            let (long, short) = (width.max(height), width.min(height));
            width % 16 == 0
                && height % 16 == 0
                && short > 0
                && long <= 3 * short
                && long <= 3_840
                && short <= 2_160
        }
    }
}

fn of_gpt(body: &Value) -> Result<(), ApiError> {
    let refuse =
        |name: &str, message: &str| Err(ApiError::bad_request(message).param(name).code("invalid_value"));
    let format = match text_at(body, "output_format") {
        "" => "png",
        format => format,
    };
    if is_set(body, "output_compression") && !["webp", "jpeg"].contains(&format) {
        return refuse(
            "output_compression",
            "Compression less than 100 is not supported for PNG output format",
        );
    }
    if text_at(body, "background") == "transparent" && !["png", "webp"].contains(&format) {
        return refuse("background", "Transparent background is not supported for this output format.");
    }
    let streams = flag_at(body, "stream");
    if number_at(body, "partial_images").is_some_and(|count| count > 0) && !streams {
        return refuse("partial_images", "'partial_images' is only supported when 'stream' is true.");
    }
    if ["gif", "svg"].contains(&format) && streams {
        return refuse("stream", "Streaming is not supported for this output format.");
    }
    if (is_set(body, "frame_count") || is_set(body, "frame_duration_ms")) && format != "gif" {
        return refuse("frame_count", "Frames are only supported with 'output_format' 'gif'.");
    }
    if is_set(body, "svg") && format != "svg" {
        return refuse("svg", "'svg' is only supported with 'output_format' 'svg'.");
    }
    Ok(())
}

/// Checks a body that asks for an image.
pub(super) fn check_generate(body: &Value, model: &str) -> Result<(), ApiError> {
    fields(body, tables::GENERATE)?;
    if text_at(body, "prompt").is_empty() {
        let message = "Invalid 'prompt': empty string. Expected a string with minimum length 1, but got an empty string \
                       instead.";
        return Err(ApiError::bad_request(message).param("prompt").code("empty_string"));
    }
    check_common(body, model)
}

/// Checks a form that asks for an edit.
pub(super) fn check_edit(body: &Value, model: &str) -> Result<(), ApiError> {
    fields(body, tables::EDIT)?;
    check_common(body, model)?;
    let family = family(model);
    if family == Family::Dalle3 {
        return Err(wrong_value("model", model, "'gpt-image-1.5', 'gpt-image-2', and 'dall-e-2'"));
    }
    if is_set(body, "mask") && is_set(body, "markup") {
        return Err(ApiError::bad_request("'mask' and 'markup' cannot be used together.").param("markup"));
    }
    let image = body.get("image").unwrap_or(&Value::Null);
    let images = image.as_array().map_or_else(|| std::slice::from_ref(image), Vec::as_slice);
    if family == Family::Dalle2 && images.len() > 1 {
        return Err(ApiError::bad_request("This model takes one image.").param("image"));
    }
    let takes: &[&str] =
        if family == Family::Gpt { &["image/png", "image/webp", "image/jpeg"] } else { &["image/png"] };
    images.iter().chain(body.get("mask")).try_for_each(|file| is_image(file, takes))
}

/// Checks a form that asks for a variation.
pub(super) fn check_variation(body: &Value, model: &str) -> Result<(), ApiError> {
    fields(body, tables::VARIATION)?;
    if !model.is_empty() && family(model) != Family::Dalle2 && !model.starts_with("sim-") {
        return Err(wrong_value("model", model, "'dall-e-2'"));
    }
    is_image(body.get("image").unwrap_or(&Value::Null), &["image/png"])
}

fn is_image(file: &Value, takes: &[&str]) -> Result<(), ApiError> {
    let kind = file.get(FILE).map(|file| text_at(file, "content_type")).unwrap_or_default();
    if takes.contains(&kind) {
        return Ok(());
    }
    let listed: Vec<String> = takes.iter().map(|kind| format!("'{kind}'")).collect();
    let message = format!(
        "Invalid file 'image': unsupported mimetype ('{kind}'). Supported file formats are {}.",
        listed.join(", ")
    );
    Err(ApiError::bad_request(message).param("image").code("unsupported_file_mimetype"))
}

/// What stands in replies and events of GPT image models.
fn settings(body: &Value) -> Value {
    let given = |name: &str, default: &str| match text_at(body, name) {
        "" | "auto" => default.to_owned(),
        given => given.to_owned(),
    };
    json!({
        "background": given("background", "opaque"),
        "output_format": given("output_format", "png"),
        "quality": given("quality", "low"),
        "size": given("size", "1024x1024"),
    })
}

/// Tokens of an image of this quality (image generation guide, 1024x1024).
fn image_tokens(quality: &str) -> u64 {
    match quality {
        "medium" => 1_056,
        "high" | "xhigh" | "max" => 4_160,
        _ => 272,
    }
}

fn usage(sent: Sent<'_>, making: &Making<'_>, images: u64) -> Option<Value> {
    let files = sent.form.map_or(0, |form| form.files("image").len() + form.files("mask").len()) as u64;
    let (text, image) = (tokens_of(text_at(sent.body, "prompt")), files * INPUT_IMAGE_TOKENS);
    let input = making.composed.counts.prompt.max(text) + image;
    let output = image_tokens(text_at(sent.body, "quality")) * images;
    making.usage(json!({
        "input_tokens": input,
        "input_tokens_details": {"image_tokens": image, "text_tokens": input - image},
        "output_tokens": output,
        "output_tokens_details": {"image_tokens": output, "text_tokens": 0},
        "total_tokens": input + output,
    }))
}

/// The reply to a request for images.
pub(super) fn make(op: Op, sent: Sent<'_>, making: &mut Making<'_>) -> Reply {
    let body = sent.body;
    let count = number_at(body, "n").unwrap_or(1);
    let dalle = family(sent.model) != Family::Gpt || op == Op::VaryImage || sent.model.is_empty();
    if flag_at(body, "stream") && !dalle {
        return Reply::events(events(op, sent, making));
    }
    let by_url = dalle && text_at(body, "response_format") != "b64_json";
    let data: Vec<Value> = (0..count)
        .map(|_| {
            let url = format!("https://images.example.com/{}.png", making.ids.next("img-", 24));
            let mut image = if by_url { json!({"url": url}) } else { json!({"b64_json": PIXEL}) };
            if sent.model == "dall-e-3"
                && let Some(fields) = image.as_object_mut()
            {
                fields.insert("revised_prompt".to_owned(), json!(text_at(body, "prompt")));
            }
            image
        })
        .collect();
    let mut reply = json!({"created": making.created, "data": data});
    if let (Some(fields), false) = (reply.as_object_mut(), dalle) {
        if let Value::Object(settings) = settings(body) {
            fields.extend(settings);
        }
        if let Some(usage) = usage(sent, making, count) {
            fields.insert("usage".to_owned(), usage);
        }
    }
    Reply::json(&reply)
}

fn events(op: Op, sent: Sent<'_>, making: &mut Making<'_>) -> Vec<Event> {
    let kind = if op == Op::EditImage { "image_edit" } else { "image_generation" };
    let event = |role: Role, name: String, more: Value| {
        let mut data = json!({"type": name, "b64_json": PIXEL, "created_at": making.created});
        if let (Some(fields), Value::Object(settings), Value::Object(more)) =
            (data.as_object_mut(), settings(sent.body), more)
        {
            fields.extend(settings);
            fields.extend(more);
        }
        Event::named(role, &name, &data)
    };
    let partial = number_at(sent.body, "partial_images").unwrap_or(0);
    let mut events: Vec<Event> = (0..partial)
        .map(|index| {
            event(Role::Content, format!("{kind}.partial_image"), json!({"partial_image_index": index}))
        })
        .collect();
    let usage = usage(sent, making, 1).map_or_else(|| json!({}), |usage| json!({"usage": usage}));
    events.push(event(Role::End, format!("{kind}.completed"), usage));
    events
}
