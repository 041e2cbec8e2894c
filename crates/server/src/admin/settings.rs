//! Settings as the admin API shows and changes them: what the files say, with what was changed in its place.
//!
//! Leaves what a setting may be to the configuration. **Invariant:** what is kept was read by the configuration first, as if
//! it stood in the file, and acts from the next request on; what would not act is refused. **Invariant:** a secret among
//! settings is sealed before it is kept, and masked before it is shown.

use super::sealing::Sealing;
use super::{Change, Desk, Problem};
use crate::access::AccessRules;
use crate::auth::Visit;
use crate::made::Stored;
use crate::settings::open;
use http::HeaderMap;
use serde_json::{Map, Value};
use std::collections::HashMap;
use std::convert::Infallible;
use tollgate_config::{
    CHANGEABLE, Config, Finding, Loaded, MASK, Severity, Unchangeable, changeable, diff, map_secrets, masked,
    stands_before,
};
use tollgate_identity::form::{BadForm, Draft, setting as form};
use tollgate_identity::secret::SealError;
use tollgate_identity::{Kind, Record};

/// A setting that is to be changed.
pub(super) struct Edit {
    pub(super) section: String,
    pub(super) name: String,
    /// None where it is to be as the file says.
    pub(super) value: Option<Value>,
}

impl Edit {
    /// A setting that is to have a value; null is none.
    pub(super) fn set(section: &str, name: &str, value: Value) -> Self {
        let value = Some(value).filter(|value| !value.is_null());
        Self { section: section.to_owned(), name: name.to_owned(), value }
    }

    fn path(&self) -> String {
        format!("{}.{}", self.section, self.name)
    }
}

/// Where the value of a setting is from.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Source {
    /// It was changed over the admin API.
    Books,
    /// It is in the file.
    File,
}

/// The settings of a section that were changed, as they are kept.
pub(super) fn stored(desk: &Desk<'_>, section: &str) -> Map<String, Value> {
    let record = desk.known(Kind::Setting, section);
    record.and_then(|record| form::values(&record.document()).cloned()).unwrap_or_default()
}

/// The settings of a section that hold, masked, each with where it is from.
pub(super) fn shown(desk: &Desk<'_>, section: &str) -> Vec<(String, Value, Source)> {
    let stored = stored(desk, section);
    let files = desk.worker.gateway.written(section);
    let of_files = files.into_iter().filter(|(name, _)| !stored.contains_key(name));
    let of_files = of_files.map(|(name, value)| (name, value, Source::File));
    let of_books =
        stored.iter().map(|(name, value)| (name.clone(), masked(section, name, value), Source::Books));
    of_files.chain(of_books).collect()
}

/// One setting that holds, masked; none where neither the file nor a change says it.
pub(super) fn shown_one(desk: &Desk<'_>, section: &str, name: &str) -> Option<(Value, Source)> {
    let found = shown(desk, section).into_iter().find(|(other, ..)| other == name);
    found.map(|(_, value, source)| (value, source))
}

/// The value of a setting that holds, its secrets open: for changing a part of it.
pub(super) fn in_full(desk: &Desk<'_>, section: &str, name: &str) -> Result<Option<Value>, Problem> {
    if let Some(record) = desk.known(Kind::Setting, section)
        && let document = record.document()
        && let Some(value) = form::values(&document).and_then(|values| values.get(name))
    {
        let opened = open(desk.snapshot.config(), &record, name, value);
        let wrong = |error: SealError| BadForm::wrong(format!("{section}.{name}"), error.to_string());
        return Ok(Some(opened.map_err(wrong)?));
    }
    Ok(desk.worker.gateway.written_in_full(section, name))
}

/// Whether a setting is said at all.
fn is_said(desk: &Desk<'_>, section: &str, name: &str) -> bool {
    stored(desk, section).contains_key(name) || desk.worker.gateway.written_in_full(section, name).is_some()
}

/// Changes settings, all or none.
pub(super) async fn change(desk: &Desk<'_>, edits: Vec<Edit>) -> Result<(), Problem> {
    for edit in &edits {
        refuse_unchangeable(desk, edit)?;
    }
    let mut change = Change::new("updated");
    let mut drafts: Vec<Draft> = Vec::new();
    for section in CHANGEABLE {
        let of_section: Vec<&Edit> = edits.iter().filter(|edit| edit.section == section).collect();
        if of_section.is_empty() {
            continue;
        }
        let old = desk.known(Kind::Setting, section);
        let draft = edited(desk, section, old.as_deref(), &of_section)?;
        drafts.push(draft.clone());
        change = match &old {
            Some(old) => change.replace(old, draft),
            None => change.make(draft),
        };
    }
    try_out(desk, &drafts, &edits)?;
    desk.commit(change).await.map(|_| ())
}

