//! The most that a key may have, by the operator's word (`upperbound_key_generate_params`).

use super::filled::{set, set_duration};
use super::{BadForm, Context, Draft, lifetime};
use crate::document::Document;
use serde_json::{Map, Value};
use std::time::Duration;
use tollgate_catalog::PicoDollars;
use tollgate_policy::period::Cadence;

/// The most of each; none where nothing is said.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Bounds {
    /// `max_budget`.
    pub max_budget: Option<PicoDollars>,
    /// `budget_duration`.
    pub budget_duration: Option<Cadence>,
    /// `duration`.
    pub duration: Option<Cadence>,
    /// `max_parallel_requests`.
    pub max_parallel_requests: Option<u64>,
    /// `tpm_limit`.
    pub tpm_limit: Option<u64>,
    /// `rpm_limit`.
    pub rpm_limit: Option<u64>,
}

const OVER: &str = "is over the most that the configuration allows a key";

impl Bounds {
    /// A new key, within the bounds: what it does not say, it has as much of as it may.
    ///
    /// # Errors
    /// The first member that is over its bound.
    pub fn of_new(&self, key: Draft, context: &Context<'_>) -> Result<Draft, BadForm> {
        let mut document = key.document;
        for name in NAMES {
            self.hold(name, &document)?;
        }
        if let Some(most) = self.max_budget.filter(|_| document.get("max_budget").is_none()) {
            set(&mut document, "max_budget", crate::document::dollars(most));
        }
        if let Some(most) = self.budget_duration.filter(|_| document.get("budget_duration").is_none()) {
            set_duration(&mut document, Value::from(most.to_string()), context);
        }
        if let Some(most) = self.duration.filter(|_| document.get("expires").is_none()) {
            lifetime::expire(&mut document, Value::from(most.to_string()), context)?;
        }
        let counts = [
            ("max_parallel_requests", self.max_parallel_requests),
            ("tpm_limit", self.tpm_limit),
            ("rpm_limit", self.rpm_limit),
        ];
        for (name, most) in counts {
            if let Some(most) = most.filter(|_| document.get(name).is_none()) {
                set(&mut document, name, Value::from(most));
            }
        }
        Draft::checked(key.kind, &key.id, document)
    }

    /// Whether what a body changed of a key is within the bounds. To take a bound away is over it.
    ///
    /// # Errors
    /// The first member of the body that is over its bound.
    pub fn of_change(&self, key: &Draft, body: &Map<String, Value>) -> Result<(), BadForm> {
        for name in NAMES.iter().filter(|name| body.contains_key(**name)) {
            self.hold(name, &key.document)?;
            let is_gone = match *name {
                "duration" => self.duration.is_some() && key.document.get("expires").is_none(),
                name => self.has(name) && key.document.get(name).is_none(),
            };
            if is_gone {
                return Err(BadForm::wrong(*name, OVER));
            }
        }
        Ok(())
    }

    fn has(&self, name: &str) -> bool {
        match name {
            "max_budget" => self.max_budget.is_some(),
            "budget_duration" => self.budget_duration.is_some(),
            "duration" => self.duration.is_some(),
            "max_parallel_requests" => self.max_parallel_requests.is_some(),
            "tpm_limit" => self.tpm_limit.is_some(),
            "rpm_limit" => self.rpm_limit.is_some(),
            _ => false,
        }
    }

    /// Holds one member to its bound, where it says something.
    fn hold(&self, name: &str, document: &Document) -> Result<(), BadForm> {
        let lasts = |most: Option<Cadence>| {
            let text = document.text(name)?;
            let most = length(most?);
            let is_over = text == "-1" || Cadence::parse(text).is_ok_and(|asked| length(asked) > most);
            Some(is_over)
        };
        let counts = |most: Option<u64>| -> Result<Option<bool>, BadForm> {
            Ok(document.count(name)?.zip(most).map(|(asked, most)| asked > most))
        };
        let is_over = match name {
            "max_budget" => document.money(name)?.zip(self.max_budget).map(|(asked, most)| asked > most),
            "budget_duration" => lasts(self.budget_duration),
            "duration" => lasts(self.duration),
            "max_parallel_requests" => counts(self.max_parallel_requests)?,
            "tpm_limit" => counts(self.tpm_limit)?,
            _ => counts(self.rpm_limit)?,
        };
        if is_over == Some(true) { Err(BadForm::wrong(name, OVER)) } else { Ok(()) }
    }
}

const NAMES: [&str; 6] =
    ["max_budget", "budget_duration", "duration", "max_parallel_requests", "tpm_limit", "rpm_limit"];

/// How long a duration is at most: a month has up to 31 days.
fn length(cadence: Cadence) -> Duration {
    match cadence {
        Cadence::Months(count) => Duration::from_secs(u64::from(count) * 31 * 86_400),
        _ => cadence.seconds().unwrap_or_default(),
    }
}

/// Refuses a body that does not say what the operator wants said (`required_params`).
///
/// # Errors
/// The first member that is missing.
pub fn require(body: &Map<String, Value>, required: &[String]) -> Result<(), BadForm> {
    let is_missing = |name: &&String| body.get(name.as_str()).is_none_or(Value::is_null);
    required.iter().find(is_missing).map_or(Ok(()), |name| Err(BadForm::missing(name.as_str())))
}
