//! The JSON of a row, written by hand: it is written twice for every request, on the thread that serves it.
//!
//! The shape is that of `SpendRow`'s `Serialize`; this only writes it faster. **Invariant**: the bytes are the same.

use std::io::Write as _;

use serde::Serialize;
use serde_json::value::RawValue;

use super::{Account, SpendRow, Status};

/// Room for a row of a caller with a few budgets, bytes.
const USUAL_BYTES: usize = 1_536;

/// An object that is being written.
struct Object {
    bytes: Vec<u8>,
    is_begun: bool,
}

impl Object {
    fn begin(mut bytes: Vec<u8>) -> Self {
        bytes.push(b'{');
        Self { bytes, is_begun: false }
    }

    fn end(mut self) -> Vec<u8> {
        self.bytes.push(b'}');
        self.bytes
    }

    /// The beginning of a member; its value follows.
    fn member(&mut self, name: &str) {
        if std::mem::replace(&mut self.is_begun, true) {
            self.bytes.push(b',');
        }
        self.bytes.push(b'"');
        self.bytes.extend_from_slice(name.as_bytes());
        self.bytes.extend_from_slice(b"\":");
    }

    /// Neither a map with keys that are no text nor a writer that fails is given to it, so it cannot fail.
    fn value(&mut self, value: &(impl Serialize + ?Sized)) {
        let _ = serde_json::to_writer(&mut self.bytes, value);
    }

    fn string(&mut self, text: &str) {
        // All bytes are looked at, whatever is found: that takes a few at a time.
        let is_plain = |plain: bool, byte: &u8| plain & (*byte >= 0x20) & (*byte != b'"') & (*byte != b'\\');
        if text.as_bytes().iter().fold(true, is_plain) {
            self.bytes.push(b'"');
            self.bytes.extend_from_slice(text.as_bytes());
            self.bytes.push(b'"');
        } else {
            self.value(text);
        }
    }

    fn text(&mut self, name: &str, text: &str) {
        if !text.is_empty() {
            self.member(name);
            self.string(text);
        }
    }

    /// JSON text as it is; what is no JSON after all as a string.
    fn raw(&mut self, name: &str, text: &str) {
        if text.is_empty() {
            return;
        }
        self.member(name);
        match serde_json::from_str::<&RawValue>(text) {
            Ok(value) => self.bytes.extend_from_slice(value.get().as_bytes()),
            Err(_) => self.string(text),
        }
    }

    fn number<T: Copy + Serialize + Default + PartialEq>(&mut self, name: &str, number: T) {
        if number != T::default() {
            self.member(name);
            self.value(&number);
        }
    }

    fn decimal(&mut self, name: &str, amount: i128) {
        self.member(name);
        // A Vec takes everything.
        let _ = write!(self.bytes, "\"{amount}\"");
    }

    fn flag(&mut self, name: &str, is_set: bool) {
        if is_set {
            self.member(name);
            self.bytes.extend_from_slice(b"true");
        }
    }

    fn list<T>(&mut self, name: &str, list: &[T], write: impl FnMut(&mut Self, &T)) {
        if !list.is_empty() {
            self.member(name);
            self.items(list, write);
        }
    }

    fn items<T>(&mut self, list: &[T], mut write: impl FnMut(&mut Self, &T)) {
        for (at, item) in list.iter().enumerate() {
            self.bytes.push(if at == 0 { b'[' } else { b',' });
            write(self, item);
        }
        self.bytes.push(b']');
    }

    fn account(&mut self, account: &Account) {
        let mut object = Self::begin(std::mem::take(&mut self.bytes));
        object.text("k", &account.kind);
        object.text("i", &account.id);
        object.text("m", &account.model);
        object.text("c", &account.cadence);
        object.number("s", account.start);
        self.bytes = object.end();
    }
}

/// Accounts, of which there are some, as the row has them.
pub(super) fn accounts(accounts: &[Account]) -> Vec<u8> {
    let mut list = Object { bytes: Vec::with_capacity(64 * accounts.len()), is_begun: false };
    list.items(accounts, Object::account);
    list.bytes
}

/// The row in JSON.
pub(super) fn written(row: &SpendRow) -> Vec<u8> {
    let mut object = Object::begin(Vec::with_capacity(USUAL_BYTES));
    object.member("a");
    // A Vec takes everything.
    let _ = write!(object.bytes, "\"{:032x}\"", row.attempt_id);
    names(&mut object, row);
    object.number("s", row.started_at);
    object.number("f", row.ended_at);
    object.number("ft", row.first_token_at);
    if row.status != Status::Success {
        object.member("st");
        object.value(&row.status);
    }
    object.number("sc", row.status_code);
    counts(&mut object, row);
    object.raw("us", &row.usage);
    if row.cost != 0 {
        object.decimal("x", row.cost);
    }
    if let Some(charged) = row.charged {
        object.decimal("xc", charged);
    }
    object.flag("fe", row.estimated);
    object.flag("fr", row.recovered);
    object.flag("fu", row.unpriced);
    object.flag("fo", row.overhead);
    object.flag("hi", row.cache_hit);
    object.text("hk", &row.cache_key);
    object.list("tg", &row.tags, |object, tag| object.string(tag));
    object.raw("md", &row.metadata);
    object.text("rq", &row.requester_ip);
    object.text("ag", &row.agent_id);
    object.text("tn", &row.tool_name);
    object.raw("mq", &row.messages);
    object.raw("mr", &row.response);
    object.raw("mp", &row.proxy_request);
    object.list("sp", &row.accounts, Object::account);
    object.end()
}

