//! Tests of what callers cannot see: which index a statement finds its rows by.

use rusqlite::Connection;

use super::clauses::Clauses;
use super::logs::{self, LogFilter, LogQuery};
use super::reports::{self, DailyFilter, Group, SumQuery};
use super::session::Dialect;
use super::{EntityKind, sqlite};
use crate::migrate::{self, MIGRATIONS};
use crate::options::Location;

/// The steps of a statement's plan.
fn plan(clauses: &Clauses) -> Vec<String> {
    let mut connection = Connection::open_in_memory().unwrap();
    sqlite::prepare(&mut connection).unwrap();
    assert!(migrate::migrate(&mut connection, &Location::Memory, MIGRATIONS).is_ok());
    let sql = format!("EXPLAIN QUERY PLAN {}", clauses.sql.replace('$', "?"));
    let mut statement = connection.prepare(&sql).unwrap();
    let values = rusqlite::params_from_iter(&clauses.values);
    let steps = statement.query_map(values, |row| row.get("detail")).unwrap();
    // Whether the row itself is needed too does not matter.
    steps.map(|step: rusqlite::Result<String>| step.unwrap().replace("COVERING ", "")).collect()
}

fn texts(texts: &[&str]) -> Vec<String> {
    texts.iter().map(|text| (*text).to_owned()).collect()
}

#[test]
fn attempts_are_found_by_an_index() {
    let check = |filter: LogFilter, expect: &str| {
        let query = LogQuery { filter, ..LogQuery::default() };
        let steps = plan(&logs::reading(Dialect::Sqlite, &query));
        let by_id = "SEARCH attempts USING INDEX sqlite_autoindex_attempts_1 (attempt_id=?)";
        assert_eq!((steps[0].as_str(), steps[2].as_str()), (by_id, expect), "{query:?}");
    };
    let any = LogFilter::default;
    let month = || LogFilter { from: Some(1), to: Some(2), ..any() };
    check(any(), "SCAN attempts USING INDEX attempts_by_time");
    check(month(), "SEARCH attempts USING INDEX attempts_by_time (started_at>? AND started_at<?)");
    let after = LogFilter { after: Some((1, 2)), ..any() };
    check(after, "SEARCH attempts USING INDEX attempts_by_time ((started_at,attempt_id)>(?,?))");
    let by = |index: &str, columns: &str| {
        format!("SEARCH attempts USING INDEX {index} ({columns}=? AND started_at>? AND started_at<?)")
    };
    let one = || texts(&["x"]);
    check(LogFilter { api_keys: one(), ..month() }, &by("attempts_by_key", "api_key"));
    check(LogFilter { user_ids: one(), ..month() }, &by("attempts_by_user", "user_id"));
    check(LogFilter { team_ids: one(), ..month() }, &by("attempts_by_team", "team_id"));
    check(LogFilter { end_users: one(), ..month() }, &by("attempts_by_end_user", "end_user"));
    let two = texts(&["x", "y"]);
    check(LogFilter { api_keys: two, ..month() }, &by("attempts_by_key", "api_key"));
    let query = LogQuery { filter: LogFilter { request_ids: one(), ..any() }, ..LogQuery::default() };
    let steps = plan(&logs::reading(Dialect::Sqlite, &query));
    let by_either = [
        "SEARCH attempts USING INDEX attempts_by_call (call_id=?)",
        "SEARCH attempts USING INDEX attempts_by_request (request_id=?)",
    ];
    assert!(by_either.iter().all(|step| steps.iter().any(|own| own == step)), "{steps:?}");
    assert!(!steps.iter().any(|step| step.starts_with("SCAN attempts")), "{steps:?}");
    check(
        LogFilter { session_ids: one(), ..any() },
        "SEARCH attempts USING INDEX attempts_by_session (session_id=?)",
    );
    check(LogFilter { call_ids: one(), ..any() }, "SEARCH attempts USING INDEX attempts_by_call (call_id=?)");
}

#[test]
fn reports_are_found_by_an_index() {
    let check = |filter: DailyFilter, group_by: Vec<Group>, expect: &str| {
        let query = SumQuery { filter, group_by, ..SumQuery::default() };
        assert_eq!(plan(&reports::summing(Dialect::Sqlite, &query)).first().unwrap(), expect, "{query:?}");
    };
    let month = DailyFilter {
        from_day: Some("2026-11-01".to_owned()),
        to_day: Some("2026-11-30".to_owned()),
        ..DailyFilter::default()
    };
    let by_day = "SEARCH daily USING INDEX daily_by_day (entity_kind=? AND day>? AND day<?)";
    check(month.clone(), vec![], by_day);
    check(month.clone(), vec![Group::Day, Group::Model], by_day);
    let team = DailyFilter { entity: EntityKind::Team, entity_ids: texts(&["red"]), ..month };
    let by_team = "SEARCH daily USING PRIMARY KEY (entity_kind=? AND entity_id=? AND day>? AND day<?)";
    check(team, vec![Group::Day], by_team);
}
