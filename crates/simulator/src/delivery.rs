//! How a reply goes out: in good order, or the way that a fault says.
//!
//! Owns: what each transport fault does to a reply, and the bytes that it writes past hyper. Leaves to others: the good
//! reply itself (`reply`), error replies (`error`).
//!
//! **Invariant:** a fault changes only what its description in `fault` says; up to that point the bytes are those of
//! the good reply.

use crate::fault::{CutEnding, Fault, ResetPoint};
use crate::reply::{Content, Event, JSON, Reply, Role};
use bytes::Bytes;
use flate2::write::GzEncoder;
use flate2::{Compress, Compression, Crc, FlushCompress};
use std::io::Write;
use std::time::Duration;

/// How long data that was written has to arrive before the reset behind it.
const RESET_GRACE: Duration = Duration::from_millis(10);
/// Where something endless ends after all: in silence.
const ENDLESS_BYTES_MAX: usize = 1 << 28;
/// The unit of a gzip bomb when unpacked.
const BOMB_BLOCK: usize = 1 << 20;
/// The largest gzip bomb, in blocks.
const BOMB_BLOCKS_MAX: u64 = 1 << 16;

/// A reply, ready to go out.
#[derive(Debug, PartialEq)]
pub(crate) enum Delivery {
    /// In good order, after this further wait before the first content.
    Orderly(Reply, Duration),
    /// Past hyper, act by act.
    Raw(Vec<Act>),
}

/// One act of a reply that goes out past hyper.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Act {
    /// Write these bytes, the head of a reply of this status.
    Head(u16, Bytes),
    /// Write these bytes.
    Write(Bytes),
    /// Write this event in a chunk, after the pace.
    Event(Event),
    /// Write these bytes again and again.
    Endless(Bytes),
    /// Wait.
    Pause(Duration),
    /// Write nothing more and keep the connection open.
    Silence,
    /// Close with a reset.
    Reset,
    /// Close in good order.
    Close,
}

/// Applies a fault of transport to a reply. Faults that are not of transport leave it as it is.
pub(crate) fn deliver(reply: Reply, fault: Option<&Fault>) -> Delivery {
    let Some(fault) = fault else { return Delivery::Orderly(reply, Duration::ZERO) };
    match fault {
        Fault::Hang => Delivery::Raw(vec![Act::Silence]),
        Fault::Refuse | Fault::Reset(ResetPoint::BeforeHead) => Delivery::Raw(vec![Act::Reset]),
        Fault::Reset(ResetPoint::AfterHead) => {
            Delivery::Raw(vec![head(&reply, Framing::Natural), Act::Pause(RESET_GRACE), Act::Reset])
        }
        Fault::Reset(ResetPoint::AfterEvents(after)) => {
            raw_until(reply, *after, Framing::Natural, &[Act::Pause(RESET_GRACE), Act::Reset])
        }
        Fault::Cut { after, ending } => cut(reply, *after, *ending),
        Fault::Stall { after } => raw_until(reply, *after, Framing::Natural, &[Act::Silence]),
        Fault::SlowFirstEvent(wait) => Delivery::Orderly(reply, *wait),
        Fault::EndlessHeaders => {
            let start = Bytes::from_static(b"HTTP/1.1 200 OK\r\n");
            let line = Bytes::from(format!("x-filler: {}\r\n", "a".repeat(1_000)));
            Delivery::Raw(vec![Act::Head(200, start), Act::Endless(line), Act::Silence])
        }
        Fault::EndlessBody => {
            let filler = Bytes::from(vec![b' '; 16_384]);
            let chunk = Bytes::from([b"4000\r\n", filler.as_ref(), b"\r\n"].concat());
            Delivery::Raw(vec![head(&reply, Framing::Chunked), Act::Endless(chunk), Act::Silence])
        }
        Fault::HugeHeaders { bytes } => {
            Delivery::Orderly(reply.header("x-huge", "a".repeat(*bytes)), Duration::ZERO)
        }
        Fault::ContentLengthLies { by } => lies(&reply, *by),
        Fault::OneByteChunks => one_byte_chunks(&reply),
        other => Delivery::Orderly(changed(reply, other), Duration::ZERO),
    }
}

