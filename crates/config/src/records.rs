//! What new keys, users and teams get that do not say it themselves, what they may have at most, and who makes keys.
//!
//! Owns: their resolution from `litellm_settings`. Leaves to others: the forms that they complete (identity, server).
//!
//! **Invariant:** a member is in a map only where its value has the type that the form wants; money is decimal text as
//! JSON has it. **Invariant:** `Debug` shows no value of a member. **Invariant:** who may make keys is never wider than written.

use std::fmt;

use serde_json::{Map, Number, Value};
use tollgate_catalog::PicoDollars;
use tollgate_policy::period::Cadence;

use crate::budgets::dollars;
use crate::keys::{Kind, Table, general, litellm, records, rows};
use crate::report::Collector;
use crate::section::{Section, texts_of};
use crate::span::cadence;
use crate::written::typed;
use crate::yaml::Node;

/// The most that a key may have. One that says nothing of a member gets it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct KeyBounds {
    /// `max_budget`.
    pub max_budget: Option<PicoDollars>,
    /// `budget_duration`.
    pub budget_duration: Option<Cadence>,
    /// `duration`: how long it is valid.
    pub duration: Option<Cadence>,
    /// `max_parallel_requests`.
    pub max_parallel_requests: Option<u64>,
    /// `tpm_limit`.
    pub tpm_limit: Option<u64>,
    /// `rpm_limit`.
    pub rpm_limit: Option<u64>,
}

/// Who may make keys of one sort, besides administrators.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct KeyMakers {
    /// Those with one of these roles; `None` for all that otherwise may.
    pub roles: Option<Vec<String>>,
    /// What the request for a key must have.
    pub required_params: Vec<String>,
}

/// The resolved defaults of new records. Printing them shows no values of members, which may be secrets.
#[derive(Clone, Default, PartialEq)]
pub struct NewRecords {
    /// Members of a new key that does not say them (`default_key_generate_params`).
    pub keys: Map<String, Value>,
    /// The most that a key may have (`upperbound_key_generate_params`).
    pub key_bounds: KeyBounds,
    /// Members of a new user that does not say them and is no administrator (`default_internal_user_params`), but for
    /// `available_teams`.
    pub users: Map<String, Value>,
    /// Teams that users may join by themselves, by id.
    pub available_teams: Vec<String>,
    /// `max_budget` and `budget_duration` of a new user with the role `internal_user` that has none.
    pub internal_users: Map<String, Value>,
    /// Members of a new team that does not say them (`default_team_params`, else `default_team_settings`), but for
    /// `models`.
    pub teams: Map<String, Value>,
    /// Models of teams that come with a token's groups.
    pub team_models: Vec<String>,
    /// Who may make keys of teams.
    pub team_keys: KeyMakers,
    /// Who may make keys that are no team's.
    pub personal_keys: KeyMakers,
    /// Nobody but administrators makes keys that are no team's, whatever `personal_keys` says.
    pub needs_team: bool,
    /// Nobody chooses the text of a key.
    pub mints_all_keys: bool,
    /// Administrators of organizations make no keys.
    pub bars_org_admins: bool,
    /// What the alias of a key has to be.
    pub alias_rule: AliasRule,
}

/// What the alias of a key has to be.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum AliasRule {
    /// Anything.
    #[default]
    Any,
    /// LiteLLM's own format.
    Format,
    /// The whole of it matches an expression, as it was written.
    Pattern(String),
}

/// LiteLLM's format of aliases.
const ALIAS_FORMAT: &str = r"[a-zA-Z0-9][a-zA-Z0-9_\-/.@]{0,253}[a-zA-Z0-9]";
/// LiteLLM's longest alias under a rule, in characters.
const ALIAS_MAX: usize = 255;
/// Most memory that a compiled expression may take.
const REGEX_BYTES_MAX: usize = 1 << 20;

impl AliasRule {
    fn read(section: &Section<'_>, found: &mut Collector) -> Self {
        const NAME: &str = "key_alias_pattern";
        let is_on = section.flag("enable_key_alias_format_validation") == Some(true);
        let Some(pattern) = section.text(NAME) else {
            return if is_on { Self::Format } else { Self::Any };
        };
        if let (None, Some(place)) = (whole(&pattern), section.place(NAME)) {
            found.error(place, &section.path_of(NAME), "is no regular expression");
        }
        Self::Pattern(pattern)
    }

    /// Why an alias is none that a key may have, in LiteLLM's words.
    pub fn refusal(&self, alias: &str) -> Option<String> {
        let (pattern, wanted) = match self {
            Self::Any => return None,
            Self::Format => (
                ALIAS_FORMAT,
                "Must be 2-255 characters, start/end with alphanumeric, and only contain a-zA-Z0-9_-/.@."
                    .to_owned(),
            ),
            Self::Pattern(pattern) => (
                pattern.as_str(),
                format!(
                    "Must be at most {ALIAS_MAX} characters and match the configured key_alias_pattern: {pattern}"
                ),
            ),
        };
        let is_good = alias.chars().count() <= ALIAS_MAX
            && !alias.chars().any(char::is_control)
            && whole(pattern).is_some_and(|pattern| pattern.is_match(alias));
        (!is_good).then(|| format!("Invalid key_alias format. {wanted}"))
    }
}

/// An expression that matches a whole text; none where it is none.
fn whole(pattern: &str) -> Option<regex::Regex> {
    let whole = format!(r"\A(?:{pattern})\z");
    // By itself first: what closes the group early is no expression.
    let build = |text: &str| regex::RegexBuilder::new(text).size_limit(REGEX_BYTES_MAX).build().ok();
    build(pattern).and_then(|_| build(&whole))
}

