//! The events of a response: its items one after the other, each with its parts and their deltas, then the whole.

use super::{Feed, items, pieces, text};
use serde_json::{Value, json};

pub(super) fn write(reply: &Value, size: usize, feed: &mut Feed) {
    let mut running = reply.clone();
    running["status"] = json!("in_progress");
    running["output"] = json!([]);
    running["usage"] = Value::Null;
    running["incomplete_details"] = Value::Null;
    let mut writer = Writer { feed, sequence: 0, index: 0, size };
    writer.event("response.created", json!({"response": running}));
    writer.event("response.in_progress", json!({"response": running}));
    for (index, item) in items(reply, "output").iter().enumerate() {
        writer.index = index;
        writer.item(item);
    }
    let last = if reply["status"] == "incomplete" { "response.incomplete" } else { "response.completed" };
    writer.event(last, json!({"response": reply}));
}

struct Writer<'f> {
    feed: &'f mut Feed,
    sequence: u64,
    index: usize,
    size: usize,
}

impl Writer<'_> {
    fn event(&mut self, kind: &str, mut data: Value) {
        data["type"] = json!(kind);
        data["sequence_number"] = json!(self.sequence);
        self.sequence += 1;
        self.feed.named(kind, data);
    }

    fn item(&mut self, item: &Value) {
        let mut begun = item.clone();
        begun["status"] = json!("in_progress");
        for (name, empty) in
            [("content", json!([])), ("summary", json!([])), ("arguments", json!("")), ("input", json!(""))]
        {
            if item.get(name).is_some() {
                begun[name] = empty;
            }
        }
        for name in ["result", "encrypted_content"] {
            if item.get(name).is_some() {
                begun[name] = Value::Null;
            }
        }
        self.event("response.output_item.added", json!({"output_index": self.index, "item": begun}));
        match text(item, "type") {
            "message" => self.message(item),
            "reasoning" => self.reasoning(item),
            "function_call" => self.call(item, "response.function_call_arguments", "arguments"),
            "custom_tool_call" => self.call(item, "response.custom_tool_call_input", "input"),
            "web_search_call" => {
                for step in ["in_progress", "searching", "completed"] {
                    let kind = format!("response.web_search_call.{step}");
                    self.event(&kind, json!({"output_index": self.index, "item_id": item["id"]}));
                }
            }
            _ => {}
        }
        self.event("response.output_item.done", json!({"output_index": self.index, "item": item}));
    }

    fn message(&mut self, item: &Value) {
        for (number, part) in items(item, "content").iter().enumerate() {
            let place = json!({"output_index": self.index, "item_id": item["id"], "content_index": number});
            let at = |members: Value| crate::goldens::merge(&place, &members);
            let (name, kind) = match text(part, "type") {
                "refusal" => ("refusal", "response.refusal"),
                _ => ("text", "response.output_text"),
            };
            let mut begun = part.clone();
            begun[name] = json!("");
            for list in ["annotations", "logprobs"].iter().filter(|list| part.get(**list).is_some()) {
                begun[*list] = json!([]);
            }
            self.event("response.content_part.added", at(json!({"part": begun})));
            let tokens = items(part, "logprobs");
            for token in tokens {
                self.event(
                    &format!("{kind}.delta"),
                    at(json!({"delta": token["token"], "logprobs": [token]})),
                );
            }
            for piece in pieces(if tokens.is_empty() { text(part, name) } else { "" }, self.size) {
                self.event(&format!("{kind}.delta"), at(json!({"delta": piece, "logprobs": []})));
            }
            for (count, annotation) in items(part, "annotations").iter().enumerate() {
                let members = json!({"annotation_index": count, "annotation": annotation});
                self.event("response.output_text.annotation.added", at(members));
            }
            self.event(&format!("{kind}.done"), at(json!({name: part[name], "logprobs": tokens})));
            self.event("response.content_part.done", at(json!({"part": part})));
        }
    }

    fn reasoning(&mut self, item: &Value) {
        for (number, part) in items(item, "summary").iter().enumerate() {
            let place = json!({"output_index": self.index, "item_id": item["id"], "summary_index": number});
            let at = |members: Value| crate::goldens::merge(&place, &members);
            let empty = json!({"type": "summary_text", "text": ""});
            self.event("response.reasoning_summary_part.added", at(json!({"part": empty})));
            for piece in pieces(text(part, "text"), self.size) {
                self.event("response.reasoning_summary_text.delta", at(json!({"delta": piece})));
            }
            self.event("response.reasoning_summary_text.done", at(json!({"text": part["text"]})));
            self.event("response.reasoning_summary_part.done", at(json!({"part": part})));
        }
    }

    fn call(&mut self, item: &Value, kind: &str, name: &str) {
        let place = json!({"output_index": self.index, "item_id": item["id"]});
        let at = |members: Value| crate::goldens::merge(&place, &members);
        for piece in pieces(text(item, name), self.size) {
            self.event(&format!("{kind}.delta"), at(json!({"delta": piece})));
        }
        self.event(&format!("{kind}.done"), at(json!({name: item[name]})));
    }
}
