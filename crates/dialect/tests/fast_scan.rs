//! The scan accepts what `serde_json` accepts, with equal values, and refuses what could be read in two ways.

#![allow(
    clippy::expect_used,
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test that cannot go on says so"
)]

mod fast_support;

use fast_support::{Dice, object, spell};
use proptest::prelude::*;
use serde_json::Value as Tree;
use tollgate_dialect::json::{Kind, Limits, Object, ScanError, ScanErrorKind, scan};

fn kind_of(body: &[u8]) -> Option<ScanErrorKind> {
    scan(body, &Limits::REQUEST).err().map(|error| error.kind)
}

/// What the scan refuses although it is valid JSON.
fn is_stricter_on_purpose(kind: &ScanErrorKind) -> bool {
    use ScanErrorKind::{DuplicateMember, NotAnObject, TooDeep, TooManyValues};
    matches!(kind, DuplicateMember(_) | NotAnObject | TooDeep(_) | TooManyValues(_))
}

fn assert_same_as_tree(object: &Object<'_>, tree: &Tree) {
    let tree = tree.as_object().expect("an object");
    assert_eq!(object.len(), tree.len());
    for (member, (name, value)) in object.members().zip(tree) {
        assert_eq!(&member.name, name);
        let parsed: Tree = serde_json::from_slice(member.value.raw()).expect("a valid value");
        assert_eq!(&parsed, value);
        assert_eq!(object.get(name).expect("the member").raw(), member.value.raw());
        assert_eq!(member.value.as_str().as_deref(), value.as_str());
        assert_eq!(member.value.as_bool(), value.as_bool());
        assert_eq!(member.value.is_null(), value.is_null());
        if let Some(items) = value.as_array() {
            let scanned: Vec<Tree> =
                member.value.array_items().map(|item| serde_json::from_slice(item.raw()).unwrap()).collect();
            assert_eq!(&scanned, items);
        }
        if let Some(inner) = member.value.as_object() {
            assert_same_as_tree(&inner, value);
        }
    }
}

/// Either both readers accept with equal values, or both refuse, or the scan is stricter on purpose.
fn check_against_serde(body: &[u8]) {
    let tree = serde_json::from_slice::<Tree>(body);
    match (scan(body, &Limits::REPLY), tree) {
        (Ok(object), Ok(tree)) => assert_same_as_tree(&object, &tree),
        (Ok(_), Err(error)) => panic!("only the scan accepts {:?}: {error}", String::from_utf8_lossy(body)),
        (Err(error), Ok(_)) => {
            assert!(is_stricter_on_purpose(&error.kind), "only serde_json accepts {body:?}: {error}");
        }
        (Err(_), Err(_)) => {}
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn every_spelling_of_an_object_is_read_as_serde_json_reads_it(members in object(), seed in any::<u64>()) {
        let tree = Tree::Object(members);
        let mut text = String::new();
        spell(&tree, &mut Dice(seed), &mut text);
        let object = scan(text.as_bytes(), &Limits::REPLY).expect("a valid object");
        assert_same_as_tree(&object, &serde_json::from_str(&text).unwrap());
        prop_assert_eq!(&text[object.body_span()], text.trim_matches([' ', '\n', '\r', '\t']));
    }

    #[test]
    fn a_damaged_object_is_refused_exactly_when_serde_json_refuses_it(
        members in object(),
        seed in any::<u64>(),
        hits in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>(), 0..3_u8), 1..4),
    ) {
        let mut text = String::new();
        spell(&Tree::Object(members), &mut Dice(seed), &mut text);
        let mut body = text.into_bytes();
        for (place, byte, how) in hits {
            let at = place.index(body.len());
            match how {
                0 => body[at] = byte,
                1 => body.insert(at, byte),
                _ => drop(body.remove(at)),
            }
            if body.is_empty() {
                break;
            }
        }
        check_against_serde(&body);
    }

    #[test]
    fn token_soup_is_refused_exactly_when_serde_json_refuses_it(
        tokens in prop::collection::vec(
            prop::sample::select(vec![
                "{", "}", "[", "]", ":", ",", "\"a\"", "\"b\"", "\"\\u0061\"", "0", "-1", "1.5e3", "01", "1.", "-", ".5",
                "1e400", "1E+2", "true", "false", "null", "nul", " ", "\n", "\"\\ud800\"", "\"\\ud83d\\ude00\"", "\"\\x\"",
                "\"", "\u{feff}", "\u{a0}",
            ]),
            0..12,
        ),
        is_wrapped in any::<bool>(),
    ) {
        let soup = tokens.concat();
        check_against_serde(soup.as_bytes());
        if is_wrapped {
            check_against_serde(format!("{{\"x\":{soup}}}").as_bytes());
            check_against_serde(format!("{{{soup}}}").as_bytes());
        }
    }

    #[test]
    fn random_bytes_never_disagree(body in prop::collection::vec(any::<u8>(), 0..64)) {
        check_against_serde(&body);
        let mut quoted = b"{\"x\":\"".to_vec();
        quoted.extend_from_slice(&body);
        quoted.extend_from_slice(b"\"}");
        check_against_serde(&quoted);
    }
}

