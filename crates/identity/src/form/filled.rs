//! A body that was read by its form, and how it goes into a document.
//!
//! **Invariant:** what only administrators may set is changed by nobody else, neither by its own name nor within
//! `metadata`.

use super::row::{Effect, Form, On, Place, Row};
use super::values::{is_empty, is_same, normal};
use super::{BadForm, Context};
use crate::document::Document;
use serde_json::{Map, Value};

/// Members of `metadata` that only administrators may set, because limits and tiers are read there too.
const ADMIN_METADATA: &[&str] = &["temp_budget_increase", "temp_budget_expiry", RATE_LIMITS];
/// Rates over other stretches of time. Anybody may hold oneself to some, and nobody else loosens them.
const RATE_LIMITS: &str = "tollgate_rate_limits";
/// Members of `metadata` that only those may set who administer everything: what they let through is charged to all who
/// stand above, beyond what those have.
const OPERATOR_METADATA: &[&str] = &["critical", "budget_tiers"];
/// Members of `metadata` that stay as they are when it is written anew. Those of a service account may be set once.
const LASTING_METADATA: &[&str] = &[SERVICE_ACCOUNT, MEMBERS_BUDGET];
/// Whom a service account's key is of.
pub(super) const SERVICE_ACCOUNT: &str = "service_account_id";
/// The budget that a team's members refer to.
pub(super) const MEMBERS_BUDGET: &str = "team_member_budget_id";

/// What anybody may be held to.
const LIMITS: &[&str] = &[
    "max_budget",
    "soft_budget",
    "budget_duration",
    "budget_limits",
    "model_max_budget",
    "rpm_limit",
    "tpm_limit",
    "rpd_limit",
    "tpd_limit",
    "max_parallel_requests",
    "model_rpm_limit",
    "model_tpm_limit",
    "model_itpm_limit",
    "model_otpm_limit",
    "tags",
];

/// What a key is held to: who has it says so when it makes it, and does not take it back, since it may have been an
/// administrator who said it.
pub(super) const KEY_LIMITS: [&[&str]; 2] = [LIMITS, &["duration", "enforced_params"]];

/// What an organization, or a user, is given by the operator, and by nobody who has it.
pub(super) const GIVEN: [&[&str]; 2] =
    [LIMITS, &["temp_budget_increase", "temp_budget_expiry", "models", "allowed_models", "budget_id"]];

/// Limits that are kept within `metadata`: they stay when it is written anew by who may not change them.
const LIMITS_IN_METADATA: &[&str] = &[
    RATE_LIMITS,
    "model_rpm_limit",
    "model_tpm_limit",
    "model_itpm_limit",
    "model_otpm_limit",
    "enforced_params",
    "tags",
];

