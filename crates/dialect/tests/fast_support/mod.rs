//! Random JSON values and random spellings of them, shared by the tests of the fast road.

#![allow(dead_code, reason = "every test file uses a part of this")]
#![allow(clippy::unwrap_used, reason = "a test that cannot go on says so")]

use proptest::prelude::*;
use serde_json::{Map, Value};

/// Names that tests meet again on purpose.
pub(crate) const NAMES: [&str; 8] =
    ["model", "stream_options", "include_usage", "metadata", "a", "b", "\u{e9}\"\\\n", ""];

pub(crate) fn name() -> impl Strategy<Value = String> {
    prop_oneof![4 => prop::sample::select(&NAMES[..]).prop_map(str::to_owned), 1 => any::<String>()]
}

pub(crate) fn value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        // Doubles with few digits: what `serde_json` reads is not always the double that it wrote.
        any::<i32>().prop_map(|number| Value::from(f64::from(number) / 64.0)),
        any::<String>().prop_map(Value::from),
        "[a-z \n\"\\\\]{0,120}".prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 48, 6, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
            prop::collection::vec((name(), inner), 0..6)
                .prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    })
}

pub(crate) fn object() -> impl Strategy<Value = Map<String, Value>> {
    prop::collection::vec((name(), value()), 0..8).prop_map(|members| members.into_iter().collect())
}

/// Small deterministic numbers for spellings and cuts.
pub(crate) struct Dice(pub(crate) u64);

impl Dice {
    pub(crate) fn roll(&mut self, sides: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % sides.max(1)
    }
}

/// Writes a value with white space and escapes where the grammar allows them.
pub(crate) fn spell(value: &Value, dice: &mut Dice, out: &mut String) {
    space(dice, out);
    match value {
        Value::Array(items) => {
            out.push('[');
            for (index, item) in items.iter().enumerate() {
                out.push_str(if index > 0 { "," } else { "" });
                spell(item, dice, out);
            }
            space(dice, out);
            out.push(']');
        }
        Value::Object(members) => {
            out.push('{');
            for (index, (name, item)) in members.iter().enumerate() {
                out.push_str(if index > 0 { "," } else { "" });
                space(dice, out);
                spell_string(name, dice, out);
                space(dice, out);
                out.push(':');
                spell(item, dice, out);
            }
            space(dice, out);
            out.push('}');
        }
        Value::String(text) => spell_string(text, dice, out),
        scalar => out.push_str(&scalar.to_string()),
    }
    space(dice, out);
}

fn space(dice: &mut Dice, out: &mut String) {
    if dice.roll(4) == 0 {
        out.push_str(["\n", " ", "\t", "\r\n"][dice.roll(4)]);
    }
}

fn spell_string(text: &str, dice: &mut Dice, out: &mut String) {
    out.push('"');
    for character in text.chars() {
        if dice.roll(8) == 0 {
            let mut units = [0; 2];
            character
                .encode_utf16(&mut units)
                .iter()
                .for_each(|unit| out.push_str(&format!("\\u{unit:04x}")));
        } else {
            let quoted = serde_json::to_string(&character).unwrap();
            out.push_str(&quoted[1..quoted.len() - 1]);
        }
    }
    out.push('"');
}
