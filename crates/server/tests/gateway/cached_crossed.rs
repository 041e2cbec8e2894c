//! One answer for both forms: kept whole and said as a stream, kept as a stream and said whole, in each dialect.

use crate::support::{Answer, App, Wire, hello, model_list, streamed};
use serde_json::{Value, json};
use tollgate_simulator::{Behaviour, Rule, Script, TokenCounts};

const CACHE: &str = "x-tollgate-cache";
const WORDS: &str = "The shop opens at nine, and closes when the last of you has left it.";

async fn start() -> App {
    let list = model_list(&[("m", &Wire::OpenAi.parameters("a"))]);
    let script = Script::new().rule(Rule::any(Behaviour::new().text(WORDS).tokens(TokenCounts {
        prompt: Some(12),
        completion: Some(34),
        ..TokenCounts::default()
    })));
    App::start(format!("{list}litellm_settings: {{cache: true}}\n"), script).await
}

/// A dialect's paths and body for a question, whole and streamed.
struct Way {
    name: &'static str,
    whole: &'static str,
    stream: &'static str,
    body: fn(&str) -> Value,
    /// Where an answer or an event has its text, and its counts of tokens.
    text: &'static [&'static str],
    usage: (&'static str, &'static str),
}

const WAYS: [Way; 4] = [
    Way {
        name: "chat",
        whole: "/v1/chat/completions",
        stream: "/v1/chat/completions",
        body: |question| json!({"model": "m", "messages": [{"role": "user", "content": question}]}),
        text: &["/choices/0/message/content", "/choices/0/delta/content"],
        usage: ("/usage/prompt_tokens", "/usage/completion_tokens"),
    },
    Way {
        name: "messages",
        whole: "/v1/messages",
        stream: "/v1/messages",
        body: |question| json!({"model": "m", "max_tokens": 99, "messages": [{"role": "user", "content": question}]}),
        text: &["/content/0/text", "/delta/text"],
        usage: ("/usage/input_tokens", "/usage/output_tokens"),
    },
    Way {
        name: "responses",
        whole: "/v1/responses",
        stream: "/v1/responses",
        body: |question| json!({"model": "m", "input": question, "store": false}),
        text: &["/output/0/content/0/text", "/delta"],
        usage: ("/usage/input_tokens", "/usage/output_tokens"),
    },
    Way {
        name: "generateContent",
        whole: "/v1beta/models/m:generateContent",
        stream: "/v1beta/models/m:streamGenerateContent?alt=sse",
        body: |question| json!({"contents": [{"role": "user", "parts": [{"text": question}]}]}),
        text: &["/candidates/0/content/parts/0/text"],
        usage: ("/usageMetadata/promptTokenCount", "/usageMetadata/candidatesTokenCount"),
    },
];

impl Way {
    async fn ask(&self, app: &App, question: &str, is_stream: bool) -> Answer {
        let mut body = (self.body)(question);
        let path = match is_stream {
            true => self.stream,
            false => self.whole,
        };
        if is_stream && self.whole == self.stream {
            body["stream"] = json!(true);
        }
        app.post(path, &body).await
    }

    /// What an answer says, in whichever form.
    fn said(&self, answer: &Answer) -> String {
        let read = |value: &Value| {
            self.text.iter().find_map(|at| value.pointer(at)?.as_str().map(str::to_owned)).unwrap_or_default()
        };
        match serde_json::from_str::<Value>(&answer.text()) {
            Ok(Value::Array(pieces)) => pieces.iter().map(read).collect(),
            Ok(whole) => read(&whole),
            Err(_) => events(answer).iter().map(read).collect(),
        }
    }
}

fn events(answer: &Answer) -> Vec<Value> {
    let text = answer.text();
    text.lines()
        .filter_map(|line| line.strip_prefix("data:"))
        .filter_map(|data| serde_json::from_str(data).ok())
        .collect()
}

#[tokio::test]
async fn one_answer_is_said_in_both_forms_of_every_dialect() {
    let app = start().await;
    let mut sends = 0;
    for way in &WAYS {
        for first_streams in [false, true] {
            let question = format!("When does it open? {} {first_streams}", way.name);
            let first = way.ask(&app, &question, first_streams).await;
            sends += 1;
            let again = way.ask(&app, &question, first_streams).await;
            let other = way.ask(&app, &question, !first_streams).await;
            let case = format!("{question}\n{}", other.text());
            assert_eq!([first.status, again.status, other.status], [200; 3], "{case}");
            let cache = [&first, &again, &other].map(|answer| answer.header(CACHE));
            assert_eq!(cache, [Some("miss"), Some("exact"), Some("exact")], "{case}");
            assert_eq!(first.body, again.body, "{case}");
            assert_eq!([way.said(&first), way.said(&other)], [WORDS, WORDS], "{case}");
            let kinds =
                [&first, &other].map(|answer| answer.header("content-type").unwrap_or_default().to_owned());
            let (whole, stream) = match first_streams {
                true => (&kinds[1], &kinds[0]),
                false => (&kinds[0], &kinds[1]),
            };
            assert!(whole.starts_with("application/json"), "{case}");
            assert!(stream.starts_with("text/event-stream"), "{case}");
            if first_streams {
                let body: Value = serde_json::from_str(&other.text()).unwrap();
                let counts = [way.usage.0, way.usage.1].map(|at| body.pointer(at).and_then(Value::as_u64));
                assert_eq!(counts, [Some(12), Some(34)], "also where the stream did not say it: {case}");
            }
            assert_eq!(app.sends(["a"]), [sends], "{case}");
        }
    }
    app.stop().await;
}

#[tokio::test]
async fn a_stream_says_what_was_used_where_it_is_asked_for() {
    let app = start().await;
    let plain = streamed(hello("m"));
    let mut asks = plain.clone();
    asks["stream_options"] = json!({"include_usage": true});
    let used = |answer: &Answer| {
        events(answer).iter().filter(|event| event["usage"]["completion_tokens"] == json!(34)).count()
    };
    for (body, cache, expect) in
        [(&plain, "miss", 0), (&asks, "exact", 1), (&plain, "exact", 0), (&asks, "exact", 1)]
    {
        let answer = app.post("/v1/chat/completions", body).await;
        assert_eq!((answer.header(CACHE), used(&answer)), (Some(cache), expect), "{}", answer.text());
    }
    assert_eq!(app.sends(["a"]), [1]);
    app.stop().await;
}

#[tokio::test]
async fn googles_list_of_pieces_is_said_from_what_was_whole() {
    let app = start().await;
    let way = &WAYS[3];
    let first = way.ask(&app, "When?", false).await;
    let list = app.post("/v1beta/models/m:streamGenerateContent", &(way.body)("When?")).await;
    assert_eq!((list.status, list.header(CACHE)), (200, Some("exact")), "{}", list.text());
    assert!(list.json().is_array(), "{}", list.text());
    assert_eq!([way.said(&first), way.said(&list)], [WORDS, WORDS]);
    app.stop().await;
}
