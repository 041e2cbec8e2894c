//! Forms: `multipart/form-data` (RFC 7578).
//!
//! Owns: [`Form`], its parts as JSON for the checks and for the record. Leaves to others: what a field may be.
//!
//! **Invariant:** a body is read as a form only when every byte of it belongs to one.

use crate::openai::embedding::base64;
use bytes::Bytes;
use http::HeaderMap;
use serde_json::{Map, Value, json};

/// Most parts of a form.
const PARTS_MAX: usize = 256;
/// Most bytes of a file that a record shows.
const SHOWN_BYTES_MAX: usize = 65_536;
/// The member under which a file stands in a form's JSON.
pub(crate) const FILE: &str = "$file";
/// Fields that are numbers.
const NUMBERS: &[&str] = &[
    "n",
    "temperature",
    "output_compression",
    "partial_images",
    "frame_count",
    "frame_duration_ms",
    "seconds",
    "threshold",
    "prefix_padding_ms",
    "silence_duration_ms",
];

/// A form.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Form {
    pub(crate) parts: Vec<Part>,
}

/// One part of a form.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Part {
    pub(crate) name: String,
    /// A part with a file's name is a file.
    pub(crate) filename: Option<String>,
    pub(crate) content_type: Option<String>,
    pub(crate) body: Bytes,
}

/// The boundary that the content type names.
fn boundary(headers: &HeaderMap) -> Option<String> {
    let value = headers.get(http::header::CONTENT_TYPE)?.to_str().ok()?;
    let (kind, parameters) = value.split_once(';')?;
    if !kind.trim().eq_ignore_ascii_case("multipart/form-data") {
        return None;
    }
    parameter(parameters, "boundary")
}

/// A parameter of a header's value, with or without quotes.
fn parameter(parameters: &str, name: &str) -> Option<String> {
    parameters.split(';').find_map(|pair| {
        let (key, value) = pair.split_once('=')?;
        let value = value.trim();
        let bare = value.strip_prefix('"').and_then(|value| value.strip_suffix('"')).unwrap_or(value);
        key.trim().eq_ignore_ascii_case(name).then(|| bare.to_owned())
    })
}

impl Form {
    /// Reads a form; `None`: the body is none.
    pub(crate) fn read(headers: &HeaderMap, body: &Bytes) -> Option<Form> {
        let boundary = boundary(headers).filter(|boundary| !boundary.is_empty())?;
        let first = format!("--{boundary}");
        let between = format!("\r\n--{boundary}");
        let mut at = body.starts_with(first.as_bytes()).then_some(first.len())?;
        let mut parts = Vec::new();
        while parts.len() <= PARTS_MAX {
            let rest = body.get(at..)?;
            if let Some(end) = rest.strip_prefix(b"--") {
                return end.iter().all(u8::is_ascii_whitespace).then_some(Form { parts });
            }
            let head = at + 2;
            rest.starts_with(b"\r\n").then_some(())?;
            let length = memchr::memmem::find(body.get(head..)?, between.as_bytes())?;
            parts.push(part(&body.slice(head..head + length))?);
            at = head + length + between.len();
        }
        None
    }

    /// The files under this name, which may end in `[]`.
    pub(crate) fn files(&self, name: &str) -> Vec<&Part> {
        let same = |part: &&Part| part.filename.is_some() && part.name.trim_end_matches("[]") == name;
        self.parts.iter().filter(same).collect()
    }

    /// The form as an object: `name[]` and repeated names are lists, `a[b]` is nested, a file is an object of its name,
    /// type and size under `$file`, and text that stands for a number or a flag is one.
    pub(crate) fn to_json(&self) -> Value {
        let mut fields = Map::new();
        for part in &self.parts {
            let value = part.value();
            match part.name.split_once('[') {
                Some((name, "]")) => push(&mut fields, name, value, true),
                Some((name, inner)) => {
                    let nested = fields.entry(name).or_insert_with(|| json!({}));
                    if let Some(nested) = nested.as_object_mut() {
                        push(nested, inner.trim_end_matches(']'), value, false);
                    }
                }
                None => push(&mut fields, &part.name, value, false),
            }
        }
        Value::Object(fields)
    }

    /// The form as a record shows it, part by part; of a large file the beginning.
    pub(crate) fn shown(&self) -> Value {
        let shown = |part: &Part| {
            let mut shown = json!({"name": part.name, "bytes": part.body.len()});
            let Some(fields) = shown.as_object_mut() else { return shown };
            let head = part.body.get(..SHOWN_BYTES_MAX).unwrap_or(&part.body);
            match (&part.filename, std::str::from_utf8(&part.body)) {
                (Some(filename), text) => {
                    fields.insert("filename".to_owned(), json!(filename));
                    fields.insert("content_type".to_owned(), json!(part.content_type));
                    match text.ok().filter(|text| text.len() <= SHOWN_BYTES_MAX) {
                        Some(text) => fields.insert("text".to_owned(), json!(text)),
                        None => fields.insert("base64".to_owned(), json!(base64(head))),
                    };
                }
                (None, text) => {
                    let text =
                        text.map_or_else(|_| String::from_utf8_lossy(head).into_owned(), str::to_owned);
                    fields.insert("text".to_owned(), json!(text));
                }
            }
            shown
        };
        json!({"form": self.parts.iter().map(shown).collect::<Vec<_>>()})
    }
}