fn refuse_unchangeable(desk: &Desk<'_>, edit: &Edit) -> Result<(), Problem> {
    let path = edit.path();
    let known = changeable(&edit.section, &edit.name);
    if edit.value.is_none() && !matches!(known, Err(Unchangeable::Unknown(_))) {
        // Whatever it is, it goes.
        return Ok(());
    }
    match known {
        Ok(_) => {}
        Err(why @ (Unchangeable::NotYetActive | Unchangeable::Unsupported(_))) => {
            return Err(Problem::said(501, "not_implemented_error", &format!("'{path}' {why}")));
        }
        Err(why @ Unchangeable::Unknown(_)) => {
            return Err(BadForm::unknown(path, why.to_string()).into());
        }
        Err(why @ Unchangeable::OfTheFile) => return Err(BadForm::wrong(path, why.to_string()).into()),
    }
    match stands_before(&edit.section, &edit.name) {
        Some((section, name)) if is_said(desk, section, name) => {
            let reason = format!("has no effect: {section}.{name} goes before it, and is set");
            Err(BadForm::wrong(path, reason).into())
        }
        _ => Ok(()),
    }
}

/// A section with its settings changed, their secrets sealed.
fn edited(desk: &Desk<'_>, section: &str, old: Option<&Record>, edits: &[&Edit]) -> Result<Draft, Problem> {
    let mut settings = stored(desk, section);
    for Edit { name, value, .. } in edits {
        let kept = settings.shift_remove(name);
        let Some(value) = value else { continue };
        settings.insert(name.clone(), sealed(desk, (section, name), value, kept.as_ref())?);
    }
    Ok(form::section(section, old.map(Record::document).as_ref(), settings, &desk.context())?)
}

/// A setting with its secrets sealed; one that is sent as it was shown is the one that is kept.
fn sealed(
    desk: &Desk<'_>,
    (section, name): (&str, &str),
    value: &Value,
    kept: Option<&Value>,
) -> Result<Value, Problem> {
    let mut known: HashMap<String, String> = HashMap::new();
    if let Some(kept) = kept {
        let noted = map_secrets(section, name, kept, &mut |place, text| {
            known.insert(place.to_owned(), text.to_owned());
            Ok::<_, Infallible>(String::new())
        });
        let Ok(_) = noted;
    }
    let sealing = Sealing::of(desk, section);
    let sealed = map_secrets(section, name, value, &mut |place, text| {
        if text.contains(MASK) {
            let missing = || BadForm::wrong(format!("{section}.{place}"), "is masked: give it in full");
            return known.get(place).cloned().ok_or_else(missing);
        }
        sealing.seal(place, text)
    });
    Ok(sealed?)
}

/// Refuses what could not be read from the file, what would have no effect, and what only a start applies.
fn try_out(desk: &Desk<'_>, drafts: &[Draft], edits: &[Edit]) -> Result<(), Problem> {
    let gateway = &desk.worker.gateway;
    let now = Stored::of(&desk.ledger().directory());
    let mut then = now.clone();
    for draft in drafts {
        let record = Record::read(draft.kind, &draft.id, 1, &draft.document);
        then = then.with(record.map_err(|bad| Problem::Form(bad.into()))?);
    }
    let (before, after) = (gateway.read_with(&now), gateway.read_with(&then));
    if let Some(finding) = new_finding(&before, &after, edits) {
        let near = finding.nearest.as_ref().map(|near| format!(" (nearest: {near})")).unwrap_or_default();
        return Err(BadForm::wrong(&*finding.key, format!("{}{near}", finding.message)).into());
    }
    if let Some(config) = &after.config {
        let restart = diff(desk.snapshot.config(), config).restart;
        if let Some(name) = restart.iter().find(|name| **name != "environment_variables") {
            return Err(BadForm::wrong(*name, Unchangeable::OfTheFile.to_string()).into());
        }
    }
    if let Some(config) = &after.config {
        refuse_shut_out(desk, config, edits)?;
    }
    let unfit_before = gateway.try_out(&now);
    match gateway.try_out(&then).into_iter().find(|unfit| !unfit_before.contains(unfit)) {
        None => Ok(()),
        Some(unfit) => Err(BadForm::wrong(format!("{}.{}", unfit.id, unfit.member), unfit.reason).into()),
    }
}

/// Refuses rules of access that would not let in whoever makes them: the settings go before the file, so that nobody could
/// take them back.
fn refuse_shut_out(desk: &Desk<'_>, config: &Config, edits: &[Edit]) -> Result<(), Problem> {
    let Some(edit) = edits.iter().find(|edit| edit.section == "general_settings") else { return Ok(()) };
    let headers = HeaderMap::new();
    let path = "/config/field/delete";
    let visit = Visit { headers: &headers, in_query: None, path, pattern: Some(path), peer: desk.from };
    match AccessRules::of(&config.access).lets_in(&visit, desk.from) {
        Ok(()) => Ok(()),
        Err(_) => Err(BadForm::wrong(edit.path(), "would not let in whoever changes it").into()),
    }
}

/// What is wrong with the configuration then that was not before: an error wherever it is, and whatever is said of what was
/// changed.
fn new_finding<'a>(before: &Loaded, after: &'a Loaded, edits: &[Edit]) -> Option<&'a Finding> {
    let said = |finding: &Finding| (finding.key.clone(), finding.message.clone());
    let known: Vec<_> = before.report.findings.iter().map(said).collect();
    let is_of = |key: &str, path: &str| {
        key.strip_prefix(path).is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
    };
    after.report.findings.iter().find(|finding| {
        let is_changed = edits.iter().any(|edit| edit.value.is_some() && is_of(&finding.key, &edit.path()));
        let is_new = !known.contains(&said(finding));
        match finding.severity {
            Severity::Error => is_new || is_changed,
            Severity::Warning | Severity::Note => is_new && is_changed,
        }
    })
}