/// Faults that change the content and leave its transport alone.
fn changed(reply: Reply, fault: &Fault) -> Reply {
    match fault {
        Fault::Html { status } => page(*status),
        Fault::Empty { status } => Reply {
            status: *status,
            content_type: reply.content_type,
            headers: reply.headers,
            content: Content::Whole(Bytes::new()),
        },
        Fault::WrongContentType => Reply { content_type: "text/html; charset=utf-8", ..reply },
        Fault::TruncatedJson => with_content(reply, half, |events| {
            let mut events: Vec<Event> =
                events.into_iter().filter(|event| event.role == Role::Content).collect();
            if let Some(last) = events.last_mut() {
                last.bytes = half(&last.bytes);
            }
            events
        }),
        Fault::BadUtf8 => with_content(reply, bad_utf8, |mut events| {
            if let Some(event) = events.iter_mut().find(|event| event.role == Role::Content) {
                event.bytes = bad_utf8(&event.bytes);
            }
            events
        }),
        Fault::MalformedEvent { after } => with_content(reply, half, |mut events| {
            let at = content_end(&events, *after);
            let broken =
                Event { bytes: Bytes::from_static(b"data: {\"broken\": [\n\n"), role: Role::Opening };
            events.insert(at, broken);
            events
        }),
        Fault::NoDone => with_content(reply, Bytes::clone, |events| {
            events.into_iter().filter(|event| event.role != Role::End).collect()
        }),
        Fault::Gzip => gzipped(reply),
        Fault::GzipBomb { bytes } => {
            let content = Content::Whole(bomb(bytes.div_ceil(BOMB_BLOCK as u64).clamp(1, BOMB_BLOCKS_MAX)));
            Reply { content, content_type: JSON, ..reply }.header("content-encoding", "gzip")
        }
        Fault::Redirect { status, location } => Reply {
            status: *status,
            content_type: "text/plain",
            headers: reply.headers,
            content: Content::Whole(Bytes::new()),
        }
        .header("location", location.clone()),
        _ => reply,
    }
}

fn with_content(
    reply: Reply,
    whole: impl FnOnce(&Bytes) -> Bytes,
    events: impl FnOnce(Vec<Event>) -> Vec<Event>,
) -> Reply {
    let content = match reply.content {
        Content::Whole(bytes) => Content::Whole(whole(&bytes)),
        Content::Events(list) => Content::Events(events(list)),
    };
    Reply { content, ..reply }
}

fn half(bytes: &Bytes) -> Bytes {
    bytes.slice(..bytes.len() / 2)
}

/// Puts bytes that are no UTF-8 into the last string.
fn bad_utf8(bytes: &Bytes) -> Bytes {
    let at = memchr::memrchr(b'"', bytes).unwrap_or(bytes.len());
    let (head, tail) = bytes.split_at(at);
    [head, b"\xff\xfe", tail].concat().into()
}

/// A page as a web server before the provider would send it.
fn page(status: u16) -> Reply {
    let title = if status < 400 { "Welcome" } else { "Bad gateway" };
    let body = format!(
        "<!DOCTYPE html>\n<html><head><title>{title}</title></head>\n<body><center><h1>{status} {title}</h1></center>\
         <hr><center>simulated</center></body></html>\n"
    );
    Reply {
        status,
        content_type: "text/html; charset=utf-8",
        headers: Vec::new(),
        content: Content::Whole(body.into()),
    }
}

