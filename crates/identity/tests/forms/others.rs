//! Deployments, credentials, invitations and access groups.

use crate::support::{admin, document, get, object, said};
use serde_json::{Map, Value, json};
use tollgate_identity::Document;
use tollgate_identity::form::{BadForm, Draft, access_group, credential, invitation, model, open_within};

fn seal(member: &str, text: &str) -> Result<String, BadForm> {
    Ok(format!("<{member}:{text}>"))
}

fn open(_: &str, text: &str) -> Option<String> {
    let (_, text) = text.strip_prefix('<')?.strip_suffix('>')?.split_once(':')?;
    Some(text.to_owned())
}

fn new_model(body: Value) -> Result<Draft, BadForm> {
    admin(|context| model::new("m", &object(body), &seal, context))
}

fn change_model(before: &Document, body: Value) -> Result<Draft, BadForm> {
    admin(|context| model::change("m", before, &object(body), &seal, context))
}

#[test]
fn the_secrets_of_a_deployment_are_sealed_however_deep_and_opened_again() {
    let params = json!({
        "model": "openai/gpt-4o", "api_key": "k", "api_base": "http://x", "max_tokens": 5,
        "vertex_credentials": {"private_key": "p"}, "extra_headers": {"Authorization": "a", "X-Team": "t"},
    });
    let draft =
        new_model(json!({"model_name": "n", "litellm_params": params, "model_info": {"mode": "chat"}}))
            .unwrap();
    let kept = get(&draft.document, "litellm_params");
    let wants = json!({
        "model": "openai/gpt-4o", "api_key": "<litellm_params.api_key:k>", "api_base": "http://x", "max_tokens": 5,
        "vertex_credentials": "<litellm_params.vertex_credentials:{\"private_key\":\"p\"}>",
        "extra_headers": {"Authorization": "<litellm_params.extra_headers.Authorization:a>", "X-Team": "t"},
    });
    assert_eq!(kept, wants);
    assert_eq!(get(&draft.document, "model_info"), json!({"mode": "chat", "id": "m"}));
    let opened = open_within(&object(kept), "litellm_params", &open);
    assert_eq!(opened["api_key"], "k");
    assert_eq!(opened["extra_headers"]["Authorization"], "a");
    assert_eq!(opened["vertex_credentials"], r#"{"private_key":"p"}"#);
}

#[test]
fn of_a_deployment_what_is_not_said_stays_and_null_takes_out() {
    let before = new_model(json!({
        "model_name": "n", "litellm_params": {"model": "a/b", "api_key": "k", "rpm": 3, "api_base": "x"},
    }))
    .unwrap()
    .document;
    let body = json!({"litellm_params": {"rpm": null, "tpm": 9, "api_key": "sk****90", "api_base": "y"}, "model_name": null});
    let after = change_model(&before, body).unwrap().document;
    let wants = json!({"model": "a/b", "api_key": "<litellm_params.api_key:k>", "api_base": "y", "tpm": 9});
    assert_eq!(get(&after, "litellm_params"), wants);
    assert_eq!(get(&after, "model_name"), "n");
    let check = |body: Value, wants: &str| assert_eq!(said(change_model(&before, body)), wants);
    check(json!({"model_info": {"id": "other"}}), "'model_info.id' cannot be changed");
    check(json!({"litellm_params": {"model": null}}), "'litellm_params.model' is missing");
    check(json!({"litelm_params": {}}), "'litelm_params' is unknown: the nearest known is 'litellm_params'");
    let check = |body: Value, wants: &str| assert_eq!(said(new_model(body)), wants);
    check(json!({"litellm_params": {"model": "a"}}), "'model_name' is missing");
    check(json!({"model_name": "n"}), "'litellm_params' is missing");
    check(json!({"model_name": "n", "litellm_params": {}}), "'litellm_params.model' is missing");
    check(
        json!({"model_name": "n", "litellm_params": {"model": "a", "api_key": "sk****90"}}),
        "'litellm_params.api_key' is masked: it is to be given in full",
    );
    for (masked, place) in [
        (json!({"extra_headers": {"Authorization": "Be****r"}}), "extra_headers.Authorization"),
        (json!({"vertex_credentials": {"private_key": "p****e"}}), "vertex_credentials"),
    ] {
        let mut params = json!({"model": "a"});
        params.as_object_mut().unwrap().extend(masked.as_object().unwrap().clone());
        let refused = format!("'litellm_params.{place}' is masked: it is to be given in full");
        check(json!({"model_name": "n", "litellm_params": params}), &refused);
        assert_eq!(said(change_model(&before, json!({"litellm_params": params}))), refused);
    }
    let mut deep = json!("x");
    for _ in 0..20 {
        deep = json!({"a": deep});
    }
    let said = said(new_model(json!({"model_name": "n", "litellm_params": {"model": "a", "deep": deep}})));
    assert!(said.ends_with("lies too deep"), "{said}");
}

#[test]
fn all_values_of_a_credential_are_sealed() {
    let new = |body: Value| admin(|context| credential::new(&object(body), &seal, context));
    let made = new(json!({
        "credential_name": "c", "credential_values": {"api_key": "k", "region": "r", "gone": null, "n": 3},
        "credential_info": {"custom_llm_provider": "azure"},
    }))
    .unwrap();
    let wants =
        json!({"api_key": "<credential_values.api_key:k>", "region": "<credential_values.region:r>", "n": 3});
    assert_eq!(get(&made.document, "credential_values"), wants);
    let change =
        |body: Value| admin(|context| credential::change("c", &made.document, &object(body), &seal, context));
    let after = change(json!({
        "credential_values": {"api_key": "k*****", "region": "s"}, "credential_values_to_delete": ["n"],
        "credential_info": {"x": 1},
    }))
    .unwrap();
    let wants = json!({"api_key": "<credential_values.api_key:k>", "region": "<credential_values.region:s>"});
    assert_eq!(get(&after.document, "credential_values"), wants);
    assert_eq!(get(&after.document, "credential_info"), json!({"custom_llm_provider": "azure", "x": 1}));
    assert_eq!(said(new(json!({"credential_name": "c"}))), "'credential_values' is missing");
    let masked = || json!({"credential_name": "c", "credential_values": {"other_key": "k*****"}});
    for refused in [said(new(masked())), said(change(masked()))] {
        assert_eq!(refused, "'credential_values.other_key' is masked: it is to be given in full");
    }
    assert_eq!(
        said(change(json!({"credential_name": "d"}))),
        "'credential_name' cannot be changed: display_name is how it is called"
    );
    assert_eq!(
        said(change(json!({"credential_values": {"n": 1}, "credential_values_to_delete": ["n"]}))),
        "'credential_values.n' cannot be given and deleted at once"
    );
}

#[test]
fn invitations_are_read() {
    let read = |body: Value| admin(|context| invitation::acceptance(&object(body), context));
    assert_eq!(read(json!({"invitation_id": "i", "is_accepted": true})), Ok(("i".to_owned(), true)));
    assert_eq!(said(read(json!({"invitation_id": "i"}))), "'is_accepted' is missing");
    let claim = |body: Value| admin(|context| invitation::claim(&object(body), context));
    assert_eq!(said(claim(json!({"invitation_link": "i", "user_id": "u"}))), "'password' is missing");
    let user = admin(|context| invitation::new(&Map::new(), context));
    assert_eq!(said(user), "'user_id' is missing");
}

#[test]
fn an_access_group_without_models_gives_none() {
    let new = |body: Value| admin(|context| access_group::new_named(&object(body), context));
    let made = new(json!({"access_group_name": "a", "assigned_team_ids": ["t"]})).unwrap();
    assert_eq!((made.id.as_str(), get(&made.document, "models")), ("fresh-1", json!(["no-default-models"])));
    let change = |body: Value| {
        admin(|context| access_group::change_named("g", &made.document, &object(body), context))
    };
    let more = change(json!({"access_model_names": ["m"], "access_group_name": null})).unwrap();
    assert_eq!(get(&more.document, "models"), json!(["m"]));
    assert_eq!(get(&more.document, "access_group_name"), "a");
    let none = change(json!({"access_model_names": []})).unwrap();
    assert_eq!(get(&none.document, "models"), json!(["no-default-models"]));
    assert_eq!(said(new(json!({}))), "'access_group_name' is missing");
    assert_eq!(
        said(new(json!({"access_group_name": "a", "access_agent_ids": ["x"]}))),
        "'access_agent_ids' is not supported: there are no agents here"
    );
}

#[test]
fn a_group_of_models_has_models_and_maybe_a_budget() {
    let new = |body: Value| admin(|context| access_group::new(&object(body), context));
    let made = new(json!({"access_group": "g", "model_names": ["a"]})).unwrap();
    assert_eq!((made.id.as_str(), get(&made.document, "models")), ("g", json!(["a"])));
    assert_eq!(said(new(json!({"access_group": "g"}))), "'model_names' is missing");
    let by_id = object(json!({"model_ids": ["i"]}));
    let by_id = admin(|context| access_group::change("g", &made.document, &by_id, context)).unwrap();
    assert_eq!(
        (get(&by_id.document, "models"), get(&by_id.document, "model_ids")),
        (Value::Null, json!(["i"]))
    );
    let budget = object(json!({"max_budget": 3, "budget_duration": "1d"}));
    let drafts =
        admin(|context| access_group::change_budget("g", &made.document, None, &budget, context)).unwrap();
    assert_eq!(get(&drafts.others[0].document, "max_budget"), 3);
    let without = admin(|context| access_group::without_budget("g", &drafts.record.document, context));
    assert_eq!(get(&without.document, "budget_id"), Value::Null);
    let empty =
        admin(|context| access_group::change_budget("g", &document(json!({})), None, &Map::new(), context));
    assert_eq!(said(empty), "'max_budget' is missing");
}

#[test]
fn a_deployment_that_is_changed_is_named_within_its_model_info_or_beside_it() {
    let check = |body: Value, expect: Option<&str>| {
        assert_eq!(model::changed_id_of(&object(body.clone())), expect, "{body}");
    };
    check(json!({"model_info": {"id": "m"}}), Some("m"));
    check(json!({"id": "m"}), Some("m"));
    check(json!({"id": "other", "model_info": {"id": "m"}}), Some("m"));
    check(json!({"id": "", "model_info": {}}), None);
    let made = new_model(json!({"model_name": "n", "litellm_params": {"model": "openai/gpt-4o"}})).unwrap();
    let changed = change_model(&made.document, json!({"id": "m", "model_name": "k"})).unwrap();
    assert_eq!((get(&changed.document, "model_name"), changed.document.get("id")), (json!("k"), None));
    let other = change_model(&made.document, json!({"id": "other"}));
    assert_eq!(other.unwrap_err().member, "id");
}
