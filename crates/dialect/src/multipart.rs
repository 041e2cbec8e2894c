//! Multipart forms (RFC 7578) on their way to a provider: found, read for the few fields that routing needs, and passed on
//! as they came but for the model's name.
//!
//! Owns the grammar of the parts' boundaries and heads. Leaves what a field means to the server. **Invariant:** a byte
//! outside the fields that an edit names is passed on as it came. **Invariant:** no field of a name that routing reads is
//! there twice, so that nobody can be told another model than the provider is.

use bytes::Bytes;
use std::ops::Range;

/// Most parts of a form.
const PARTS_MAX: usize = 256;
/// Longest head of one part, in bytes.
const HEAD_BYTES_MAX: usize = 8 << 10;
/// Longest boundary (RFC 2046, 5.1.1).
const BOUNDARY_BYTES_MAX: usize = 70;

/// Why a body is no form.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum FormError {
    /// The content type names no boundary, or one that cannot be.
    #[error("the content type has no usable boundary")]
    Boundary,
    /// The body does not begin with the boundary, or ends before its last one.
    #[error("the body is not a whole multipart form")]
    Shape,
    /// A part's head is too long, is not text, or names no field.
    #[error("a part of the form names no field")]
    Head,
    /// Too many parts.
    #[error("the form has more than {PARTS_MAX} parts")]
    TooMany,
    /// A field that decides where the request goes is there twice.
    #[error("a field is there twice: {0}")]
    Twice(&'static str),
}

/// One part of a form.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Field<'b> {
    /// The field's name.
    pub name: &'b str,
    /// It is a file.
    pub is_file: bool,
    /// From the first byte of its boundary line to the first of the next one.
    part: Range<usize>,
    /// Where its value lies in the body.
    pub value: Range<usize>,
}

/// A form, found in its body.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Form<'b> {
    body: &'b [u8],
    /// Bytes of the line that the body begins with, without its end.
    opening_bytes: usize,
    fields: Vec<Field<'b>>,
}

/// Fields that decide about the request.
const DECIDING: [&str; 2] = ["model", "stream"];

impl<'b> Form<'b> {
    /// Finds the parts of a body.
    ///
    /// # Errors
    /// [`FormError`] names the rule that the body breaks.
    pub fn read(body: &'b [u8], boundary: &str) -> Result<Self, FormError> {
        if boundary.is_empty() || boundary.len() > BOUNDARY_BYTES_MAX {
            return Err(FormError::Boundary);
        }
        let opening = format!("--{boundary}");
        let closing = format!("\r\n--{boundary}");
        if !body.starts_with(opening.as_bytes()) {
            return Err(FormError::Shape);
        }
        let finder = memchr::memmem::Finder::new(closing.as_bytes());
        let mut fields: Vec<Field<'b>> = Vec::new();
        let mut at = opening.len();
        let mut part_start = 0;
        loop {
            let rest = body.get(at..).unwrap_or_default();
            if rest.starts_with(b"--") {
                break;
            }
            if fields.len() == PARTS_MAX {
                return Err(FormError::TooMany);
            }
            let head_start = at + rest.strip_prefix(b"\r\n").map(|_| 2).ok_or(FormError::Shape)?;
            let (field, value_start) = read_head(body, head_start)?;
            let after = body.get(value_start..).unwrap_or_default();
            let value_end = value_start + finder.find(after).ok_or(FormError::Shape)?;
            let next = value_end + 2;
            let field = Field { part: part_start..next, value: value_start..value_end, ..field };
            if let Some(name) = DECIDING.iter().find(|name| **name == field.name)
                && fields.iter().any(|other| other.name == field.name)
            {
                return Err(FormError::Twice(name));
            }
            fields.push(field);
            part_start = next;
            at = value_end + closing.len();
        }
        Ok(Self { body, opening_bytes: opening.len(), fields })
    }

    /// The fields in order.
    pub fn fields(&self) -> &[Field<'b>] {
        &self.fields
    }

