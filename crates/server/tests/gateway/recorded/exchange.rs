//! A recorded exchange: the request, and the reply as it came.

use crate::support::Answer;
use serde_json::Value;
use std::path::Path;
use tollgate_policy::clock::Wall;

/// Where recordings are.
pub(super) const FOLDERS: [&str; 2] =
    ["../identity/tests/fixtures/litellm_wire", "tests/gateway/recorded/wire"];

/// A request and its reply.
pub(super) struct Exchange {
    pub(super) name: &'static str,
    pub(super) method: String,
    pub(super) path: String,
    pub(super) key: String,
    pub(super) body: String,
    /// When it was answered.
    pub(super) at: Wall,
    pub(super) reply: Reply,
}

/// A reply, of LiteLLM's or of ours.
pub(super) struct Reply {
    pub(super) status: u16,
    pub(super) headers: Vec<(String, String)>,
    pub(super) text: String,
    pub(super) body: Value,
}

impl Exchange {
    /// Reads a recording.
    pub(super) fn read(name: &'static str) -> Self {
        let files = FOLDERS
            .map(|folder| Path::new(env!("CARGO_MANIFEST_DIR")).join(folder).join(format!("{name}.txt")));
        let text = files.iter().find_map(|file| std::fs::read_to_string(file).ok());
        let text = text.unwrap_or_else(|| panic!("no recording {name}"));
        let mut lines = text.lines();
        let first = lines.next().unwrap().strip_prefix("### ").unwrap();
        let body = lines.next().unwrap().strip_prefix("### body:").unwrap().trim().to_owned();
        let (route, key) = first.rsplit_once(" key=").unwrap();
        let (method, path) = route.split_once(' ').unwrap();
        let head = text.split_once("\nHTTP ").unwrap().1;
        let (head, reply) = head.split_once("\n\n").unwrap();
        let mut head = head.lines();
        let status = head.next().unwrap().trim().parse().unwrap();
        let split = |line: &str| {
            line.split_once(':').map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned()))
        };
        let headers: Vec<(String, String)> = head.filter_map(split).collect();
        let date = headers.iter().find(|(name, _)| name == "date").unwrap().1.clone();
        Self {
            name,
            method: method.to_owned(),
            path: path.to_owned(),
            key: key.to_owned(),
            body,
            at: wall(&date),
            reply: Reply { status, headers, text: reply.trim().to_owned(), body: json(reply) },
        }
    }
}

impl From<Answer> for Reply {
    fn from(answer: Answer) -> Self {
        let (status, text) = (answer.status, answer.text());
        Self { status, headers: answer.headers, body: json(&text), text }
    }
}

fn json(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

/// The time of a `date` header, and some milliseconds, so that no time is a whole second by chance.
fn wall(date: &str) -> Wall {
    let parts: Vec<&str> = date.split_whitespace().collect();
    let [_, day, month, year, time, _] = parts[..] else { panic!("{date}") };
    assert_eq!(month, "Nov");
    Wall::from_rfc3339(&format!("{year}-11-{day}T{time}.123Z")).unwrap()
}
