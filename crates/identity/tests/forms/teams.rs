//! `/team/*`.

use crate::support::{admin, document, get, holder, object, said};
use serde_json::{Value, json};
use tollgate_identity::form::member::{self, Seat, Terms, Who};
use tollgate_identity::form::team::{self, Team};
use tollgate_identity::form::{BadForm, Draft, Fault, user};
use tollgate_identity::role::{Actor, Routes};
use tollgate_identity::{Directory, Document, Kind, Record};

fn new(body: Value) -> Result<Team, BadForm> {
    admin(|context| team::new(&object(body), context))
}

fn change(before: Value, body: Value) -> Result<Team, BadForm> {
    admin(|context| team::change("t", &document(before), None, &object(body), context))
}

fn who(id: &str) -> Who {
    Who { id: Some(id.to_owned()), email: None }
}

#[test]
fn a_team_has_who_made_it_as_its_admin_and_each_member_once() {
    let made = new(json!({
        "team_id": "t", "team_alias": "a",
        "members_with_roles": [{"user_id": "u", "role": "user"}, {"user_email": "e@x.org", "role": "admin"}],
        "admins": ["u", "v"], "members": ["w"],
    }))
    .unwrap();
    let seats: Vec<_> = made
        .seats
        .iter()
        .map(|seat| (seat.who.id.as_deref().or(seat.who.email.as_deref()).unwrap(), seat.role.as_str()))
        .collect();
    assert_eq!(seats, [("u", "user"), ("e@x.org", "admin"), ("v", "admin"), ("w", "user"), ("ada", "admin")]);
    assert_eq!((made.team.id.as_str(), made.budget), ("t", None));
    assert_eq!(get(&made.team.document, "members_with_roles"), Value::Null);
    assert_eq!(new(json!({})).unwrap().team.id, "fresh-1");
}

#[test]
fn what_its_members_share_is_a_budget() {
    let made = new(
        json!({"team_member_budget": 2, "team_member_budget_duration": "1d", "team_member_rpm_limit": 3}),
    );
    let made = made.unwrap();
    let budget = made.budget.unwrap();
    assert_eq!((budget.kind, get(&budget.document, "max_budget")), (Kind::Budget, json!(2)));
    assert_eq!(get(&budget.document, "rpm_limit"), 3);
    assert_eq!(get(&budget.document, "budget_duration"), "1d");
    assert_eq!(get(&made.team.document, "metadata"), json!({"team_member_budget_id": budget.id}));

    // It stays when the metadata is written anew, and nobody gives the team another's.
    let Document(before) = made.team.document;
    let kept = change(Value::Object(before.clone()), json!({"metadata": {"x": 1}})).unwrap();
    assert_eq!(get(&kept.team.document, "metadata"), json!({"x": 1, "team_member_budget_id": budget.id}));
    let stolen = change(Value::Object(before.clone()), json!({"metadata": {"team_member_budget_id": "b"}}));
    assert_eq!(said(stolen), "'metadata.team_member_budget_id' cannot be changed");
    let stolen = new(json!({"metadata": {"team_member_budget_id": "b"}}));
    assert_eq!(said(stolen), "'metadata.team_member_budget_id' cannot be changed");

    let own = (budget.id.as_str(), &budget.document);
    let changed = admin(|context| {
        team::change("t", &Document(before), Some(own), &object(json!({"team_member_budget": null})), context)
    });
    let changed = changed.unwrap().budget.unwrap();
    assert_eq!((changed.id, get(&changed.document, "max_budget")), (budget.id, Value::Null));
    assert_eq!(get(&changed.document, "rpm_limit"), 3);
}

#[test]
fn a_team_changes_by_its_own_form() {
    let before = json!({"models": ["m"], "max_budget": 1, "team_alias": "a"});
    let changed =
        change(before.clone(), json!({"team_id": "t", "max_budget": null, "team_alias": "b"})).unwrap();
    assert_eq!(get(&changed.team.document, "max_budget"), Value::Null);
    assert_eq!(get(&changed.team.document, "models"), json!(["m"]));
    assert_eq!(get(&changed.team.document, "team_id"), Value::Null);
    let check = |body: Value, wants: &str| assert_eq!(said(change(before.clone(), body)), wants);
    check(json!({"team_id": "other"}), "'team_id' is not the team that the path names");
    check(
        json!({"members_with_roles": []}),
        "'members_with_roles' is unknown: the nearest known is 'model_aliases'",
    );
    check(
        json!({"secret_manager_settings": {"a": 1}}),
        "'secret_manager_settings' is not supported: keys are kept here and nowhere else",
    );
    for column in [
        "budget_reset_at",
        "budget_began_at",
        "created_by",
        "updated_at",
        "model_id",
        "admins",
        "members",
        "model_spend",
        "team_member_permissions",
        "object_permission_id",
        "litellm_model_table",
    ] {
        let bad = change(before.clone(), json!({column: "x"})).unwrap_err();
        assert_eq!((bad.fault, bad.member.as_str()), (Fault::Unknown, column));
    }
    let freed = holder(|context| {
        team::change(
            "t",
            &document(json!({"blocked": true})),
            None,
            &object(json!({"blocked": false})),
            context,
        )
    });
    assert_eq!(said(freed), "'blocked' can be set by administrators only");
}