    /// The text of a field that is no file; `None` where it is not there or is not UTF-8.
    pub fn text(&self, name: &str) -> Option<&'b str> {
        let field = self.fields.iter().find(|field| field.name == name && !field.is_file)?;
        std::str::from_utf8(self.body.get(field.value.clone())?).ok()
    }

    /// The bytes of the first file of that name.
    pub fn file(&self, name: &str) -> Option<&'b [u8]> {
        let field = self.fields.iter().find(|field| field.name == name && field.is_file)?;
        self.body.get(field.value.clone())
    }

    /// The body with the model's name replaced where the form has one, and some fields left out. `body` is what the form
    /// was read from.
    pub fn edit(&self, body: &Bytes, model: Option<&str>, remove: &[&str]) -> Vec<Bytes> {
        let names_model = self.fields.iter().any(|field| field.name == "model" && !field.is_file);
        if let Some(model) = model.filter(|_| names_model && !remove.contains(&"model")) {
            return self.rewrite(body, model, remove);
        }
        let mut pieces = Vec::new();
        let mut kept = 0;
        for field in self.fields.iter().filter(|field| remove.contains(&field.name)) {
            pieces.push(body.slice(kept..field.part.start));
            kept = field.part.end;
        }
        pieces.push(body.slice(kept..));
        pieces.retain(|piece| !piece.is_empty());
        pieces
    }

    /// The body with the model's name replaced (added where the form has none) and some fields left out. `body` is what
    /// the form was read from.
    pub fn rewrite(&self, body: &Bytes, model: &str, remove: &[&str]) -> Vec<Bytes> {
        let mut pieces = Vec::new();
        let mut kept = 0;
        let mut has_model = false;
        for field in &self.fields {
            if remove.contains(&field.name) {
                pieces.push(body.slice(kept..field.part.start));
                kept = field.part.end;
            } else if field.name == "model" && !field.is_file {
                pieces.push(body.slice(kept..field.value.start));
                pieces.push(Bytes::copy_from_slice(model.as_bytes()));
                kept = field.value.end;
                has_model = true;
            }
        }
        if !has_model {
            let end = self.fields.last().map_or(0, |field| field.part.end);
            pieces.push(body.slice(kept..end));
            let mut part = body.get(..self.opening_bytes).unwrap_or_default().to_vec();
            part.extend_from_slice(b"\r\nContent-Disposition: form-data; name=\"model\"\r\n\r\n");
            part.extend_from_slice(model.as_bytes());
            part.extend_from_slice(b"\r\n");
            pieces.push(Bytes::from(part));
            kept = end;
        }
        pieces.push(body.slice(kept..));
        pieces.retain(|piece| !piece.is_empty());
        pieces
    }
}

/// The boundary that a content type names.
pub fn boundary(content_type: &str) -> Option<&str> {
    let (kind, parameters) = content_type.split_once(';')?;
    if !kind.trim().eq_ignore_ascii_case("multipart/form-data") {
        return None;
    }
    parameters.split(';').find_map(|parameter| {
        let (name, value) = parameter.split_once('=')?;
        let value = value.trim();
        let value = value.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')).unwrap_or(value);
        name.trim().eq_ignore_ascii_case("boundary").then_some(value)
    })
}

/// Reads a part's head lines, from their first byte; gives the field and where its value begins.
fn read_head(body: &[u8], start: usize) -> Result<(Field<'_>, usize), FormError> {
    let rest = body.get(start..).unwrap_or_default();
    let window = rest.get(..HEAD_BYTES_MAX.min(rest.len())).unwrap_or_default();
    let length = memchr::memmem::find(window, b"\r\n\r\n").ok_or(FormError::Head)?;
    let head = std::str::from_utf8(window.get(..length).unwrap_or_default()).map_err(|_| FormError::Head)?;
    let disposition = head.split("\r\n").find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.trim().eq_ignore_ascii_case("content-disposition").then_some(value.trim())
    });
    let disposition = disposition.ok_or(FormError::Head)?;
    let name = parameter(disposition, "name").ok_or(FormError::Head)?;
    let is_file =
        parameter(disposition, "filename").is_some() || parameter(disposition, "filename*").is_some();
    Ok((Field { name, is_file, part: 0..0, value: 0..0 }, start + length + 4))
}

