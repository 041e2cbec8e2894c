//! One organization against the other: every call of the admin API, by everybody of one side, with the ids of the other.
//!
//! What may not be seen is answered as what is not there: word for word as the same call with ids that nobody has. Nothing
//! of the other side is shown, and nothing of it changes: the whole books are compared. That the calls are good ones is
//! shown last, when the operator makes them all.

use super::roles::{TWICE, verdict};
use super::world::{World, canary};
use crate::support::Answer;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicUsize, Ordering};
use tollgate_identity::access::ROUTES;
use tollgate_identity::secret::Token;
use tollgate_server::routes::{Found, Routes};

pub(super) const CALLS: &str = include_str!("calls.txt");
/// Everybody of one side, and those of none who may change something of their own.
pub(super) const STRANGERS: [&str; 14] = [
    "bare-a",
    "team-a",
    "project-a",
    "org-a",
    "boss-a",
    "chief-a",
    "member-a",
    "member-team-a",
    "chief-team-a",
    "alone-a",
    "permitted",
    "reader",
    "open",
    "ghost",
];

/// One call of the list.
#[derive(Debug, Clone)]
struct Call {
    mark: &'static str,
    method: &'static str,
    target: &'static str,
    body: &'static str,
}

fn calls() -> Vec<Call> {
    let lines = CALLS.lines().filter(|line| !line.starts_with('#') && !line.is_empty());
    lines
        .map(|line| {
            let (mark, line) = line.split_at(line.find(|letter: char| letter.is_alphabetic()).unwrap());
            let mut words = line.splitn(3, ' ');
            let mut next = || words.next().unwrap_or_default();
            Call { mark, method: next(), target: next(), body: next() }
        })
        .collect()
}

impl Call {
    /// What stands between `<` and `>`, each once.
    fn places(&self) -> BTreeSet<&'static str> {
        let of = |text: &'static str| {
            text.split('<').skip(1).filter_map(|rest| rest.split_once('>')).map(|(name, _)| name)
        };
        of(self.target).chain(of(self.body)).collect()
    }

    /// The call with these ids.
    fn filled(&self, id: &dyn Fn(&str) -> String) -> (String, String) {
        let fill = |text: &str| {
            let places = self.places();
            places.iter().fold(text.to_owned(), |text, place| text.replace(&format!("<{place}>"), &id(place)))
        };
        (fill(self.target), fill(self.body))
    }
}

/// The ids of a side, as calls name them; those of `c` are nobody's.
fn id_of(world: &World, side: &str, place: &str) -> String {
    let (name, which) = place.split_once(':').unwrap_or((place, ""));
    let or = |usual: &str| format!("{}-{side}", if which.is_empty() { usual } else { which });
    let drawn = |name: String| {
        let unknown = || "00000000-0000-4000-8000-0000000000cc".to_owned();
        if side == "c" {
            unknown()
        } else {
            world.ids.get(&name).unwrap_or_else(|| panic!("no {name}")).clone()
        }
    };
    match name {
        "new" => {
            static NUMBER: AtomicUsize = AtomicUsize::new(0);
            format!("new-{}", NUMBER.fetch_add(1, Ordering::Relaxed))
        }
        "days" => "start_date=2026-01-01&end_date=2099-12-31".to_owned(),
        "canary" => canary(side),
        "key" if side == "c" => Token::of(or("member-team").as_bytes()).as_str().to_owned(),
        "key" => Token::of(world.key(&or("member-team")).as_bytes()).as_str().to_owned(),
        "user" => or("member"),
        "group_id" => drawn(or("group")),
        "invitation" | "request" | "audit" => drawn(format!("{name}-{side}")),
        name => or(name),
    }
}

/// Everything that names something of a side.
fn marks(world: &World, side: &str) -> Vec<String> {
    let named = [
        "org",
        "team",
        "project",
        "boss",
        "chief",
        "member",
        "alone",
        "doomed",
        "spare",
        "aside",
        "customer",
        "tag",
        "budget",
        "group",
        "credential",
        "model",
        "session",
    ];
    let named = named.iter().map(|name| format!("{name}-{side}"));
    let ends = format!("-{side}");
    let tokens = world.keys.iter().filter(|(name, _)| name.ends_with(&ends));
    let tokens = tokens.map(|(_, key)| Token::of(key.as_bytes()).as_str().to_owned());
    // An audit's id is a number, as there are many.
    let drawn = world.ids.iter().filter(|(name, _)| name.ends_with(&ends) && !name.starts_with("audit"));
    let drawn = drawn.map(|(_, id)| id.clone());
    named.chain(tokens).chain(drawn).chain([canary(side)]).collect()
}