#[test]
fn what_is_wrong_is_named_with_its_place() {
    use ScanErrorKind as Kind;
    let check = |body: &[u8], kind: Kind, line: usize, column: usize, offset: usize| {
        let error = scan(body, &Limits::REQUEST).expect_err("invalid");
        let place = (&error.kind, error.line, error.column, error.offset);
        assert_eq!(place, (&kind, line, column, offset), "{:?}", String::from_utf8_lossy(body));
    };
    check(b"", Kind::Empty, 1, 1, 0);
    check(b" \n ", Kind::Empty, 2, 2, 3);
    check(b"{", Kind::ExpectedName, 1, 2, 1);
    check(b"{not json", Kind::ExpectedName, 1, 2, 1);
    check(b"{'a':1}", Kind::ExpectedName, 1, 2, 1);
    check(b"{\"a\"}", Kind::ExpectedColon, 1, 5, 4);
    check(b"{\"a\" 1}", Kind::ExpectedColon, 1, 6, 5);
    check(b"{\"a\":}", Kind::ExpectedValue, 1, 6, 5);
    check(b"{\"a\":1,}", Kind::ExpectedName, 1, 8, 7);
    check(b"{\"a\":1 \"b\":2}", Kind::ExpectedCommaOrBrace, 1, 8, 7);
    check(b"{\"a\":[1,]}", Kind::ExpectedValue, 1, 9, 8);
    check(b"{\"a\":[1 2]}", Kind::ExpectedCommaOrBracket, 1, 9, 8);
    check(b"{\"a\":[}", Kind::ExpectedValue, 1, 7, 6);
    check(b"{\"a\":\"x", Kind::UnterminatedString, 1, 8, 7);
    check(b"{\"a\":\"x\ny\"}", Kind::ControlCharacter, 1, 8, 7);
    check(b"{\"a\":\"\\q\"}", Kind::InvalidEscape, 1, 7, 6);
    check(b"{\"a\":\"\\u12G4\"}", Kind::InvalidEscape, 1, 7, 6);
    check(b"{\"a\":\"\\u12", Kind::InvalidEscape, 1, 7, 6);
    check(b"{\"a\":\"\\ud800\"}", Kind::LoneSurrogate, 1, 7, 6);
    check(b"{\"a\":\"\\ud800\\n\"}", Kind::LoneSurrogate, 1, 7, 6);
    check(b"{\"a\":\"\\ud800\\ud800\"}", Kind::LoneSurrogate, 1, 7, 6);
    check(b"{\"a\":\"\\udc00\"}", Kind::LoneSurrogate, 1, 7, 6);
    check(b"{\"a\":01}", Kind::ExpectedCommaOrBrace, 1, 7, 6);
    check(b"{\"a\":-}", Kind::InvalidNumber, 1, 7, 6);
    check(b"{\"a\":1.}", Kind::InvalidNumber, 1, 8, 7);
    check(b"{\"a\":1e}", Kind::InvalidNumber, 1, 8, 7);
    check(b"{\"a\":.5}", Kind::ExpectedValue, 1, 6, 5);
    check(b"{\"a\":+1}", Kind::ExpectedValue, 1, 6, 5);
    check(b"{\"a\":1e309}", Kind::NumberOutOfRange, 1, 6, 5);
    check(b"{\"a\":NaN}", Kind::ExpectedValue, 1, 6, 5);
    check(b"{\"a\":trux}", Kind::ExpectedValue, 1, 6, 5);
    check(b"{}{}", Kind::TrailingText, 1, 3, 2);
    check(b"{}\n\n x", Kind::TrailingText, 3, 2, 5);
    check(b"{\"\xC3\xA9\": \"\xC3\xA9\", !}", Kind::ExpectedName, 1, 12, 13);
    check(b"{\"a\":\"\xFF\"}", Kind::NotUtf8, 1, 7, 6);
    check(b"{\"a\":\"\xED\xA0\x80\"}", Kind::NotUtf8, 1, 7, 6);
    check(b"\xEF\xBB\xBF{}", Kind::ExpectedValue, 1, 1, 0);
    check(b"[]", Kind::NotAnObject, 1, 1, 0);
    check(b"\"text\"", Kind::NotAnObject, 1, 1, 0);
    check(b"[1,]", Kind::ExpectedValue, 1, 4, 3);
    check(b"nonsense", Kind::ExpectedValue, 1, 1, 0);
}