/// A parameter of a content disposition, quoted or not.
fn parameter<'h>(disposition: &'h str, wanted: &str) -> Option<&'h str> {
    let mut rest = disposition.split_once(';')?.1;
    loop {
        let (name, after) = rest.split_once('=')?;
        let after = after.trim_start();
        let (value, next) = match after.strip_prefix('"') {
            Some(quoted) => {
                let end = quoted.find('"')?;
                (quoted.get(..end)?, quoted.get(end + 1..)?)
            }
            None => after.split_once(';').map_or((after, ""), |(value, _)| {
                (value.trim_end(), after.get(value.len()..).unwrap_or_default())
            }),
        };
        if name.trim().trim_start_matches(';').trim().eq_ignore_ascii_case(wanted) {
            return Some(value);
        }
        rest = next;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FORM: &str = concat!(
        "--x\r\nContent-Disposition: form-data; name=\"model\"\r\n\r\nwhisper\r\n",
        "--x\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a;b.wav\"\r\nContent-Type: audio/wav\r\n\r\n\0\r\n-x--\r\n",
        "--x\r\ncontent-disposition: form-data; name=response_format\r\n\r\n\r\n",
        "--x--\r\n",
    );

    fn rewritten(form: &str, model: &str, remove: &[&str]) -> String {
        let body = Bytes::copy_from_slice(form.as_bytes());
        let pieces = Form::read(&body, "x").unwrap().rewrite(&body, model, remove);
        String::from_utf8(pieces.concat()).unwrap()
    }

    #[test]
    fn fields_are_found_whatever_is_in_a_file() {
        let form = Form::read(FORM.as_bytes(), "x").unwrap();
        let names: Vec<(&str, bool)> =
            form.fields().iter().map(|field| (field.name, field.is_file)).collect();
        assert_eq!(names, [("model", false), ("file", true), ("response_format", false)]);
        assert_eq!(form.text("model"), Some("whisper"));
        assert_eq!(form.text("response_format"), Some(""));
        assert_eq!((form.text("file"), form.text("nothing")), (None, None));
        assert_eq!(&FORM.as_bytes()[form.fields()[1].value.clone()], b"\0\r\n-x--");
    }

    #[test]
    fn only_the_models_name_changes() {
        assert_eq!(rewritten(FORM, "other", &[]), FORM.replace("whisper", "other"));
        assert_eq!(rewritten(FORM, "whisper", &[]), FORM);
        let without = rewritten(FORM, "m", &["response_format"]);
        assert!(!without.contains("response_format") && without.ends_with("-x--\r\n--x--\r\n"), "{without}");
        assert_eq!(Form::read(without.as_bytes(), "x").unwrap().fields().len(), 2);
    }

    #[test]
    fn an_edit_adds_nothing() {
        let edited = |form: &str, model: Option<&str>, remove: &[&str]| {
            let body = Bytes::copy_from_slice(form.as_bytes());
            let pieces = Form::read(&body, "x").unwrap().edit(&body, model, remove);
            String::from_utf8(pieces.concat()).unwrap()
        };
        assert_eq!(edited(FORM, None, &[]), FORM);
        assert_eq!(edited(FORM, Some("other"), &[]), FORM.replace("whisper", "other"));
        let bare = edited(FORM, Some("other"), &["model"]);
        assert!(!bare.contains("whisper") && !bare.contains("other"), "{bare}");
        assert_eq!(edited(&bare, Some("other"), &[]), bare);
        assert_eq!(Form::read(bare.as_bytes(), "x").unwrap().fields().len(), 2);
    }

    #[test]
    fn a_form_without_a_model_gets_one() {
        let form = rewritten(FORM, "m", &["model"]);
        let added = rewritten(&form.replace("\r\nm\r\n", "\r\nold\r\n"), "new", &[]);
        assert_eq!(Form::read(added.as_bytes(), "x").unwrap().text("model"), Some("new"));
        let bare = "--x\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\n1\r\n--x--";
        for end in ["", "\r\n", "\r", "\r\nwhat follows the form"] {
            let added = rewritten(&format!("{bare}{end}"), "new", &[]);
            assert_eq!(Form::read(added.as_bytes(), "x").unwrap().text("model"), Some("new"), "{added}");
            assert!(added.ends_with(&format!("--x--{end}")), "{added}");
        }
    }

    #[test]
    fn broken_forms_are_told_apart() {
        let check = |body: &str, expect: FormError| {
            assert_eq!(Form::read(body.as_bytes(), "x").err(), Some(expect), "{body:?}");
        };
        check("", FormError::Shape);
        check("--y\r\n", FormError::Shape);
        check("--x\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\nvalue", FormError::Shape);
        check("--x\r\nContent-Type: text/plain\r\n\r\nv\r\n--x--", FormError::Head);
        check("--x\r\nContent-Disposition: form-data; name=\"a\"", FormError::Head);
        let part = "--x\r\nContent-Disposition: form-data; name=\"model\"\r\n\r\nv\r\n";
        check(&format!("{part}{part}--x--"), FormError::Twice("model"));
        let many = part.replace("model", "a").repeat(PARTS_MAX + 1);
        check(&format!("{many}--x--"), FormError::TooMany);
        assert_eq!(Form::read(b"--", ""), Err(FormError::Boundary));
    }

    #[test]
    fn the_boundary_is_read_from_the_content_type() {
        for (text, expect) in [
            ("multipart/form-data; boundary=abc", Some("abc")),
            ("Multipart/Form-Data;charset=utf-8; Boundary=\"a b\"", Some("a b")),
            ("multipart/form-data", None),
            ("multipart/mixed; boundary=abc", None),
            ("application/json; boundary=abc", None),
        ] {
            assert_eq!(boundary(text), expect, "{text}");
        }
    }
}