/// The members of a body, as their rows want them. Null is a value: it resets.
#[derive(Debug, Clone, Default)]
pub struct Filled(Vec<(&'static Row, Value)>);

impl Form {
    /// Reads a body of something new.
    ///
    /// # Errors
    /// The first member that is unknown, wrong, forbidden or unsupported.
    pub fn read(&self, on: On, body: &Map<String, Value>, context: &Context<'_>) -> Result<Filled, BadForm> {
        self.read_over(on, body, &Document::default(), context)
    }

    /// Reads a body that changes a document. Who may not set a member may still say what it is already: pages send every
    /// field that they have.
    ///
    /// # Errors
    /// The first member that is unknown, wrong, forbidden or unsupported.
    pub fn read_over(
        &self,
        on: On,
        body: &Map<String, Value>,
        before: &Document,
        context: &Context<'_>,
    ) -> Result<Filled, BadForm> {
        let mut filled = Vec::with_capacity(body.len());
        for (name, value) in body {
            let row = self.rows().find(|row| row.name == name && row.is_on(on));
            let row = row.ok_or_else(|| self.unknown(name, on))?;
            if let Effect::Unsupported(why) = row.effect {
                // LiteLLM's clients send the default of what is counted when they make something.
                let is_zero = on == On::New && value.as_f64() == Some(0.0);
                if is_empty(value) || is_zero {
                    continue;
                }
                return Err(BadForm::unsupported(name, why));
            }
            let value = normal(row.want, name, value)?;
            if row.is_for_admins && !context.is_admin {
                let says_nothing = value.is_null() || (on == On::New && is_empty(&value));
                let is_so = before.get_anywhere(name).is_some_and(|was| is_same(was, &value))
                    || (is_empty(&value) && before.get_anywhere(name).is_none());
                if says_nothing || is_so {
                    continue;
                }
                return Err(BadForm::forbidden(name));
            }
            filled.push((row, value));
        }
        Ok(Filled(filled))
    }

    fn unknown(&self, name: &str, on: On) -> BadForm {
        let shown: String = name.chars().filter(|letter| !letter.is_control()).take(100).collect();
        let rows = self.rows().filter(|row| row.is_on(on));
        let nearest = rows.min_by_key(|row| strsim::damerau_levenshtein(row.name, &shown));
        let known = nearest.map_or_else(String::new, |row| format!(": the nearest known is '{}'", row.name));
        BadForm::unknown(shown, format!("is unknown{known}"))
    }
}

impl Form {
    /// Reads a body of something new, which has of `defaults` what it does not say itself. They are the operator's, so they are
    /// held to nothing that who asks is held to.
    ///
    /// # Errors
    /// The first member that is unknown, wrong, forbidden or unsupported.
    pub fn read_with_defaults(
        &self,
        body: &Map<String, Value>,
        defaults: &Map<String, Value>,
        context: &Context<'_>,
    ) -> Result<Filled, BadForm> {
        let mut filled = self.read(On::New, body, context)?;
        let defaults =
            self.read(On::New, defaults, &Context { is_admin: true, is_operator: true, ..*context })?;
        for (row, value) in defaults.0 {
            let said = filled.0.iter().position(|(other, _)| other.name == row.name);
            let Some((_, said)) = said.and_then(|at| filled.0.get_mut(at)) else {
                filled.0.push((row, value));
                continue;
            };
            // Null says of a duration that there is none; an empty list or object is what LiteLLM's clients send of what
            // they do not know.
            let is_open = match said {
                Value::Null => row.name != "budget_duration",
                Value::Array(items) => items.is_empty(),
                Value::Object(members) => members.is_empty(),
                _ => false,
            };
            if is_open {
                *said = value;
            }
        }
        Ok(filled)
    }
}

impl Filled {
    /// Takes a member out; null where it was given as null, none where it was not given.
    pub fn take(&mut self, name: &str) -> Option<Value> {
        let at = self.0.iter().position(|(row, _)| row.name == name)?;
        Some(self.0.remove(at).1)
    }

    /// Takes a text out; none where it was not given, or as null.
    pub fn take_text(&mut self, name: &str) -> Option<String> {
        match self.take(name) {
            Some(Value::String(text)) => Some(text),
            _ => None,
        }
    }

    /// Takes a text out that is needed.
    ///
    /// # Errors
    /// Where it was not given.
    pub fn take_needed(&mut self, name: &str) -> Result<String, BadForm> {
        self.take_text(name).ok_or_else(|| BadForm::missing(name))
    }

    /// Takes the texts of a list out.
    pub fn take_texts(&mut self, name: &str) -> Vec<String> {
        let Some(Value::Array(items)) = self.take(name) else { return Vec::new() };
        items.iter().filter_map(Value::as_str).map(str::to_owned).collect()
    }

    /// Takes the texts of a list out that has some.
    ///
    /// # Errors
    /// Where it has none, or was not given.
    pub fn take_some(&mut self, name: &str) -> Result<Vec<String>, BadForm> {
        let texts = self.take_texts(name);
        if texts.is_empty() { Err(BadForm::missing(name)) } else { Ok(texts) }
    }

    /// Takes a flag out.
    pub fn take_flag(&mut self, name: &str) -> Option<bool> {
        self.take(name)?.as_bool()
    }

    /// The value of a member.
    pub fn get(&self, name: &str) -> Option<&Value> {
        self.0.iter().find(|(row, _)| row.name == name).map(|(_, value)| value)
    }

    /// Whether any of these was given.
    pub fn has_any(&self, names: &[&str]) -> bool {
        self.0.iter().any(|(row, _)| names.contains(&row.name))
    }

    /// Forgets what was given as null, other than these: there null leaves things as they are.
    pub fn leave_nulls_but(&mut self, names: &[&str]) {
        self.0.retain(|(row, value)| !value.is_null() || names.contains(&row.name));
    }

    /// Refuses changes of these members, and of all limits within `metadata`, to who does not administer what is changed;
    /// what they are already may be said.
    ///
    /// # Errors
    /// The first of them that is another.
    pub fn hold(
        &mut self,
        names: &[&[&str]],
        before: &Document,
        context: &Context<'_>,
    ) -> Result<(), BadForm> {
        if context.is_admin {
            return Ok(());
        }
        let is_held = |row: &Row| names.iter().any(|names| names.contains(&row.name));
        for (row, value) in self.0.iter().filter(|(row, _)| is_held(row)) {
            let was = before.get_anywhere(row.name);
            if was.is_none_or(is_empty) != is_empty(value) || was.is_some_and(|was| !is_same(was, value)) {
                return Err(BadForm::forbidden(row.name));
            }
        }
        self.0.retain(|(row, _)| !is_held(row));
        self.hold_metadata(before)
    }

    fn hold_metadata(&mut self, before: &Document) -> Result<(), BadForm> {
        let Some((_, metadata)) = self.0.iter_mut().find(|(row, _)| row.name == "metadata") else {
            return Ok(());
        };
        let mut new = metadata.as_object().cloned().unwrap_or_default();
        for &name in LIMITS_IN_METADATA {
            let was = before.metadata(name).filter(|value| !is_empty(value));
            match (was, new.get(name)) {
                (Some(was), None) => {
                    new.insert(name.to_owned(), was.clone());
                }
                (None, None) => {}
                (None, Some(given)) if is_empty(given) => {}
                (Some(was), Some(given)) if is_same(was, given) => {}
                _ => return Err(BadForm::forbidden(format!("metadata.{name}"))),
            }
        }
        *metadata = Value::Object(new);
        Ok(())
    }

    /// Whether nothing was given.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether anything was given other than null.
    pub fn says_something(&self) -> bool {
        self.0.iter().any(|(_, value)| !is_empty(value))
    }

    /// The names of what was given.
    pub fn names(&self) -> impl Iterator<Item = &'static str> {
        self.0.iter().map(|(row, _)| row.name)
    }

    /// Takes these out as a body of their own.
    pub fn split(&mut self, names: &[&str]) -> Self {
        let (taken, kept) =
            std::mem::take(&mut self.0).into_iter().partition(|(row, _)| names.contains(&row.name));
        self.0 = kept;
        Self(taken)
    }

    /// Puts what was given into a document: null and what is empty go back to the default.
    ///
    /// # Errors
    /// A member of `metadata` that who asks may not set.
    pub fn fill(mut self, document: &mut Document, context: &Context<'_>) -> Result<(), BadForm> {
        if let Some(metadata) = self.take("metadata") {
            let old = document.0.get("metadata").and_then(Value::as_object).cloned().unwrap_or_default();
            let metadata = held(&old, metadata, context)?;
            set(document, "metadata", Value::Object(metadata));
        }
        if let Some(duration) = self.take("budget_duration") {
            set_duration(document, duration, context);
        }
        for (row, value) in self.0 {
            match row.place {
                Place::Column => set(document, row.name, value),
                Place::Metadata => set_metadata(document, row.name, value),
                Place::Apart => {}
            }
        }
        Ok(())
    }
}

/// Sets how often a budget begins anew: its periods are counted from when that was set.
pub(crate) fn set_duration(document: &mut Document, duration: Value, context: &Context<'_>) {
    if document.0.get("budget_duration").unwrap_or(&Value::Null) == &duration {
        return;
    }
    let began = if duration.is_null() { Value::Null } else { context.stamp() };
    set(document, "budget_began_at", began);
    set(document, "budget_duration", duration);
}

/// Sets a member; what is null or has nothing in it is taken out.
pub(crate) fn set(document: &mut Document, name: &str, value: Value) {
    let is_default = match &value {
        Value::Null => true,
        Value::String(text) => text.is_empty(),
        Value::Array(items) => items.is_empty(),
        Value::Object(members) => members.is_empty(),
        Value::Bool(_) | Value::Number(_) => false,
    };
    if is_default {
        document.0.shift_remove(name);
    } else {
        document.0.insert(name.to_owned(), value);
    }
}

/// Sets a member of `metadata`.
pub(crate) fn set_metadata(document: &mut Document, name: &str, value: Value) {
    let mut metadata = match document.0.get("metadata") {
        Some(Value::Object(members)) => members.clone(),
        _ => Map::new(),
    };
    if value.is_null() {
        metadata.shift_remove(name);
    } else {
        metadata.insert(name.to_owned(), value);
    }
    set(document, "metadata", Value::Object(metadata));
}

/// New metadata, with what who asks may not change as it was.
fn held(old: &Map<String, Value>, new: Value, context: &Context<'_>) -> Result<Map<String, Value>, BadForm> {
    let mut new = match new {
        Value::Object(members) => members,
        _ => Map::new(),
    };
    let is_held = |name: &str| {
        LASTING_METADATA.contains(&name)
            || !context.is_operator && OPERATOR_METADATA.contains(&name)
            || !context.is_admin && ADMIN_METADATA.contains(&name)
    };
    let names = LASTING_METADATA.iter().chain(ADMIN_METADATA).chain(OPERATOR_METADATA);
    for &name in names.filter(|name| is_held(name)) {
        let was = old.get(name).filter(|value| !is_empty(value));
        match (was, new.get(name)) {
            (Some(was), None) => {
                new.insert(name.to_owned(), was.clone());
            }
            (None, Some(given)) if is_empty(given) || [SERVICE_ACCOUNT, RATE_LIMITS].contains(&name) => {}
            (was, Some(given)) if was != Some(given) => {
                let member = format!("metadata.{name}");
                if LASTING_METADATA.contains(&name) {
                    return Err(BadForm::wrong(member, "cannot be changed"));
                }
                return Err(BadForm::forbidden(member));
            }
            _ => {}
        }
    }
    Ok(new)
}
