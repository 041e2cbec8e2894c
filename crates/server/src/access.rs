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
use std::net::IpAddr;
use tollgate_config::{AccessSettings, AddressRange};
use tollgate_dialect::json::Object;
use tollgate_identity::grant::Denied;
use tollgate_identity::role::Routes;
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
    /// `user_header_name`.
    end_user_header: Option<String>,
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
            end_user_header: settings.end_user_header.clone(),
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

    /// Says whose end user a request is of, where more than the request itself says so: a token, else the header of the
    /// operator's choice.
    pub(crate) fn name_end_user(
        &self,
        (caller, path): (&Caller, &str),
        headers: &HeaderMap,
        wish: &mut Wish,
    ) -> Result<(), Rejection> {
        if let Some(name) = &self.end_user_header {
            wish.read_user(path, headers, name)?;
        }
        if let Some(end_user) = caller.bearer().and_then(Bearer::end_user) {
            wish.user = Some(end_user.to_owned());
        }
        Ok(())
    }

    /// Whether a request has what every request must have, a caller's, and a service account's.
    pub(crate) fn demand(&self, caller: &Caller, body: &Object<'_>) -> Result<(), Rejection> {
        let records = caller.holder().into_iter().flat_map(|holder| holder.records());
        let own = records.flat_map(|record| record.reach.params.iter().map(AsRef::as_ref));
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

/// Whether a body has a member, `.` between the names of one inside another.
fn has(body: &Object<'_>, name: &str) -> bool {
    let Some((first, rest)) = name.split_once('.') else { return body.get(name).is_some() };
    let Some(value) = body.get(first) else { return false };
    let Ok(value) = serde_json::from_str::<serde_json::Value>(value.text()) else { return false };
    rest.split('.').try_fold(&value, |value, name| value.get(name)).is_some()
}
