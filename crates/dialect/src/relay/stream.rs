//! A stream of OpenAI's dialect on its way to a caller of the same dialect.
//!
//! Owns what is changed, dropped and learned frame by frame. Leaves framing to [`crate::sse`]. **Invariant:** the
//! bytes that come out, put together, are the same for every way of cutting the stream into chunks.

use super::chunk::ChunkFacts;
use super::output::Output;
use super::reply::{STATUS_OK, is_error};
use super::usage::{UsageMember, read_member};
use crate::json::{Limits, scan, write_string};
use crate::openai::{decode_error, error_frame};
use crate::sse::{Frame, Framer};
use crate::wire::{CallerError, Progress, ReplyFault, Transducer};
use bytes::Bytes;
use std::ops::Range;

/// The end mark of a stream.
const DONE: &[u8] = b"[DONE]";
/// The frame that ends a stream.
const DONE_FRAME: &[u8] = b"data: [DONE]\n\n";

/// How a stream is passed on.
#[derive(Debug, Clone, Default)]
pub struct RelayOptions {
    /// The caller's name for the model, put in the place of the provider's; `None` leaves that.
    pub client_model: Option<String>,
    /// The caller did not ask for usage: chunks that have nothing else are dropped, `usage` is taken out of others.
    pub hide_usage: bool,
    /// A stream without `[DONE]` counts as cut even after a finish reason. Some compatible providers leave it out,
    /// so normally the caller gets one made here.
    pub demands_done: bool,
    /// Chunks without a choice and without usage are dropped. Azure opens with one that has its filter's verdict on the
    /// prompt; programs that read the first choice of every chunk stumble over it.
    pub drops_choiceless: bool,
}

/// Passes a stream on without decoding it.
#[derive(Debug)]
pub struct OpenAiRelay {
    framer: Framer,
    reader: FrameReader,
}

impl OpenAiRelay {
    /// A relay at the beginning of a stream.
    pub fn new(options: RelayOptions) -> Self {
        let model_json = options.client_model.map(|model| {
            let mut json = Vec::new();
            write_string(&mut json, &model);
            json
        });
        let reader = FrameReader {
            model_json,
            hide_usage: options.hide_usage,
            demands_done: options.demands_done,
            drops_choiceless: options.drops_choiceless,
            progress: Progress::default(),
            last_choice: 0,
            finishes: 0,
        };
        Self { framer: Framer::new(), reader }
    }
}

impl Transducer for OpenAiRelay {
    fn push(&mut self, chunk: Bytes, out: &mut Vec<Bytes>) -> Result<(), ReplyFault> {
        let mut output = Output::new(chunk.clone());
        self.framer.push(chunk);
        let result = loop {
            let passed = match self.framer.next_block() {
                Ok(None) => break Ok(()),
                Ok(Some(frame)) => self.reader.pass(&frame, &mut output),
                Err(fault) => Err(fault),
            };
            if passed.is_err() {
                break passed;
            }
        };
        output.flush(out);
        result
    }

    fn finish(&mut self, out: &mut Vec<Bytes>) -> Result<(), ReplyFault> {
        if let Some(frame) = self.framer.take_pending() {
            let mut output = Output::default();
            match self.reader.pass(&frame, &mut output) {
                Ok(()) => output.end_frame(),
                Err(fault @ ReplyFault::Error(_)) => return Err(fault),
                // Half a frame: the stream was cut within it.
                Err(ReplyFault::Malformed(_) | ReplyFault::Disagrees) => output = Output::default(),
            }
            output.flush(out);
        }
        if self.reader.progress.complete {
            return Ok(());
        }
        if self.reader.demands_done || !self.reader.is_whole() {
            return Err(ReplyFault::Malformed("the stream ended early"));
        }
        out.push(Bytes::from_static(DONE_FRAME));
        self.reader.progress.complete = true;
        Ok(())
    }

    fn fail(&mut self, error: &CallerError<'_>, out: &mut Vec<Bytes>) {
        out.push(Bytes::from(error_frame(error)));
    }

    fn progress(&self) -> &Progress {
        &self.reader.progress
    }
}

/// Reads whole frames, decides what becomes of them.
#[derive(Debug)]
struct FrameReader {
    /// The caller's name for the model as JSON text.
    model_json: Option<Vec<u8>>,
    hide_usage: bool,
    demands_done: bool,
    drops_choiceless: bool,
    progress: Progress,
    /// The highest index of an answer.
    last_choice: usize,
    /// Reasons for the end of an answer.
    finishes: usize,
}

impl FrameReader {
    /// Every answer has its reason to stop: nothing of them is missing.
    fn is_whole(&self) -> bool {
        self.finishes > self.last_choice
    }

    fn pass(&mut self, frame: &Frame<'_>, output: &mut Output) -> Result<(), ReplyFault> {
        // Nothing that comes after the end mark belongs to the answer.
        if self.progress.complete {
            return Ok(());
        }
        let data = frame.data.trim_ascii();
        // Comments and empty frames keep a connection alive; the caller's connection needs them just as much.
        if data.is_empty() {
            self.progress.frames += u64::from(frame.has_data());
            output.keep_frame(frame);
            return Ok(());
        }
        if data == DONE {
            self.progress.frames += 1;
            self.progress.complete = true;
            output.keep_frame(frame);
            return Ok(());
        }
        let Some(facts) = ChunkFacts::read(&frame.data).filter(|_| frame.event != Some("error")) else {
            return Err(fault_of(data, frame.event));
        };
        if facts.has_error || (!facts.has_choices && is_error_chunk(data)) {
            return Err(ReplyFault::Error(decode_error(STATUS_OK, data)));
        }
        self.progress.frames += 1;
        self.learn(&facts, &frame.data);
        self.write(&facts, frame, output);
        Ok(())
    }

