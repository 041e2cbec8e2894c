//! The blocks of an answer: thoughts, a search of the web, text with its citations, tool calls.
//!
//! Owns: their shapes, and which of them an answer has. Leaves to others: the message around them (`reply`).
//!
//! **Invariant:** the text of the blocks put together is the answer's; it is cut only where a token ends.

use crate::ask::TOKEN_CHARS;
use crate::compose::{Citation, Composed};
use crate::extras::{Document, DocumentKind};
use crate::openai::embedding::base64;
use crate::reply::Making;
use crate::signature;
use serde_json::{Value, json};

/// The text that redacted thoughts are signed for.
pub(crate) const REDACTED: &str = "redacted_thinking";

/// Whether thoughts that cannot be read were given out by a simulator.
pub(crate) fn is_redacted(data: &str) -> bool {
    signature::is_good(data, REDACTED)
}

/// The blocks of an answer, whole.
pub(super) fn blocks(making: &mut Making<'_>) -> Vec<Value> {
    let composed = making.composed;
    let mut blocks = Vec::new();
    if let Some(reasoning) = &composed.reasoning {
        let signature = signature::sign(reasoning, making.ids);
        blocks.push(json!({"type": "thinking", "thinking": reasoning, "signature": signature}));
    }
    if composed.extras.redacted {
        let data = signature::sign(REDACTED, making.ids);
        blocks.push(json!({"type": "redacted_thinking", "data": data}));
    }
    if composed.searched {
        search(making, &mut blocks);
    }
    if !composed.text.is_empty() {
        text(composed, &mut blocks);
    }
    for call in &composed.calls {
        let id = making.ids.next("toolu_", 24);
        blocks.push(json!({"type": "tool_use", "id": id, "name": call.name, "input": call.arguments}));
    }
    blocks
}

/// The pages that a search finds: those that the text cites, or one.
fn pages(composed: &Composed) -> Vec<Citation> {
    if !composed.citations.is_empty() {
        return composed.citations.clone();
    }
    vec![Citation {
        start: 0,
        end: composed.text.chars().count(),
        url: "https://example.com/page-1".to_owned(),
        title: "Page 1".to_owned(),
    }]
}

fn search(making: &mut Making<'_>, blocks: &mut Vec<Value>) {
    let id = making.ids.next("srvtoolu_", 24);
    let query: String = making.composed.text.chars().take(40).collect();
    blocks.push(
        json!({"type": "server_tool_use", "id": id, "name": "web_search", "input": {"query": query.trim()}}),
    );
    let found: Vec<Value> = pages(making.composed)
        .iter()
        .map(|page| {
            json!({
                "type": "web_search_result",
                "url": page.url,
                "title": page.title,
                "encrypted_content": base64(making.ids.next("", 30).as_bytes()),
                "page_age": "April 30, 2025",
            })
        })
        .collect();
    blocks.push(json!({"type": "web_search_tool_result", "tool_use_id": id, "content": found}));
}

/// The text: what cites nothing first, then a block for each citation.
fn text(composed: &Composed, blocks: &mut Vec<Value>) {
    let citations: Vec<Value> = if composed.searched {
        pages(composed).iter().map(|page| of_page(page, &composed.text)).collect()
    } else {
        composed.cited.iter().map(of_document).collect()
    };
    let chars: Vec<char> = composed.text.chars().collect();
    let tokens = chars.len().div_ceil(TOKEN_CHARS);
    let parts = if tokens > citations.len() { citations.len() + 1 } else { 1 };
    let mut from = 0;
    for part in 0..parts {
        let until = if part + 1 == parts { chars.len() } else { tokens * (part + 1) / parts * TOKEN_CHARS };
        let piece: String = chars.iter().skip(from).take(until.saturating_sub(from)).collect();
        from = until;
        let mut block = json!({"type": "text", "text": piece});
        // An answer that is too short to be cut cites all in its one block.
        let cited: Vec<&Value> = match part.checked_sub(1) {
            _ if parts == 1 => citations.iter().collect(),
            Some(index) => citations.get(index).into_iter().collect(),
            None => Vec::new(),
        };
        if let Some(fields) = block.as_object_mut().filter(|_| !cited.is_empty()) {
            fields.insert("citations".to_owned(), json!(cited));
        }
        blocks.push(block);
    }
}

fn of_page(page: &Citation, text: &str) -> Value {
    let cited: String = text.chars().skip(page.start).take(page.end - page.start).collect();
    json!({
        "type": "web_search_result_location",
        "cited_text": cited,
        "url": page.url,
        "title": page.title,
        "encrypted_index": base64(page.url.as_bytes()),
    })
}

fn of_document(document: &Document) -> Value {
    let (index, title, quote) = (document.index, &document.title, &document.quote);
    match &document.kind {
        DocumentKind::Text => json!({
            "type": "char_location",
            "cited_text": quote,
            "document_index": index,
            "document_title": title,
            "start_char_index": 0,
            "end_char_index": document.chars(),
            "file_id": null,
        }),
        DocumentKind::Pages => json!({
            "type": "page_location",
            "cited_text": quote,
            "document_index": index,
            "document_title": title,
            "start_page_number": 1,
            "end_page_number": 2,
            "file_id": null,
        }),
        DocumentKind::Blocks => json!({
            "type": "content_block_location",
            "cited_text": quote,
            "document_index": index,
            "document_title": title,
            "start_block_index": 0,
            "end_block_index": 1,
            "file_id": null,
        }),
        DocumentKind::SearchResult(source) => json!({
            "type": "search_result_location",
            "cited_text": quote,
            "search_result_index": index,
            "source": source,
            "title": title,
            "start_block_index": 0,
            "end_block_index": 1,
        }),
    }
}