/// Something that was asked for by each side, so that there is something to see.
async fn spend(world: &mut World) {
    for side in ["a", "b"] {
        let mut line = world.line(&format!("member-team-{side}"));
        let body = json!({
            "model": "chat", "messages": [{"role": "user", "content": "hello"}], "user": format!("customer-{side}"),
            "metadata": {"tags": [format!("tag-{side}")], "session_id": format!("session-{side}")},
        });
        line.good("POST", "/v1/chat/completions", body).await;
        let mut master = world.line("master");
        let key = id_of(world, side, "key");
        let request = loop {
            let rows = master.good("GET", &format!("/spend/logs?api_key={key}"), Value::Null).await;
            if let Some(id) = rows[0]["request_id"].as_str() {
                break id.to_owned();
            }
            tokio::task::yield_now().await;
        };
        world.ids.insert(format!("request-{side}"), request);
        let audit = master.good("GET", &format!("/audit?object_id=team-{side}"), Value::Null).await;
        let id = audit["audit_logs"][0]["id"].as_str().unwrap_or_else(|| panic!("{audit}")).to_owned();
        world.ids.insert(format!("audit-{side}"), id);
    }
}

/// What is wrong with an answer to a stranger: it shows what the call did not name, or says another thing than of what is
/// not there.
fn fault(answer: &Answer, marks: &[String], asked: &str) -> Option<String> {
    let said = answer.everything();
    let shown: Vec<&String> =
        marks.iter().filter(|mark| said.contains(*mark) && !asked.contains(*mark)).collect();
    (!shown.is_empty()).then(|| format!("shows {shown:?}"))
}

/// An answer without what differs from call to call.
fn plain(answer: &Answer, ids: &[(String, String)]) -> (u16, String) {
    let mut text = String::from_utf8_lossy(&answer.body).into_owned();
    for (id, name) in ids {
        text = text.replace(id.as_str(), &format!("<{name}>"));
    }
    (answer.status, text)
}

#[tokio::test]
async fn every_route_of_the_admin_api_is_among_the_calls() {
    let routes = Routes::new().unwrap();
    let calls = calls();
    let called: BTreeSet<String> = calls
        .iter()
        .map(|call| {
            let (target, _) = call.filled(&|_| "x".to_owned());
            let path = target.split('?').next().unwrap().to_owned();
            format!("{:?}", routes.find(&call.method.parse().unwrap(), &path))
        })
        .collect();
    let apart = ["/team/metadata_schema", "/cost/estimate"];
    let missing: Vec<String> = ROUTES
        .iter()
        .filter(|row| !apart.contains(&row.path))
        .filter_map(|row| {
            let path: Vec<&str> =
                row.path.split('/').map(|part| if part.starts_with('{') { "x" } else { part }).collect();
            let found = routes.find(&row.method.parse().unwrap(), &path.join("/"));
            let found_is_there = matches!(&found, Found::Admin(_));
            let name = format!("{found:?}");
            (found_is_there && !called.contains(&name)).then(|| format!("{} {}", row.method, row.path))
        })
        .collect();
    assert!(missing.is_empty(), "{}", missing.join("\n"));
}

