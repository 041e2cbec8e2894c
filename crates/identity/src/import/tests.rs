//! Rows as PostgreSQL writes those of LiteLLM, and what becomes of them.

use super::*;
use serde_json::json;

const NOW: &str = "2026-11-22T12:00:00Z";
const TOKEN: &str = "6e7956a58e9823fff9c8b89fa51013a78f564319dcfa5e27080b6713cd8b88da";

fn imported(tables: &[(&str, Value)]) -> Import {
    let mut source = Source::default();
    for (table, rows) in tables {
        let rows: Vec<String> = rows.as_array().unwrap().iter().map(Value::to_string).collect();
        source.add(table, &rows).unwrap();
    }
    let context = Context {
        now: Wall::from_rfc3339(NOW).unwrap(),
        actor: "import",
        is_admin: true,
        is_operator: true,
        fresh: &String::new,
    };
    let seal =
        |record: &str, member: &str, text: &str| Ok(format!("sealed {record} {member} {}", text.len()));
    let opener = Opener::new(Some("sk-salt"));
    import(&source, &Terms { context, zone: &TimeZone::UTC, opener: &opener, seal: &seal })
}

fn document(import: &Import, kind: Kind, id: &str) -> Value {
    let found = import.taken.iter().find(|taken| taken.draft.kind == kind && taken.draft.id == id);
    Value::Object(found.unwrap_or_else(|| panic!("no {id} in {import:?}")).draft.document.0.clone())
}

fn spent(import: &Import, kind: Kind) -> Vec<(String, String, i128)> {
    let taken = import.taken.iter().filter(|taken| taken.draft.kind == kind);
    let spent = taken.flat_map(|taken| &taken.spent);
    let text = |spent: &Spent| {
        let cadence = spent.cadence.map(|cadence| cadence.to_string()).unwrap_or_default();
        let start = if spent.start == Wall::BEGINNING { String::new() } else { spent.start.rfc3339() };
        (cadence, start, spent.amount.0)
    };
    spent.map(text).collect()
}

fn left(import: &Import) -> Vec<(&str, &str)> {
    import.left.iter().map(|left| (left.what.as_str(), left.reason.as_str())).collect()
}

/// A key as PostgreSQL writes one of LiteLLM's rows.
fn key(more: &Value) -> Value {
    let mut row = json!({
        "token": TOKEN, "key_name": "sk-...DfeA", "key_alias": "web", "soft_budget_cooldown": false, "spend": 4.5e-06,
        "expires": "2026-12-22T12:00:33.429", "models": ["gpt-4o"], "aliases": {}, "config": {}, "user_id": null,
        "team_id": null, "project_id": null, "permissions": {}, "max_parallel_requests": null,
        "metadata": {"model_rpm_limit": {"gpt-4o": 5}}, "blocked": null, "tpm_limit": 10000, "rpm_limit": 100,
        "max_budget": 10, "budget_duration": "30d", "budget_reset_at": "2026-12-01T00:00:00",
        "allowed_cache_controls": [], "allowed_routes": [], "model_spend": {}, "model_max_budget": {},
        "budget_id": null, "organization_id": null, "object_permission_id": null,
        "created_at": "2026-11-22T11:00:33.437", "created_by": "default_user_id", "rotation_count": 0,
        "auto_rotate": false
    });
    row.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    row
}

#[test]
fn a_key_keeps_its_token_its_limits_and_what_it_has_spent() {
    let import = imported(&[(KEYS, json!([key(&json!({}))]))]);
    assert_eq!(import.left, []);
    assert_eq!(
        document(&import, Kind::Key, TOKEN),
        json!({
            "token": TOKEN, "key_name": "sk-...DfeA", "key_alias": "web", "expires": "2026-12-22T12:00:33.429000Z",
            "models": ["gpt-4o"], "metadata": {"model_rpm_limit": {"gpt-4o": 5}}, "tpm_limit": 10000, "rpm_limit": 100,
            "max_budget": 10, "budget_duration": "30d", "created_at": "2026-11-22T11:00:33.437000Z",
            "created_by": "default_user_id", "rotation_count": 0, "budget_began_at": "2026-11-01T00:00:00.000000Z"
        })
    );
    let expect = [
        (String::new(), String::new(), 4_500_000),
        ("30d".to_owned(), "2026-11-01T00:00:00.000000Z".to_owned(), 4_500_000),
    ];
    assert_eq!(spent(&import, Kind::Key), expect);
}

