//! R26 to R30: callers that leave, that are slow, or that are too many; and R57, more of them than can be served.

use crate::support::{
    CHAT, Connection, Gateway, Load, RawProvider, Site, Told, count, deployment, hello, open_ai, patiently,
    post, streamed, until,
};
use serde_json::{Value, json};
use std::time::Duration;
use tollgate_simulator::{Answer, Behaviour, Fault, Rule, Script};

/// A configuration of one deployment with these further sections.
fn one(more: &str) -> String {
    format!("model_list:\n{}{more}", open_ai("m", "a", ""))
}

/// Asks for a stream.
async fn begin(site: &Site, body: &Value) -> Connection {
    let mut connection = site.connect().await;
    connection.write(&post(CHAT, &[], streamed(body.clone()).to_string().as_bytes())).await;
    connection
}

#[tokio::test]
async fn r26_a_caller_that_leaves_before_the_head_frees_the_provider() {
    let hang = Rule::any(Behaviour::new().fault(Fault::Hang));
    let site = Site::start(&one("router_settings: {num_retries: 5}\n"), Script::new().rule(hang)).await;
    for body in [hello("m"), streamed(hello("m"))] {
        site.simulator.forget_received();
        let mut connection = site.connect().await;
        connection.write(&post(CHAT, &[], body.to_string().as_bytes())).await;
        site.until("the provider is asked", |site| site.simulator.active_requests() == 1).await;
        drop(connection);
        site.until("the provider is let go", |site| site.simulator.active_requests() == 0).await;
        assert!(site.received()[0].hung_up);
        assert_eq!(site.received().len(), 1, "nobody is asked for a caller that has left");
    }
    site.stop().await;
}

#[tokio::test]
async fn r26_a_caller_that_leaves_after_any_token_frees_the_provider_and_is_counted_once() {
    let site = Site::start(&one(""), Script::new()).await;
    let tokens = 12;
    let requests = site.gateway.counted("litellm_deployment_success_responses_total", &[]).await;
    for left_after in 1..=tokens {
        site.simulator.forget_received();
        // Silence after so many tokens, so that the provider would never end by itself.
        let behaviour =
            Behaviour::new().answer(Answer::Tokens(100)).fault(Fault::Stall { after: left_after });
        site.simulator.script().set_rules(vec![Rule::any(behaviour)]);
        let billed = site.gateway.counted("litellm_output_tokens_metric_total", &[]).await;
        let connection = begin(&site, &hello("m")).await;
        let mut stream = connection.stream().await;
        let mut seen = 0;
        while seen < left_after {
            let event = stream.event().await.expect("the stream goes on");
            let text = crate::support::data(&event)["choices"][0]["delta"]["content"].clone();
            seen += usize::from(text.as_str().is_some_and(|text| !text.is_empty()));
        }
        drop(stream);
        site.until("the provider is let go", |site| site.simulator.active_requests() == 0).await;
        let received = site.received();
        assert!(received.len() == 1 && received[0].hung_up && received[0].tokens_written == left_after);
        let gone = || site.gateway.counted("tollgate_client_disconnects_total", &[]);
        patiently("the caller is counted", async { while gone().await < left_after {} }).await;
        assert_eq!(gone().await, left_after);
        let now = site.gateway.counted("litellm_output_tokens_metric_total", &[]).await;
        assert!(now > billed, "{left_after} tokens were read for nothing");
    }
    let settled = site.gateway.counted("litellm_deployment_success_responses_total", &[]).await;
    assert_eq!(settled - requests, tokens);
    site.stop().await;
}