#[tokio::test]
async fn nobody_sees_or_changes_anything_of_the_other_organization() {
    let mut world = World::open("").await;
    spend(&mut world).await;
    let (calls, marks) = (calls(), marks(&world, "b"));
    let before = (world.books().await, world.accounts().await);
    let (mut asked, mut faults) = (0, Vec::new());
    for who in STRANGERS {
        let mut line = world.line(who);
        for call in calls.iter().filter(|call| call.mark != "=") {
            // Of a route that is not for somebody like this, the table of routes is the proof.
            let (path, _) = call.filled(&|place| id_of(&world, "a", place));
            if verdict(&line.ask_text(call.method, &path, TWICE).await) == '.' {
                continue;
            }
            let places: Vec<&str> =
                call.places().into_iter().filter(|place| !["days", "new"].contains(place)).collect();
            // All of the other side's, then each with the rest one's own.
            let mut ways: Vec<Vec<&str>> = vec![places.clone()];
            if places.len() > 1 {
                ways.extend(places.iter().map(|place| vec![*place]));
            }
            for theirs in ways {
                let fill = |side: &'static str| {
                    let (world, theirs) = (&world, theirs.clone());
                    move |place: &str| id_of(world, if theirs.contains(&place) { side } else { "a" }, place)
                };
                let foreign = call.filled(&fill("b"));
                let nobodys = call.filled(&fill("c"));
                let told = line.ask_text(call.method, &foreign.0, &foreign.1).await;
                asked += 1;
                let name = format!("{who}: {} {} {}", call.method, foreign.0, foreign.1);
                if let Some(fault) = fault(&told, &marks, &format!("{}{}", foreign.0, foreign.1)) {
                    faults.push(format!("{name}: {} {fault}: {:.600}", told.status, told.text()));
                }
                if theirs.is_empty() {
                    continue;
                }
                if call.mark == "+" {
                    if told.status < 400 {
                        faults.push(format!("{name}: {} {:.600}", told.status, told.text()));
                    }
                    continue;
                }
                let other = line.ask_text(call.method, &nobodys.0, &nobodys.1).await;
                let ids = |side: &str| -> Vec<(String, String)> {
                    theirs.iter().map(|place| (id_of(&world, side, place), (*place).to_owned())).collect()
                };
                let (told, other) = (plain(&told, &ids("b")), plain(&other, &ids("c")));
                if told != other {
                    faults.push(format!("{name}:\n    {told:.900?}\n    {other:.900?}"));
                }
            }
        }
    }
    assert!(faults.is_empty(), "{} of {asked}:\n{}", faults.len(), faults.join("\n"));
    unchanged(&world, &marks, before).await;
    assert!(asked > 1_500, "{asked}");
    by_the_operator(&world, &calls).await;
    world.close().await;
}

type Kept = (BTreeMap<(String, String), tollgate_store::books::Record>, Vec<tollgate_store::books::Settled>);

/// Holds that nothing of a side has changed, and that nothing has come to name it.
async fn unchanged(world: &World, marks: &[String], before: Kept) {
    let after = (world.books().await, world.accounts().await);
    let is_named = |text: &str| marks.iter().any(|mark| text.contains(mark));
    for (at, record) in &before.0 {
        if is_named(&at.1) || is_named(&record.doc) {
            assert_eq!(after.0.get(at), Some(record), "{at:?}");
        }
    }
    for (at, record) in after.0.iter().filter(|(at, record)| before.0.get(*at) != Some(record)) {
        let had = before.0.get(at).map(|record| record.doc.as_str()).unwrap_or_default();
        let came = marks.iter().find(|mark| record.doc.contains(*mark) && !had.contains(*mark));
        assert_eq!(came, None, "{at:?} {}", record.doc);
    }
    let of_side = |settled: &Vec<tollgate_store::books::Settled>| {
        let rows = settled.iter().map(|settled| format!("{settled:?}"));
        rows.filter(|row| is_named(row)).collect::<BTreeSet<_>>()
    };
    assert_eq!(of_side(&before.1), of_side(&after.1));
}

/// The operator makes each call with the ids of the other side, and is served.
async fn by_the_operator(world: &World, calls: &[Call]) {
    let mut master = world.line("master");
    let mut refused = Vec::new();
    for call in calls {
        let (target, body) = call.filled(&|place| id_of(world, "b", place));
        let answer = master.ask_text(call.method, &target, &body).await;
        // What is not built yet is refused to everybody.
        if !(200..300).contains(&answer.status) && answer.status != 501 && call.mark != "-" {
            refused.push(format!("{} {target} {body}: {} {}", call.method, answer.status, answer.text()));
        }
    }
    assert!(refused.is_empty(), "{}:\n{}", refused.len(), refused.join("\n"));
}
