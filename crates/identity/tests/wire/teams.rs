//! `/team/*`.

use crate::support::{ACTOR, Recording, at, check, clock, kept, recording};
use serde_json::Value;
use std::collections::BTreeMap;
use std::sync::Arc;
use tollgate_catalog::PicoDollars;
use tollgate_identity::Record;
use tollgate_identity::form::{Context, member, team as form, user as users};
use tollgate_identity::reply::team::{self as reply, About, Edit, Membership, Shown};
use tollgate_identity::reply::{Amounts, Page, key as keys, user as user_reply};

const ID: &str = "e3f6f904-e91e-4e99-834f-14ae190b49d5";
const MADE: &str = "2026-11-22T11:02:07.664Z";
const NOW: &str = "2026-11-22T11:02:08.800Z";
const LATER: &str = "LiteLLM writes the members into the row some milliseconds after it";

/// A team with its members, as the recordings made them.
struct Team {
    team: Arc<Record>,
    members: Vec<(Arc<Record>, Option<Arc<Record>>)>,
    amounts: Amounts,
    none: Amounts,
}

impl Team {
    fn seats(&self) -> Vec<Membership<'_>> {
        self.members
            .iter()
            .map(|(member, budget)| Membership {
                member,
                user: None,
                budget: budget.as_deref(),
                amounts: &self.none,
            })
            .collect()
    }

    fn show<T>(&self, run: impl FnOnce(Shown<'_>) -> T) -> T {
        run(Shown { team: &self.team, amounts: &self.amounts, members: &self.seats() })
    }

    fn put(&mut self, draft: &tollgate_identity::form::Draft) {
        self.team = kept(draft);
    }
}

fn sit(
    team: &Record,
    seat: &member::Seat,
    place: usize,
    terms: &member::Terms,
    context: &Context<'_>,
) -> (Arc<Record>, Option<Arc<Record>>) {
    let user = seat.who.id.clone().unwrap();
    let drafts = member::new((&team.id, &team.document()), &user, (seat, place), terms, context).unwrap();
    (kept(&drafts.record), drafts.others.first().map(kept))
}

fn made(name: &'static str, id: &str, time: &str) -> (Recording, Team) {
    let recording = recording(name);
    let team = at(time, |context| {
        let context = Context { fresh: &|| id.to_owned(), ..*context };
        let made = form::new(&recording.request, &context).unwrap();
        let team = kept(&made.team);
        let none = member::Terms::default();
        let sit = |(place, seat): (usize, &member::Seat)| sit(&team, seat, place, &none, &context);
        let members = made.seats.iter().enumerate().map(sit).collect();
        Team { team: Arc::clone(&team), members, amounts: Amounts::default(), none: Amounts::default() }
    });
    (recording, team)
}

fn second() -> Team {
    made("team_new2", ID, MADE).1
}

/// The second team, with more money and one member more.
fn grown() -> Team {
    let mut team = second();
    let update = recording("team_update");
    let changed = at("2026-11-22T11:02:08.038Z", |context| {
        form::change(ID, &team.team.document(), None, &update.request, context).unwrap()
    });
    team.put(&changed.team);
    team
}

fn model(team: &Team) -> Value {
    team.show(|shown| reply::model(shown, &clock(NOW)).into())
}

#[test]
fn a_team_that_is_made_is_shown_as_litellm_shows_it() {
    let (recorded, team) =
        made("team_new", "cb2766f2-6af1-4bf9-8e0c-e7c8ecb282fc", "2026-11-22T11:01:08.046Z");
    check(&recorded, &model(&team), &[]);
    let (recorded, team) = made("team_new2", ID, MADE);
    check(&recorded, &model(&team), &[]);
}

#[test]
fn a_team_is_told_of_with_its_keys_and_members() {
    let team = second();
    let about =
        About { keys: &[], members_budget: None, organization_models: None, edit: Edit::Unrestricted };
    let told = team.show(|shown| reply::info(shown, about, &clock(NOW)));
    check(&recording("team_info"), &told, &[("team_info.updated_at", LATER)]);
}

#[test]
fn a_team_changes_and_says_so() {
    let mut team = grown();
    let row = |team: &Team| team.show(|shown| reply::row(shown, &clock(NOW)));
    let updated = team.show(|shown| reply::updated(shown, &clock(NOW)));
    check(&recording("team_update"), &updated, &[]);

    for (name, time) in
        [("team_block", "2026-11-22T11:02:08.456Z"), ("team_unblock", "2026-11-22T11:02:08.625Z")]
    {
        let recorded = recording(name);
        let draft = at(time, |context| {
            assert_eq!(form::blocking(&recorded.request, context).unwrap(), ID);
            form::block(ID, &team.team.document(), name == "team_block", context)
        });
        team.put(&draft);
        check(&recorded, &row(&team), &[]);
    }

    let recorded = recording("team_model_add");
    let draft = at("2026-11-22T11:02:08.662Z", |context| {
        let more = form::models(&recorded.request, context).unwrap();
        form::with_models(ID, &team.team.document(), &more.items, context).unwrap()
    });
    team.put(&draft);
    let order = "LiteLLM's order is that of a set, which is none";
    check(&recorded, &row(&team), &[("models[0]", order), ("models[1]", order)]);

    let recorded = recording("team_model_delete");
    let draft = at("2026-11-22T11:02:08.704Z", |context| {
        let fewer = form::models(&recorded.request, context).unwrap();
        form::without_models(ID, &team.team.document(), &fewer.items, context).unwrap()
    });
    team.put(&draft);
    check(&recorded, &row(&team), &[]);
}

