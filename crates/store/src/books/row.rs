//! A spent attempt as it is kept: what it cost, whose it was, what it was billed for.
//!
//! Owns the shape and its JSON, which is also what a journal holds until the row is in the database. What the texts mean,
//! and what an attempt costs, is for those who write them.
//!
//! **Invariant**: reading what was written gives the same row. **Invariant**: `Debug` shows nothing that was said in a
//! conversation.

mod json;

use std::fmt;

use serde::{Deserialize, Serialize};

/// How an attempt ended.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Status {
    /// The provider answered.
    #[default]
    #[serde(rename = "s")]
    Success,
    /// It did not, or nothing was sent.
    #[serde(rename = "f")]
    Failure,
}

impl Status {
    /// The word that LiteLLM's spend logs have for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Success => "success",
            Self::Failure => "failure",
        }
    }

    fn is_success(&self) -> bool {
        *self == Self::Success
    }
}

/// One account that an attempt was charged to: whose, and for which stretch of time.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(default)]
pub struct Account {
    /// Whose: `key`, `team`, `user`, ...
    #[serde(rename = "k", skip_serializing_if = "String::is_empty")]
    pub kind: String,
    /// Which of them.
    #[serde(rename = "i", skip_serializing_if = "String::is_empty")]
    pub id: String,
    /// The model that the account is for; empty where it is for all.
    #[serde(rename = "m", skip_serializing_if = "String::is_empty")]
    pub model: String,
    /// How often it begins anew, as its budget says (`30d`); empty where it never does.
    #[serde(rename = "c", skip_serializing_if = "String::is_empty")]
    pub cadence: String,
    /// When this period began, in microseconds since 1970; 0 where it never ends.
    #[serde(rename = "s", skip_serializing_if = "is_default")]
    pub start: i64,
}

