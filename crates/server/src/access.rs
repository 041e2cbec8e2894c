//! What the operator lets anybody do at all: from where, on which routes, with what in a request.
//!
//! Owns the rules of `general_settings` that hold for every caller. Leaves what a key may do to `identity`, and routes that
//! are open to everybody (health, the description of the API) to the table of routes.
//!
//! **Invariant:** a path that does not read the same to everybody is never let through by a rule that opens, and always
//! held by a rule that shuts.

use crate::auth::{Caller, Visit};
use crate::error::Rejection;
use crate::routing::Wish;
use crate::tokens::Bearer;
use http::HeaderMap;
use std::collections::BTreeSet;
use std::net::IpAddr;
use std::sync::Arc;
use tollgate_config::{AccessSettings, AddressRange};
use tollgate_dialect::json::Object;
use tollgate_identity::grant::Denied;
use tollgate_identity::role::Routes;
use tollgate_identity::{Directory, Kind, Record};
use tollgate_ledger::Ledger;

/// LiteLLM's mark of a key that is a service's own.
const SERVICE_ACCOUNT: &str = "service_account_id";

/// The rules, ready to be asked.
#[derive(Debug, Default)]
pub(crate) struct AccessRules {
    /// `allowed_ips`; everybody where there is none.
    addresses: Option<Vec<AddressRange>>,
    /// `allowed_routes`; all where there is none.
    served: Option<Routes>,
    /// `admin_only_routes`.
    admin_only: Routes,
    /// `public_routes`.
    public: Routes,
    /// `enforced_params`.
    params: Vec<String>,
    /// The same, of service accounts.
    service_params: Vec<String>,
    /// `enforce_user_param`.
    enforces_user: bool,
    /// Of end users.
    end_users: EndUserRules,
    /// `user_header_mappings`, of users.
    user_headers: Vec<String>,
    /// `reject_clientside_metadata_tags`.
    rejects_tags: bool,
    /// `litellm_key_header_name`.
    key_header: Option<String>,
}

/// Who an end user is, and who is none.
#[derive(Debug, Default)]
struct EndUserRules {
    /// `user_header_mappings` and `user_header_name`, in their order.
    headers: Vec<String>,
    /// `blocked_user_list`.
    blocked: BTreeSet<String>,
    /// `validate_end_user_id_in_db`.
    are_known: bool,
    /// `disable_end_user_cost_tracking`.
    are_uncounted: bool,
}

impl AccessRules {
    pub(crate) fn of(settings: &AccessSettings) -> Self {
        let routes = |names: &[String]| Routes::new(names.iter().map(String::as_str));
        Self {
            addresses: settings.allowed_ips.clone(),
            served: settings.allowed_routes.as_deref().map(routes),
            admin_only: routes(&settings.admin_only_routes),
            public: routes(&settings.public_routes),
            params: settings.enforced_params.clone(),
            service_params: settings.service_account_params.clone(),
            enforces_user: settings.enforces_user,
            end_users: EndUserRules {
                headers: settings.end_user_headers.clone(),
                blocked: settings.blocked_end_users.clone(),
                are_known: settings.knows_end_users,
                are_uncounted: settings.counts_no_end_users,
            },
            user_headers: settings.user_headers.clone(),
            rejects_tags: settings.rejects_tags,
            key_header: settings.key_header.clone(),
        }
    }

    /// Whether anybody may come from there and go where it wants to, whoever it is.
    pub(crate) fn lets_in(&self, visit: &Visit<'_>, from: Option<IpAddr>) -> Result<(), Rejection> {
        if let Some(ranges) = &self.addresses {
            // Where nobody can say from where, it is from nowhere that is allowed.
            let from = from.unwrap_or(IpAddr::V4(std::net::Ipv4Addr::UNSPECIFIED));
            if !ranges.iter().any(|range| range.contains(from)) {
                return Err(Rejection::denied(&Denied::Address(from)));
            }
        }
        // No names at all would be all routes to a list of a key; here they are none.
        let is_served = |served: &Routes| !served.is_unlimited() && served.allow(&visit.call());
        if self.served.as_ref().is_some_and(|served| !is_served(served)) {
            return Err(Rejection::denied(&Denied::Unserved { path: visit.path.to_owned() }));
        }
        Ok(())
    }