/// Where a list of events is to be cut so that so many with content are left: before the next one with content, or
/// before the end of the stream when there are not so many.
fn content_end(events: &[Event], after: usize) -> usize {
    let mut seen = 0;
    let beyond = |event: &Event| match event.role {
        Role::Opening => false,
        Role::Content => {
            seen += 1;
            seen > after
        }
        Role::Closing | Role::End => true,
    };
    events.iter().position(beyond).unwrap_or(events.len())
}

/// How the length of a body is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Framing {
    /// By its length, or in chunks when it is a stream.
    Natural,
    Chunked,
    Length(u64),
    UntilClose,
}

fn head(reply: &Reply, framing: Framing) -> Act {
    let reason = http::StatusCode::from_u16(reply.status).ok().and_then(|code| code.canonical_reason());
    let mut text = format!("HTTP/1.1 {} {}\r\n", reply.status, reason.unwrap_or("Unknown"));
    text.push_str(&format!("content-type: {}\r\n", reply.content_type));
    for (name, value) in &reply.headers {
        text.push_str(&format!("{name}: {value}\r\n"));
    }
    let length = match (framing, &reply.content) {
        (Framing::Length(length), _) => Some(length),
        (Framing::Natural, Content::Whole(bytes)) => Some(bytes.len() as u64),
        (Framing::UntilClose, _) => None,
        (Framing::Natural | Framing::Chunked, _) => {
            text.push_str("transfer-encoding: chunked\r\n");
            None
        }
    };
    if let Some(length) = length {
        text.push_str(&format!("content-length: {length}\r\n"));
    }
    if framing == Framing::UntilClose {
        text.push_str("connection: close\r\n");
    }
    text.push_str("\r\n");
    Act::Head(reply.status, text.into())
}

/// Bytes as one chunk of a chunked transfer.
pub(crate) fn chunk(bytes: &[u8]) -> Bytes {
    [format!("{:x}\r\n", bytes.len()).as_bytes(), bytes, b"\r\n"].concat().into()
}

/// The end of a chunked transfer.
fn last_chunk() -> Act {
    Act::Write(Bytes::from_static(b"0\r\n\r\n"))
}

/// The good reply up to a point, then these acts.
fn raw_until(reply: Reply, after: usize, framing: Framing, then: &[Act]) -> Delivery {
    let mut acts = vec![head(&reply, framing)];
    match reply.content {
        Content::Whole(bytes) if framing == Framing::Chunked => acts.push(Act::Write(chunk(&half(&bytes)))),
        Content::Whole(bytes) => acts.push(Act::Write(half(&bytes))),
        Content::Events(mut events) => {
            events.truncate(content_end(&events, after));
            if framing == Framing::UntilClose {
                acts.extend(events.into_iter().map(|event| Act::Write(event.bytes)));
            } else {
                acts.extend(events.into_iter().map(Act::Event));
            }
        }
    }
    acts.extend_from_slice(then);
    Delivery::Raw(acts)
}

fn cut(reply: Reply, after: usize, ending: CutEnding) -> Delivery {
    match ending {
        CutEnding::Terminated => raw_until(reply, after, Framing::Chunked, &[last_chunk(), Act::Close]),
        CutEnding::Unterminated => raw_until(reply, after, Framing::Natural, &[Act::Close]),
        CutEnding::CloseDelimited => raw_until(reply, after, Framing::UntilClose, &[Act::Close]),
    }
}

fn all_bytes(reply: &Reply) -> Bytes {
    match &reply.content {
        Content::Whole(bytes) => bytes.clone(),
        Content::Events(events) => {
            events.iter().flat_map(|event| event.bytes.iter().copied()).collect::<Vec<u8>>().into()
        }
    }
}

fn lies(reply: &Reply, by: i64) -> Delivery {
    let body = all_bytes(reply);
    let promised = (body.len() as u64).saturating_add_signed(by);
    Delivery::Raw(vec![head(reply, Framing::Length(promised)), Act::Write(body), Act::Close])
}

