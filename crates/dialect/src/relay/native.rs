//! A stream between two ends of the same dialect other than OpenAI's: its frames are passed on as they came, and read
//! by the dialect's own decoder on the way past.
//!
//! Owns the caller's name for the model, put in the place of the provider's where the dialect names one. Leaves framing
//! to [`crate::sse`], events to the decoder, and the form of an error to the dialect's encoder. **Invariant:** the bytes
//! that come out, put together, are the same for every way of cutting the stream into chunks.

use super::output::Output;
use crate::conversation::StreamEvent;
use crate::json::{Limits, Splice, scan, write_string};
use crate::sse::{Frame, Framer};
use crate::wire::{CallerError, EventDecoder, EventEncoder, Progress, ReplyFault, Transducer};
use bytes::Bytes;
use std::ops::Range;

/// Where a dialect names the model: the members from the outermost in.
pub type ModelPlace = &'static [&'static str];

/// Passes a stream of server-sent events on, reading it with `D`.
#[derive(Debug)]
pub struct NativeRelay<D, E> {
    framer: Framer,
    decoder: D,
    /// Writes the error of a stream that breaks off.
    encoder: E,
    place: ModelPlace,
    /// The caller's name for the model as JSON text.
    model_json: Vec<u8>,
    /// What ends a stream that has its reason to stop and not its end mark; empty where a dialect has none.
    end_mark: &'static [u8],
    events: Vec<StreamEvent>,
    progress: Progress,
    has_several: bool,
}

impl<D: EventDecoder, E: EventEncoder> NativeRelay<D, E> {
    /// A relay at the beginning of a stream. Frames name their model at `place`; an empty place is nowhere.
    pub fn new(framer: Framer, (decoder, encoder): (D, E), place: ModelPlace, client_model: &str) -> Self {
        let mut model_json = Vec::new();
        write_string(&mut model_json, client_model);
        let (events, progress) = (Vec::new(), Progress::default());
        let (end_mark, has_several) = (&b""[..], false);
        Self { framer, decoder, encoder, place, model_json, end_mark, events, progress, has_several }
    }

    /// In a dialect whose streams end with this frame, behind the reason to stop.
    pub fn ending_with(self, end_mark: &'static [u8]) -> Self {
        Self { end_mark, ..self }
    }

    /// The only answer has its reason to stop: nothing but the end mark can be missing.
    fn lacks_mark_alone(&self) -> bool {
        self.progress.finished && !self.has_several && !self.end_mark.is_empty()
    }

    fn note(&mut self) {
        for event in &self.events {
            self.progress.note(event);
            self.has_several |= event.choice() > 0;
        }
        self.events.clear();
        self.progress.complete = self.decoder.is_complete();
    }
}

/// Passes one frame on.
fn keep(frame: &Frame<'_>, place: ModelPlace, model_json: &[u8], output: &mut Output) {
    match model_span(frame, place) {
        Some(span) if frame.data.get(span.clone()) != Some(model_json) => {
            output.edit_frame(frame, &[(span, model_json)]);
        }
        _ => output.keep_frame(frame),
    }
}

/// Where a frame names the model.
fn model_span(frame: &Frame<'_>, place: ModelPlace) -> Option<Range<usize>> {
    let (last, outer) = place.split_last()?;
    // Most frames of a stream name no model; the scan is for those that may.
    memchr::memmem::find(&frame.data, last.as_bytes())?;
    let mut object = scan(&frame.data, &Limits::REPLY).ok()?;
    for name in outer {
        object = object.get(name)?.as_object()?;
    }
    Some(object.get(last)?.span())
}

impl<D: EventDecoder, E: EventEncoder> Transducer for NativeRelay<D, E> {
    fn push(&mut self, chunk: Bytes, out: &mut Vec<Bytes>) -> Result<(), ReplyFault> {
        let mut output = Output::new(chunk.clone());
        self.framer.push(chunk);
        let result = loop {
            match self.framer.next_block() {
                Ok(None) => break Ok(()),
                Ok(Some(frame)) => {
                    if frame.has_data()
                        && let Err(fault) = self.decoder.read(&frame, &mut self.events)
                    {
                        break Err(fault);
                    }
                    self.progress.frames += u64::from(frame.has_data());
                    keep(&frame, self.place, &self.model_json, &mut output);
                }
                Err(fault) => break Err(fault),
            }
        };
        output.flush(out);
        self.note();
        result
    }

    fn finish(&mut self, out: &mut Vec<Bytes>) -> Result<(), ReplyFault> {
        let mut read = Ok(());
        if let Some(frame) = self.framer.take_pending() {
            let mut output = Output::default();
            read = self.decoder.read(&frame, &mut self.events);
            // Half a frame that says nothing is no part of what was mended.
            if read.is_ok() && (!frame.data.is_empty() || self.decoder.is_complete()) {
                self.progress.frames += u64::from(frame.has_data());
                keep(&frame, self.place, &self.model_json, &mut output);
                output.end_frame();
            }
            output.flush(out);
        }
        self.note();
        match read {
            Err(fault @ ReplyFault::Error(_)) => Err(fault),
            _ if self.progress.complete => Ok(()),
            _ if self.lacks_mark_alone() => {
                out.push(Bytes::from_static(self.end_mark));
                Ok(())
            }
            _ => Err(ReplyFault::Malformed("the stream ended without its end mark")),
        }
    }