#[test]
fn a_period_that_is_over_has_nothing_spent_and_a_total_stays() {
    let over = json!({"spend": 1.5, "total_spend": 7, "budget_reset_at": "2026-11-22T12:00:00"});
    let import = imported(&[(KEYS, json!([key(&over)]))]);
    assert_eq!(spent(&import, Kind::Key), [(String::new(), String::new(), 7_000_000_000_000)]);
}

#[test]
fn what_was_set_back_without_a_period_counts_for_no_budget_and_for_the_total() {
    let back = json!({"spend": 1.5, "total_spend": 7, "budget_duration": null, "budget_reset_at": null});
    let import = imported(&[(KEYS, json!([key(&back)]))]);
    assert_eq!(spent(&import, Kind::Key), [(String::new(), String::new(), 1_500_000_000_000)]);
    assert_eq!(document(&import, Kind::Key, TOKEN)["spend_set_back"], json!("5500000000000"));
}

#[test]
fn what_nothing_would_hold_is_left_out() {
    let check = |more: Value, expect: &str| {
        let import = imported(&[(KEYS, json!([key(&more)]))]);
        assert_eq!((import.taken.len(), left(&import)), (0, vec![("web", expect)]), "{more}");
    };
    check(json!({"team_id": "gone"}), "its team is not there, so that nothing would hold it");
    check(json!({"project_id": "gone"}), "its project is not there, so that nothing would hold it");
    check(json!({"organization_id": "gone"}), "its organization is not there, so that nothing would hold it");
    check(json!({"budget_id": "gone"}), NO_BUDGET);
    check(json!({"team_id": "litellm-dashboard"}), "it is a session of LiteLLM's console");
    check(json!({"token": "sk-in-the-clear"}), "it is kept without a hash: make it anew");
    check(
        json!({"budget_duration": "a while"}),
        "'budget_duration' is wrong: 'a while' is no duration: a whole number from 1 with s, m, h, d, w or mo, such as 30d",
    );
    let nameless =
        imported(&[(KEYS, json!([key(&json!({"token": "sk-clear", "key_alias": null, "key_name": null}))]))]);
    assert_eq!(left(&nameless)[0].0, "a key without a name");
}

#[test]
fn what_has_no_counterpart_is_said() {
    let more = json!({"object_permission_id": "o-1", "agent_id": "a-1"});
    let import = imported(&[
        (KEYS, json!([key(&more)])),
        (
            CUSTOMERS,
            json!([{"user_id": "c1", "alias": null, "spend": 0, "allowed_model_region": "eu",
            "default_model": null, "budget_id": null, "blocked": true}]),
        ),
        (
            TAGS,
            json!([{"tag_name": "paid", "description": "d", "models": ["m"], "model_info": null, "spend": 0.25,
            "budget_id": null}]),
        ),
        (SETTINGS, json!([{"param_name": "general_settings", "param_value": {}}])),
    ]);
    let remarks: Vec<&str> =
        import.taken.iter().flat_map(|taken| &taken.remarks).map(String::as_str).collect();
    let expect = [
        "'object_permission_id' has no counterpart here",
        "'agent_id' has no counterpart here",
        "'allowed_model_region' has no counterpart here",
        "'models' has no counterpart here",
    ];
    assert_eq!(remarks, expect);
    assert_eq!(document(&import, Kind::Customer, "c1"), json!({"user_id": "c1", "blocked": true}));
    assert_eq!(document(&import, Kind::Tag, "paid"), json!({"description": "d", "name": "paid"}));
    assert_eq!(left(&import), [("general_settings", "settings are those of the configuration")]);
}