    fn learn(&mut self, facts: &ChunkFacts, data: &[u8]) {
        self.finishes += facts.finishes;
        self.last_choice = self.last_choice.max(facts.last_choice);
        self.progress.finished |= facts.finishes > 0;
        self.progress.content_started |= facts.has_content;
        self.progress.usage_is_last &= !facts.has_content;
        self.progress.content_bytes += facts.content_bytes as u64;
        let usage = facts.usage.clone().and_then(|span| std::str::from_utf8(data.get(span)?).ok());
        if let UsageMember::Counted(usage) = read_member(usage) {
            self.progress.usage = Some(usage);
            self.progress.usage_is_last = true;
        }
        if let Some(tier) = facts.service_tier.clone().and_then(|span| data.get(span)) {
            self.learn_tier(tier);
        }
    }

    /// Every chunk repeats the tier, so it is read only when it is another one.
    fn learn_tier(&mut self, json: &[u8]) {
        let known = self.progress.service_tier.as_deref().map(str::as_bytes);
        let word = json.strip_prefix(b"\"").and_then(|rest| rest.strip_suffix(b"\""));
        if word != known || known.is_none() {
            self.progress.service_tier = serde_json::from_slice(json).ok();
        }
    }

    fn write(&self, facts: &ChunkFacts, frame: &Frame<'_>, output: &mut Output) {
        let usage = facts.usage.clone().filter(|_| self.hide_usage);
        let is_usage_null = usage.clone().is_some_and(|span| frame.data.get(span) == Some(b"null"));
        if usage.is_some() && facts.has_no_choices && !is_usage_null {
            return;
        }
        let has_usage = facts.usage.clone().is_some_and(|span| frame.data.get(span) != Some(b"null"));
        if self.drops_choiceless && facts.has_no_choices && !has_usage {
            return;
        }
        let cut = usage.map(|_| (facts.usage_cut.clone(), &[][..]));
        let renamed = facts.model.clone().zip(self.model_json.as_deref());
        let renamed = renamed.filter(|(span, name)| frame.data.get(span.clone()) != Some(name));
        match (cut, renamed) {
            (None, None) => output.keep_frame(frame),
            (Some(edit), None) | (None, Some(edit)) => output.edit_frame(frame, &[edit]),
            (Some(cut), Some(renamed)) if cut.0.start < renamed.0.start => {
                output.edit_frame(frame, &[cut, renamed]);
            }
            (Some(cut), Some(renamed)) => output.edit_frame(frame, &[renamed, cut]),
        }
    }
}

/// The fault for a frame that is no chunk.
fn fault_of(data: &[u8], event: Option<&str>) -> ReplyFault {
    if event == Some("error") || is_error_chunk(data) {
        return ReplyFault::Error(decode_error(STATUS_OK, data));
    }
    ReplyFault::Malformed("an event of the stream is not a JSON object")
}

fn is_error_chunk(data: &[u8]) -> bool {
    scan(data, &Limits::REPLY).is_ok_and(|object| is_error(&object))
}

/// A span of a frame's data, and what goes in its place.
pub(super) type Edit<'a> = (Range<usize>, &'a [u8]);

impl Output {
    pub(super) fn keep_frame(&mut self, frame: &Frame<'_>) {
        match frame.chunk_offset() {
            Some(start) => self.keep(start..start + frame.raw().len()),
            None => self.insert(frame.raw()),
        }
    }

    /// Writes the frame with its data edited. The edits are in order and do not overlap.
    pub(super) fn edit_frame(&mut self, frame: &Frame<'_>, edits: &[Edit<'_>]) {
        let Some(data_offset) = frame.data_offset() else { return self.rebuild_frame(frame, edits) };
        let mut at = 0;
        for (span, new) in edits {
            self.keep_part(frame, at..data_offset + span.start);
            self.insert(new);
            at = data_offset + span.end;
        }
        self.keep_part(frame, at..frame.raw().len());
    }

    fn keep_part(&mut self, frame: &Frame<'_>, span: Range<usize>) {
        match frame.chunk_offset() {
            Some(start) => self.keep(start + span.start..start + span.end),
            None => self.insert(frame.raw().get(span).unwrap_or_default()),
        }
    }

    /// Data over several lines: written anew as one line. A line end within valid JSON is white space.
    fn rebuild_frame(&mut self, frame: &Frame<'_>, edits: &[Edit<'_>]) {
        if let Some(event) = frame.event {
            self.insert(b"event: ");
            self.insert(event.as_bytes());
            self.insert(b"\n");
        }
        self.insert(b"data: ");
        let line: Vec<u8> = frame.data.iter().map(|&byte| if byte == b'\n' { b' ' } else { byte }).collect();
        let mut at = 0;
        for (span, new) in edits {
            self.insert(line.get(at..span.start).unwrap_or_default());
            self.insert(new);
            at = span.end;
        }
        self.insert(line.get(at..).unwrap_or_default());
        self.insert(b"\n\n");
    }

    /// Closes a frame that came without its blank line. After a CR, the first LF belongs to it.
    pub(super) fn end_frame(&mut self) {
        match self.last_byte() {
            None => {}
            Some(b'\n') => self.insert(b"\n"),
            Some(_) => self.insert(b"\n\n"),
        }
    }
}
