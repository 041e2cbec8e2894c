//! What is to be kept of an answer that is under way.
//!
//! Owns when an answer is good enough to be kept. **Invariant:** what is kept was delivered whole, can be read again, and was
//! not blocked. **Invariant:** those who wait for the same answer are always told how it ended: by word, or by the lead that
//! is dropped with the memo.

use super::facts::AnswerFacts;
use super::{Answers, News};
use crate::reply::SharedStream;
use crate::surface::Surface;
use bytes::{Bytes, BytesMut};
use std::sync::{Arc, Weak};
use std::time::Duration;
use tollgate_cache::{Entry, Form, Key, Lead};

/// What is to be kept of an answer that is under way.
pub(crate) struct Memo {
    pub(super) answers: Arc<Answers>,
    pub(super) key: Key,
    pub(super) surface: Surface,
    /// How long it is kept.
    pub(super) ttl: Duration,
    /// Those who wait for it.
    pub(super) lead: Option<Lead<News>>,
    /// The form of a stream.
    pub(super) tells_usage: bool,
    /// A stream's frames so far; `None` once they are too many, or are not to be kept.
    pub(super) frames: Option<BytesMut>,
}

impl Memo {
    /// Whether others may wait for it.
    pub(crate) fn is_led(&self) -> bool {
        self.lead.is_some()
    }

    /// Its answer is no one's but its caller's; nobody need wait for it.
    pub(crate) fn give_up(self) {
        self.tell(News::Nothing);
    }

    /// Others may read the stream along.
    pub(crate) fn share(&self, stream: Weak<SharedStream>) {
        self.tell(News::Streams(stream));
    }

    /// Notes frames of a stream that go to its caller.
    pub(crate) fn note(&mut self, pieces: &[Bytes]) {
        let Some(frames) = &mut self.frames else { return };
        let more: usize = pieces.iter().map(Bytes::len).sum();
        if frames.len() + more > self.answers.rules.entry_bytes_max {
            self.frames = None;
            return;
        }
        pieces.iter().for_each(|piece| frames.extend_from_slice(piece));
    }

    /// The stream went on from elsewhere, or was mended: what came of it is its caller's alone.
    pub(crate) fn forget_frames(&mut self) {
        self.frames = None;
    }

    /// Keeps a whole body that its caller gets at this moment (microseconds since 1970).
    pub(crate) fn keep_whole(self, segments: &[Bytes], known: (&str, &AnswerFacts), now: i64) {
        let length: usize = segments.iter().map(Bytes::len).sum();
        if length > self.answers.rules.entry_bytes_max {
            return self.give_up();
        }
        let body = match segments {
            [one] => one.clone(),
            several => Bytes::from(several.concat()),
        };
        self.keep(Form::Whole, body, known, now);
    }

    /// Keeps a stream that its caller has got to its end.
    pub(crate) fn keep_stream(mut self, known: (&str, &AnswerFacts), now: i64) {
        let form = Form::Stream { tells_usage: self.tells_usage };
        match self.frames.take() {
            Some(frames) => self.keep(form, frames.freeze(), known, now),
            None => self.give_up(),
        }
    }

    fn keep(self, form: Form, body: Bytes, (deployment, facts): (&str, &AnswerFacts), now: i64) {
        let ttl = i64::try_from(self.ttl.as_micros()).unwrap_or(i64::MAX);
        let entry = Entry {
            kind: self.surface.path().into(),
            form,
            body,
            deployment: deployment.into(),
            facts: facts.to_text().into(),
            stored_at: now,
            expires_at: now.saturating_add(ttl),
        };
        if ttl == 0 || !super::replay::is_good(self.surface, &entry) {
            return self.give_up();
        }
        let entry = self.answers.keep(self.key, entry, now);
        self.tell(News::Kept(entry));
    }

    fn tell(&self, news: News) {
        if let Some(lead) = &self.lead {
            lead.tell(news);
        }
    }
}
