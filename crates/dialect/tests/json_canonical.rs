//! The one form of a body that keys are made of: equal for all ways of writing the same values, different for any other.
//!
//! Figures: `cargo test --release -p tollgate-dialect --test json_canonical -- --ignored --nocapture`.

#![allow(clippy::print_stdout, clippy::unwrap_used, reason = "a test that cannot go on says so")]

use proptest::prelude::*;
use serde_json::{Map, Value, json};
use std::time::{Duration, Instant};
use tollgate_dialect::json::canonical::write_canonical;
use tollgate_dialect::json::{Limits, scan};

fn canonical(body: &str) -> String {
    canonical_of(body, |_| true)
}

fn canonical_of(body: &str, keep: impl Fn(&str) -> bool) -> String {
    let mut out = Vec::new();
    write_canonical(&scan(body.as_bytes(), &Limits::REQUEST).unwrap(), keep, &mut out);
    String::from_utf8(out).unwrap()
}

#[test]
fn order_spaces_and_escapes_leave_no_trace() {
    let body = r#" { "b" : [ 1.0 , { "z" : null , "\u0061" : "\u00e9\/\ud83d\ude00\u000a" } ] ,
        "a\u0062" : true , "" : "x" , "messages":[{"role":"user","content":"Hi"}] } "#;
    let expect = "{\"\":\"x\",\"ab\":true,\"b\":[1,{\"a\":\"\u{e9}/\u{1f600}\\n\",\"z\":null}],\
                  \"messages\":[{\"content\":\"Hi\",\"role\":\"user\"}]}";
    assert_eq!(canonical(body), expect);
    assert_eq!(canonical(expect), expect);
    assert_eq!(canonical("{}"), "{}");
    assert_eq!(canonical(r#"{"a":{},"b":[],"c":[[],{}]}"#), r#"{"a":{},"b":[],"c":[[],{}]}"#);
}

#[test]
fn only_top_level_members_that_are_kept_are_written_by_their_names_unescaped() {
    let body = r#"{"user":"u","st\u0072eam":true,"model":"m","metadata":{"user":1,"stream":false}}"#;
    let kept = canonical_of(body, |name| !["user", "stream"].contains(&name));
    assert_eq!(kept, r#"{"metadata":{"stream":false,"user":1},"model":"m"}"#);
    assert_eq!(canonical_of(body, |_| false), "{}");
}

#[test]
fn it_is_appended_to_what_is_there() {
    let mut out = b"chat:".to_vec();
    write_canonical(&scan(br#"{"b":1,"a":2}"#, &Limits::REQUEST).unwrap(), |_| true, &mut out);
    assert_eq!(out, br#"chat:{"a":2,"b":1}"#);
}

#[test]
fn a_name_given_twice_within_stays_twice_and_in_its_order() {
    let bodies = [
        r#"{"o":{"a":1,"a":2}}"#,
        r#"{"o":{"a":2,"a":1}}"#,
        r#"{"o":{"a":1}}"#,
        r#"{"o":{"a":2}}"#,
        r#"{"o":{"a":1,"a":1}}"#,
        r#"{"o":{"a":1,"a":1,"a":1}}"#,
    ];
    for (number, one) in bodies.iter().enumerate() {
        for other in &bodies[number + 1..] {
            assert_ne!(canonical(one), canonical(other), "{one} {other}");
        }
    }
    assert_eq!(canonical(r#"{"o":{"a":1,"b":0,"\u0061":2}}"#), r#"{"o":{"a":1,"a":2,"b":0}}"#);
}

#[test]
fn half_a_surrogate_pair_never_gets_here() {
    for half in [r"\ud800", r"\udfff", r"\ud800x", r"\ude00\ud83d", r"\ud800\ud800"] {
        for body in
            [format!(r#"{{"a":"{half}"}}"#), format!(r#"{{"{half}":1}}"#), format!(r#"{{"a":["{half}"]}}"#)]
        {
            assert!(scan(body.as_bytes(), &Limits::REQUEST).is_err(), "{body}");
        }
    }
    assert_eq!(canonical(r#"{"a":"\ufffd"}"#), "{\"a\":\"\u{fffd}\"}");
}

#[test]
fn types_that_look_alike_stay_apart() {
    let values = [
        "1",
        "\"1\"",
        "true",
        "\"true\"",
        "null",
        "\"null\"",
        "\"\"",
        "[]",
        "{}",
        "[1]",
        "[[1]]",
        "[null]",
        "false",
        "0",
        "{\"1\":1}",
        "{\"\":null}",
        "[1,1]",
        "[\"1,1\"]",
        "\"[1]\"",
        "11",
        "1e1",
        "\"1e1\"",
        "-1",
        "1e-1",
        "\"\\u0000\"",
        "\"\\\\u0000\"",
        "\"\\\"\"",
        "\"\\\\\\\"\"",
        "[[],[]]",
        "[[[]]]",
        "[{},[]]",
        "[[],{}]",
    ];
    let bodies: Vec<String> = values.iter().map(|value| canonical(&format!(r#"{{"v":{value}}}"#))).collect();
    for (number, one) in bodies.iter().enumerate() {
        assert!(!bodies[number + 1..].contains(one), "{one}");
    }
}

#[test]
fn names_of_members_and_their_values_do_not_run_together() {
    assert_ne!(canonical(r#"{"a":{"b":{"c":1}}}"#), canonical(r#"{"a":{"b":{},"c":1}}"#));
    assert_ne!(canonical(r#"{"a":["b","c"]}"#), canonical(r#"{"a":["c","b"]}"#));
    assert_ne!(canonical(r#"{"a":["b,c"]}"#), canonical(r#"{"a":["b","c"]}"#));
}

#[test]
fn the_deepest_body_that_is_taken_is_written() {
    let depth = Limits::REPLY.depth_max as usize - 1;
    let body = format!(r#"{{"b":0,"a":{}1.0{}}}"#, r#"[{"x":"#.repeat(depth / 2), "}]".repeat(depth / 2));
    let object = scan(body.as_bytes(), &Limits::REPLY).unwrap();
    let mut out = Vec::new();
    write_canonical(&object, |_| true, &mut out);
    let expect = format!(r#"{{"a":{}1{},"b":0}}"#, r#"[{"x":"#.repeat(depth / 2), "}]".repeat(depth / 2));
    assert_eq!(String::from_utf8(out).unwrap(), expect);
}

/// Decimal digits of a number and the place of its point, told by hand: what two equal numbers have in common.
fn decimal(text: &str) -> (bool, String, i128) {
    let (mantissa, exponent) = text.split_once(['e', 'E']).unwrap_or((text, "0"));
    let is_negative = mantissa.starts_with('-');
    let (whole, decimals) =
        mantissa.trim_start_matches('-').split_once('.').unwrap_or((mantissa.trim_start_matches('-'), ""));
    let mut power: i128 = exponent.parse::<i128>().unwrap() - decimals.len() as i128;
    let mut digits = format!("{whole}{decimals}").trim_start_matches('0').to_owned();
    while digits.ends_with('0') {
        digits.pop();
        power += 1;
    }
    if digits.is_empty() { (false, digits, 0) } else { (is_negative, digits, power) }
}

/// Equal, where numbers are what they stand for.
fn is_equal(one: &Value, other: &Value) -> bool {
    match (one, other) {
        (Value::Number(one), Value::Number(other)) => {
            decimal(&one.to_string()) == decimal(&other.to_string())
        }
        (Value::Array(one), Value::Array(other)) => {
            one.len() == other.len() && one.iter().zip(other).all(|(one, other)| is_equal(one, other))
        }
        (Value::Object(one), Value::Object(other)) => {
            one.len() == other.len()
                && one.iter().all(|(name, value)| other.get(name).is_some_and(|other| is_equal(value, other)))
        }
        _ => one == other,
    }
}

/// A source of choices that a test can repeat.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % sides
    }

    fn space(&mut self, out: &mut String) {
        for _ in 0..self.roll(3) {
            out.push([' ', '\n', '\r', '\t'][self.roll(4) as usize]);
        }
    }

    /// The value in some other of the ways in which JSON has it.
    fn write(&mut self, value: &Value, out: &mut String) {
        self.space(out);
        match value {
            Value::Null | Value::Bool(_) => out.push_str(&value.to_string()),
            Value::Number(number) => self.number(&number.to_string(), out),
            Value::String(text) => self.string(text, out),
            Value::Array(items) => {
                out.push('[');
                for (position, item) in items.iter().enumerate() {
                    out.push_str(if position > 0 { "," } else { "" });
                    self.write(item, out);
                }
                out.push(']');
            }
            Value::Object(members) => {
                let mut members: Vec<_> = members.iter().collect();
                for position in (1..members.len()).rev() {
                    members.swap(position, self.roll(position as u64 + 1) as usize);
                }
                out.push('{');
                for (position, (name, value)) in members.into_iter().enumerate() {
                    out.push_str(if position > 0 { "," } else { "" });
                    self.space(out);
                    self.string(name, out);
                    self.space(out);
                    out.push(':');
                    self.write(value, out);
                }
                self.space(out);
                out.push('}');
            }
        }
        self.space(out);
    }

    fn string(&mut self, text: &str, out: &mut String) {
        out.push('"');
        for character in text.chars() {
            let must = matches!(character, '"' | '\\') || character < ' ';
            if character == '/' && self.roll(2) == 0 {
                out.push_str("\\/");
            } else if must || self.roll(4) == 0 {
                for unit in character.encode_utf16(&mut [0; 2]) {
                    let hex = format!("\\u{unit:04x}");
                    let digits =
                        if self.roll(2) == 0 { hex[2..].to_uppercase() } else { hex[2..].to_owned() };
                    out.push_str(&format!("\\u{digits}"));
                }
            } else {
                out.push(character);
            }
        }
        out.push('"');
    }

    fn number(&mut self, text: &str, out: &mut String) {
        let (mantissa, exponent) = text.split_once('e').unwrap_or((text, "0"));
        let exponent: i64 = exponent.parse().unwrap();
        let (sign, unsigned) = mantissa.strip_prefix('-').map_or(("", mantissa), |rest| ("-", rest));
        let (whole, decimals) = unsigned.split_once('.').unwrap_or((unsigned, ""));
        let zeros = "0".repeat(self.roll(3) as usize);
        match self.roll(4) {
            // As digits behind the point.
            0 => {
                let power = exponent + whole.len() as i64;
                out.push_str(&format!("{sign}0.{whole}{decimals}{zeros}E{power:+}"));
            }
            // As a whole number of the last digit.
            1 => {
                let digits = format!("{whole}{decimals}");
                let digits = digits.trim_start_matches('0');
                let power = exponent - decimals.len() as i64 - zeros.len() as i64;
                if digits.is_empty() {
                    out.push_str("-0");
                } else {
                    out.push_str(&format!("{sign}{digits}{zeros}e{power}"));
                }
            }
            2 if !decimals.is_empty() => out.push_str(&format!("{sign}{whole}.{decimals}{zeros}e{exponent}")),
            2 => out.push_str(&format!("{sign}{whole}.0{zeros}e{exponent}")),
            _ => out.push_str(text),
        }
    }
}

fn values() -> impl Strategy<Value = Value> {
    let text = prop_oneof!["[a-c]{0,2}", any::<String>(), "[\"/\\\\\u{8}\n\u{e9}\u{1f600}]{0,6}"];
    let scalar = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        (-20_i64..20).prop_map(Value::from),
        any::<f64>().prop_filter_map("finite", |number| number.is_finite().then(|| Value::from(number))),
        (-40_i32..40).prop_map(|tenths| Value::from(f64::from(tenths) / 10.0)),
        text.clone().prop_map(Value::from),
    ];
    scalar.prop_recursive(4, 40, 5, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
            prop::collection::hash_map(text.clone(), inner, 0..5)
                .prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    })
}

fn bodies() -> impl Strategy<Value = Value> {
    prop::collection::hash_map("[a-d\"\\\\/\u{e9}]{0,3}", values(), 0..6)
        .prop_map(|members| Value::Object(members.into_iter().collect::<Map<_, _>>()))
}

/// Changes one value, name, order or type somewhere in it.
fn change(value: &mut Value, dice: &mut Dice) {
    match value {
        Value::Array(items) if !items.is_empty() && dice.roll(3) > 0 => {
            let at = dice.roll(items.len() as u64) as usize;
            match dice.roll(4) {
                0 => drop(items.remove(at)),
                1 => items.swap(at, 0),
                2 => items.insert(at, Value::Null),
                _ => change(&mut items[at], dice),
            }
        }
        Value::Object(members) if !members.is_empty() && dice.roll(3) > 0 => {
            let name = members.keys().nth(dice.roll(members.len() as u64) as usize).unwrap().clone();
            match dice.roll(3) {
                0 => drop(members.remove(&name)),
                1 => {
                    let taken = members.remove(&name).unwrap();
                    members.insert(format!("{name}x"), taken);
                }
                _ => change(&mut members[&name], dice),
            }
        }
        other => {
            let text = other.to_string();
            *other = match dice.roll(4) {
                0 => Value::from(text),
                1 => json!([other.clone()]),
                2 => Value::Null,
                _ => other.as_i64().map_or(json!(true), |number| json!(number ^ 1)),
            };
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]

    #[test]
    fn every_way_of_writing_a_body_gives_the_same_bytes(body in bodies(), seed in any::<u64>()) {
        let mut rewritten = String::new();
        Dice(seed).write(&body, &mut rewritten);
        let expect = canonical(&body.to_string());
        prop_assert_eq!(&canonical(&rewritten), &expect, "{}", rewritten);
        prop_assert_eq!(canonical(&expect), expect);
    }

    #[test]
    fn another_reader_finds_the_same_values(body in bodies()) {
        let written = canonical(&body.to_string());
        let read: Value = serde_json::from_str(&written).unwrap();
        prop_assert!(is_equal(&read, &body), "{} {}", written, body);
        let names: Vec<_> = read.as_object().unwrap().keys().cloned().collect();
        prop_assert!(names.is_sorted());
    }

    #[test]
    fn any_change_gives_other_bytes(body in bodies(), seed in any::<u64>()) {
        let mut changed = body.clone();
        let mut dice = Dice(seed);
        for (_, value) in changed.as_object_mut().unwrap() {
            if dice.roll(2) == 0 {
                change(value, &mut dice);
            }
        }
        let are_equal = canonical(&body.to_string()) == canonical(&changed.to_string());
        prop_assert_eq!(are_equal, is_equal(&body, &changed), "{} {}", body, changed);
    }

    #[test]
    fn numbers_are_equal_where_they_stand_for_the_same(
        digits in "(0|[1-9][0-9]{0,24})(\\.[0-9]{1,24})?(e[+-]?[0-9]{1,2})?",
        other in "-?(0|[1-9]0{0,3})(\\.0{0,2}[01])?(e[+-]?[0-3])?",
        third in "-?(0|[1-9]0{0,3})(\\.0{0,2}[01])?(e[+-]?[0-3])?",
    ) {
        let key = |number: &str| canonical(&format!(r#"{{"n":{number}}}"#));
        prop_assert_eq!(decimal(&digits), decimal(&key(&digits)[5..key(&digits).len() - 1]));
        prop_assert_eq!(key(&other) == key(&third), decimal(&other) == decimal(&third), "{} {}", other, third);
        prop_assert_eq!(key(&other) == key(&digits), decimal(&other) == decimal(&digits), "{} {}", other, digits);
    }
}

#[test]
#[ignore = "prints figures; means something in release mode only"]
fn figures() {
    let prose = "The quick brown fox jumps over the lazy dog and runs on.\nIt said \"hello\" twice. ";
    let chat = |turns: usize, repeats: usize| {
        let message = |role: &str| json!({"role": role, "content": prose.repeat(repeats)});
        let messages: Vec<_> = (0..turns).map(|turn| message(["user", "assistant"][turn % 2])).collect();
        let tool = json!({"type": "function", "function": {"name": "look", "parameters": {"type": "object",
            "properties": {"place": {"type": "string"}, "days": {"type": "integer", "minimum": 1}}}}});
        json!({"model": "m", "messages": messages, "tools": [tool], "temperature": 0.2, "max_tokens": 500})
            .to_string()
    };
    let deep = |levels: usize| {
        let open = r#"{"k":[1,"#.repeat(levels);
        let close = "],\"a\":\"x\"}".repeat(levels);
        format!(r#"{{"v":{open}"{}"{close}}}"#, "y".repeat(1_000))
    };
    let rows = [
        ("chat, 2 kB", chat(5, 4)),
        ("chat, 200 kB of 24 turns", chat(24, 98)),
        (
            "200 kB without escapes",
            json!({"messages": [{"role": "user", "content": "word ".repeat(40_000)}]}).to_string(),
        ),
        ("200 kB of small objects", json!({"v": vec![json!({"b": 1, "a": [0.5, "x"]}); 9_000]}).to_string()),
        ("30 deep", deep(15)),
        ("60 deep", deep(30)),
    ];
    for (what, body) in rows {
        let object = scan(body.as_bytes(), &Limits::REQUEST).unwrap();
        let mut out = Vec::with_capacity(body.len());
        let mut best = Duration::MAX;
        for _ in 0..2_000 {
            out.clear();
            let start = Instant::now();
            write_canonical(&object, |_| true, &mut out);
            best = best.min(start.elapsed());
        }
        println!("{what:<28} {:>7} bytes in, {:>7} out, {best:?}", body.len(), out.len());
    }
}