/// What one attempt cost. Texts that are unknown are empty, times are microseconds since 1970 (UTC), money is picodollars.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct SpendRow {
    /// The attempt; a row is kept once for each.
    #[serde(rename = "a", with = "hex")]
    pub attempt_id: u128,
    /// The id that the caller was given in the reply.
    #[serde(rename = "r", skip_serializing_if = "String::is_empty")]
    pub request_id: String,
    /// The gateway's own id of the call, one for all its attempts.
    #[serde(rename = "c", skip_serializing_if = "String::is_empty")]
    pub call_id: String,
    /// LiteLLM's name of the call: `acompletion`, `aembedding`, ...
    #[serde(rename = "ct", skip_serializing_if = "String::is_empty")]
    pub call_type: String,
    /// The session that the caller named.
    #[serde(rename = "ss", skip_serializing_if = "String::is_empty")]
    pub session_id: String,
    /// Hash of the key.
    #[serde(rename = "k", skip_serializing_if = "String::is_empty")]
    pub api_key: String,
    /// The key's user.
    #[serde(rename = "u", skip_serializing_if = "String::is_empty")]
    pub user_id: String,
    /// The key's team.
    #[serde(rename = "t", skip_serializing_if = "String::is_empty")]
    pub team_id: String,
    /// The team's organization.
    #[serde(rename = "o", skip_serializing_if = "String::is_empty")]
    pub organization_id: String,
    /// The key's project.
    #[serde(rename = "p", skip_serializing_if = "String::is_empty")]
    pub project_id: String,
    /// The customer that the caller named.
    #[serde(rename = "e", skip_serializing_if = "String::is_empty")]
    pub end_user: String,
    /// The provider's model.
    #[serde(rename = "m", skip_serializing_if = "String::is_empty")]
    pub model: String,
    /// The deployment.
    #[serde(rename = "mi", skip_serializing_if = "String::is_empty")]
    pub model_id: String,
    /// The group that was asked for.
    #[serde(rename = "mg", skip_serializing_if = "String::is_empty")]
    pub model_group: String,
    /// LiteLLM's name of the provider.
    #[serde(rename = "pv", skip_serializing_if = "String::is_empty")]
    pub provider: String,
    /// Where it was sent, without credentials.
    #[serde(rename = "ab", skip_serializing_if = "String::is_empty")]
    pub api_base: String,
    /// When it began; its day (UTC) is the day of reports.
    #[serde(rename = "s", skip_serializing_if = "is_default")]
    pub started_at: i64,
    /// When it was over.
    #[serde(rename = "f", skip_serializing_if = "is_default")]
    pub ended_at: i64,
    /// When the first content came; 0 where none did.
    #[serde(rename = "ft", skip_serializing_if = "is_default")]
    pub first_token_at: i64,
    /// How it ended.
    #[serde(rename = "st", skip_serializing_if = "Status::is_success")]
    pub status: Status,
    /// The HTTP status that the caller got; 0 where unknown.
    #[serde(rename = "sc", skip_serializing_if = "is_default")]
    pub status_code: u16,
    /// Tokens of the prompt, those read from a cache and written to it among them.
    #[serde(rename = "ip", skip_serializing_if = "is_default")]
    pub prompt_tokens: u64,
    /// Tokens of the answer, those of reasoning among them.
    #[serde(rename = "op", skip_serializing_if = "is_default")]
    pub completion_tokens: u64,
    /// All tokens, as the provider counts them.
    #[serde(rename = "tt", skip_serializing_if = "is_default")]
    pub total_tokens: u64,
    /// Of the prompt: read from a cache.
    #[serde(rename = "cr", skip_serializing_if = "is_default")]
    pub cache_read_tokens: u64,
    /// Of the prompt: written to a cache, for however long.
    #[serde(rename = "cw", skip_serializing_if = "is_default")]
    pub cache_write_tokens: u64,
    /// Of those: written for an hour.
    #[serde(rename = "ch", skip_serializing_if = "is_default")]
    pub cache_write_1h_tokens: u64,
    /// Of the answer: reasoning.
    #[serde(rename = "re", skip_serializing_if = "is_default")]
    pub reasoning_tokens: u64,
    /// Of the prompt: sound.
    #[serde(rename = "ai", skip_serializing_if = "is_default")]
    pub audio_input_tokens: u64,
    /// Of the answer: sound.
    #[serde(rename = "ao", skip_serializing_if = "is_default")]
    pub audio_output_tokens: u64,
    /// Of the prompt: pictures.
    #[serde(rename = "ii", skip_serializing_if = "is_default")]
    pub image_input_tokens: u64,
    /// Of the answer: pictures.
    #[serde(rename = "io", skip_serializing_if = "is_default")]
    pub image_output_tokens: u64,
    /// What else is billed (seconds, pictures, searches), JSON.
    #[serde(rename = "us", with = "raw", skip_serializing_if = "String::is_empty")]
    pub usage: String,
    /// What it cost.
    #[serde(rename = "x", with = "decimal", skip_serializing_if = "is_default")]
    pub cost: i128,
    /// What its accounts were charged, where that is not the cost.
    #[serde(rename = "xc", with = "decimal_or_none", skip_serializing_if = "Option::is_none")]
    pub charged: Option<i128>,
    /// The tokens are an estimate: the provider did not say.
    #[serde(rename = "fe", skip_serializing_if = "is_default")]
    pub estimated: bool,
    /// Settled at the start after a crash.
    #[serde(rename = "fr", skip_serializing_if = "is_default")]
    pub recovered: bool,
    /// The model has no price.
    #[serde(rename = "fu", skip_serializing_if = "is_default")]
    pub unpriced: bool,
    /// Beside the attempt that the caller got (the loser of a hedge): its tokens and its money count, as a request it does
    /// not.
    #[serde(rename = "fo", skip_serializing_if = "is_default")]
    pub overhead: bool,
    /// Answered from the gateway's own cache.
    #[serde(rename = "hi", skip_serializing_if = "is_default")]
    pub cache_hit: bool,
    /// The entry of that cache.
    #[serde(rename = "hk", skip_serializing_if = "String::is_empty")]
    pub cache_key: String,
    /// Tags of the request.
    #[serde(rename = "tg", skip_serializing_if = "Vec::is_empty")]
    pub tags: Vec<String>,
    /// LiteLLM's `metadata`, JSON.
    #[serde(rename = "md", with = "raw", skip_serializing_if = "String::is_empty")]
    pub metadata: String,
    /// The caller's address.
    #[serde(rename = "rq", skip_serializing_if = "String::is_empty")]
    pub requester_ip: String,
    /// The agent that the caller named.
    #[serde(rename = "ag", skip_serializing_if = "String::is_empty")]
    pub agent_id: String,
    /// The tool that was called, of a call of a tool.
    #[serde(rename = "tn", skip_serializing_if = "String::is_empty")]
    pub tool_name: String,
    /// What was asked, JSON; empty unless conversations are to be kept.
    #[serde(rename = "mq", with = "raw", skip_serializing_if = "String::is_empty")]
    pub messages: String,
    /// What was answered, JSON; empty unless conversations are to be kept.
    #[serde(rename = "mr", with = "raw", skip_serializing_if = "String::is_empty")]
    pub response: String,
    /// The request as it came, JSON; empty unless conversations are to be kept.
    #[serde(rename = "mp", with = "raw", skip_serializing_if = "String::is_empty")]
    pub proxy_request: String,
    /// The accounts that were charged.
    #[serde(rename = "sp", skip_serializing_if = "Vec::is_empty")]
    pub accounts: Vec<Account>,
}