#[test]
fn a_team_that_loses_its_last_model_does_not_get_all_of_them() {
    let models = |before: Value, models: &[&str], is_add: bool| {
        let models: Vec<String> = models.iter().map(|model| (*model).to_owned()).collect();
        let before = document(before);
        let draft = admin(|context| match is_add {
            true => team::with_models("t", &before, &models, context),
            false => team::without_models("t", &before, &models, context),
        });
        get(&draft.unwrap().document, "models")
    };
    assert_eq!(models(json!({"models": ["a"]}), &["a", "b"], true), json!(["a", "b"]));
    assert_eq!(models(json!({"models": ["a", "b"]}), &["b", "c"], false), json!(["a"]));
    assert_eq!(models(json!({"models": ["a"]}), &["a"], false), json!(["no-default-models"]));
    assert_eq!(models(json!({"models": ["no-default-models"]}), &["a"], true), json!(["a"]));
    assert_eq!(models(json!({}), &["a"], false), Value::Null);
}

#[test]
fn members_may_be_allowed_only_what_there_is() {
    let before = Document::default();
    let with = |permissions: &[&str]| {
        let permissions: Vec<String> = permissions.iter().map(|it| (*it).to_owned()).collect();
        admin(|context| team::with_permissions("t", &before, &permissions, context))
    };
    let draft: Draft = with(&["/key/generate"]).unwrap();
    assert_eq!(get(&draft.document, "team_member_permissions"), json!(["/key/generate"]));
    let wants = "'team_member_permissions' has one that there is not: GET /team/permissions_list lists them";
    assert_eq!(said(with(&["/global/spend/reset"])), wants);
    let bulk = |body: Value| admin(|context| team::bulk_permissions(&object(body), context));
    assert_eq!(bulk(json!({"permissions": ["/key/list"], "apply_to_all_teams": true})).unwrap().teams, None);
    assert_eq!(said(bulk(json!({"permissions": ["/key/list"]}))), "'team_ids' is missing");
    assert_eq!(said(bulk(json!({"team_ids": ["t"]}))), "'permissions' is missing");
}

#[test]
fn a_member_has_a_budget_of_its_own_or_the_one_that_all_share() {
    let team = document(json!({
        "metadata": {"team_member_budget_id": "shared"}, "default_team_member_models": ["m"],
    }));
    let seat = Seat { who: who("u"), role: "user".to_owned() };
    let add = |body: Value| admin(|context| member::addition(&object(body), context));
    let terms = |body: Value| add(body).unwrap().terms;
    let sit =
        |terms: &Terms| admin(|context| member::new(("t", &team), "u", (&seat, 1), terms, context)).unwrap();

    let drafts = sit(&Terms::default());
    let member = &drafts.record;
    assert_eq!((member.kind, member.id.as_str(), drafts.others.len()), (Kind::Member, "t/u", 0));
    assert_eq!(get(&member.document, "budget_id"), "shared");
    assert_eq!(get(&member.document, "models"), json!(["m"]));
    assert_eq!(get(&member.document, "place"), 1);

    let own = terms(json!({
        "team_id": "t", "member": {"user_id": "u", "role": "user"}, "max_budget_in_team": 3,
        "budget_duration": "1d", "allowed_models": ["n"],
    }));
    let drafts = sit(&own);
    let budget = &drafts.others[0];
    assert_eq!(get(&drafts.record.document, "budget_id"), budget.id.as_str());
    assert_eq!(get(&drafts.record.document, "models"), json!(["n"]));
    assert_eq!(get(&budget.document, "allowed_models"), json!(["n"]));
    assert_eq!(get(&budget.document, "budget_began_at"), crate::support::NOW);

    let change = |own: Option<(&str, &Document)>, body: Value| {
        admin(|context| member::change("t/u", &drafts.record.document, own, &object(body), context))
    };
    let mine = Some((budget.id.as_str(), &budget.document));
    let changed =
        change(mine, json!({"team_id": "t", "user_id": "u", "role": "admin", "max_budget_in_team": 9}))
            .unwrap();
    assert_eq!(get(&changed.record.document, "role"), "admin");
    assert_eq!(changed.others[0].id, budget.id);
    assert_eq!(get(&changed.others[0].document, "max_budget"), 9);
    assert_eq!(get(&changed.others[0].document, "budget_duration"), "1d");
    let apart = change(None, json!({"team_id": "t", "user_id": "u", "max_budget_in_team": 9})).unwrap();
    assert_ne!(apart.others[0].id, "shared");
    let role = change(mine, json!({"team_id": "t", "user_id": "u", "role": "user"})).unwrap();
    assert!(role.others.is_empty());
    let more = json!({
        "team_id": "t", "user_id": "u", "temp_budget_increase": 5, "temp_budget_expiry": "2026-12-01",
    });
    let more = change(mine, more).unwrap();
    let budget = Record::read(Kind::Budget, "b", 1, &more.others[0].document).unwrap();
    assert!(budget.limits.increase.is_some());
}