fn push(fields: &mut Map<String, Value>, name: &str, value: Value, always_list: bool) {
    match fields.get_mut(name) {
        None if always_list => {
            fields.insert(name.to_owned(), json!([value]));
        }
        None => {
            fields.insert(name.to_owned(), value);
        }
        Some(Value::Array(items)) => items.push(value),
        Some(other) => *other = json!([other.take(), value]),
    }
}

fn part(bytes: &Bytes) -> Option<Part> {
    let end = memchr::memmem::find(bytes, b"\r\n\r\n")?;
    let head = std::str::from_utf8(bytes.get(..end)?).ok()?;
    let (mut disposition, mut content_type) = (None, None);
    for line in head.split("\r\n") {
        let (name, value) = line.split_once(':')?;
        match name.to_ascii_lowercase().as_str() {
            "content-disposition" => disposition = Some(value.trim()),
            "content-type" => content_type = Some(value.trim().to_owned()),
            _ => {}
        }
    }
    let (kind, parameters) = disposition?.split_once(';')?;
    kind.trim().eq_ignore_ascii_case("form-data").then_some(())?;
    Some(Part {
        name: parameter(parameters, "name")?,
        filename: parameter(parameters, "filename"),
        content_type,
        body: bytes.slice(end + 4..),
    })
}

impl Part {
    fn value(&self) -> Value {
        if let Some(filename) = &self.filename {
            return json!({FILE: {"filename": filename, "content_type": self.content_type, "bytes": self.body.len()}});
        }
        let text = String::from_utf8_lossy(&self.body).into_owned();
        let leaf = self.name.rsplit('[').next().unwrap_or_default().trim_end_matches(']');
        let number =
            || text.parse::<i64>().map(Value::from).or_else(|_| text.parse::<f64>().map(Value::from)).ok();
        match (leaf, text.as_str()) {
            ("stream", "true" | "True") => json!(true),
            ("stream", "false" | "False") => json!(false),
            (leaf, _) if NUMBERS.contains(&leaf) => number().unwrap_or(Value::String(text)),
            _ => Value::String(text),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;

    fn headers(boundary: &'static str) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert(http::header::CONTENT_TYPE, HeaderValue::from_static(boundary));
        headers
    }

    fn read(body: &str) -> Option<Form> {
        Form::read(&headers("multipart/form-data; boundary=\"xx\""), &Bytes::from(body.to_owned()))
    }

    const FIELD: &str = "Content-Disposition: form-data; name=";

    #[test]
    fn fields_and_files_are_told_apart() {
        let body = format!(
            "--xx\r\n{FIELD}\"model\"\r\n\r\nwhisper-1\r\n--xx\r\n{FIELD}\"file\"; filename=\"a.wav\"\r\nContent-Type: \
             audio/wav\r\n\r\nRI\r\nFF\r\n--xx\r\n{FIELD}\"n\"\r\n\r\n2\r\n--xx\r\n{FIELD}\"include[]\"\r\n\r\nlogprobs\r\n\
             --xx\r\n{FIELD}\"after[seconds]\"\r\n\r\n60\r\n--xx--\r\n"
        );
        let form = read(&body).unwrap();
        assert_eq!(form.files("file")[0].body, "RI\r\nFF");
        let json = form.to_json();
        assert_eq!(json["file"][FILE], json!({"filename": "a.wav", "content_type": "audio/wav", "bytes": 6}));
        assert_eq!((&json["model"], &json["n"]), (&json!("whisper-1"), &json!(2)));
        assert_eq!((&json["include"], &json["after"]), (&json!(["logprobs"]), &json!({"seconds": 60})));
        assert_eq!(form.shown()["form"][1]["text"], "RI\r\nFF");
    }

    #[test]
    fn what_is_no_whole_form_is_refused() {
        let good = format!("--xx\r\n{FIELD}\"a\"\r\n\r\nb\r\n--xx--");
        assert!(read(&good).is_some());
        for wrong in [
            String::new(),
            "{}".to_owned(),
            good.replace("--xx--", "--xx"),
            good.replace("form-data", "attachment"),
            good.replace("name=\"a\"", "filename=\"a\"").replace("; filename", "; x"),
            good.replace("\r\n\r\n", "\n\n"),
            format!("{good}tail"),
        ] {
            assert_eq!(read(&wrong), None, "{wrong}");
        }
        let body = Bytes::from(good);
        for kind in [
            "application/json",
            "multipart/form-data",
            "multipart/mixed; boundary=xx",
            "multipart/form-data; boundary=",
        ] {
            assert_eq!(Form::read(&headers(kind), &body), None, "{kind}");
        }
    }

    #[test]
    fn names_that_come_twice_are_a_list() {
        let body = format!("--xx\r\n{FIELD}\"a\"\r\n\r\n1\r\n--xx\r\n{FIELD}\"a\"\r\n\r\n2\r\n--xx--\r\n");
        assert_eq!(read(&body).unwrap().to_json(), json!({"a": ["1", "2"]}));
    }
}