    /// Whether a route asks for no key.
    pub(crate) fn is_public(&self, visit: &Visit<'_>) -> bool {
        !self.public.is_unlimited() && self.public.allow(&visit.call())
    }

    /// Whether a caller may go where administrators alone may.
    pub(crate) fn lets_through(
        &self,
        visit: &Visit<'_>,
        caller: &Caller,
        ledger: &Ledger,
    ) -> Result<(), Rejection> {
        if self.admin_only.is_unlimited()
            || !self.admin_only.take(&visit.call())
            || caller.actor(&ledger.directory()).is_admin()
        {
            return Ok(());
        }
        Err(Rejection::denied(&Denied::AdminOnly { path: visit.path.to_owned() }))
    }

    /// The one header in which keys come, where there is one.
    pub(crate) fn key_header(&self) -> Option<&str> {
        self.key_header.as_deref()
    }

    /// Says whose end user a request is of, and to whom it is charged, where more than the request itself says so: a token,
    /// else the headers of the operator's choice. To be called before the tags of the key are among the request's.
    pub(crate) fn name_end_user(
        &self,
        (caller, path, ledger): (&Caller, &str, &Ledger),
        headers: &HeaderMap,
        wish: &mut Wish,
    ) -> Result<(), Rejection> {
        if self.rejects_tags && !wish.tags.is_empty() {
            return Err(Rejection::tags_of_caller());
        }
        for name in &self.end_users.headers {
            if wish.read_user(path, headers, name)? {
                break;
            }
        }
        for name in &self.user_headers {
            if wish.read_payer(path, headers, name)? {
                break;
            }
        }
        if let Some(end_user) = caller.bearer().and_then(Bearer::end_user) {
            wish.user = Some(end_user.to_owned());
        }
        if let Some(id) = wish.user.as_ref().filter(|id| self.end_users.blocked.contains(*id)) {
            return Err(Rejection::end_user_blocked(id));
        }
        if self.end_users.are_known {
            wish.user = wish.user.take().filter(|id| is_known(id, &ledger.directory()));
        }
        wish.is_uncounted = self.end_users.are_uncounted;
        Ok(())
    }

    /// Whether a request has what every request must have, a caller's, and a service account's.
    pub(crate) fn demand(&self, caller: &Caller, body: &Object<'_>) -> Result<(), Rejection> {
        let records = caller.holder().into_iter().flat_map(|holder| holder.records());
        let own = records.flat_map(|record| record.reach.params.iter().map(AsRef::as_ref));
        if self.enforces_user && !has(body, "user") {
            return Err(Rejection::lacks_user());
        }
        if let Some(lacking) = self.params.iter().map(String::as_str).chain(own).find(|name| !has(body, name))
        {
            return Err(Rejection::lacks_param(lacking));
        }
        let is_service = || {
            let document = caller.holder().map(|holder| holder.key.document());
            document.is_some_and(|document| document.get_anywhere(SERVICE_ACCOUNT).is_some())
        };
        match self.service_params.iter().find(|name| !has(body, name)) {
            Some(lacking) if is_service() => Err(Rejection::service_lacks_param(lacking)),
            _ => Ok(()),
        }
    }
}

/// Whether a customer or a user has this id, or a user this address.
fn is_known(id: &str, directory: &Directory) -> bool {
    let has_id = [Kind::Customer, Kind::User].into_iter().any(|kind| directory.get(kind, id).is_some());
    let is_its_address = |user: &Arc<Record>| {
        user.text("user_email").is_some_and(|address| address.trim().eq_ignore_ascii_case(id.trim()))
    };
    has_id || (id.contains('@') && directory.all(Kind::User).any(is_its_address))
}

/// Whether a body has a member, `.` between the names of one inside another.
fn has(body: &Object<'_>, name: &str) -> bool {
    let Some((first, rest)) = name.split_once('.') else { return body.get(name).is_some() };
    let Some(value) = body.get(first) else { return false };
    let Ok(value) = serde_json::from_str::<serde_json::Value>(value.text()) else { return false };
    rest.split('.').try_fold(&value, |value, name| value.get(name)).is_some()
}
