//! The replies of `/spend/keys` and `/spend/users`.

use super::From::{Always, Anywhere, Date, Given, Id, Member, ModelSpend, Money, ResetAt, Spend};
use super::Or::{List, Null, Object};
use super::{Amounts, Clock, Dates, Source, Table};
use crate::record::Record;
use serde_json::{Map, Value};

const USER: &Table = &[
    ("user_id", Id),
    ("user_alias", Member(Null)),
    ("team_id", Always(Null)),
    ("sso_user_id", Member(Null)),
    ("organization_id", Always(Null)),
    ("teams", Given(List)),
    ("user_role", Member(Null)),
    ("max_budget", Money),
    ("spend", Spend),
    ("user_email", Member(Null)),
    ("models", Member(List)),
    ("metadata", Member(Object)),
    ("max_parallel_requests", Member(Null)),
    ("tpm_limit", Member(Null)),
    ("rpm_limit", Member(Null)),
    ("budget_duration", Member(Null)),
    ("budget_reset_at", ResetAt),
    ("allowed_cache_controls", Member(List)),
    ("model_spend", ModelSpend),
    ("model_max_budget", Member(Object)),
    ("created_at", Date),
    ("updated_at", Date),
    ("object_permission_id", Always(Null)),
    ("policies", Anywhere(List)),
    ("password_reset_required", Always(Null)),
    ("last_breach_check_at", Always(Null)),
    ("key_aliases", Given(List)),
];

/// A key of `/spend/keys`.
pub fn key(key: &Record, amounts: &Amounts, clock: &Clock<'_>) -> Value {
    let mut reply = Map::new();
    reply.insert("token".to_owned(), Value::from(&*key.id));
    Source::new(key, amounts, clock).write(super::key::ROW, &mut reply);
    Value::Object(reply)
}

/// A user of `/spend/users`, with its teams and the aliases of its keys.
pub fn user(
    user: &Record,
    amounts: &Amounts,
    (teams, aliases): (Vec<Value>, Vec<Value>),
    clock: &Clock<'_>,
) -> Value {
    let given = [("teams", Value::Array(teams)), ("key_aliases", Value::Array(aliases))];
    Value::Object(Source::new(user, amounts, clock).dated(Dates::OffsetMillis).given(&given).object(USER))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Document, Kind};
    use jiff::tz::TimeZone;
    use tollgate_policy::clock::Wall;

    #[test]
    fn rows_have_the_members_that_were_recorded() {
        let zone = TimeZone::UTC;
        let clock = Clock { now: Wall::BEGINNING, zone: &zone };
        let check = |kind, members: usize, first: &str, last: &str| {
            let record = Record::read(kind, "id", 1, &Document::default()).unwrap();
            let none = Amounts::default();
            let row = match kind {
                Kind::Key => key(&record, &none, &clock),
                _ => user(&record, &none, (vec![Value::from("t")], vec![Value::Null]), &clock),
            };
            let names: Vec<&String> = row.as_object().unwrap().keys().collect();
            assert_eq!((names.len(), names[0].as_str(), names[members - 1].as_str()), (members, first, last));
        };
        check(Kind::Key, 53, "token", "jwt_key_mappings");
        check(Kind::User, 27, "user_id", "key_aliases");
    }
}
