//! Whose spend somebody sees.
//!
//! **Invariant:** whoever does not see everything sees what is of one's own user or key, and what is of the teams and
//! organizations that the right of the route reaches; within a team, what is of that team alone.

use super::{Desk, Problem};
use std::sync::Arc;
use tollgate_identity::access::Extent;
use tollgate_identity::secret::Token;
use tollgate_identity::{Kind, Record};
use tollgate_store::books::{Books, DailyFilter, EntityKind, LogFilter, Visible};

/// What somebody sees.
pub(super) struct Sight {
    visible: Option<Visible>,
    within: Option<String>,
}

impl Sight {
    /// What whoever asks sees.
    pub(super) fn of(desk: &Desk<'_>) -> Self {
        let extent = desk.row.right.extent(&desk.actor);
        if extent == Extent::EVERYTHING {
            return Self { visible: None, within: None };
        }
        let own = extent.has(Extent::OWN);
        let id = |record: &Arc<Record>| record.id.to_string();
        let user = desk.actor.user.as_ref().filter(|_| own).map(ToString::to_string);
        let key = desk.actor.key.as_ref().filter(|_| own).map(id);
        let visible = Visible {
            user_ids: user.into_iter().collect(),
            team_ids: desk.all(Kind::Team).iter().map(id).collect(),
            organization_ids: desk.all(Kind::Organization).iter().map(id).collect(),
            api_keys: key.into_iter().collect(),
        };
        Self { visible: Some(visible), within: desk.actor.within.as_ref().map(ToString::to_string) }
    }

    /// Whether it is everything.
    pub(super) fn is_everything(&self) -> bool {
        self.visible.is_none()
    }

    /// Narrows a search for attempts to what is seen; false where nothing of it is.
    pub(super) fn narrow(self, filter: &mut LogFilter) -> bool {
        filter.visible = self.visible;
        let Some(within) = self.within else { return true };
        if !filter.team_ids.is_empty() && !filter.team_ids.contains(&within) {
            return false;
        }
        filter.team_ids = vec![within];
        true
    }
}

/// Whether whoever asks sees everything.
pub(super) fn sees_all(desk: &Desk<'_>) -> bool {
    desk.row.right.extent(&desk.actor) == Extent::EVERYTHING
}

/// The records that a report is over: those that are asked for, as far as they may be seen, or else all that may be. A list
/// without any stands for everything; none is nothing.
pub(super) fn reached(desk: &Desk<'_>, kind: Kind, asked: &[String]) -> Result<Option<Vec<String>>, Problem> {
    if sees_all(desk) {
        return Ok(Some(asked.to_vec()));
    }
    let ids: Vec<String> = if asked.is_empty() {
        desk.all(kind).iter().map(|record| record.id.to_string()).collect()
    } else {
        asked.iter().map(|id| Ok(desk.find(kind, id)?.id.to_string())).collect::<Result<_, Problem>>()?
    };
    Ok((!ids.is_empty()).then_some(ids))
}

/// Whose days a report is over: everybody's, those of the user or the key that asks, or those of a user that it may see.
pub(super) fn own_days(desk: &Desk<'_>, user: Option<&str>) -> Result<DailyFilter, Problem> {
    let sees_all = sees_all(desk);
    let of_user = |id: &str| match &desk.actor.within {
        Some(team) if !sees_all => DailyFilter {
            entity: EntityKind::Member,
            entity_ids: vec![format!("{team}/{id}")],
            ..DailyFilter::default()
        },
        _ => DailyFilter {
            entity: EntityKind::User,
            entity_ids: vec![id.to_owned()],
            ..DailyFilter::default()
        },
    };
    match (user, &desk.actor.user, &desk.actor.key) {
        (Some(user), ..) if sees_all => Ok(of_user(user)),
        (None, ..) if sees_all => Ok(DailyFilter::default()),
        (Some(user), own, _) if own.as_deref() != Some(user) => Ok(of_user(&desk.find(Kind::User, user)?.id)),
        (_, Some(own), _) => Ok(of_user(own)),
        (_, None, Some(key)) => {
            Ok(DailyFilter { api_keys: vec![key.id.to_string()], ..DailyFilter::default() })
        }
        (_, None, None) => Err(Problem::not_allowed(&desk.actor, desk.row.path)),
    }
}

/// Narrows days to keys that are asked for.
pub(super) fn with_keys(desk: &Desk<'_>, mut filter: DailyFilter) -> Option<DailyFilter> {
    let asked: Vec<String> = listed(desk, "api_key").map(|key| token_of(&key)).collect();
    if asked.is_empty() {
        return Some(filter);
    }
    if filter.api_keys.is_empty() {
        filter.api_keys = asked;
    } else {
        filter.api_keys.retain(|own| asked.contains(own));
    }
    (!filter.api_keys.is_empty()).then_some(filter)
}

/// The values of a parameter that may be there several times, or as a list with commas.
pub(super) fn listed<'a>(desk: &'a Desk<'_>, name: &'a str) -> impl Iterator<Item = String> {
    let split = |text: &'a str| text.split(',').map(str::trim).filter(|part| !part.is_empty());
    desk.query.all(name).flat_map(split).map(str::to_owned)
}

/// The id of a key that is named by its text or by its id.
pub(super) fn token_of(named: &str) -> String {
    let token = Token::named(named).unwrap_or_else(|| Token::of(named.as_bytes()));
    token.as_str().to_owned()
}

/// The database.
pub(super) fn books<'a>(desk: &'a Desk<'_>) -> Result<&'a Books, Problem> {
    desk.ledger().books().ok_or(Problem::Unavailable)
}
