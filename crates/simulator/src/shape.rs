//! The shapes that a provider accepts, as tables, and the check of a JSON value against one.
//!
//! Owns: [`Shape`], [`Violation`]. Leaves to others: each provider's tables and its words for a violation (the `check`
//! modules), and rules that relate several fields.
//!
//! **Invariant:** violations come in the order of the document, unknown fields of an object before what is wrong with
//! its known ones, and never more than [`VIOLATIONS_MAX`].

use serde_json::{Map, Value};

/// At most this many violations are reported for one document.
const VIOLATIONS_MAX: usize = 16;

/// What a value may be.
#[derive(Debug)]
pub(crate) enum Shape {
    Any,
    Bool,
    Text,
    /// Text of at most this many characters.
    ShortText(usize),
    /// `^[a-zA-Z0-9_-]+$`, at most this long.
    Name(usize),
    Int(i64, i64),
    Num(f64, f64),
    Word(&'static [&'static str]),
    /// As `Word`, whatever the case of the letters.
    AnyCaseWord(&'static [&'static str]),
    Null,
    /// Any object.
    Object,
    /// An object of these fields and no others.
    Closed(&'static [Field]),
    /// An object of any fields whose values have this shape.
    MapOf(&'static Shape),
    /// A list of so many of these.
    List {
        of: &'static Shape,
        min: usize,
        max: usize,
    },
    /// The first of these whose kind of JSON the value is of.
    Either(&'static [Shape]),
    /// An object whose field `tag` says which further fields it has.
    Tagged {
        tag: &'static str,
        cases: &'static [(&'static str, &'static [Field])],
    },
}

/// A field of an object.
#[derive(Debug)]
pub(crate) struct Field {
    pub(crate) name: &'static str,
    pub(crate) shape: Shape,
    pub(crate) need: Need,
}

/// Whether a field may be absent or null.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Need {
    Required,
    Optional,
    Nullable,
}

/// A field that must be there.
pub(crate) const fn must(name: &'static str, shape: Shape) -> Field {
    Field { name, shape, need: Need::Required }
}

/// A field that may be absent.
pub(crate) const fn may(name: &'static str, shape: Shape) -> Field {
    Field { name, shape, need: Need::Optional }
}

/// A field that may be absent or null.
pub(crate) const fn null(name: &'static str, shape: Shape) -> Field {
    Field { name, shape, need: Need::Nullable }
}

/// A list of any length.
pub(crate) const fn list(of: &'static Shape) -> Shape {
    Shape::List { of, min: 0, max: usize::MAX }
}

/// How field names are compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Keys {
    /// As they are.
    Exact,
    /// As Google's JSON does: `snake_case` is as good as `camelCase`.
    Proto,
}

/// A step on the way to a value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Step {
    Key(String),
    Index(usize),
    /// The case of a tagged object, which Anthropic's messages spell as a step of its own.
    Case(&'static str),
}

/// Where and how a value breaks its shape.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Violation {
    pub(crate) path: Vec<Step>,
    pub(crate) wrong: Wrong,
}