#[test]
fn members_are_those_that_the_team_lists_and_those_that_have_a_row() {
    let import = imported(&[
        (
            BUDGETS,
            json!([{"budget_id": "b1", "max_budget": 2, "budget_duration": "1d", "created_by": "x",
            "budget_reset_at": "2026-11-23T00:00:00", "allowed_models": ["m"]}]),
        ),
        (
            TEAMS,
            json!([{"team_id": "red", "team_alias": "Red", "max_budget": 100, "spend": 3, "admins": ["ann"],
            "members": [], "members_with_roles": [{"user_id": "ann", "role": "admin"},
            {"user_id": null, "user_email": "bob@b.c", "role": "user"}, {"user_email": "nobody@b.c", "role": "user"}],
            "metadata": {}, "models": [], "blocked": false, "model_id": 7, "created_at": "2026-11-01T00:00:00"}]),
        ),
        (
            USERS,
            json!([{"user_id": "bob", "user_email": "bob@b.c", "teams": ["red"], "user_role": "internal_user",
            "password": "hash", "spend": 0, "models": []}]),
        ),
        (
            PLACES,
            json!([{"user_id": "ann", "team_id": "red", "spend": 0.5, "budget_id": "b1"},
            {"user_id": "cat", "team_id": "red", "spend": 0, "budget_id": null},
            {"user_id": "dog", "team_id": "gone", "spend": 0, "budget_id": null}]),
        ),
    ]);
    assert_eq!(
        document(&import, Kind::Team, "red"),
        json!({"team_id": "red", "team_alias": "Red", "max_budget": 100, "created_at": "2026-11-01T00:00:00.000000Z"})
    );
    assert_eq!(
        document(&import, Kind::Member, "red/ann"),
        json!({"id": "red/ann", "team_id": "red", "user_id": "ann", "role": "admin", "place": 0, "budget_id": "b1",
            "models": ["m"], "created_at": "2026-11-01T00:00:00.000000Z"})
    );
    assert_eq!(document(&import, Kind::Member, "red/bob")["role"], "user");
    assert_eq!(document(&import, Kind::Member, "red/cat").get("place"), None);
    assert_eq!(
        document(&import, Kind::User, "bob"),
        json!({"user_id": "bob", "user_email": "bob@b.c", "user_role": "internal_user"})
    );
    let expect = [("red", "a member is no user that is there"), ("gone/dog", "its team is not there")];
    assert_eq!(left(&import), expect);
    let expect = [
        (String::new(), String::new(), 500_000_000_000),
        ("1d".to_owned(), "2026-11-22T00:00:00.000000Z".to_owned(), 500_000_000_000),
    ];
    assert_eq!(spent(&import, Kind::Member), expect);
}

#[test]
fn organizations_projects_and_access_groups_are_taken() {
    let import = imported(&[
        (BUDGETS, json!([{"budget_id": "b1", "max_budget": 2}])),
        (
            ORGANIZATIONS,
            json!([{"organization_id": "o1", "organization_alias": "Org", "budget_id": "b1", "metadata": {},
            "models": [], "spend": 1}]),
        ),
        (SEATS, json!([{"user_id": "ann", "organization_id": "o1", "user_role": "org_admin", "spend": 0}])),
        (TEAMS, json!([{"team_id": "red", "organization_id": "o1"}])),
        (PROJECTS, json!([{"project_id": "p1", "team_id": "red", "model_rpm_limit": {"m": 3}, "spend": 2}])),
        (
            KEYS,
            json!([key(
                &json!({"team_id": "red", "project_id": "p1", "organization_id": "o1", "budget_id": "b1"})
            )]),
        ),
        (
            GROUPS,
            json!([{"access_group_id": "g1", "access_group_name": "fast", "access_model_names": ["m"],
            "access_mcp_server_ids": ["x"], "assigned_team_ids": ["red"], "created_at": "2026-11-01T00:00:00"}]),
        ),
    ]);
    assert_eq!(import.left, []);
    let kinds: Vec<Kind> = import.taken.iter().map(|taken| taken.draft.kind).collect();
    let expect = [
        Kind::Budget,
        Kind::Organization,
        Kind::Team,
        Kind::OrganizationMember,
        Kind::Project,
        Kind::Key,
        Kind::AccessGroup,
    ];
    assert_eq!(kinds, expect);
    assert_eq!(document(&import, Kind::OrganizationMember, "o1/ann")["user_role"], "org_admin");
    assert_eq!(document(&import, Kind::Project, "p1")["model_rpm_limit"], json!({"m": 3}));
    assert_eq!(document(&import, Kind::AccessGroup, "g1")["models"], json!(["m"]));
    let total = |kind, amount| assert_eq!(spent(&import, kind), [(String::new(), String::new(), amount)]);
    total(Kind::Organization, 1_000_000_000_000);
    total(Kind::Project, 2_000_000_000_000);
}

