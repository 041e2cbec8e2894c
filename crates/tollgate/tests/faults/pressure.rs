//! What the machine takes away from the gateway.

use crate::support::{CHAT, Connection, Site, hello, open_ai, post, priced};
use serde_json::{Value, json};
use tollgate_simulator::{Rule, Script};

/// A gateway that may take so many bytes, before one provider.
async fn within(memory_bytes_max: u64) -> Site {
    let yaml = format!(
        "model_list:\n{}general_settings: {{master_key: sk-master-0123456789}}\n\
         tollgate_settings: {{memory_bytes_max: {memory_bytes_max}}}\n",
        open_ai("m", "a", "")
    );
    Site::start(&yaml, Script::new().rule(Rule::any(priced()))).await
}

/// Asks so often with a key; the statuses, and the last answer.
async fn ask(site: &Site, (key, path): (&str, &str), body: &Value, times: usize) -> (Vec<u16>, Value, bool) {
    let (mut statuses, mut last, mut can_come_again) = (Vec::new(), Value::Null, true);
    for _ in 0..times {
        let mut connection = Connection::open(site.gateway.address).await;
        let bearer = format!("Bearer {key}");
        let headers = [("authorization", bearer.as_str())];
        connection.write(&post(path, &headers, body.to_string().as_bytes())).await;
        let answer = connection.answer().await;
        statuses.push(answer.status);
        can_come_again &= answer.header("retry-after").is_some();
        last = serde_json::from_str(&answer.text()).unwrap();
    }
    (statuses, last, can_come_again)
}

/// A line of the metrics, as the operator reads them.
async fn counted(site: &Site, name: &str) -> Option<String> {
    let headers = [("authorization", "Bearer sk-master-0123456789")];
    let text = site.gateway.get_with("/metrics", &headers).await;
    text.lines().find_map(|line| Some(line.strip_prefix(name)?.strip_prefix(' ')?.to_owned()))
}

#[tokio::test]
async fn r37_while_memory_is_short_critical_requests_are_served_and_no_others() {
    // It takes more than this as soon as it stands.
    let site = within(1 << 20).await;
    let gateway = &site.gateway;
    let usual = gateway.new_key(json!({})).await;
    let critical = gateway.new_key(json!({"metadata": {"critical": true}})).await;
    let by_request = gateway.new_key(json!({"metadata": {"critical": "per_request"}})).await;
    let mut says_so = hello("m");
    says_so["metadata"] = json!({"critical": true});
    let claude = json!({"model": "m", "max_tokens": 5, "messages": [{"role": "user", "content": "hi"}]});

    let (statuses, refused, can_come_again) = ask(&site, (&usual, CHAT), &hello("m"), 20).await;
    assert_eq!((statuses, can_come_again), (vec![503; 20], true));
    assert_eq!(refused["error"]["type"], "internal_server_error", "{refused}");
    // Whoever may not say so cannot.
    assert_eq!(ask(&site, (&usual, CHAT), &says_so, 1).await.0, [503]);
    assert_eq!(ask(&site, (&by_request, CHAT), &hello("m"), 1).await.0, [503]);
    let (statuses, refused, _) = ask(&site, (&usual, "/v1/messages"), &claude, 1).await;
    assert_eq!((statuses, &refused["type"]), (vec![503], &json!("error")), "{refused}");
    assert_eq!(site.received().len(), 0);

    assert_eq!(ask(&site, (&critical, CHAT), &hello("m"), 20).await.0, [200; 20]);
    assert_eq!(ask(&site, (&by_request, CHAT), &says_so, 1).await.0, [200]);
    assert_eq!(site.received().len(), 21);
    assert_eq!(counted(&site, "tollgate_requests_shed_total").await.as_deref(), Some("23"));
    assert_eq!(counted(&site, "tollgate_memory_short").await.as_deref(), Some("1"));
    assert!(counted(&site, "tollgate_worker_stalls_total").await.is_some());
    site.stop().await;
}

#[tokio::test]
async fn r37_where_memory_suffices_nobody_is_refused() {
    let site = within(1 << 40).await;
    let usual = site.gateway.new_key(json!({})).await;
    assert_eq!(ask(&site, (&usual, CHAT), &hello("m"), 5).await.0, [200; 5]);
    assert_eq!(counted(&site, "tollgate_requests_shed_total").await.as_deref(), Some("0"));
    site.stop().await;
}