/// How a value breaks its shape.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Wrong {
    Unknown,
    Missing,
    Type { expected: &'static str, got: Value },
    Word { given: String, allowed: Vec<&'static str> },
    Below { min: f64, got: Value },
    Above { max: f64, got: Value },
    Pattern,
    TooLong { max: usize, len: usize },
    TooFew { min: usize },
    TooMany { max: usize, len: usize },
}

/// Checks an object against a table of fields.
pub(crate) fn check(object: &Map<String, Value>, fields: &'static [Field], keys: Keys) -> Vec<Violation> {
    let mut checker = Checker { keys, path: Vec::new(), found: Vec::new() };
    checker.object(object, fields, None);
    checker.found
}

struct Checker {
    keys: Keys,
    path: Vec<Step>,
    found: Vec<Violation>,
}

impl Checker {
    fn report(&mut self, wrong: Wrong) {
        if self.found.len() < VIOLATIONS_MAX {
            self.found.push(Violation { path: self.path.clone(), wrong });
        }
    }

    fn at(&mut self, step: Step, check: impl FnOnce(&mut Checker)) {
        self.path.push(step);
        check(self);
        self.path.pop();
    }

    fn object(&mut self, object: &Map<String, Value>, fields: &'static [Field], tag: Option<&str>) {
        for key in object.keys() {
            let known = Some(key.as_str()) == tag || fields.iter().any(|field| self.same(field.name, key));
            if !known {
                self.at(Step::Key(key.clone()), |checker| checker.report(Wrong::Unknown));
            }
        }
        for field in fields {
            let value = object.iter().find(|(key, _)| self.same(field.name, key)).map(|(_, value)| value);
            let step = Step::Key(field.name.to_owned());
            match (value, field.need) {
                (None, Need::Required) => self.at(step, |checker| checker.report(Wrong::Missing)),
                (None, _) | (Some(Value::Null), Need::Nullable) => {}
                // In Google's JSON a null is an absent field.
                (Some(Value::Null), _) if self.keys == Keys::Proto => {}
                (Some(value), _) => self.at(step, |checker| checker.value(value, &field.shape)),
            }
        }
    }

    fn same(&self, field: &str, key: &str) -> bool {
        field == key || (self.keys == Keys::Proto && camel(key) == field)
    }

    fn value(&mut self, value: &Value, shape: &'static Shape) {
        if !fits_kind(value, shape) {
            return self.report(Wrong::Type { expected: kind_name(shape), got: value.clone() });
        }
        match shape {
            Shape::Any | Shape::Bool | Shape::Text | Shape::Null | Shape::Object => {}
            Shape::ShortText(max) => self.length(text(value), *max),
            Shape::Name(max) => self.name(text(value), *max),
            #[expect(clippy::cast_precision_loss, reason = "limits of providers are far below 2^52")]
            Shape::Int(min, max) => self.range(value, *min as f64, *max as f64),
            Shape::Num(min, max) => self.range(value, *min, *max),
            Shape::Word(allowed) => self.word(text(value), allowed, false),
            Shape::AnyCaseWord(allowed) => self.word(text(value), allowed, true),
            Shape::Closed(fields) => {
                if let Some(object) = value.as_object() {
                    self.object(object, fields, None);
                }
            }
            Shape::MapOf(of) => {
                for (key, value) in value.as_object().into_iter().flatten() {
                    self.at(Step::Key(key.clone()), |checker| checker.value(value, of));
                }
            }
            Shape::List { of, min, max } => self.list(value, of, *min, *max),
            Shape::Either(shapes) => {
                if let Some(shape) = shapes.iter().find(|shape| fits_kind(value, shape)) {
                    self.value(value, shape);
                }
            }
            Shape::Tagged { tag, cases } => {
                if let Some(object) = value.as_object() {
                    self.tagged(object, tag, cases);
                }
            }
        }
    }

    fn tagged(
        &mut self,
        object: &Map<String, Value>,
        tag: &'static str,
        cases: &'static [(&'static str, &'static [Field])],
    ) {
        let step = Step::Key(tag.to_owned());
        match object.get(tag) {
            None => self.at(step, |checker| checker.report(Wrong::Missing)),
            Some(Value::String(given)) => match cases.iter().find(|(case, _)| case == given) {
                Some((case, fields)) => {
                    self.at(Step::Case(case), |checker| checker.object(object, fields, Some(tag)));
                }
                None => {
                    let allowed = cases.iter().map(|(case, _)| *case).collect();
                    self.at(step, |checker| checker.report(Wrong::Word { given: given.clone(), allowed }));
                }
            },
            Some(other) => {
                let wrong = Wrong::Type { expected: "a string", got: other.clone() };
                self.at(step, |checker| checker.report(wrong));
            }
        }
    }

    fn list(&mut self, value: &Value, of: &'static Shape, min: usize, max: usize) {
        let items = value.as_array().map(Vec::as_slice).unwrap_or_default();
        if items.len() < min {
            return self.report(Wrong::TooFew { min });
        }
        if items.len() > max {
            return self.report(Wrong::TooMany { max, len: items.len() });
        }
        for (index, item) in items.iter().enumerate() {
            self.at(Step::Index(index), |checker| checker.value(item, of));
        }
    }

    fn range(&mut self, value: &Value, min: f64, max: f64) {
        let number = value.as_f64().unwrap_or_default();
        if number < min {
            self.report(Wrong::Below { min, got: value.clone() });
        } else if number > max {
            self.report(Wrong::Above { max, got: value.clone() });
        }
    }

    fn word(&mut self, given: &str, allowed: &'static [&'static str], any_case: bool) {
        let same = |word: &&str| *word == given || (any_case && word.eq_ignore_ascii_case(given));
        if !allowed.iter().any(same) {
            self.report(Wrong::Word { given: given.to_owned(), allowed: allowed.to_vec() });
        }
    }

    fn length(&mut self, text: &str, max: usize) {
        let len = text.chars().count();
        if len > max {
            self.report(Wrong::TooLong { max, len });
        }
    }

    fn name(&mut self, text: &str, max: usize) {
        if text.len() > max {
            self.report(Wrong::TooLong { max, len: text.len() });
        } else if !is_name(text) {
            self.report(Wrong::Pattern);
        }
    }
}