#[test]
fn an_error_reads_as_a_sentence_with_line_column_and_character() {
    let error: ScanError = scan(b"{\"\xC3\xA9\":1,\n bad}", &Limits::REQUEST).unwrap_err();
    let sentence = "expected a member name in double quotes: line 2 column 2 (char 9)";
    assert_eq!(error.to_string(), sentence);
    assert_eq!(error.offset, 10);
}

#[test]
fn a_name_given_twice_is_refused_however_it_is_spelt() {
    let check = |body: &str, name: &str, offset: usize| {
        let error = scan(body.as_bytes(), &Limits::REQUEST).expect_err(body);
        assert_eq!(error.kind, ScanErrorKind::DuplicateMember(name.to_owned()), "{body}");
        assert_eq!(error.offset, offset, "{body}");
    };
    check(r#"{"model":"cheap","model":"dear"}"#, "model", 17);
    check(r#"{"model":"cheap","\u006dodel":"dear"}"#, "model", 17);
    check(r#"{"\u006dodel":"cheap","model":"dear"}"#, "model", 22);
    check(r#"{"\u006dodel":"cheap","\u006Dodel":"dear"}"#, "model", 22);
    check(r#"{"m\u006f\u0064el":1,"x":2,"model":3}"#, "model", 27);
    check(r#"{"a\/b":1,"a/b":2}"#, "a/b", 10);
    check(r#"{"\ud83d\ude00":1,"😀":2}"#, "\u{1f600}", 18);
    check(r#"{"":1,"":2}"#, "", 6);
    check(r#"{"a\u0000":1,"a\u0000":2}"#, "a\0", 13);
    let many: Vec<String> = (0..40).map(|number| format!("\"n{number}\":0")).collect();
    let body = format!("{{{},\"n\\u0037\":1,\"n7\":2}}", many.join(","));
    check(&body, "n7", body.find("\"n\\u0037").unwrap());
}

#[test]
fn names_that_only_look_alike_are_different_members() {
    let check = |body: &str, names: [&str; 2]| {
        let object = scan(body.as_bytes(), &Limits::REQUEST).expect(body);
        let found: Vec<_> = object.members().map(|member| member.name.into_owned()).collect();
        assert_eq!(found, names, "{body}");
    };
    check(r#"{"model":1,"Model":2}"#, ["model", "Model"]);
    check(r#"{"model":1,"model ":2}"#, ["model", "model "]);
    check(r#"{"model":1,"model\u0000":2}"#, ["model", "model\0"]);
    check(r#"{"model":1,"m\u043edel":2}"#, ["model", "m\u{43e}del"]);
    check(r#"{"model":1,"\\u006dodel":2}"#, ["model", "\\u006dodel"]);
}

#[test]
fn a_name_is_found_only_by_its_exact_meaning() {
    let object = scan(br#"{"\u006dodel":"x","a\u0000b":true}"#, &Limits::REQUEST).unwrap();
    assert_eq!(object.get("model").unwrap().as_str().unwrap(), "x");
    assert_eq!(object.get("a\0b").unwrap().as_bool(), Some(true));
    assert!(object.get("a").is_none());
    assert!(object.get("\\u006dodel").is_none());
}

#[test]
fn depth_is_bounded_at_the_exact_level() {
    let nested = |levels: usize, open: &str, close: &str| {
        format!("{{\"a\":{}{}}}", open.repeat(levels - 1), close.repeat(levels - 1)).into_bytes()
    };
    assert_eq!(kind_of(&nested(64, "[", "]")), None);
    assert_eq!(kind_of(&nested(65, "[", "]")), Some(ScanErrorKind::TooDeep(64)));
    assert_eq!(kind_of(&nested(100_000, "[", "]")), Some(ScanErrorKind::TooDeep(64)));
    assert_eq!(kind_of("{\"a\":".repeat(100_000).as_bytes()), Some(ScanErrorKind::TooDeep(64)));
    assert_eq!(kind_of("[".repeat(100_000).as_bytes()), Some(ScanErrorKind::TooDeep(64)));
    assert!(scan(&nested(127, "[", "]"), &Limits::REPLY).is_ok());
    assert!(scan(&nested(128, "[", "]"), &Limits::REPLY).is_err());
    let careless = Limits { depth_max: u32::MAX, nodes_max: u64::MAX };
    assert!(scan(&nested(128, "[", "]"), &careless).is_err());
    // Depth is given back: many shallow members are no deep ones.
    let wide = format!("{{\"a\":[{}]}}", vec!["[[{}]]"; 500].join(","));
    assert_eq!(kind_of(wide.as_bytes()), None);
}

#[test]
fn the_number_of_values_is_bounded_exactly() {
    // The object and the array are values too.
    let with_items = |count: usize| format!("{{\"a\":[{}]}}", vec!["{}"; count].join(","));
    assert_eq!(kind_of(with_items(199_998).as_bytes()), None);
    assert_eq!(kind_of(with_items(199_999).as_bytes()), Some(ScanErrorKind::TooManyValues(200_000)));
    assert!(scan(with_items(199_999).as_bytes(), &Limits::REPLY).is_ok());
}

#[test]
fn values_are_read_as_what_they_are() {
    let body = br#"{"n":18446744073709551615,"over":18446744073709551616,"neg":-1,"f":2.0,"e":1e2,"s":"12","t":true,"x":null}"#;
    let object = scan(body, &Limits::REQUEST).unwrap();
    let get = |name: &str| object.get(name).expect("a member");
    assert_eq!(get("n").as_u64(), Some(u64::MAX));
    assert_eq!(get("over").as_u64(), None);
    assert_eq!(get("neg").as_u64(), None);
    assert_eq!(get("neg").as_f64(), Some(-1.0));
    assert_eq!(get("f").as_u64(), None);
    assert_eq!(get("f").as_f64(), Some(2.0));
    assert_eq!(get("e").as_f64(), Some(100.0));
    assert_eq!((get("s").as_u64(), get("s").as_f64()), (None, None));
    assert_eq!((get("s").as_bool(), get("t").as_bool()), (None, Some(true)));
    assert_eq!(get("t").as_str(), None);
    assert_eq!(get("x").kind(), Kind::Null);
    assert_eq!(get("n").array_items().count(), 0);
    assert!(get("n").as_object().is_none());
}

#[test]
fn spans_of_nested_values_are_places_in_the_whole_body() {
    let body = br#" {"outer": {"inner": [10, {"deep": "x"}]}} "#;
    let object = scan(body, &Limits::REQUEST).unwrap();
    let inner = object.get("outer").unwrap().as_object().unwrap().get("inner").unwrap();
    assert_eq!(&body[inner.span()], br#"[10, {"deep": "x"}]"#);
    let item = inner.array_items().nth(1).unwrap();
    assert_eq!(&body[item.span()], br#"{"deep": "x"}"#);
    let deep = item.as_object().unwrap().members().next().unwrap();
    assert_eq!(&body[deep.span], br#""deep": "x""#);
    assert_eq!(&body[deep.name_span], br#""deep""#);
}

#[test]
fn a_nested_object_that_names_a_member_twice_is_not_read() {
    let object = scan(br#"{"o":{"a":1,"\u0061":2}}"#, &Limits::REQUEST).unwrap();
    assert!(object.get("o").unwrap().as_object().is_none());
}

#[test]
fn a_long_text_is_held_to_the_same_rules_with_and_without_control_characters() {
    let long = "x".repeat(4_000);
    let body = |inner: &str| format!("{{\"a\":\"{long}\",\"b\":\"{inner}\"}}");
    for (inner, accepted) in [
        ("plain", true),
        ("quote \\\" and \\\\ backslash", true),
        ("\\u0041\\n", true),
        ("a\nb", false),
        ("a\tb", false),
        ("a\u{1}b", false),
        ("\\x", false),
        ("\\ud800", false),
    ] {
        let compact = body(inner);
        assert_eq!(scan(compact.as_bytes(), &Limits::REQUEST).is_ok(), accepted, "{inner:?}");
        // Lines between members are control characters outside strings: the other way through the scanner.
        let indented = compact.replace(",\"b\"", ",\n\t\"b\"");
        assert_eq!(scan(indented.as_bytes(), &Limits::REQUEST).is_ok(), accepted, "indented {inner:?}");
    }
}

#[test]
fn litellms_own_names_are_noticed_as_names_within_values_alone() {
    let check = |body: &str, provider_specific_fields: bool, foreign_content: bool| {
        let mentions = scan(body.as_bytes(), &Limits::REQUEST).unwrap().mentions();
        let seen = (mentions.provider_specific_fields, mentions.foreign_content);
        assert_eq!(seen, (provider_specific_fields, foreign_content), "{body}");
    };
    check(r#"{"messages":[{"content":"provider_specific_fields cache_control"}]}"#, false, false);
    check(r#"{"messages":[{"provider_specific_fields":{}}]}"#, true, false);
    check(r#"{"messages":[{"content":[{"cache_control":{}}]}]}"#, false, true);
    check(r#"{"messages":[{"reasoning_content":"x"}]}"#, false, true);
    check(r#"{"messages":[{"thinking_blocks":[]}]}"#, false, true);
    check(r#"{"messages":[{"content":"x","name":"y"}]}"#, false, false);
}
