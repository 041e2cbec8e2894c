//! Writes JSON straight into bytes, for the replies and streams that leave by the thousand.
//!
//! Owns commas and escapes. Leaves member names and their order to the encoders.

use serde_json::Value;

/// Appends a JSON string.
pub(crate) fn string(text: &str, out: &mut Vec<u8>) {
    // Writing into memory cannot fail, and a string has no form that JSON lacks.
    let _ = serde_json::to_writer(out, text);
}

/// Appends a JSON value.
pub(crate) fn value(value: &Value, out: &mut Vec<u8>) {
    // As above: a `Value` has string keys only.
    let _ = serde_json::to_writer(out, value);
}

/// Appends a decimal integer.
pub(crate) fn integer(number: u64, out: &mut Vec<u8>) {
    let _ = serde_json::to_writer(out, &number);
}

/// An object that is being written; [`Object::close`] ends it.
pub(crate) struct Object<'a> {
    out: &'a mut Vec<u8>,
    is_empty: bool,
}

impl<'a> Object<'a> {
    pub(crate) fn open(out: &'a mut Vec<u8>) -> Self {
        out.push(b'{');
        Self { out, is_empty: true }
    }

    /// Writes a member's name (plain ASCII, ours) and gives the place for its value.
    pub(crate) fn member(&mut self, name: &str) -> &mut Vec<u8> {
        if !self.is_empty {
            self.out.push(b',');
        }
        self.is_empty = false;
        self.out.push(b'"');
        self.out.extend_from_slice(name.as_bytes());
        self.out.extend_from_slice(b"\":");
        self.out
    }

    pub(crate) fn string(&mut self, name: &str, text: &str) {
        string(text, self.member(name));
    }

    pub(crate) fn integer(&mut self, name: &str, number: u64) {
        integer(number, self.member(name));
    }

    pub(crate) fn value(&mut self, name: &str, content: &Value) {
        value(content, self.member(name));
    }

    /// A member whose value is JSON already.
    pub(crate) fn raw(&mut self, name: &str, json: &str) {
        self.member(name).extend_from_slice(json.as_bytes());
    }

    /// A member whose value is an object, written by `fill`.
    pub(crate) fn object(&mut self, name: &str, fill: impl FnOnce(&mut Object<'_>)) {
        let mut inner = Object::open(self.member(name));
        fill(&mut inner);
        inner.close();
    }

    /// A member whose value is a list, one item per call of `fill`.
    pub(crate) fn list<T>(
        &mut self,
        name: &str,
        items: impl IntoIterator<Item = T>,
        mut fill: impl FnMut(T, &mut Vec<u8>),
    ) {
        let out = self.member(name);
        out.push(b'[');
        for (position, item) in items.into_iter().enumerate() {
            if position > 0 {
                out.push(b',');
            }
            fill(item, out);
        }
        out.push(b']');
    }

    pub(crate) fn close(self) {
        self.out.push(b'}');
    }
}

#[cfg(test)]
mod tests {
    use super::Object;

    #[test]
    fn an_object_has_commas_between_its_members_and_escapes_its_strings() {
        let mut out = Vec::new();
        let mut object = Object::open(&mut out);
        object.string("text", "a \"quote\"\n\u{1}é");
        object.integer("count", u64::MAX);
        object.list("items", [1, 2], super::integer);
        object.object("inner", |inner| inner.raw("nothing", "null"));
        object.close();
        let expect = r#"{"text":"a \"quote\"\n\u0001é","count":18446744073709551615,"items":[1,2],"inner":{"nothing":null}}"#;
        assert_eq!(String::from_utf8(out).unwrap(), expect);
    }
}