/// `^[a-zA-Z0-9_-]+$`
pub(crate) fn is_name(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-')
}

/// `snake_case` to `camelCase`.
pub(crate) fn camel(key: &str) -> String {
    let mut out = String::with_capacity(key.len());
    let mut upper = false;
    for (index, c) in key.char_indices() {
        if c == '_' && index > 0 {
            upper = true;
        } else {
            out.push(if upper { c.to_ascii_uppercase() } else { c });
            upper = false;
        }
    }
    out
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

fn is_whole(value: &Value) -> bool {
    value.is_i64() || value.is_u64() || value.as_f64().is_some_and(|number| number.fract() == 0.0)
}

fn fits_kind(value: &Value, shape: &Shape) -> bool {
    match shape {
        Shape::Any => true,
        Shape::Bool => value.is_boolean(),
        Shape::Null => value.is_null(),
        Shape::Text | Shape::ShortText(_) | Shape::Name(_) | Shape::Word(_) | Shape::AnyCaseWord(_) => {
            value.is_string()
        }
        Shape::Int(..) => value.is_number() && is_whole(value),
        Shape::Num(..) => value.is_number(),
        Shape::Object | Shape::Closed(_) | Shape::MapOf(_) | Shape::Tagged { .. } => value.is_object(),
        Shape::List { .. } => value.is_array(),
        Shape::Either(shapes) => shapes.iter().any(|shape| fits_kind(value, shape)),
    }
}

/// The kind of a shape as OpenAI's messages name it.
fn kind_name(shape: &Shape) -> &'static str {
    match shape {
        Shape::Any => "anything",
        Shape::Bool => "a boolean",
        Shape::Null => "null",
        Shape::Text | Shape::ShortText(_) | Shape::Name(_) => "a string",
        Shape::Word(_) | Shape::AnyCaseWord(_) => "a string",
        Shape::Int(..) => "an integer",
        Shape::Num(..) => "a decimal",
        Shape::Object | Shape::Closed(_) | Shape::MapOf(_) | Shape::Tagged { .. } => "an object",
        Shape::List { of: Shape::Closed(_) | Shape::Tagged { .. }, .. } => "an array of objects",
        Shape::List { of: Shape::Text | Shape::ShortText(_), .. } => "an array of strings",
        Shape::List { .. } => "an array",
        Shape::Either(_) => "one of the documented types",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    const PART: Shape = Shape::Tagged {
        tag: "type",
        cases: &[("text", &[must("text", Shape::Text)]), ("image", &[must("url", Shape::ShortText(3))])],
    };
    static FIELDS: &[Field] = &[
        must("model", Shape::Text),
        null("heat", Shape::Num(0.0, 2.0)),
        may("count", Shape::Int(1, 3)),
        may("parts", Shape::List { of: &PART, min: 1, max: 2 }),
        may("stop", Shape::Either(&[Shape::Text, list(&Shape::Text)])),
        may("toolMode", Shape::Word(&["on", "off"])),
        may("name", Shape::Name(4)),
        may("bias", Shape::MapOf(&Shape::Int(-1, 1))),
    ];

    fn found(value: &Value, keys: Keys) -> Vec<(String, Wrong)> {
        let spell = |violation: Violation| {
            let steps = violation.path.into_iter().map(|step| match step {
                Step::Key(key) => key,
                Step::Index(index) => index.to_string(),
                Step::Case(case) => format!("<{case}>"),
            });
            (steps.collect::<Vec<_>>().join("."), violation.wrong)
        };
        check(value.as_object().unwrap(), FIELDS, keys).into_iter().map(spell).collect()
    }

    fn one(value: Value, path: &str, wrong: Wrong) {
        assert_eq!(found(&value, Keys::Exact), [(path.to_owned(), wrong)], "{value}");
    }

    #[test]
    fn a_value_of_the_shape_has_no_violation() {
        for value in [
            json!({"model": "m"}),
            json!({"model": "m", "heat": null, "count": 2.0, "stop": ["a"], "toolMode": "on", "bias": {"7": 1}}),
            json!({"model": "m", "parts": [{"type": "text", "text": "x"}, {"type": "image", "url": "abc"}]}),
        ] {
            assert_eq!(found(&value, Keys::Exact), [], "{value}");
        }
    }

    #[test]
    fn each_way_to_break_a_shape_is_named_with_its_place() {
        one(json!({}), "model", Wrong::Missing);
        one(json!({"model": "m", "x": 1}), "x", Wrong::Unknown);
        one(json!({"model": 1}), "model", Wrong::Type { expected: "a string", got: json!(1) });
        one(
            json!({"model": "m", "count": null}),
            "count",
            Wrong::Type { expected: "an integer", got: json!(null) },
        );
        one(
            json!({"model": "m", "count": 1.5}),
            "count",
            Wrong::Type { expected: "an integer", got: json!(1.5) },
        );
        one(json!({"model": "m", "heat": 3}), "heat", Wrong::Above { max: 2.0, got: json!(3) });
        one(json!({"model": "m", "count": 0}), "count", Wrong::Below { min: 1.0, got: json!(0) });
        one(json!({"model": "m", "parts": []}), "parts", Wrong::TooFew { min: 1 });
        one(json!({"model": "m", "parts": [1, 2, 3]}), "parts", Wrong::TooMany { max: 2, len: 3 });
        one(json!({"model": "m", "parts": [{"text": "x"}]}), "parts.0.type", Wrong::Missing);
        one(
            json!({"model": "m", "parts": [{"type": "text", "text": "x", "y": 1}]}),
            "parts.0.<text>.y",
            Wrong::Unknown,
        );
        one(
            json!({"model": "m", "parts": [{"type": "image", "url": "long"}]}),
            "parts.0.<image>.url",
            Wrong::TooLong { max: 3, len: 4 },
        );
        one(
            json!({"model": "m", "toolMode": "odd"}),
            "toolMode",
            Wrong::Word { given: "odd".to_owned(), allowed: vec!["on", "off"] },
        );
        one(json!({"model": "m", "name": "a b"}), "name", Wrong::Pattern);
        one(json!({"model": "m", "bias": {"7": 2}}), "bias.7", Wrong::Above { max: 1.0, got: json!(2) });
    }

    #[test]
    fn snake_case_and_null_are_good_in_googles_json_alone() {
        let value = json!({"model": "m", "tool_mode": "on", "count": null});
        assert_eq!(found(&value, Keys::Proto), []);
        assert_eq!(found(&value, Keys::Exact).len(), 2);
    }

    #[test]
    fn the_number_of_violations_is_capped() {
        let many: Map<String, Value> = (0..40).map(|n| (format!("x{n}"), json!(1))).collect();
        assert_eq!(check(&many, FIELDS, Keys::Exact).len(), VIOLATIONS_MAX);
    }
}
