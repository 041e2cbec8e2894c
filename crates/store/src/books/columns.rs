//! A spent attempt as a row of the table `attempts`, and back.
//!
//! Owns the order of its columns and what a column can hold at most; the schema is the migrations'.
//!
//! **Invariant**: whatever a row holds, both engines can keep it: a row that one of them refuses would stand in the way of
//! all that come after it.

use sha2::{Digest as _, Sha256};

use super::row::{SpendRow, Status};
use super::session::{Row, Value};
use crate::error::Fault;

/// The longest id, in bytes: what PostgreSQL's indexes can hold of several together (2,704 bytes a row, "Indexes" in its
/// manual) with room to spare. A longer one becomes its beginning and a hash of all of it.
pub const ID_BYTES_MAX: usize = 256;

/// The most tokens of one kind that a row can have; sums of a million million such rows still fit.
pub const TOKENS_MAX: u64 = 1 << 40;

/// The columns of `attempts`, in the order of [`cells`] and [`read`].
pub(super) const COLUMNS: &[&str] = &[
    "attempt_id",
    "request_id",
    "call_id",
    "call_type",
    "session_id",
    "api_key",
    "user_id",
    "team_id",
    "organization_id",
    "project_id",
    "end_user",
    "model",
    "model_id",
    "model_group",
    "provider",
    "api_base",
    "started_at",
    "ended_at",
    "first_token_at",
    "status",
    "status_code",
    "prompt_tokens",
    "completion_tokens",
    "total_tokens",
    "cache_read_tokens",
    "cache_write_tokens",
    "cache_write_1h_tokens",
    "reasoning_tokens",
    "audio_input_tokens",
    "audio_output_tokens",
    "image_input_tokens",
    "image_output_tokens",
    "usage",
    "cost",
    "charged",
    "estimated",
    "recovered",
    "unpriced",
    "overhead",
    "cache_hit",
    "cache_key",
    "tags",
    "metadata",
    "requester_ip",
    "agent_id",
    "tool_name",
    "messages",
    "response",
    "proxy_request",
    "accounts",
];

/// The row as both engines can keep it: no text with a zero in it (PostgreSQL has none), no id too long for an index, no
/// number beyond 64 bits.
pub(super) fn keepable(mut row: SpendRow) -> SpendRow {
    for id in [
        &mut row.request_id,
        &mut row.call_id,
        &mut row.session_id,
        &mut row.api_key,
        &mut row.user_id,
        &mut row.team_id,
        &mut row.organization_id,
        &mut row.project_id,
        &mut row.end_user,
        &mut row.model,
        &mut row.model_id,
        &mut row.model_group,
        &mut row.provider,
    ] {
        *id = id_of(std::mem::take(id));
    }
    for text in [
        &mut row.call_type,
        &mut row.api_base,
        &mut row.usage,
        &mut row.cache_key,
        &mut row.metadata,
        &mut row.requester_ip,
        &mut row.agent_id,
        &mut row.tool_name,
        &mut row.messages,
        &mut row.response,
        &mut row.proxy_request,
    ] {
        *text = without_zero(std::mem::take(text));
    }
    for tag in &mut row.tags {
        *tag = id_of(std::mem::take(tag));
    }
    row.tags.sort();
    row.tags.dedup();
    for account in &mut row.accounts {
        for text in [&mut account.kind, &mut account.model, &mut account.cadence] {
            *text = id_of(std::mem::take(text));
        }
        account.id = scope_id_of(std::mem::take(&mut account.id));
    }
    for tokens in [
        &mut row.prompt_tokens,
        &mut row.completion_tokens,
        &mut row.total_tokens,
        &mut row.cache_read_tokens,
        &mut row.cache_write_tokens,
        &mut row.cache_write_1h_tokens,
        &mut row.reasoning_tokens,
        &mut row.audio_input_tokens,
        &mut row.audio_output_tokens,
        &mut row.image_input_tokens,
        &mut row.image_output_tokens,
    ] {
        *tokens = (*tokens).min(TOKENS_MAX);
    }
    row.cost = i128::from(saturated(row.cost));
    row.charged = row.charged.map(|amount| i128::from(saturated(amount)));
    row
}

/// An id that both engines can hold in an index.
pub(super) fn id_of(id: String) -> String {
    shortened(without_zero(id), ID_BYTES_MAX)
}

/// The id of a scope, which may be two ids with a stroke between them.
pub(super) fn scope_id_of(id: String) -> String {
    shortened(without_zero(id), 2 * ID_BYTES_MAX + 1)
}

fn shortened(id: String, bytes_max: usize) -> String {
    if id.len() <= bytes_max {
        return id;
    }
    let digest = Sha256::digest(id.as_bytes());
    // A stroke and 32 digits: enough that no two of them meet.
    let end = (0..=bytes_max.saturating_sub(33)).rev().find(|end| id.is_char_boundary(*end)).unwrap_or(0);
    let mut kept = id;
    kept.truncate(end);
    kept.push('~');
    kept.extend(hex(&digest).chars().take(32));
    kept
}

fn without_zero(text: String) -> String {
    if text.contains('\0') { text.replace('\0', "\u{fffd}") } else { text }
}

/// Bytes as hexadecimal digits.
pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(2 * bytes.len()), |mut text, byte| {
        use std::fmt::Write as _;
        let _ = write!(text, "{byte:02x}");
        text
    })
}

fn saturated(amount: i128) -> i64 {
    i64::try_from(amount).unwrap_or(if amount < 0 { i64::MIN } else { i64::MAX })
}

