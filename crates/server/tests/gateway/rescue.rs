//! Mid-stream rescue: a stream that breaks goes on from another deployment, and the caller sees one unbroken answer.

use crate::support::{App, Wire, data, two_of};
use tollgate_simulator::{Behaviour, CutEnding, Fault, ResetPoint, Rule, Script};

const DONE: &str = "data: [DONE]\n\n";
const TEXT: &str = "Once upon a time,  a gateway\nkept \u{1f600} every word it had begun to say.";

fn script(fault: Fault) -> Script {
    Script::new()
        .rule(Rule::deployment("a", Behaviour::new().text(TEXT).fault(fault)))
        .rule(Rule::deployment("b", Behaviour::new().text(TEXT)))
}

/// The text of a stream of chunks.
fn text_of(events: &[String]) -> String {
    let chunks = events.iter().filter(|event| event.starts_with("data: {")).map(|event| data(event));
    chunks.filter_map(|chunk| chunk["choices"][0]["delta"]["content"].as_str().map(str::to_owned)).collect()
}

#[tokio::test]
async fn a_stream_that_breaks_goes_on_from_another_deployment() {
    for wire in [Wire::OpenAi, Wire::Anthropic, Wire::Gemini] {
        for after in 1..9 {
            for fault in [
                Fault::cut(after),
                Fault::Cut { after, ending: CutEnding::Terminated },
                Fault::Reset(ResetPoint::AfterEvents(after)),
                Fault::MalformedEvent { after },
                Fault::ErrorEvent { after, code: 500 },
            ] {
                let app = App::start(two_of(wire), script(fault.clone())).await;
                let events = app.hello_stream("m").await.rest().await;
                assert_eq!(text_of(&events), TEXT, "{wire:?} {fault:?} {events:#?}");
                assert_eq!(events.iter().filter(|event| *event == DONE).count(), 1);
                assert_eq!(events.last().unwrap(), DONE);
                let finishes = events.iter().filter(|event| event.contains("\"finish_reason\":\"stop\""));
                assert_eq!(finishes.count(), 1);
                assert_eq!(app.sends(["a", "b"]), [1, 1]);
                app.stop().await;
            }
        }
    }
}