#[test]
fn deployments_and_credentials_are_sealed_anew_or_left_out() {
    let model = |id: &str, key: &str| {
        json!({"model_id": id, "model_name": "gpt", "litellm_params": {"model": V3_MODEL, "api_key": key, "rpm": 5},
            "model_info": {"id": id, "db_model": true}})
    };
    let import = imported(&[
        (
            MODELS,
            json!([
                model("m1", V3_KEY),
                model("m2", BOX_KEY),
                model("m3", "v3:gcm:AAAA"),
                model("m4", "c2VhbGVk")
            ]),
        ),
        (
            CREDENTIALS,
            json!([{"credential_id": "x", "credential_name": "openai", "credential_values": {"api_key": V2_KEY},
            "credential_info": {"custom_llm_provider": "OpenAI"}}]),
        ),
    ]);
    assert_eq!(
        document(&import, Kind::Model, "m1")["litellm_params"],
        json!({"model": "openai/gpt-4o", "api_key": "sealed m1 litellm_params.api_key 12", "rpm": 5})
    );
    assert_eq!(
        document(&import, Kind::Credential, "openai")["credential_values"],
        json!({"api_key": "sealed openai credential_values.api_key 12"})
    );
    assert_eq!(
        document(&import, Kind::Model, "m2")["litellm_params"]["api_key"],
        "sealed m2 litellm_params.api_key 12"
    );
    let reason = "it was sealed by another LITELLM_SALT_KEY (or master key)";
    assert_eq!(left(&import), [("gpt (m3)", reason), ("gpt (m4)", reason)]);
    let opener = Opener::new(Some("sk-salt"));
    for sealed in [V3_KEY, V2_KEY, BOX_KEY, &BOX_KEY.replace('-', "+")] {
        assert_eq!(opener.open(sealed).as_deref(), Ok("sk-of-openai"), "{sealed}");
    }
    let broken = BOX_KEY.replace("9n7k", "9n7l");
    assert_eq!(opener.open(&broken).unwrap_err(), reason);
    let without = Opener::new(None).open(V3_KEY);
    assert_eq!(without.unwrap_err(), "it is sealed, and neither LITELLM_SALT_KEY nor a master key is set");
    assert!(Opener::new(Some("another")).open(V3_KEY).is_err());
}

/// By PyNaCl, as the two below.
const BOX_KEY: &str = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYX9n7kohinn2L402MzYmpSIzisBLBWo3BbQwy-4A==";
/// Made by Python's `cryptography` with the salt key `sk-salt`.
const V3_KEY: &str = "v3:gcm:AAECAwQFBgcICQoLoQQDvMXpmflFFLKyEkiU7uVNKFGoHfC5O6Ba9w==";
const V3_MODEL: &str = "v3:gcm:AAECAwQFBgcICQoLvR9LvcKt2e5QDv7v2sGltC-CwvOjTm9N9LRtKhI=";
const V2_KEY: &str = "v2:gcm:AAECAwQFBgcICQoLBMF4hO000dDPtrd4g3K-XWH00tYhQi-5pN00vQ==";

#[test]
fn teams_have_their_model_aliases_wherever_the_release_keeps_them() {
    let team = |id: &str, row: i64| json!({"team_id": id, "model_id": row});
    let import = imported(&[
        (TEAMS, json!([team("red", 1), team("blue", 2), team("green", 3), team("grey", 4)])),
        (
            ALIASES,
            json!([{"id": 1, "aliases": {"fast": "gpt-4o"}}, {"id": 2, "model_aliases": "{\"slow\": \"o3\"}"},
            {"id": 3, "aliases": null}]),
        ),
    ]);
    let aliases = |team| document(&import, Kind::Team, team)["model_aliases"].clone();
    assert_eq!((aliases("red"), aliases("blue")), (json!({"fast": "gpt-4o"}), json!({"slow": "o3"})));
    let remarks: Vec<(&str, usize)> =
        import.taken.iter().map(|taken| (taken.draft.id.as_str(), taken.remarks.len())).collect();
    assert_eq!(remarks, [("red", 0), ("blue", 0), ("green", 0), ("grey", 1)]);
}

#[test]
fn a_key_in_its_grace_period_stands_for_the_one_in_its_place_until_it_is_over() {
    let row = |token: &str, active: &str, until: &str| json!({"token": token, "active_token_id": active, "revoke_at": until});
    let (old, past, lost) = ("b".repeat(64), "c".repeat(64), "d".repeat(64));
    let import = imported(&[
        (KEYS, json!([key(&json!({"auto_rotate": true, "rotation_interval": "30d"}))])),
        (
            REPLACED,
            json!([
                row(&old, TOKEN, "2026-11-30T00:00:00"),
                row(&past, TOKEN, "2026-11-01T00:00:00"),
                row(&lost, "nobody", "2026-11-30T00:00:00")
            ]),
        ),
    ]);
    let keys: Vec<&str> = import.taken.iter().map(|taken| taken.draft.id.as_str()).collect();
    assert_eq!(keys, [TOKEN, &old]);
    let kept = document(&import, Kind::Key, &old);
    assert_eq!(
        (&kept["superseded_by"], &kept["expires"]),
        (&json!(TOKEN), &json!("2026-11-30T00:00:00.000000Z"))
    );
    assert_eq!(
        (kept.get("key_alias"), kept.get("key_name"), &kept["auto_rotate"]),
        (None, None, &json!(false))
    );
    let left: Vec<(&str, &str)> = import.left.iter().map(|left| (left.table, left.what.as_str())).collect();
    assert_eq!(left, [(REPLACED, lost.as_str())]);
}
