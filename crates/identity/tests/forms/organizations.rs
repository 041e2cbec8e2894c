//! Places of users in organizations.

use crate::support::{admin, get, object, said};
use serde_json::{Value, json};
use tollgate_identity::Kind;
use tollgate_identity::form::organization;

#[test]
fn a_place_in_an_organization_has_a_role_and_maybe_a_budget() {
    let add = |body: Value| admin(|context| organization::addition(&object(body), context));
    let asked = add(json!({
        "organization_id": "o", "max_budget_in_organization": 4,
        "member": [{"user_id": "u", "role": "org_admin"}, {"user_email": "e@x.org", "role": "internal_user"}],
    }))
    .unwrap();
    assert_eq!((asked.organization.as_str(), asked.seats.len()), ("o", 2));
    let drafts =
        admin(|context| organization::seat("o", "u", &asked.seats[0].role, &asked.terms, context)).unwrap();
    let place = &drafts.record;
    assert_eq!((place.kind, place.id.as_str()), (Kind::OrganizationMember, "o/u"));
    assert_eq!(get(&place.document, "user_role"), "org_admin");
    assert_eq!(get(&drafts.others[0].document, "max_budget"), 4);

    let own = Some((drafts.others[0].id.as_str(), &drafts.others[0].document));
    let body = json!({
        "organization_id": "o", "user_id": "u", "role": "internal_user_viewer", "max_budget_in_organization": null,
    });
    let body = object(body);
    let subject = admin(|context| organization::member_subject(&body, context)).unwrap();
    assert_eq!(subject.who.id.as_deref(), Some("u"));
    let changed =
        admin(|context| organization::change_member("o/u", &place.document, own, &body, context)).unwrap();
    assert_eq!(get(&changed.record.document, "user_role"), "internal_user_viewer");
    assert_eq!(get(&changed.others[0].document, "max_budget"), Value::Null);

    let wrong = add(json!({"organization_id": "o", "member": {"user_id": "u", "role": "proxy_admin"}}));
    let wants = "'member[0].role' is wrong: it is one of org_admin, internal_user, internal_user_viewer";
    assert_eq!(said(wrong), wants);
    assert_eq!(said(add(json!({"organization_id": "o"}))), "'member' is missing");
    let removal = |body: Value| admin(|context| organization::removal(&object(body), context));
    assert_eq!(removal(json!({"organization_id": "o", "user_id": "u"})).unwrap().group, "o");
    assert_eq!(said(removal(json!({"organization_id": "o"}))), "'user_id' is missing");
}