#[tokio::test]
async fn r26_a_caller_that_leaves_takes_along_all_that_is_in_flight_or_waits_for_it() {
    let [a, b] = [open_ai("m", "a", ", weight: 1"), open_ai("m", "b", ", weight: 0")];
    let full = open_ai("full", "c", ", max_parallel_requests: 1");
    let yaml = format!(
        "model_list:\n{a}{b}{full}tollgate_settings: \
         {{hedge: {{after: 20ms, budget: 100%}}, queue: {{max_wait_seconds: 60}}}}\n"
    );
    let hang = Rule::any(Behaviour::new().fault(Fault::Hang));
    let site = Site::start(&yaml, Script::new().rule(hang)).await;
    // A hedge: both deployments are at it.
    let caller = begin(&site, &hello("m")).await;
    site.until("both are asked", |site| site.simulator.active_requests() == 2).await;
    drop(caller);
    site.until("both are let go", |site| site.simulator.active_requests() == 0).await;
    assert_eq!(site.sends(["a", "b"]), [1, 1]);
    // A place in the queue: who leaves it is not sent for when one is free.
    let first = begin(&site, &hello("full")).await;
    site.until("the only place is taken", |site| site.sends(["c"]) == [1]).await;
    let impatient = begin(&site, &hello("full")).await;
    let waiting = async || site.gateway.counted("litellm_in_flight_requests", &[]).await;
    patiently("the second waits", async { while waiting().await < 2 {} }).await;
    drop(impatient);
    patiently("the second is gone", async { while waiting().await > 1 {} }).await;
    site.simulator.script().clear();
    drop(first);
    assert!(!site.stream(&hello("full")).await.complete("full").is_empty());
    assert_eq!(site.sends(["c"]), [2]);
    site.stop().await;
}

/// Bytes of one event of the flood below.
const EVENT: usize = 64 << 10;

#[tokio::test]
async fn r27_callers_that_read_nothing_hold_their_providers_back_and_are_let_go() {
    let chunk = json!({
        "id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1, "model": "x",
        "choices": [{"index": 0, "delta": {"content": "x".repeat(EVENT)}, "finish_reason": null}],
    });
    let head = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\n";
    let flood = RawProvider::flood(head, format!("data: {chunk}\n\n"), 10_000).await;
    let slow = deployment("slow", "s", "openai/gpt-4o", ", api_base: \"http://{flood}/v1\"");
    let yaml = one(&format!("{slow}tollgate_settings: {{client_stall_timeout_seconds: 2}}\n"));
    let site = Site::start_with(&yaml, Script::new(), &[("flood", flood.address)]).await;
    // What others' requests take, here and below, is not theirs.
    site.load(Load::new(count(100, 1_000), 4)).await.all_answered();
    let before = site.gateway.memory_max();
    let callers = count(40, 400);
    let mut held = Vec::new();
    for _ in 0..callers {
        let connection = begin(&site, &hello("slow")).await;
        held.push(connection);
    }
    until("all of them stream", || flood.connects() == callers && flood.written() > callers * EVENT).await;
    // Others are served meanwhile.
    site.load(Load::new(count(100, 1_000), 4)).await.all_answered();
    until("those who read nothing are let go", || flood.open() == 0).await;
    assert_eq!(flood.connects(), callers);
    // What the sockets' buffers hold is the system's. The gateway's own share is a few events of the ten thousand that
    // each could have been sent; 300 kB where many share what the first of them cost, up to 590 kB where few do.
    let more = site.gateway.memory_max().saturating_sub(before);
    let each = more / u64::try_from(callers).unwrap();
    assert!(each <= 1 << 20, "{each} bytes of memory for each caller that reads nothing");
    drop(held);
    site.stop().await;
}

#[tokio::test]
async fn r28_heads_and_bodies_that_never_end_are_cut_off_and_keep_nobody_out() {
    let limits = "tollgate_settings: {header_timeout_seconds: 1, body_timeout_seconds: 1}\n";
    let site = Site::start(&one(limits), Script::new()).await;
    let callers = count(60, 600);
    let mut slow = Vec::new();
    for number in 0..callers {
        let mut connection = site.connect().await;
        let begun: &[u8] = match number % 3 {
            0 => b"",
            1 => b"POST /v1/chat/completions HTTP/1.1\r\nhost: gateway\r\nx-slow: ",
            _ => b"POST /v1/chat/completions HTTP/1.1\r\nhost: gateway\r\ncontent-type: application/json\r\ncontent-length: 1000\r\n\r\n{",
        };
        connection.write(begun).await;
        slow.push(connection);
    }
    until("all of them are let in", || site.gateway.files() >= callers).await;
    site.load(Load::new(count(200, 2_000), 8)).await.all_answered();
    for (number, mut connection) in slow.into_iter().enumerate() {
        match number % 3 {
            // Of a request whose head is there the caller is told.
            2 => {
                let answer = connection.answer().await;
                assert_eq!(answer.status, 408, "{}", answer.text());
            }
            _ => assert!(connection.is_ended().await, "{number} is still served"),
        }
    }
    assert_eq!(site.sends(["a"]), [count(200, 2_000)]);
    site.stop().await;
}

