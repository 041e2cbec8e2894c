//! The operator's own listener: what is served where.

use super::support::{Connection, Gateway, post};
use super::{MASTER, Said, program};
use std::net::SocketAddr;

/// The address of the operator's listener, as the log says it.
fn operators(gateway: &Gateway) -> SocketAddr {
    let log = gateway.log_text();
    let line = log.lines().find(|line| line.contains("the admin API has a door of its own")).unwrap();
    line.split_once("address=").unwrap().1.split_whitespace().next().unwrap().parse().unwrap()
}

async fn ask(address: SocketAddr, path: &str) -> u16 {
    let mut connection = Connection::open(address).await;
    let bearer = format!("Bearer {MASTER}");
    connection.write(&post(path, &[("authorization", &bearer)], b"{}")).await;
    connection.answer().await.status
}

#[tokio::test]
async fn the_admin_api_is_served_at_the_operators_door_alone() {
    let yaml = format!(
        "model_list: [{{model_name: a, litellm_params: {{model: openai/a, api_key: k, api_base: 'http://127.0.0.1:1'}}}}]\n\
         general_settings: {{master_key: {MASTER}, tollgate_database: gateway.db}}\n\
         tollgate_settings: {{admin_listen: '127.0.0.1:0'}}\n"
    );
    let gateway = Gateway::start(&yaml).await;
    let door = operators(&gateway);
    assert_ne!(door, gateway.address);
    for path in ["/key/generate", "/team/new", "/health/override", "/model/new", "/spend/calculate"] {
        assert_eq!(ask(gateway.address, path).await, 404, "{path}");
        assert_ne!(ask(door, path).await, 404, "{path}");
    }
    // Both serve callers: a body without a model is known to be none.
    assert_eq!(ask(gateway.address, "/v1/chat/completions").await, 400);
    assert_eq!(ask(door, "/v1/chat/completions").await, 400);
    let list = |address: SocketAddr| {
        let url = format!("http://{address}");
        Said::of(
            &program("keys list").env("TOLLGATE_URL", url).env("TOLLGATE_API_KEY", MASTER).output().unwrap(),
        )
    };
    assert_eq!(list(door).status, 0);
    assert_ne!(list(gateway.address).status, 0);
}