fn one_byte_chunks(reply: &Reply) -> Delivery {
    let mut acts = vec![head(reply, Framing::Chunked)];
    acts.extend(all_bytes(reply).iter().map(|byte| Act::Write(chunk(std::slice::from_ref(byte)))));
    acts.extend([last_chunk(), Act::Close]);
    Delivery::Raw(acts)
}

/// Most bytes that an endless act writes.
pub(crate) fn endless_rounds(bytes: &Bytes) -> usize {
    ENDLESS_BYTES_MAX / bytes.len().max(1)
}

/// Packs the body; of a stream every event by itself, so that it can be read as it comes.
fn gzipped(reply: Reply) -> Reply {
    let reply = reply.header("content-encoding", "gzip");
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    let content = match reply.content {
        Content::Whole(bytes) => Content::Whole(pack(&mut encoder, &bytes, true)),
        Content::Events(events) => {
            let last = events.len().saturating_sub(1);
            let packed = events.into_iter().enumerate().map(|(index, event)| Event {
                bytes: pack(&mut encoder, &event.bytes, index == last),
                role: event.role,
            });
            Content::Events(packed.collect())
        }
    };
    Reply { content, ..reply }
}

fn pack(encoder: &mut GzEncoder<Vec<u8>>, bytes: &[u8], last: bool) -> Bytes {
    // Writing into memory does not fail; if it did, the event would be cut short and the reader would say so.
    let _ = encoder.write_all(bytes);
    let _ = if last { encoder.try_finish() } else { encoder.flush() };
    std::mem::take(encoder.get_mut()).into()
}

/// A gzip file of so many MiB of spaces. Every MiB is packed without reference to the one before, so one packed MiB,
/// repeated, makes the file of any size.
fn bomb(blocks: u64) -> Bytes {
    let plain = vec![b' '; BOMB_BLOCK];
    let packed = deflate(&plain, FlushCompress::Full);
    let mut crc = Crc::new();
    let mut one = Crc::new();
    one.update(&plain);
    // Header of RFC 1952: magic, deflate, no flags, no time, fastest, unknown system.
    let mut out = vec![0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 4, 255];
    for _ in 0..blocks {
        out.extend_from_slice(&packed);
        crc.combine(&one);
    }
    out.extend(deflate(&[], FlushCompress::Finish));
    out.extend(crc.sum().to_le_bytes());
    out.extend(crc.amount().to_le_bytes());
    out.into()
}