/// How an attempt's id is written.
pub(super) fn attempt_text(id: u128) -> String {
    format!("{id:032x}")
}

/// A text that is nothing where it is empty, so that the index of it holds only those that have one.
fn optional(text: &str) -> Value {
    if text.is_empty() { Value::Null } else { Value::from(text) }
}

fn tokens(count: u64) -> Value {
    Value::Int(i64::try_from(count).unwrap_or(i64::MAX))
}

/// The row's values, in the order of [`COLUMNS`]; the row has to be [`keepable`].
pub(super) fn cells(row: &SpendRow) -> Vec<Value> {
    let list = |texts: &Vec<String>| if texts.is_empty() { String::new() } else { json(texts) };
    vec![
        attempt_text(row.attempt_id).into(),
        row.request_id.as_str().into(),
        row.call_id.as_str().into(),
        row.call_type.as_str().into(),
        optional(&row.session_id),
        row.api_key.as_str().into(),
        optional(&row.user_id),
        optional(&row.team_id),
        optional(&row.organization_id),
        optional(&row.project_id),
        optional(&row.end_user),
        row.model.as_str().into(),
        row.model_id.as_str().into(),
        row.model_group.as_str().into(),
        row.provider.as_str().into(),
        row.api_base.as_str().into(),
        row.started_at.into(),
        row.ended_at.into(),
        row.first_token_at.into(),
        row.status.as_str().into(),
        i64::from(row.status_code).into(),
        tokens(row.prompt_tokens),
        tokens(row.completion_tokens),
        tokens(row.total_tokens),
        tokens(row.cache_read_tokens),
        tokens(row.cache_write_tokens),
        tokens(row.cache_write_1h_tokens),
        tokens(row.reasoning_tokens),
        tokens(row.audio_input_tokens),
        tokens(row.audio_output_tokens),
        tokens(row.image_input_tokens),
        tokens(row.image_output_tokens),
        row.usage.as_str().into(),
        saturated(row.cost).into(),
        saturated(row.charge()).into(),
        row.estimated.into(),
        row.recovered.into(),
        row.unpriced.into(),
        row.overhead.into(),
        row.cache_hit.into(),
        row.cache_key.as_str().into(),
        list(&row.tags).into(),
        row.metadata.as_str().into(),
        row.requester_ip.as_str().into(),
        row.agent_id.as_str().into(),
        row.tool_name.as_str().into(),
        row.messages.as_str().into(),
        row.response.as_str().into(),
        row.proxy_request.as_str().into(),
        row.accounts_json().into(),
    ]
}

/// Reads what [`cells`] wrote.
pub(super) fn read(row: &mut Row) -> Result<SpendRow, Fault> {
    let mut read = SpendRow {
        attempt_id: u128::from_str_radix(&row.text()?, 16).map_err(|_| Fault::Shape)?,
        request_id: row.text()?,
        call_id: row.text()?,
        call_type: row.text()?,
        session_id: row.text()?,
        api_key: row.text()?,
        user_id: row.text()?,
        team_id: row.text()?,
        organization_id: row.text()?,
        project_id: row.text()?,
        end_user: row.text()?,
        model: row.text()?,
        model_id: row.text()?,
        model_group: row.text()?,
        provider: row.text()?,
        api_base: row.text()?,
        started_at: row.int()?,
        ended_at: row.int()?,
        first_token_at: row.int()?,
        status: if row.text()? == Status::Failure.as_str() { Status::Failure } else { Status::Success },
        status_code: u16::try_from(row.int()?).map_err(|_| Fault::Shape)?,
        prompt_tokens: row.count()?,
        completion_tokens: row.count()?,
        total_tokens: row.count()?,
        cache_read_tokens: row.count()?,
        cache_write_tokens: row.count()?,
        cache_write_1h_tokens: row.count()?,
        reasoning_tokens: row.count()?,
        audio_input_tokens: row.count()?,
        audio_output_tokens: row.count()?,
        image_input_tokens: row.count()?,
        image_output_tokens: row.count()?,
        usage: row.text()?,
        cost: row.amount()?,
        charged: Some(row.amount()?),
        estimated: row.flag()?,
        recovered: row.flag()?,
        unpriced: row.flag()?,
        overhead: row.flag()?,
        cache_hit: row.flag()?,
        cache_key: row.text()?,
        tags: parsed(&row.text()?)?,
        metadata: row.text()?,
        requester_ip: row.text()?,
        agent_id: row.text()?,
        tool_name: row.text()?,
        messages: row.text()?,
        response: row.text()?,
        proxy_request: row.text()?,
        accounts: parsed(&row.text()?)?,
    };
    read.charged = read.charged.filter(|charged| *charged != read.cost);
    Ok(read)
}

fn json<T: serde::Serialize>(value: &T) -> String {
    serde_json::to_string(value).unwrap_or_default()
}

fn parsed<T: serde::de::DeserializeOwned + Default>(text: &str) -> Result<T, Fault> {
    if text.is_empty() { Ok(T::default()) } else { serde_json::from_str(text).map_err(|_| Fault::Shape) }
}

/// The day (UTC) of a moment in microseconds since 1970, as `2026-11-22`: Howard Hinnant's `civil_from_days`
/// ("chrono-Compatible Low-Level Date Algorithms").
pub fn day_of(micros: i64) -> String {
    let days = micros.div_euclid(86_400_000_000) + 719_468;
    let era = days.div_euclid(146_097);
    let day_of_era = days.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted + 2) / 5 + 1;
    let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    format!("{year:04}-{month:02}-{day:02}")
}