impl fmt::Debug for NewRecords {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = |members: &Map<String, Value>| members.keys().cloned().collect::<Vec<_>>();
        f.debug_struct("NewRecords")
            .field("keys", &names(&self.keys))
            .field("key_bounds", &self.key_bounds)
            .field("users", &names(&self.users))
            .field("internal_users", &names(&self.internal_users))
            .field("teams", &names(&self.teams))
            .field("team_keys", &self.team_keys)
            .field("personal_keys", &self.personal_keys)
            .finish_non_exhaustive()
    }
}

impl NewRecords {
    /// Resolves the defaults of a checked configuration.
    pub(crate) fn resolve(root: &Node, found: &mut Collector) -> Self {
        let own = Section::new(root.get("litellm_settings"), litellm::TABLE, "litellm_settings");
        let general = Section::new(root.get("general_settings"), general::TABLE, "general_settings");
        let flag = |name: &'static str| general.flag(name).unwrap_or(false);
        let user = own.section("default_internal_user_params", records::USER);
        let team = own.section("default_team_params", records::TEAM);
        let makers = own.section("key_generation_settings", records::KEY_GENERATION);
        let mut users = members(&user, records::USER, found);
        users.remove("available_teams");
        let mut teams = members(&team, records::TEAM, found);
        teams.remove("models");
        if let Some(budget) = first_team_budget(&own, found).filter(|_| !teams.contains_key("max_budget")) {
            teams.insert("max_budget".to_owned(), budget);
        }
        let mut internal_users = Map::new();
        let internal = [
            ("max_budget", "max_internal_user_budget", Kind::Price),
            ("budget_duration", "internal_user_budget_duration", Kind::Span),
        ];
        for (member, name, kind) in internal {
            let value = own.node(name).and_then(|node| value(node, kind, &own.path_of(name), found));
            internal_users.extend(value.map(|value| (member.to_owned(), value)));
        }
        Self {
            keys: members(&own.section("default_key_generate_params", records::KEY), records::KEY, found),
            key_bounds: KeyBounds::read(
                &own.section("upperbound_key_generate_params", records::KEY_BOUNDS),
                found,
            ),
            users,
            available_teams: user.texts("available_teams"),
            internal_users,
            teams,
            team_models: team.texts("models"),
            team_keys: KeyMakers::read(
                &makers.section("team_key_generation", records::TEAM_KEYS),
                "allowed_team_member_roles",
            ),
            personal_keys: KeyMakers::read(
                &makers.section("personal_key_generation", records::PERSONAL_KEYS),
                "allowed_user_roles",
            ),
            needs_team: flag("default_team_disabled"),
            mints_all_keys: flag("disable_custom_api_keys"),
            bars_org_admins: flag("disable_key_generate_for_org_admin"),
            alias_rule: AliasRule::read(&own, found),
        }
    }
}

impl KeyBounds {
    fn read(section: &Section<'_>, found: &mut Collector) -> Self {
        let max_budget = section.node("max_budget");
        Self {
            max_budget: max_budget.and_then(|node| dollars(node, &section.path_of("max_budget"), found)),
            budget_duration: section.text("budget_duration").and_then(|text| cadence(&text)),
            duration: section.text("duration").and_then(|text| cadence(&text)),
            max_parallel_requests: section.count("max_parallel_requests"),
            tpm_limit: section.count("tpm_limit"),
            rpm_limit: section.count("rpm_limit"),
        }
    }
}

impl KeyMakers {
    fn read(section: &Section<'_>, roles: &'static str) -> Self {
        Self {
            roles: section.place(roles).map(|_| section.texts(roles)),
            required_params: section.texts("required_params"),
        }
    }
}

/// What is written of a table's members, each in the type that its form wants.
fn members(section: &Section<'_>, table: Table, found: &mut Collector) -> Map<String, Value> {
    let mut all = Map::new();
    for key in rows(table) {
        let Some(node) = section.node(key.name) else { continue };
        let value = value(node, key.kind, &section.path_of(key.name), found);
        all.extend(value.map(|value| (key.name.to_owned(), value)));
    }
    all
}

fn value(node: &Node, kind: Kind, path: &str, found: &mut Collector) -> Option<Value> {
    match kind {
        // The shortest decimal of the amount, which a reader of decimal text takes back exactly.
        Kind::Price => {
            let amount = dollars(node, path, found)?.as_litellm_number();
            amount.parse::<Number>().ok().map(Value::Number)
        }
        // A reader of a form knows no words.
        Kind::Span => Some(Value::from(cadence(node.text()?)?.to_string())),
        Kind::List(Kind::Text) => Some(Value::from(texts_of(node))),
        kind => Some(typed(node, kind)),
    }
}

/// The budget that LiteLLM takes from the first of `default_team_settings`, and from no other.
fn first_team_budget(own: &Section<'_>, found: &mut Collector) -> Option<Value> {
    const NAME: &str = "default_team_settings";
    let mut first = None;
    for (index, item) in own.items(NAME).iter().enumerate() {
        let path = format!("{}[{index}]", own.path_of(NAME));
        let section = Section::new(Some(item), records::TEAM_SETTINGS, &path);
        let Some(node) = section.node("max_budget") else { continue };
        if index == 0 {
            first = value(node, Kind::Price, &section.path_of("max_budget"), found);
        } else {
            let message = "has no effect: only that of the first entry counts";
            found.warning(node.place, &section.path_of("max_budget"), message);
        }
    }
    first
}
