//! A mail: its head and its text.
//!
//! Owns: the message as RFC 5322 and RFC 2045 have it. Leaves to others: who gets it and how it is handed in.
//!
//! **Invariant:** every line is ASCII and at most 78 characters long, but for addresses; nothing that a stranger has
//! named can begin a line of the head.

use crate::alert::Alert;
use crate::text::{clean, clip, moment, rows};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use std::fmt::Write as _;
use std::time::{Duration, UNIX_EPOCH};

/// Most characters of a subject.
const SUBJECT_MAX: usize = 120;
/// Bytes of text in one encoded word: 39 make 52 letters, and with its frame and the header's name less than 76 in a
/// line (RFC 2047, 2).
const WORD_BYTES: usize = 39;
/// Bytes in one line of base64: 57 make 76 letters (RFC 2045, 6.8).
const LINE_BYTES: usize = 57;
/// Most bytes of the text.
const TEXT_MAX: usize = 64 << 10;

/// The whole message, its lines ended by CRLF. `id` is unlike that of any other mail.
pub(crate) fn message(alert: &Alert, sender: &str, to: &[&str], id: &str) -> String {
    let subject = format!("[Tollgate] {}: {}", alert.event.word().replace('_', " "), clean(&alert.sentence));
    let domain = sender.rsplit_once('@').map_or("tollgate", |(_, domain)| domain);
    let mut message = format!("From: Tollgate <{sender}>\r\n");
    // Writing to a text cannot fail.
    let _ = write!(message, "To: {}\r\n", to.join(",\r\n "));
    let _ = write!(message, "Subject: {}\r\n", header_text(&clip(&subject, SUBJECT_MAX)));
    let _ = write!(message, "Date: {}\r\nMessage-ID: <{id}@{domain}>\r\n", date(alert.at));
    message.push_str("Auto-Submitted: auto-generated\r\nMIME-Version: 1.0\r\n");
    message.push_str("Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: base64\r\n\r\n");
    for line in text(alert).as_bytes().chunks(LINE_BYTES) {
        STANDARD.encode_string(line, &mut message);
        message.push_str("\r\n");
    }
    message
}

/// What people read.
fn text(alert: &Alert) -> String {
    let mut text = format!("{}\r\n\r\n", clip(&clean(&alert.sentence), 4_000));
    for (name, value) in rows(alert) {
        let _ = write!(text, "{}: {value}\r\n", clean(&name));
    }
    let _ = write!(
        text,
        "\r\ntype: {}\r\nevent: {}\r\nlevel: {}\r\nat: {}\r\n",
        alert.event.alert_type().word(),
        alert.event.word(),
        alert.severity.word(),
        moment(alert.at)
    );
    // At the border of a character.
    let end = (0..=TEXT_MAX.min(text.len())).rev().find(|end| text.is_char_boundary(*end));
    text.truncate(end.unwrap_or(0));
    text
}

/// As it is where it is short and plain, else in encoded words, one a line (RFC 2047).
fn header_text(text: &str) -> String {
    let is_plain =
        text.len() <= 60 && text.bytes().all(|byte| (b' '..=b'~').contains(&byte)) && !text.contains("=?");
    if is_plain {
        return text.to_owned();
    }
    let mut words: Vec<String> = Vec::new();
    let mut word = String::new();
    for it in text.chars() {
        if word.len() + it.len_utf8() > WORD_BYTES {
            words.push(std::mem::take(&mut word));
        }
        word.push(it);
    }
    words.push(word);
    let encoded = words.iter().map(|word| format!("=?utf-8?B?{}?=", STANDARD.encode(word)));
    encoded.collect::<Vec<_>>().join("\r\n ")
}

/// `Sun, 22 Nov 2026 04:46:27 +0000`.
fn date(micros: i64) -> String {
    let seconds = u64::try_from(micros.div_euclid(1_000_000)).unwrap_or(0);
    // The library's dates end before the year 10000.
    let at = UNIX_EPOCH + Duration::from_secs(seconds.min(253_402_300_799));
    httpdate::fmt_http_date(at).replace("GMT", "+0000")
}

#[cfg(test)]
mod tests {
    use super::super::samples::{budget, hostile};
    use super::*;

    /// The text of the body.
    fn read(message: &str) -> String {
        let (_, body) = message.split_once("\r\n\r\n").unwrap();
        String::from_utf8(STANDARD.decode(body.replace("\r\n", "")).unwrap()).unwrap()
    }

    #[test]
    fn a_mail_has_a_head_and_a_text() {
        let message = message(&budget(), "tollgate@example.com", &["a@example.com", "b@example.com"], "m1");
        let (head, _) = message.split_once("\r\n\r\n").unwrap();
        let expect = "From: Tollgate <tollgate@example.com>\r\nTo: a@example.com,\r\n b@example.com\r\nSubject: =?utf-8?B?";
        assert!(head.starts_with(expect), "{head}");
        assert!(
            head.contains("\r\nDate: Mon, 23 Nov 2026 04:46:27 +0000\r\nMessage-ID: <m1@example.com>\r\n"),
            "{head}"
        );
        let text = read(&message);
        assert!(text.starts_with("Key chatbot has spent $7.500000000001 of $10.00"), "{text}");
        assert!(
            text.contains("\r\nthreshold: 75%\r\n") && text.contains("\r\ntype: budget_alerts\r\n"),
            "{text}"
        );
    }

    #[test]
    fn no_line_is_long_or_odd_and_no_stranger_begins_one() {
        let message = message(&hostile(), "t@example.com", &["a@example.com"], "m1");
        for line in message.split("\r\n") {
            assert!(line.len() <= 78 && line.bytes().all(|byte| (b' '..=b'~').contains(&byte)), "{line}");
            assert!(!line.starts_with("Bcc"), "{line}");
        }
        assert!(!message.replace("\r\n", "").contains('\n'));
    }

    #[test]
    fn a_short_subject_is_plain() {
        let check = |text: &str, expect: &str| assert_eq!(header_text(text), expect);
        check("[Tollgate] outage: m is out.", "[Tollgate] outage: m is out.");
        check("\u{fc}", "=?utf-8?B?w7w=?=");
        check("=?x", "=?utf-8?B?PT94?=");
    }
}
