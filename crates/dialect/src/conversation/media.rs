//! Media by address, and the bytes that take an address's place where a provider fetches none.
//!
//! Owns finding the addresses and what bytes say of their own type. Leaves fetching to whoever has sockets.
//! **Invariant:** an address of anything but the web (`gs://`, `s3://`, a provider's own) is never listed.

use super::{ChatRequest, MediaSource, Part};
use crate::base64;

impl ChatRequest {
    /// The web addresses of the request's pictures, sounds and documents, tool results included: each once, in the
    /// order of the conversation.
    pub fn media_addresses(&self) -> Vec<&str> {
        let mut found = Vec::new();
        for message in &self.messages {
            find(&message.parts, &mut found);
        }
        found
    }

    /// Puts bytes in the place of an address, wherever it stands.
    pub fn place_media(&mut self, address: &str, media_type: &str, bytes: &[u8]) {
        let source = MediaSource::Base64 { media_type: media_type.to_owned(), data: base64::encode(bytes) };
        for message in &mut self.messages {
            place(&mut message.parts, address, &source);
        }
    }
}

fn find<'a>(parts: &'a [Part], found: &mut Vec<&'a str>) {
    for part in parts {
        match part {
            Part::Image { source, .. } | Part::Audio { source, .. } | Part::File { source, .. } => {
                if let MediaSource::Url(url) = source
                    && is_of_the_web(url)
                    && !found.contains(&url.as_str())
                {
                    found.push(url);
                }
            }
            Part::ToolResult { content, .. } => find(content, found),
            _ => {}
        }
    }
}

fn place(parts: &mut [Part], address: &str, bytes: &MediaSource) {
    for part in parts {
        match part {
            Part::Image { source, .. } | Part::Audio { source, .. } | Part::File { source, .. } => {
                if matches!(source, MediaSource::Url(url) if url == address) {
                    source.clone_from(bytes);
                }
            }
            Part::ToolResult { content, .. } => place(content, address, bytes),
            _ => {}
        }
    }
}

fn is_of_the_web(url: &str) -> bool {
    ["https://", "http://"]
        .iter()
        .any(|scheme| url.get(..scheme.len()).is_some_and(|start| start.eq_ignore_ascii_case(scheme)))
}

/// What bytes say of their own type: the signatures of the WHATWG's MIME Sniffing Standard (sections 6.1 and 7.1) for the
/// formats that models take.
pub fn sniff_media_type(bytes: &[u8]) -> Option<&'static str> {
    const SIGNATURES: [(&[u8], &str); 6] = [
        (b"\x89PNG\r\n\x1a\n", "image/png"),
        (b"\xff\xd8\xff", "image/jpeg"),
        (b"GIF87a", "image/gif"),
        (b"GIF89a", "image/gif"),
        (b"%PDF-", "application/pdf"),
        (b"ID3", "audio/mpeg"),
    ];
    let is_riff =
        |kind: &[u8]| bytes.starts_with(b"RIFF") && bytes.get(8..).is_some_and(|rest| rest.starts_with(kind));
    if is_riff(b"WEBPVP") {
        return Some("image/webp");
    }
    if is_riff(b"WAVE") {
        return Some("audio/wav");
    }
    SIGNATURES.iter().find(|(start, _)| bytes.starts_with(start)).map(|(_, media_type)| *media_type)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::conversation::{Message, Role};

    fn image(url: &str) -> Part {
        Part::Image { source: MediaSource::Url(url.to_owned()), detail: None, cache_control: None }
    }

    fn request(parts: Vec<Part>) -> ChatRequest {
        let message = Message { role: Role::User, parts, name: None };
        ChatRequest { messages: vec![message], ..ChatRequest::default() }
    }

    #[test]
    fn every_address_of_the_web_is_found_once_and_replaced_everywhere() {
        let result = Part::ToolResult {
            call_id: "1".to_owned(),
            content: vec![image("HTTP://b.example/y"), image("https://a.example/x")],
            is_error: false,
            cache_control: None,
        };
        let mut request = request(vec![
            image("https://a.example/x"),
            image("s3://bucket/z.png"),
            image("gs://bucket/z"),
            result,
        ]);
        assert_eq!(request.media_addresses(), ["https://a.example/x", "HTTP://b.example/y"]);
        request.place_media("https://a.example/x", "image/png", b"abc");
        assert_eq!(request.media_addresses(), ["HTTP://b.example/y"]);
        let bytes = MediaSource::Base64 { media_type: "image/png".to_owned(), data: "YWJj".to_owned() };
        assert_eq!(
            request.messages[0].parts[0],
            Part::Image { source: bytes, detail: None, cache_control: None }
        );
    }

    #[test]
    fn bytes_say_what_they_are() {
        let check =
            |bytes: &[u8], expect: Option<&str>| assert_eq!(sniff_media_type(bytes), expect, "{bytes:?}");
        check(b"\x89PNG\r\n\x1a\nrest", Some("image/png"));
        check(b"\xff\xd8\xff\xe0", Some("image/jpeg"));
        check(b"GIF89a", Some("image/gif"));
        check(b"RIFF\x10\0\0\0WEBPVP8 ", Some("image/webp"));
        check(b"RIFF\x10\0\0\0WAVEfmt ", Some("audio/wav"));
        check(b"%PDF-1.7", Some("application/pdf"));
        check(b"<html>", None);
        check(b"RIFF", None);
        check(b"", None);
    }
}