impl SpendRow {
    /// The row in JSON, which is what a journal keeps of it.
    pub fn to_json(&self) -> Vec<u8> {
        json::written(self)
    }

    /// Its accounts in JSON; nothing where it has none.
    pub(super) fn accounts_json(&self) -> String {
        if self.accounts.is_empty() {
            return String::new();
        }
        String::from_utf8(json::accounts(&self.accounts)).unwrap_or_default()
    }

    /// Reads what [`to_json`](Self::to_json) wrote, also in an earlier release.
    ///
    /// # Errors
    /// Where it is no JSON, or a member is not what it was.
    pub fn from_json(json: &[u8]) -> Result<Self, serde_json::Error> {
        serde_json::from_slice(json)
    }

    /// What each account of the row is charged.
    pub fn charge(&self) -> i128 {
        self.charged.unwrap_or(self.cost)
    }

    /// How long it took, in whole milliseconds.
    pub fn duration_ms(&self) -> i64 {
        self.ended_at.saturating_sub(self.started_at).max(0) / 1_000
    }
}

/// Ids, times, tokens and money; of what was said nothing.
impl fmt::Debug for SpendRow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SpendRow")
            .field("attempt_id", &format_args!("{:032x}", self.attempt_id))
            .field("request_id", &self.request_id)
            .field("call_type", &self.call_type)
            .field("model", &self.model)
            .field("started_at", &self.started_at)
            .field("status", &self.status)
            .field("prompt_tokens", &self.prompt_tokens)
            .field("completion_tokens", &self.completion_tokens)
            .field("cost", &self.cost)
            .field("accounts", &self.accounts.len())
            .finish_non_exhaustive()
    }
}

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

/// 128 bits as 32 hexadecimal digits.
mod hex {
    use serde::de::Error as _;
    use serde::{Deserialize as _, Deserializer, Serializer};

    pub(super) fn serialize<S: Serializer>(id: &u128, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(&format_args!("{id:032x}"))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<u128, D::Error> {
        let text = std::borrow::Cow::<str>::deserialize(from)?;
        u128::from_str_radix(&text, 16).map_err(D::Error::custom)
    }
}

/// 128 bits as decimal text, which no reader of JSON rounds.
mod decimal {
    use serde::de::Error as _;
    use serde::{Deserialize as _, Deserializer, Serializer};

    pub(super) fn serialize<S: Serializer>(amount: &i128, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(amount)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<i128, D::Error> {
        std::borrow::Cow::<str>::deserialize(from)?.parse().map_err(D::Error::custom)
    }
}

/// The same, where it may be missing.
mod decimal_or_none {
    use serde::{Deserializer, Serializer};

    pub(super) fn serialize<S: Serializer>(amount: &Option<i128>, to: S) -> Result<S::Ok, S::Error> {
        match amount {
            Some(amount) => super::decimal::serialize(amount, to),
            None => to.serialize_none(),
        }
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Option<i128>, D::Error> {
        super::decimal::deserialize(from).map(Some)
    }
}

/// JSON text as part of the row's own JSON, so that its quotes are not escaped. What is no JSON after all is kept as a
/// JSON string.
mod raw {
    use serde::{Deserialize as _, Deserializer, Serialize as _, Serializer};
    use serde_json::value::RawValue;

    pub(super) fn serialize<T: AsRef<str>, S: Serializer>(text: &T, to: S) -> Result<S::Ok, S::Error> {
        let text = text.as_ref();
        match serde_json::from_str::<&RawValue>(text) {
            Ok(value) => value.serialize(to),
            Err(_) => to.serialize_str(text),
        }
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<String, D::Error> {
        Ok(Box::<RawValue>::deserialize(from)?.get().to_owned())
    }
}