#[tokio::test]
async fn r29_connections_beyond_the_cap_wait_and_those_that_are_in_go_on() {
    let cap = 20;
    let yaml = one(&format!("tollgate_settings: {{connections_max: {cap}}}\n"));
    let site = Site::start(&yaml, Script::new()).await;
    let request = post(CHAT, &[], hello("m").to_string().as_bytes());
    let mut held = Vec::new();
    for _ in 0..cap {
        let mut connection = site.connect().await;
        connection.write(&request).await;
        assert_eq!(connection.answer().await.status, 200);
        held.push(connection);
    }
    let files = site.gateway.files();
    let mut waiting = Vec::new();
    for _ in 0..count(200, 1_000) {
        let mut connection = site.connect().await;
        connection.write(&request).await;
        waiting.push(connection);
    }
    for connection in &mut held {
        connection.write(&request).await;
        assert_eq!(connection.answer().await.status, 200);
    }
    assert_eq!(site.received().len(), 2 * cap, "a connection beyond the cap was served");
    assert!(site.gateway.files() <= files + cap, "the flood takes files");
    drop(held);
    for mut connection in waiting {
        assert_eq!(connection.answer().await.status, 200);
    }
    site.stop().await;
}

#[tokio::test]
async fn r29_a_client_of_http_2_is_turned_away_before_it_can_flood() {
    let site = Site::start(&one(""), Script::new()).await;
    // RFC 9113, section 3.4, and resets of a thousand streams behind it.
    let resets = [0, 0, 4, 3, 0, 0, 0, 0, 1, 0, 0, 0, 8].repeat(1_000);
    let preface = [b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".as_slice(), &resets].concat();
    for _ in 0..20 {
        let mut connection = site.connect().await;
        connection.write(&preface).await;
        // A refusal in HTTP/1.1 or none at all, and the end.
        if let Some(answer) = connection.try_head().await {
            assert_eq!(answer.status, 400);
        }
    }
    site.load(Load::new(50, 4)).await.all_answered();
    site.stop().await;
}

/// Asks at once for so many chats with these bodies, each on a connection of its own, in this order.
async fn crowd(gateway: &Gateway, bodies: &[Value]) -> Vec<Told> {
    let mut asked = Vec::new();
    for body in bodies {
        let mut connection = gateway.connect().await;
        connection.write(&post(CHAT, &[], body.to_string().as_bytes())).await;
        asked.push(tokio::spawn(async move { Told::read(&mut connection).await }));
    }
    let mut told = Vec::new();
    for answer in asked {
        told.push(answer.await.unwrap());
    }
    told
}

/// Holds that a refusal for want of room says when to come back.
fn check_turned_away(told: &Told) {
    assert!([429, 503].contains(&told.status()), "{} {}", told.status(), told.body());
    let after: u64 = told.header("retry-after").expect("when to come back").parse().unwrap();
    assert!(after >= 1);
    assert!(told.json()["error"]["message"].is_string());
}

#[tokio::test]
async fn r30_a_full_pool_is_waited_for_and_what_finds_no_place_in_time_is_told_so() {
    let cap = 4;
    let yaml = format!(
        "model_list:\n{}router_settings: {{num_retries: 0}}\n",
        open_ai("m", "a", &format!(", max_parallel_requests: {cap}"))
    );
    let behaviour = Behaviour::new().latency(Duration::from_millis(20));
    let site = Site::start(&yaml, Script::new().rule(Rule::any(behaviour))).await;
    // Five times as many as have a place, and time enough for all of them.
    let told = crowd(&site.gateway, &vec![hello("m"); 5 * cap]).await;
    assert!(told.iter().all(|told| told.status() == 200), "{told:?}");
    assert_eq!(site.simulator.most_active_requests(), cap);
    // Those that are there never end, so that nobody else gets a place.
    site.simulator.forget_received();
    site.simulator.script().set_rules(vec![Rule::any(Behaviour::new().fault(Fault::Hang))]);
    let mut held = Vec::new();
    for _ in 0..cap {
        held.push(begin(&site, &hello("m")).await);
    }
    site.until("all places are taken", |site| site.simulator.active_requests() == cap).await;
    for told in crowd(&site.gateway, &vec![hello("m"); 2 * cap]).await {
        check_turned_away(&told);
        assert_eq!(told.status(), 503);
    }
    assert_eq!(site.received().len(), cap);
    drop(held);
    // The provider counts whoever has gone until it sees that.
    site.until("the provider has seen them go", |site| site.simulator.active_requests() == 0).await;
    site.simulator.script().clear();
    let told = crowd(&site.gateway, &vec![hello("m"); 2 * cap]).await;
    assert!(told.iter().all(|told| told.status() == 200), "places are not given back: {told:?}");
    assert_eq!(site.simulator.most_active_requests(), cap);
    site.stop().await;
}

#[tokio::test]
async fn r30_while_another_deployment_has_room_nobody_waits_or_is_turned_away() {
    let a = open_ai("m", "a", ", max_parallel_requests: 1");
    let b = open_ai("m", "b", ", max_parallel_requests: 30");
    let behaviour = Behaviour::new().latency(Duration::from_millis(20));
    let yaml = format!("model_list:\n{a}{b}tollgate_settings: {{queue: {{enabled: false}}}}\n");
    let site = Site::start(&yaml, Script::new().rule(Rule::any(behaviour))).await;
    let told = crowd(&site.gateway, &vec![hello("m"); 30]).await;
    assert!(told.iter().all(|told| told.status() == 200), "{told:?}");
    site.stop().await;
}

#[tokio::test]
async fn r57_beyond_its_capacity_the_least_critical_is_shed_first_and_the_rest_is_served() {
    let (cap, places) = (4, 40);
    let yaml = format!(
        "model_list:\n{}router_settings: {{num_retries: 0}}\ntollgate_settings: {{queue: {{max_wait_seconds: 30, size: {places}}}}}\n",
        open_ai("m", "a", &format!(", max_parallel_requests: {cap}"))
    );
    let behaviour = Behaviour::new().latency(Duration::from_millis(50));
    let site = Site::start(&yaml, Script::new().rule(Rule::any(behaviour))).await;
    let with = |priority: u64| {
        let mut body = hello("m");
        body["priority"] = json!(priority);
        body
    };
    // Three times what there is room for: first those that can wait, then those that cannot.
    let critical = places / 2;
    let batch = 3 * (cap + places) - critical;
    let bodies: Vec<Value> =
        std::iter::repeat_n(with(9), batch).chain(std::iter::repeat_n(with(0), critical)).collect();
    let told = crowd(&site.gateway, &bodies).await;
    let (batch, critical) = told.split_at(batch);
    assert!(critical.iter().all(|told| told.status() == 200), "a critical request was shed");
    let shed: Vec<&Told> = batch.iter().filter(|told| told.status() != 200).collect();
    shed.iter().for_each(|told| check_turned_away(told));
    // All that has a place is served: those under way and those that wait, at least once over.
    let served = told.len() - shed.len();
    assert!(served >= cap + places, "{served} of {} were served", told.len());
    assert_eq!((site.received().len(), site.simulator.most_active_requests()), (served, cap));
    // And it is over when the flood is.
    let after = crowd(&site.gateway, &vec![with(9); cap]).await;
    assert!(after.iter().all(|told| told.status() == 200), "{after:?}");
    site.stop().await;
}