#[test]
fn a_wrong_member_is_named_by_its_place() {
    let add = |body: Value| said(admin(|context| member::addition(&object(body), context)));
    assert_eq!(add(json!({"team_id": "t"})), "'member' is missing");
    assert_eq!(add(json!({"member": {}})), "'team_id' is missing");
    assert_eq!(add(json!({"team_id": "t", "member": [{"user_id": "u"}]})), "'member[0].role' is missing");
    assert_eq!(add(json!({"team_id": "t", "member": {"role": "user"}})), "'member[0].user_id' is missing");
    assert_eq!(
        add(json!({"team_id": "t", "member": {"user_id": "u", "role": "owner"}})),
        "'member[0].role' is wrong: it is one of admin, user"
    );
    assert_eq!(
        said(new(json!({"members_with_roles": [{"user_id": "u", "rol": "user"}]}))),
        "'members_with_roles[0].rol' is unknown: the nearest known is 'role'"
    );
    let bulk = |body: Value| admin(|context| member::bulk_addition(&object(body), context));
    assert_eq!(bulk(json!({"team_id": "t", "all_users": true})).unwrap().seats, None);
    assert_eq!(said(bulk(json!({"team_id": "t"}))), "'members' is missing");
    let removal =
        admin(|context| member::removal(&object(json!({"team_id": "t", "user_email": "e"})), context));
    assert_eq!(removal.unwrap().who, Who { id: None, email: Some("e".to_owned()) });
}

#[test]
fn who_makes_a_team_administers_it_until_that_is_taken_away() {
    let made = new(json!({"team_id": "t", "members": ["u"]})).unwrap();
    let mut directory = Directory::default();
    let mut put = |draft: &Draft| {
        let record = Record::read(draft.kind, &draft.id, 1, &draft.document).unwrap();
        directory.put(record).unwrap();
    };
    put(&made.team);
    let mut places = Vec::new();
    for (place, seat) in made.seats.iter().enumerate() {
        let user = seat.who.id.clone().unwrap();
        put(&admin(|context| user::named(&seat.who, context)).unwrap());
        let team = ("t", &made.team.document);
        let drafts =
            admin(|context| member::new(team, &user, (seat, place), &Terms::default(), context)).unwrap();
        put(&drafts.record);
        places.push(drafts.record);
    }
    let administers = |directory: &Directory, user: &str| {
        let user = directory.get(Kind::User, user).unwrap();
        Actor::of_user(user, None, Routes::default(), directory).administers_team("t")
    };
    assert!(administers(&directory, "ada"));
    assert!(!administers(&directory, "u"));
    let ada = places.iter().find(|place| place.id == "t/ada").unwrap();
    let body = object(json!({"team_id": "t", "user_id": "ada", "role": "user"}));
    let demoted =
        admin(|context| member::change(&ada.id, &ada.document, None, &body, context)).unwrap().record;
    directory.put(Record::read(demoted.kind, &demoted.id, 2, &demoted.document).unwrap()).unwrap();
    assert!(!administers(&directory, "ada"));
}

#[test]
fn who_administers_a_team_changes_nothing_of_what_it_was_given() {
    let check = |before: Value, after: Value, wants: &str| {
        let outcome = team::hold_to_admin_fields(&document(before.clone()), &document(after.clone()));
        let told = outcome.map_or_else(|bad| bad.member, |()| "may".to_owned());
        assert_eq!(told, wants, "{before} -> {after}");
    };
    check(json!({"team_alias": "a"}), json!({"team_alias": "b", "updated_at": "now"}), "may");
    check(json!({}), json!({"metadata": {"own": 1}}), "may");
    check(json!({}), json!({"metadata": {"tags": ["x"], "own": 1}}), "tags");
    check(json!({"max_budget": 1}), json!({}), "max_budget");
    check(json!({}), json!({"models": ["m"]}), "models");
    check(
        json!({"budget_duration": "1d"}),
        json!({"budget_duration": "2d", "budget_began_at": "x"}),
        "budget_duration",
    );
    check(json!({}), json!({"metadata": {"model_rpm_limit": {"m": 1}}}), "model_rpm_limit");
    check(json!({"metadata": {"guardrails": ["g"]}}), json!({"metadata": {}}), "guardrails");
    check(json!({"metadata": {"guardrails": ["g"]}}), json!({}), "guardrails");
}