#[test]
fn a_member_comes_changes_and_goes() {
    let mut team = grown();
    let add = recording("team_member_add");
    let ids = ["e23a30be-d454-468f-a0e7-4c9863ae3f83"];
    let (seat, user) = at("2026-11-22T11:02:08.145Z", |context| {
        let context = Context { fresh: &|| ids[0].to_owned(), ..*context };
        let asked = member::addition(&add.request, &context).unwrap();
        assert_eq!(asked.team, ID);
        let seats = asked.seats.unwrap();
        let user = kept(&users::named(&seats[0].who, &context).unwrap());
        (sit(&team.team, &seats[0], 0, &asked.terms, &context), user)
    });
    team.members.push(seat);
    let shown = user_reply::Shown { user: &user, amounts: &team.none, teams: &[ID] };
    let users = [user_reply::model(shown, &clock(NOW)).into()];
    let reply = team.show(|shown| {
        let added = team.seats();
        reply::members_added(shown, &users, &added[1..], &clock(NOW))
    });
    check(&add, &reply, &[("updated_at", LATER)]);

    let update = recording("team_member_update");
    let (member, budget) = team.members.pop().unwrap();
    let budget = budget.unwrap();
    let drafts = at("2026-11-22T11:02:08.280Z", |context| {
        let subject = member::subject(&update.request, context).unwrap();
        assert_eq!((subject.group.as_str(), subject.who.id.as_deref()), (ID, Some("mem1")));
        let own = Some((&*budget.id, &budget.document()));
        member::change(&member.id, &member.document(), own, &update.request, context).unwrap()
    });
    assert_eq!(drafts.others[0].id, ids[0]);
    let changed = kept(&drafts.others[0]);
    assert_eq!(changed.limits.budget, Some(PicoDollars(2_000_000_000_000)));
    let seat = Membership { member: &member, user: None, budget: Some(&changed), amounts: &team.none };
    check(&update, &reply::member_updated(seat, &update.request), &[]);

    let delete = recording("team_member_delete");
    let gone = at(NOW, |context| member::removal(&delete.request, context).unwrap());
    assert_eq!((gone.group.as_str(), gone.who.id.as_deref()), (ID, Some("mem1")));
    check(&delete, &model(&team), &[("updated_at", LATER)]);
}

#[test]
fn teams_are_listed_and_deleted() {
    let spent = PicoDollars(75_000_000);
    let (_, mut first) = made("team_new", "cb2766f2-6af1-4bf9-8e0c-e7c8ecb282fc", "2026-11-22T11:01:08.046Z");
    first.amounts =
        Amounts { spend: spent, total_spend: spent, model_spend: BTreeMap::new(), last_use: None };
    let second = second();
    let key = crate::support::record(
        tollgate_identity::Kind::Key,
        "48d10433a5e8b06c374abc2f60afd42598c20f0ba11e3985e687634638e3bd6e",
        r#"{"key_name":"sk-...P0_A","key_type":"default","team_id":"cb2766f2-6af1-4bf9-8e0c-e7c8ecb282fc",
            "created_at":"2026-11-22T11:01:08.432Z","created_by":"default_user_id","updated_by":"default_user_id",
            "updated_at":"2026-11-22T11:01:12.885Z","last_active":"2026-11-22T11:01:12.903Z"}"#,
    );
    let shown = keys::Shown { key: &key, amounts: &first.amounts, budget: None };
    let keys = [Value::Object(keys::row(shown, &clock(NOW)))];
    let list = [
        first.show(|shown| reply::listed(shown, &keys, &clock(NOW))),
        second.show(|shown| reply::listed(shown, &[], &clock(NOW))),
    ];
    let spends = "LiteLLM changes a row's time with what is spent";
    check(
        &recording("team_list"),
        &Value::from(list.to_vec()),
        &[("[0].updated_at", spends), ("[1].updated_at", LATER)],
    );
    let pages = [
        second.show(|shown| reply::paged(shown, 0, &clock(NOW))),
        first.show(|shown| reply::paged(shown, 1, &clock(NOW))),
    ];
    let page = Page { number: 1, size: 10, total: 2 };
    check(
        &recording("team_list_v2"),
        &reply::pages(&pages, page),
        &[("teams[0].updated_at", LATER), ("teams[1].updated_at", spends)],
    );
    check(&recording("team_available"), &Value::Array(Vec::new()), &[]);
    check(&recording("team_permissions"), &reply::permissions(&second.team), &[]);
    let delete = recording("team_delete");
    let gone = at(NOW, |context| form::deletion(&delete.request, context).unwrap());
    check(&delete, &reply::deleted(&gone), &[]);
    assert_eq!(first.team.document().text("created_by"), Some(ACTOR));
}