    fn fail(&mut self, error: &CallerError<'_>, out: &mut Vec<Bytes>) {
        let mut bytes = Vec::new();
        self.encoder.fail(error, &mut bytes);
        out.push(Bytes::from(bytes));
    }

    fn progress(&self) -> &Progress {
        &self.progress
    }
}

/// A plain reply with the caller's name for the model at `place` (a top-level member); unchanged where it has none.
pub fn rename_reply(body: &Bytes, place: ModelPlace, client_model: &str) -> Bytes {
    let [name] = place else { return body.clone() };
    let Ok(object) = scan(body, &Limits::REPLY) else { return body.clone() };
    match object.get(name).and_then(|value| value.as_str().map(std::borrow::Cow::into_owned)) {
        Some(model) if model != client_model => {
            Splice::new(&object).set_string(*name, client_model).finish(body).to_bytes()
        }
        _ => body.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::anthropic::StreamDecoder;
    use crate::openai::{ChunkEncoder, StreamPlan};
    use crate::wire::Reading;

    const STREAM: &str = concat!(
        "event: message_start\ndata: {\"type\":\"message_start\",\"message\":{\"id\":\"m\",\"model\":\"claude-x\",\"usage\":{\"input_tokens\":3,\"output_tokens\":1}}}\n\n",
        ": a comment\n\n",
        "event: content_block_start\ndata: {\"type\":\"content_block_start\",\"index\":0,\"content_block\":{\"type\":\"text\",\"text\":\"\"}}\r\n\r\n",
        "event: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"index\":0,\"delta\":{\"type\":\"text_delta\",\"text\":\"the \\\"model\\\" é\"}}\n\n",
        "event: content_block_stop\ndata: {\"type\":\"content_block_stop\",\"index\":0}\n\n",
        "event: message_delta\ndata: {\"type\":\"message_delta\",\"delta\":{\"stop_reason\":\"end_turn\",\"stop_sequence\":null},\"usage\":{\"output_tokens\":7}}\n\n",
        "event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n",
    );

    fn relayed(text: &str, size: usize) -> (String, Result<(), ReplyFault>, Progress) {
        let parts = (StreamDecoder::new(Reading::default()), ChunkEncoder::new(StreamPlan::default()));
        let mut relay = NativeRelay::new(Framer::new(), parts, &["message", "model"], "mine")
            .ending_with(crate::anthropic::END_MARK);
        let mut out = Vec::new();
        let mut result = Ok(());
        for chunk in text.as_bytes().chunks(size) {
            result = result.and_then(|()| relay.push(Bytes::copy_from_slice(chunk), &mut out));
        }
        let result = result.and_then(|()| relay.finish(&mut out));
        (String::from_utf8(out.concat()).unwrap(), result, relay.progress().clone())
    }

    #[test]
    fn every_byte_but_the_models_name_is_passed_on_however_the_stream_is_cut() {
        let expect = STREAM.replace("claude-x", "mine");
        for size in 1..=STREAM.len() {
            let (text, result, progress) = relayed(STREAM, size);
            assert_eq!((text.as_str(), result), (expect.as_str(), Ok(())), "{size}");
            let usage = progress.usage.unwrap();
            assert_eq!((usage.input_tokens, usage.output_tokens), (3, 7));
            assert!(progress.complete && progress.content_started);
        }
    }

    #[test]
    fn a_cut_stream_is_told_and_what_came_is_kept() {
        let cut = STREAM.rfind("event: message_delta").unwrap();
        let (text, result, progress) = relayed(&STREAM[..cut], 7);
        assert!(result.is_err() && !progress.complete);
        assert_eq!(text, STREAM[..cut].replace("claude-x", "mine"));
    }

    #[test]
    fn a_stream_that_is_cut_behind_its_reason_to_stop_gets_its_end_mark() {
        let (whole, stop) =
            (STREAM.replace("claude-x", "mine"), STREAM.rfind("event: message_stop").unwrap());
        // Wherever in the last frame: half of it is not passed on, and its data without its blank line is whole.
        for cut in stop..STREAM.len() {
            let (text, result, progress) = relayed(&STREAM[..cut], 7);
            assert_eq!((text.as_str(), result), (whole.as_str(), Ok(())), "{:?}", &STREAM[stop..cut]);
            assert!(progress.finished && progress.usage_is_last);
        }
        let delta = STREAM.rfind("event: message_delta").unwrap();
        let stop_reason = "\"stop_reason\":\"end_turn\"";
        let open = STREAM.replace(stop_reason, "\"stop_reason\":null");
        let (_, result, _) = relayed(&open[..open.rfind("event: message_stop").unwrap()], 7);
        assert!(result.is_err(), "no reason to stop came");
        let (_, result, _) = relayed(&STREAM[..delta + 60], 7);
        assert!(result.is_err(), "half of it came");
    }

    #[test]
    fn a_replys_model_is_renamed_and_nothing_else() {
        let body = Bytes::from_static(br#"{ "id":"a", "model" : "x","content":[] }"#);
        assert_eq!(rename_reply(&body, &["model"], "y"), r#"{ "id":"a", "model" : "y","content":[] }"#);
        assert_eq!(rename_reply(&body, &[], "y"), body);
        assert_eq!(rename_reply(&body, &["model"], "x"), body);
    }
}
