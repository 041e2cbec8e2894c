//! The row of an attempt, and the JSON in which a journal keeps it.

use tollgate_store::books::{Account, SpendRow, Status, day_of};

use super::{NOON, account, row};

/// A row in which no member is at its default.
pub(crate) fn full() -> SpendRow {
    let text = |text: &str| text.to_owned();
    SpendRow {
        call_id: text("call"),
        session_id: text("session"),
        user_id: text("user"),
        organization_id: text("organization"),
        project_id: text("project"),
        end_user: text("customer"),
        model_id: text("deployment"),
        api_base: text("https://api.example.com/v1"),
        first_token_at: NOON + 300_000,
        status: Status::Failure,
        status_code: 429,
        cache_read_tokens: 1,
        cache_write_tokens: 2,
        cache_write_1h_tokens: 3,
        reasoning_tokens: 4,
        audio_input_tokens: 5,
        audio_output_tokens: 6,
        image_input_tokens: 7,
        image_output_tokens: 8,
        usage: text(r#"{"seconds": 2.5}"#),
        charged: Some(-12),
        estimated: true,
        recovered: true,
        unpriced: true,
        overhead: true,
        cache_hit: true,
        cache_key: text("cache"),
        tags: vec![text("blue"), text("green")],
        metadata: text(r#"{"a":[1,2, 3],"b":"\u0000"}"#),
        requester_ip: text("192.0.2.1"),
        agent_id: text("agent"),
        tool_name: text("tool"),
        messages: text(r#"[{"role":"user"}]"#),
        response: text("{}"),
        proxy_request: text("null"),
        accounts: vec![Account {
            model: text("gpt-4o"),
            cadence: text("30d"),
            start: NOON,
            ..account("member", "red/user")
        }],
        ..row(0xabc, 123_456_789)
    }
}

#[test]
fn a_row_is_read_as_it_was_written() {
    for row in [SpendRow::default(), row(1, 2), full(), row(u128::MAX, i128::MIN)] {
        assert_eq!(SpendRow::from_json(&row.to_json()).unwrap(), row);
    }
}

#[test]
fn the_json_of_a_row_has_short_names_and_no_defaults() {
    let expect = concat!(
        r#"{"a":"0000000000000000000000000000000f","r":"request-15","ct":"acompletion","k":"key-hash","t":"red","#,
        r#""m":"gpt-4o-2024-08-06","mg":"gpt-4o","pv":"openai","s":1795348800000000,"f":1795348801500000,"sc":200,"#,
        r#""ip":10,"op":5,"tt":15,"x":"20","sp":[{"k":"key","i":"key-hash"},{"k":"team","i":"red"}]}"#
    );
    assert_eq!(String::from_utf8(row(15, 20).to_json()).unwrap(), expect);
}

#[test]
fn what_is_unknown_is_passed_over_and_what_is_wrong_is_refused() {
    let row = SpendRow::from_json(br#"{"a":"0f","later":[1]}"#).unwrap();
    assert_eq!(row, SpendRow { attempt_id: 15, ..SpendRow::default() });
    for json in [r#"{"a":"xyz"}"#, r#"{"x":1.5}"#, r#"{"x":"1.5"}"#, r#"{"s":"1"}"#, "null", ""] {
        assert!(SpendRow::from_json(json.as_bytes()).is_err(), "{json}");
    }
}

#[test]
fn a_text_that_is_no_json_does_not_spoil_the_row() {
    let row = SpendRow { metadata: "it's {".to_owned(), ..row(1, 2) };
    let read = SpendRow::from_json(&row.to_json()).unwrap();
    assert_eq!(read, SpendRow { metadata: r#""it's {""#.to_owned(), ..row });
}

#[test]
fn nothing_that_was_said_is_shown() {
    let shown = format!("{:?}", full());
    for said in ["role", "seconds", "key-hash", "customer"] {
        assert!(!shown.contains(said), "{said}: {shown}");
    }
    assert!(shown.contains("attempt_id: 00000000000000000000000000000abc"), "{shown}");
}

#[test]
fn days_are_those_of_the_calendar() {
    let check = |seconds: i64, expect: &str| assert_eq!(day_of(seconds * 1_000_000), expect, "{seconds}");
    check(0, "1970-01-01");
    check(-1, "1969-12-31");
    check(951_782_400, "2000-02-29");
    check(951_868_800, "2000-03-01");
    check(1_795_348_799, "2026-11-22");
    check(1_798_761_599, "2026-12-31");
    check(1_798_761_600, "2027-01-01");
    check(4_107_542_400, "2100-03-01");
    assert_eq!(day_of(NOON), "2026-11-22");
}