fn names(object: &mut Object, row: &SpendRow) {
    object.text("r", &row.request_id);
    object.text("c", &row.call_id);
    object.text("ct", &row.call_type);
    object.text("ss", &row.session_id);
    object.text("k", &row.api_key);
    object.text("u", &row.user_id);
    object.text("t", &row.team_id);
    object.text("o", &row.organization_id);
    object.text("p", &row.project_id);
    object.text("e", &row.end_user);
    object.text("m", &row.model);
    object.text("mi", &row.model_id);
    object.text("mg", &row.model_group);
    object.text("pv", &row.provider);
    object.text("ab", &row.api_base);
}

fn counts(object: &mut Object, row: &SpendRow) {
    object.number("ip", row.prompt_tokens);
    object.number("op", row.completion_tokens);
    object.number("tt", row.total_tokens);
    object.number("cr", row.cache_read_tokens);
    object.number("cw", row.cache_write_tokens);
    object.number("ch", row.cache_write_1h_tokens);
    object.number("re", row.reasoning_tokens);
    object.number("ai", row.audio_input_tokens);
    object.number("ao", row.audio_output_tokens);
    object.number("ii", row.image_input_tokens);
    object.number("io", row.image_output_tokens);
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A row without a member that is left out.
    fn full() -> SpendRow {
        let text = |name: &str| format!("{name} \"of\" \\ this\n\u{1f} \u{7f} ü \u{1f600}");
        let account = |id: &str| Account {
            kind: "key".to_owned(),
            id: text(id),
            model: "m".to_owned(),
            cadence: "30d".to_owned(),
            start: -5,
        };
        SpendRow {
            attempt_id: u128::MAX - 7,
            request_id: text("request"),
            call_id: "plain".to_owned(),
            call_type: text("type"),
            session_id: text("session"),
            api_key: "0123456789abcdef".to_owned(),
            user_id: text("user"),
            team_id: text("team"),
            organization_id: text("organization"),
            project_id: text("project"),
            end_user: text("end user"),
            model: text("model"),
            model_id: text("deployment"),
            model_group: text("group"),
            provider: text("provider"),
            api_base: "http://127.0.0.1:9/v1".to_owned(),
            started_at: i64::MIN,
            ended_at: i64::MAX,
            first_token_at: -1,
            status: Status::Failure,
            status_code: 503,
            prompt_tokens: 1,
            completion_tokens: 2,
            total_tokens: u64::MAX,
            cache_read_tokens: 4,
            cache_write_tokens: 5,
            cache_write_1h_tokens: 6,
            reasoning_tokens: 7,
            audio_input_tokens: 8,
            audio_output_tokens: 9,
            image_input_tokens: 10,
            image_output_tokens: 11,
            usage: "{ \"units\" : [1, 2.50, \"\\u00fc\"] }".to_owned(),
            cost: i128::MIN,
            charged: Some(0),
            estimated: true,
            recovered: true,
            unpriced: true,
            overhead: true,
            cache_hit: true,
            cache_key: text("cache"),
            tags: vec![text("first"), "second".to_owned(), String::new()],
            metadata: "no JSON, with \"quotes\"".to_owned(),
            requester_ip: "::1".to_owned(),
            agent_id: text("agent"),
            tool_name: text("tool"),
            messages: "[]".to_owned(),
            response: "null".to_owned(),
            proxy_request: "{\"a\":1,\"a\":2}".to_owned(),
            accounts: vec![account("first"), Account::default(), account("second")],
        }
    }

    #[test]
    fn the_bytes_are_those_that_serde_writes() {
        let check = |row: &SpendRow| {
            let (ours, serde) = (written(row), serde_json::to_vec(row).unwrap());
            assert_eq!(String::from_utf8(ours).unwrap(), String::from_utf8(serde).unwrap());
            let accounts = serde_json::to_string(&row.accounts).unwrap();
            assert_eq!(row.accounts_json(), if accounts == "[]" { "" } else { accounts.as_str() });
        };
        check(&full());
        check(&SpendRow::default());
        check(&SpendRow { cost: 102_500_000, charged: Some(-3), ..SpendRow::default() });
        for at in 0..=64_u8 {
            // Every byte that may have to be escaped, at every place of what is looked at together.
            let text = format!("{}{}{}", "x".repeat(usize::from(at)), char::from(at), "y".repeat(32));
            check(&SpendRow { request_id: text.clone(), tags: vec![text], ..SpendRow::default() });
        }
    }

    #[test]
    fn every_member_of_a_full_row_is_written_and_read_again() {
        let row = full();
        let read = SpendRow::from_json(&written(&row)).unwrap();
        // What is no JSON comes back as the JSON string that it was kept as, and spaces around a value are no part of it.
        let kept = |text: &str| serde_json::to_string(text).unwrap();
        let expect = SpendRow { metadata: kept(&row.metadata), ..row };
        assert!(read == expect, "{:?}", String::from_utf8(written(&expect)));
    }
}
