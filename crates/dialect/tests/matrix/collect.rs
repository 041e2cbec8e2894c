//! Events gathered into a whole reply, as a client gathers them.

use std::collections::BTreeMap;
use tollgate_dialect::conversation::{ChatReply, Choice, Citation, MediaSource, Part, StreamEvent};

/// The reply that some events tell. Text that is not interrupted is one part.
pub(crate) fn collect(events: &[StreamEvent]) -> ChatReply {
    let mut reply = ChatReply::default();
    let mut choices: BTreeMap<u64, Choice> = BTreeMap::new();
    for event in events {
        match event {
            StreamEvent::Start { id, model } => {
                (reply.id, reply.model) = (id.clone(), model.clone());
            }
            StreamEvent::ServiceTier(tier) => reply.service_tier = Some(tier.clone()),
            StreamEvent::Usage(usage) => reply.usage = *usage,
            event => {
                let choice = choices.entry(number(event)).or_default();
                choice.index = number(event);
                add(choice, event);
            }
        }
    }
    reply.choices = choices.into_values().collect();
    reply
}

/// The answer that an event is of.
fn number(event: &StreamEvent) -> u64 {
    match event {
        StreamEvent::Text { choice, .. }
        | StreamEvent::Reasoning { choice, .. }
        | StreamEvent::ReasoningSignature { choice, .. }
        | StreamEvent::RedactedReasoning { choice, .. }
        | StreamEvent::Refusal { choice, .. }
        | StreamEvent::ToolCallStart { choice, .. }
        | StreamEvent::ToolCallArguments { choice, .. }
        | StreamEvent::Logprobs { choice, .. }
        | StreamEvent::Citation { choice, .. }
        | StreamEvent::Image { choice, .. }
        | StreamEvent::Audio { choice, .. }
        | StreamEvent::Native { choice, .. }
        | StreamEvent::Finish { choice, .. } => *choice,
        StreamEvent::Start { .. } | StreamEvent::ServiceTier(_) | StreamEvent::Usage(_) => 0,
    }
}

fn add(choice: &mut Choice, event: &StreamEvent) {
    match event {
        StreamEvent::Finish { stop, stop_sequence, .. } => {
            assert_eq!(choice.stop, None, "an answer ends once");
            choice.stop = Some(*stop);
            choice.stop_sequence.clone_from(stop_sequence);
        }
        StreamEvent::Logprobs { logprobs, .. } => match &mut choice.logprobs {
            Some(known) => {
                let more = logprobs["content"].as_array().cloned().unwrap_or_default();
                known["content"].as_array_mut().expect("a list of tokens").extend(more);
            }
            none => *none = Some(logprobs.clone()),
        },
        StreamEvent::Citation { citation, .. } => cite(&mut choice.parts, citation),
        StreamEvent::ToolCallArguments { index, delta, .. } => {
            let calls = choice.parts.iter_mut().filter_map(|part| match part {
                Part::ToolCall { arguments, .. } => Some(arguments),
                _ => None,
            });
            let place = usize::try_from(*index).unwrap();
            calls.into_iter().nth(place).expect("arguments come after their call").push_str(delta);
        }
        event => add_part(&mut choice.parts, event),
    }
}

/// Puts a source to the text that its span lies in; one without a span, to the last.
fn cite(parts: &mut [Part], citation: &Citation) {
    let mut texts = parts.iter_mut().filter_map(|part| match part {
        Part::Text { text, citations, .. } => Some((text.chars().count() as u64, citations)),
        _ => None,
    });
    let Some((from, to)) = citation.span else {
        let (_, citations) = texts.next_back().expect("a source comes after its text");
        citations.push(citation.clone());
        return;
    };
    let mut start = 0;
    for (chars, citations) in texts {
        if from < start + chars {
            citations.push(Citation { span: Some((from - start, to - start)), ..citation.clone() });
            return;
        }
        start += chars;
    }
    panic!("a source of {from} to {to} has no text");
}

fn add_part(parts: &mut Vec<Part>, event: &StreamEvent) {
    match (parts.last_mut(), event) {
        // Another block begins, which is no part of what is said.
        (_, StreamEvent::Text { delta, .. }) if delta.is_empty() => {}
        (Some(Part::Text { text, .. }), StreamEvent::Text { delta, .. })
        | (Some(Part::Reasoning { text, signature: None }), StreamEvent::Reasoning { delta, .. })
        | (Some(Part::Refusal(text)), StreamEvent::Refusal { delta, .. }) => text.push_str(delta),
        (
            Some(Part::Reasoning { signature: place @ None, .. }),
            StreamEvent::ReasoningSignature { signature, .. },
        ) => *place = Some(signature.clone()),
        (
            Some(Part::Audio { source: MediaSource::Base64 { data, .. }, transcript, .. }),
            StreamEvent::Audio { data: more, transcript: said, .. },
        ) => {
            data.push_str(more);
            if !said.is_empty() {
                transcript.get_or_insert_default().push_str(said);
            }
        }
        (_, event) => parts.push(begun(event)),
    }
}

fn begun(event: &StreamEvent) -> Part {
    match event {
        StreamEvent::Text { delta, .. } => Part::text(delta.clone()),
        StreamEvent::Reasoning { delta, .. } => Part::Reasoning { text: delta.clone(), signature: None },
        StreamEvent::ReasoningSignature { signature, .. } => {
            Part::Reasoning { text: String::new(), signature: Some(signature.clone()) }
        }
        StreamEvent::RedactedReasoning { data, .. } => Part::RedactedReasoning { data: data.clone() },
        StreamEvent::Refusal { delta, .. } => Part::Refusal(delta.clone()),
        StreamEvent::ToolCallStart { id, name, is_custom, signature, .. } => Part::ToolCall {
            id: id.clone(),
            name: name.clone(),
            arguments: String::new(),
            is_custom: *is_custom,
            signature: signature.clone(),
        },
        StreamEvent::Image { source, .. } => {
            Part::Image { source: source.clone(), detail: None, cache_control: None }
        }
        StreamEvent::Audio { data, transcript, .. } => Part::Audio {
            source: MediaSource::Base64 { media_type: "audio/wav".to_owned(), data: data.clone() },
            format: "wav".to_owned(),
            transcript: (!transcript.is_empty()).then(|| transcript.clone()),
        },
        StreamEvent::Native { native, .. } => Part::Native(native.clone()),
        other => panic!("{other:?} is no part of an answer"),
    }
}
