//! A streamed answer, every byte of it, and how it ended.

use super::{Answer, Connection, data};
use serde_json::Value;

/// All that a caller was told by one streamed answer.
#[derive(Debug)]
pub(crate) struct Told {
    pub(crate) head: Answer,
    /// The bytes of the body as they came.
    pub(crate) bytes: Vec<u8>,
    /// Whether the transfer came to its end.
    pub(crate) is_whole: bool,
}

impl Told {
    /// Reads an answer to its end, whatever that is.
    pub(crate) async fn read(connection: &mut Connection) -> Self {
        let head = connection.head().await;
        let mut bytes = Vec::new();
        loop {
            match connection.piece().await {
                Ok(Some(piece)) => bytes.extend(piece),
                Ok(None) => return Self { head, bytes, is_whole: true },
                Err(()) => return Self { head, bytes, is_whole: false },
            }
        }
    }

    pub(crate) fn status(&self) -> u16 {
        self.head.status
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.head.header(name)
    }

    /// The body as text.
    pub(crate) fn body(&self) -> String {
        String::from_utf8(self.bytes.clone()).unwrap()
    }

    /// The answer in few words: its text and its last two events.
    fn shown(&self) -> String {
        let body = String::from_utf8_lossy(&self.bytes).into_owned();
        let events: Vec<&str> = body.split_inclusive("\n\n").collect();
        let last = events.len().saturating_sub(2);
        format!("{} {:?} ... {}", self.status(), self.text(), events[last..].concat())
    }

    /// The body of an error as JSON.
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.bytes).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// The events, each with its blank line; a comment is one too.
    pub(crate) fn events(&self) -> Vec<String> {
        assert_eq!(self.status(), 200, "{}", self.body());
        let body = self.body();
        assert!(body.ends_with("\n\n"), "half an event: {body:?}");
        body.split_inclusive("\n\n").map(str::to_owned).collect()
    }

    /// The JSON of every event that has some.
    pub(crate) fn chunks(&self) -> Vec<Value> {
        let events = self.events();
        let with_json = events.iter().filter(|event| event.starts_with("data: {"));
        with_json.map(|event| data(event)).collect()
    }

    /// The pieces of the answer's text, as many as there are tokens.
    pub(crate) fn pieces(&self) -> Vec<String> {
        let chunks = self.chunks();
        let texts = chunks.iter().filter_map(|chunk| chunk["choices"][0]["delta"]["content"].as_str());
        texts.filter(|text| !text.is_empty()).map(str::to_owned).collect()
    }

    /// The answer's text.
    pub(crate) fn text(&self) -> String {
        self.pieces().concat()
    }

    /// The reasons to stop that were told.
    pub(crate) fn finishes(&self) -> Vec<String> {
        let chunks = self.chunks();
        let reasons = chunks.iter().filter_map(|chunk| chunk["choices"][0]["finish_reason"].as_str());
        reasons.map(str::to_owned).collect()
    }

    /// The error event, if there is one.
    pub(crate) fn error(&self) -> Option<Value> {
        let mut errors = self.chunks().into_iter().filter_map(|mut chunk| {
            let error = chunk.get_mut("error")?;
            Some(error.take())
        });
        let error = errors.next();
        assert!(errors.next().is_none(), "two errors: {}", self.body());
        error
    }

    /// Whether the end mark came, and came last.
    pub(crate) fn is_done(&self) -> bool {
        let events = self.events();
        let marks = events.iter().filter(|event| event.trim_end() == "data: [DONE]").count();
        assert!(marks <= 1, "two end marks: {}", self.body());
        assert_eq!(marks == 1, events.last().is_some_and(|event| event.trim_end() == "data: [DONE]"));
        marks == 1
    }

    /// The name that the answer has for its model: the caller's, but after a fallback that of the model which answered.
    fn named<'a>(&'a self, model: &'a str) -> &'a str {
        match self.header("x-litellm-attempted-fallbacks") {
            None | Some("0") => model,
            Some(_) => self.header("x-litellm-model-name").unwrap().rsplit('/').next().unwrap(),
        }
    }

    /// The answer's text, after it was held that the stream is a complete one: one reason to stop, one end mark, no
    /// error, one id, one name of the model.
    pub(crate) fn complete(&self, model: &str) -> String {
        let shown = self.shown();
        assert!(self.is_whole && self.is_done(), "not complete: {shown}");
        assert_eq!(self.error(), None, "{shown}");
        assert_eq!(self.finishes().len(), 1, "{shown}");
        let chunks = self.chunks();
        let named = self.named(model);
        assert!(chunks.iter().all(|chunk| chunk["model"] == named), "{shown}");
        let first = chunks.first().map(|chunk| chunk["id"].clone());
        assert!(chunks.iter().all(|chunk| Some(&chunk["id"]) == first.as_ref()), "{shown}");
        self.text()
    }
}
