//! `/add/allowed_ip` and its like: the addresses that may call, `general_settings.allowed_ips`.

use super::settings::{Edit, change, in_full};
use super::{Desk, Outcome, Problem, Served, asks, looks};
use serde_json::{Value, json};
use tollgate_identity::form::setting as form;

/// The routes of addresses.
pub(super) const ROUTES: &[Served] = &[
    looks("GET", "/get/allowed_ips", list, "The addresses that may call; null where all may"),
    asks("POST", "/add/allowed_ip", |desk| Box::pin(add(desk)), "Let an address call, and no others"),
    asks("POST", "/delete/allowed_ip", |desk| Box::pin(delete(desk)), "Let an address call no longer"),
];

const SECTION: &str = "general_settings";
const NAME: &str = "allowed_ips";

fn known(desk: &Desk<'_>) -> Result<Option<Vec<Value>>, Problem> {
    match in_full(desk, SECTION, NAME)? {
        Some(Value::Array(addresses)) => Ok(Some(addresses)),
        _ => Ok(None),
    }
}

fn list(desk: &Desk<'_>) -> Outcome {
    Ok(json!({"data": known(desk)?}))
}

async fn add(desk: &Desk<'_>) -> Outcome {
    let ip = form::allowed_ip(&desk.body, &desk.context())?;
    let mut addresses = known(desk)?.unwrap_or_default();
    if addresses.iter().any(|known| known.as_str() == Some(&ip)) {
        return Err(Problem::Bad("ip", "IP address already exists".to_owned()));
    }
    addresses.push(Value::from(ip.as_str()));
    change(desk, vec![Edit::set(SECTION, NAME, Value::Array(addresses))]).await?;
    Ok(json!({"message": format!("IP {ip} address added successfully"), "status": "success"}))
}

async fn delete(desk: &Desk<'_>) -> Outcome {
    let ip = form::allowed_ip(&desk.body, &desk.context())?;
    let mut addresses = known(desk)?.unwrap_or_default();
    let before = addresses.len();
    addresses.retain(|known| known.as_str() != Some(&ip));
    if addresses.len() == before {
        return Err(Problem::Missing("ip", "IP address not found".to_owned()));
    }
    // With the last address the rule goes, as LiteLLM lets everybody call where there is none.
    let value = if addresses.is_empty() { Value::Null } else { Value::Array(addresses) };
    change(desk, vec![Edit::set(SECTION, NAME, value)]).await?;
    Ok(json!({"message": format!("IP {ip} deleted successfully"), "status": "success"}))
}