fn deflate(plain: &[u8], flush: FlushCompress) -> Vec<u8> {
    let mut compress = Compress::new(Compression::best(), false);
    let mut out = Vec::with_capacity(plain.len() / 64 + 64);
    // The capacity is ample for spaces; the status would say otherwise, and the file be short.
    let _ = compress.compress_vec(plain, &mut out, flush);
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read;

    fn stream() -> Reply {
        let event = |role, text: &'static str| Event { bytes: Bytes::from_static(text.as_bytes()), role };
        Reply::events(vec![
            event(Role::Opening, "data: {\"o\"}\n\n"),
            event(Role::Content, "data: {\"1\"}\n\n"),
            event(Role::Opening, "data: {\"between\"}\n\n"),
            event(Role::Content, "data: {\"2\"}\n\n"),
            event(Role::Closing, "data: {\"c\"}\n\n"),
            event(Role::End, "data: [DONE]\n\n"),
        ])
    }

    fn whole() -> Reply {
        Reply::json(&serde_json::json!({"answer": "yes"}))
    }

    fn sent(delivery: &Delivery) -> String {
        let Delivery::Raw(acts) = delivery else { return String::new() };
        let shown = acts.iter().map(|act| match act {
            Act::Head(_, _) => "<head>".to_owned(),
            Act::Write(bytes) => String::from_utf8_lossy(bytes).into_owned(),
            Act::Event(event) => String::from_utf8_lossy(&event.bytes).into_owned(),
            other => format!("<{other:?}>"),
        });
        shown.collect::<String>().replace("data: ", "").replace("\n\n", " ")
    }

    fn body(delivery: Delivery) -> Bytes {
        let Delivery::Orderly(reply, _) = delivery else { return Bytes::new() };
        all_bytes(&reply)
    }

    #[test]
    fn events_are_counted_by_content_alone() {
        for (after, expect) in [
            (0, "<head>{\"o\"} <Close>"),
            (1, "<head>{\"o\"} {\"1\"} {\"between\"} <Close>"),
            (2, "<head>{\"o\"} {\"1\"} {\"between\"} {\"2\"} <Close>"),
            (9, "<head>{\"o\"} {\"1\"} {\"between\"} {\"2\"} <Close>"),
        ] {
            assert_eq!(sent(&deliver(stream(), Some(&Fault::cut(after)))), expect);
        }
    }

    #[test]
    fn each_way_to_end_early_shows_on_the_wire() {
        let check = |reply: Reply, fault: Fault, expect: &str| {
            assert_eq!(sent(&deliver(reply, Some(&fault))), expect);
        };
        check(whole(), Fault::cut(3), "<head>{\"answer<Close>");
        check(stream(), Fault::Stall { after: 0 }, "<head>{\"o\"} <Silence>");
        check(stream(), Fault::Hang, "<Silence>");
        check(stream(), Fault::Reset(ResetPoint::BeforeHead), "<Reset>");
        check(stream(), Fault::Reset(ResetPoint::AfterHead), "<head><Pause(10ms)><Reset>");
        check(
            stream(),
            Fault::Cut { after: 0, ending: CutEnding::Terminated },
            "<head>{\"o\"} 0\r\n\r\n<Close>",
        );
        let Delivery::Raw(acts) = deliver(whole(), Some(&Fault::ContentLengthLies { by: 16 })) else {
            unreachable!()
        };
        let Act::Head(200, head) = &acts[0] else { unreachable!() };
        assert!(String::from_utf8_lossy(head).contains("content-length: 32\r\n"));
    }

    #[test]
    fn faults_of_content_change_only_what_they_say() {
        assert_eq!(body(deliver(whole(), Some(&Fault::TruncatedJson))), "{\"answer");
        assert_eq!(body(deliver(stream(), Some(&Fault::NoDone))).len(), all_bytes(&stream()).len() - 14);
        assert!(std::str::from_utf8(&body(deliver(whole(), Some(&Fault::BadUtf8)))).is_err());
        let broken = body(deliver(stream(), Some(&Fault::MalformedEvent { after: 1 })));
        let text = String::from_utf8_lossy(&broken);
        assert!(text.find("broken").unwrap() > text.find("between").unwrap());
        assert!(text.find("broken").unwrap() < text.find("\"2\"").unwrap());
        assert_eq!(body(deliver(stream(), Some(&Fault::Html { status: 502 }))).slice(..9), "<!DOCTYPE");
    }

    #[test]
    fn a_packed_stream_can_be_read_event_by_event() {
        let Delivery::Orderly(reply, _) = deliver(stream(), Some(&Fault::Gzip)) else { unreachable!() };
        let Content::Events(events) = reply.content else { unreachable!() };
        let mut decoder = flate2::write::GzDecoder::new(Vec::new());
        decoder.write_all(&events[0].bytes).unwrap();
        decoder.flush().unwrap();
        assert_eq!(decoder.get_ref().as_slice(), b"data: {\"o\"}\n\n");
        for event in &events[1..] {
            decoder.write_all(&event.bytes).unwrap();
        }
        assert_eq!(decoder.finish().unwrap(), all_bytes(&stream()));
    }

    #[test]
    fn a_bomb_is_a_valid_file_and_small() {
        let file = bomb(3);
        assert!(file.len() < 8_192, "{}", file.len());
        let mut plain = Vec::new();
        flate2::read::GzDecoder::new(file.as_ref()).read_to_end(&mut plain).unwrap();
        assert_eq!(plain.len(), 3 * BOMB_BLOCK);
    }
}
