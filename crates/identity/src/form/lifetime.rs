//! How long a key is valid, and when another is due in its place.
//!
//! **Invariant:** a time is written only where it can be read again.

use super::filled::set;
use super::{BadForm, Context, Filled};
use crate::document::{BadMember, Document};
use crate::kind::Kind;
use crate::record::Record;
use jiff::tz::TimeZone;
use jiff::{Span, Timestamp};
use serde_json::Value;
use tollgate_policy::clock::Wall;
use tollgate_policy::period::Cadence;

/// Lets a key be valid for so long from now on; for ever where it says nothing.
pub(super) fn expire(document: &mut Document, duration: Value, context: &Context<'_>) -> Result<(), BadForm> {
    let expires = expiry("duration", duration.as_str(), context.now)?;
    set(document, "expires", expires.map_or(Value::Null, |at| Value::from(at.rfc3339())));
    set(document, "duration", duration);
    Ok(())
}

/// When a key is to be replaced by a new one, where it says so.
pub(super) fn rotate(
    mut filled: Filled,
    document: &mut Document,
    context: &Context<'_>,
) -> Result<(), BadForm> {
    if !filled.has_any(&["auto_rotate", "rotation_interval"]) {
        return Ok(());
    }
    for name in ["auto_rotate", "rotation_interval"] {
        if let Some(value) = filled.take(name) {
            set(document, name, value);
        }
    }
    schedule(document, context)
}

pub(super) fn schedule(document: &mut Document, context: &Context<'_>) -> Result<(), BadForm> {
    let at = if document.flag("auto_rotate") {
        let interval = document.text("rotation_interval").map(str::to_owned);
        let interval = interval.ok_or_else(|| BadForm::missing("rotation_interval"))?;
        expiry("rotation_interval", Some(&interval), context.now)?
    } else {
        None
    };
    set(document, "key_rotation_at", at.map_or(Value::Null, |at| Value::from(at.rfc3339())));
    Ok(())
}

/// Whether a new key is due in place of this one: its `key_rotation_at` has come, or it has none yet, as one that was
/// imported may. What is let through in another's place, or not at all, is not.
pub fn is_rotation_due(key: &Record, now: Wall) -> bool {
    let has_come = |at: Option<Wall>| at.is_none_or(|at| at <= now);
    key.kind == Kind::Key
        && !key.is_blocked
        && key.successor().is_none()
        && key.expires.is_none_or(|expires| expires > now)
        && key.member("auto_rotate") == Some(Value::Bool(true))
        && key.document().wall("key_rotation_at").is_ok_and(has_come)
}

/// When a duration that begins now is over; none where it never is.
pub(super) fn expiry(member: &str, duration: Option<&str>, now: Wall) -> Result<Option<Wall>, BadForm> {
    let Some(duration) = duration.filter(|text| *text != "-1") else { return Ok(None) };
    let wrong = || BadForm::wrong(member, "is longer than can be written");
    let cadence = Cadence::parse(duration).map_err(|_| wrong())?;
    let micros = match cadence {
        Cadence::Months(count) => {
            let from =
                Timestamp::from_microsecond(now.micros()).map_err(|_| wrong())?.to_zoned(TimeZone::UTC);
            let months = Span::new().try_months(i64::from(count)).map_err(|_| wrong())?;
            from.checked_add(months).map_err(|_| wrong())?.timestamp().as_microsecond()
        }
        _ => {
            let length = cadence.seconds().unwrap_or_default();
            now.micros().saturating_add(i64::try_from(length.as_micros()).unwrap_or(i64::MAX))
        }
    };
    let at = Wall::from_micros(micros);
    if at.rfc3339().is_empty() { Err(wrong()) } else { Ok(Some(at)) }
}

/// A key as it is let through until then in place of another.
///
/// # Errors
/// Where its own `expires` is no time.
pub(crate) fn superseded(document: &Document, until: Wall, successor: &str) -> Result<Document, BadMember> {
    let until = document.wall("expires")?.map_or(until, |before| before.min(until));
    let mut old = document.clone();
    // Two keys of one name cannot be told apart.
    old.0.shift_remove("key_alias");
    set(&mut old, "expires", Value::from(until.rfc3339()));
    set(&mut old, "superseded_by", Value::from(successor));
    set(&mut old, "auto_rotate", Value::Bool(false));
    set(&mut old, "key_rotation_at", Value::Null);
    Ok(old)
}
