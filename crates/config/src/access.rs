//! Who may call what, beside the limits of each key.
//!
//! Owns: addresses and routes that are let in, what every request must have, the headers of keys, users and end users,
//! which end users there are, the admin API's own address. Leaves to others: asking (server).
//!
//! **Invariant:** a rule that cannot be read is an error: one that was left out would let in whom it should keep out.

use std::collections::BTreeSet;
use std::net::SocketAddr;

use crate::address::AddressRange;
use crate::keys::{access, general, litellm, nearest, tollgate};
use crate::report::{Collector, Message};
use crate::section::Section;
use crate::yaml::Node;

/// What may stand before the name of a group of routes.
const GROUP_PREFIX: &str = "LiteLLMRoutes.";

/// The resolved rules.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AccessSettings {
    /// Who may call at all; everybody where there is none.
    pub allowed_ips: Option<Vec<AddressRange>>,
    /// Paths, `*` in them for any text, and names of groups (without `LiteLLMRoutes.`) that are served; all where there is
    /// none.
    pub allowed_routes: Option<Vec<String>>,
    /// The same, that only administrators may call.
    pub admin_only_routes: Vec<String>,
    /// The same, that need no key, beside those that never do.
    pub public_routes: Vec<String>,
    /// Members that every request must have, `.` between the names of one inside another.
    pub enforced_params: Vec<String>,
    /// Members that requests of service accounts must have besides.
    pub service_account_params: Vec<String>,
    /// The headers in which a request names its end user, in small letters; the first that is there goes.
    pub end_user_headers: Vec<String>,
    /// The headers in which a request names the user to whom it is charged, likewise.
    pub user_headers: Vec<String>,
    /// Every request must have `user`.
    pub enforces_user: bool,
    /// No request names tags itself.
    pub rejects_tags: bool,
    /// The header in which keys come, in small letters; LiteLLM's where there is none.
    pub key_header: Option<String>,
    /// End users that are refused.
    pub blocked_end_users: BTreeSet<String>,
    /// An end user has to be known.
    pub knows_end_users: bool,
    /// Nothing is counted for end users.
    pub counts_no_end_users: bool,
    /// The admin API's own listener.
    pub admin_listen: Option<SocketAddr>,
}

impl AccessSettings {
    /// Resolves the rules of a checked configuration.
    pub(crate) fn resolve(root: &Node, found: &mut Collector) -> Self {
        let general = Section::new(root.get("general_settings"), general::TABLE, "general_settings");
        let own = Section::new(root.get("tollgate_settings"), tollgate::TABLE, "tollgate_settings");
        let lite = Section::new(root.get("litellm_settings"), litellm::TABLE, "litellm_settings");
        let (mapped, user_headers) = mapped_headers(&general, found);
        let named = header(&general, "user_header_name", found);
        let flag = |section: &Section<'_>, name: &'static str| section.flag(name).unwrap_or(false);
        // Whatever it says, nothing ever returns it.
        let _ = general.flag("disable_master_key_return");
        let service = general.section("service_account_settings", access::SERVICE_ACCOUNT);
        Self {
            allowed_ips: general.place("allowed_ips").map(|_| addresses(&general, found)),
            allowed_routes: general
                .place("allowed_routes")
                .map(|_| routes(&general, "allowed_routes", found)),
            admin_only_routes: routes(&general, "admin_only_routes", found),
            public_routes: routes(&general, "public_routes", found),
            enforced_params: members(&general, found),
            service_account_params: members(&service, found),
            end_user_headers: mapped.into_iter().chain(named).collect(),
            user_headers,
            enforces_user: flag(&general, "enforce_user_param"),
            rejects_tags: flag(&general, "reject_clientside_metadata_tags"),
            key_header: header(&general, "litellm_key_header_name", found),
            blocked_end_users: lite.texts("blocked_user_list").into_iter().collect(),
            knows_end_users: flag(&lite, "validate_end_user_id_in_db"),
            counts_no_end_users: flag(&lite, "disable_end_user_cost_tracking"),
            admin_listen: admin_listen(&own, found),
        }
    }
}

fn addresses(section: &Section<'_>, found: &mut Collector) -> Vec<AddressRange> {
    const NAME: &str = "allowed_ips";
    let mut all = Vec::new();
    for item in section.items(NAME) {
        let Some(text) = item.text() else { continue };
        match AddressRange::parse(text) {
            Some(range) => all.push(range),
            None => {
                let message = "wants an address or a range such as 10.0.0.0/8";
                found.error(item.place, &section.path_of(NAME), message);
            }
        }
    }
    all
}

/// A list of paths and of names of groups of routes.
pub(crate) fn routes(section: &Section<'_>, name: &'static str, found: &mut Collector) -> Vec<String> {
    let mut all = Vec::new();
    for item in section.items(name) {
        let Some(text) = item.text() else { continue };
        let group = text.strip_prefix(GROUP_PREFIX).unwrap_or(text);
        if text.trim_end_matches('*').contains('*') || text.ends_with("**") {
            // Half a rule would shut less, or open more, than it says.
            found.error(item.place, &section.path_of(name), "may have one * at its end, and no other");
        } else if text.starts_with('/') || text == "*" {
            all.push(text.to_owned());
        } else if access::ROUTE_GROUPS.contains(&group) {
            all.push(group.to_owned());
        } else {
            let near = nearest(group, access::ROUTE_GROUPS.iter().copied());
            let message = "wants a path that begins with /, or the name of a group of routes";
            found.error(item.place, &section.path_of(name), Message::with_nearest(message, near));
        }
    }
    all
}

fn members(section: &Section<'_>, found: &mut Collector) -> Vec<String> {
    const NAME: &str = "enforced_params";
    for item in section.items(NAME) {
        if item.text().is_some_and(|text| text.is_empty() || text.split('.').any(str::is_empty)) {
            let message = "wants the name of a member, such as user or metadata.team";
            found.error(item.place, &section.path_of(NAME), message);
        }
    }
    section.texts(NAME)
}

/// The name of a header, in small letters.
fn header(section: &Section<'_>, name: &'static str, found: &mut Collector) -> Option<String> {
    let written = section.text(name)?.trim().to_ascii_lowercase();
    let is_header = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    let is_one = !written.is_empty() && written.bytes().all(is_header);
    if let (false, Some(place)) = (is_one, section.place(name)) {
        found.error(place, &section.path_of(name), "wants the name of a header, such as x-customer-id");
    }
    is_one.then_some(written)
}

/// The headers of `user_header_mappings`: those of end users, and those of users.
fn mapped_headers(section: &Section<'_>, found: &mut Collector) -> (Vec<String>, Vec<String>) {
    const NAME: &str = "user_header_mappings";
    let (mut end_users, mut users) = (Vec::new(), Vec::new());
    for (index, item) in section.items(NAME).iter().enumerate() {
        let path = format!("{}[{index}]", section.path_of(NAME));
        let row = Section::new(Some(item), access::HEADER, &path);
        let name = header(&row, "header_name", found);
        match (name, row.text("litellm_user_role").as_deref()) {
            (Some(name), Some("customer")) => end_users.push(name),
            (Some(name), Some("internal_user")) => users.push(name),
            (Some(_), Some(_)) => {}
            _ if row.place("header_name").is_some() && row.place("litellm_user_role").is_some() => {}
            _ => found.error(item.place, &path, "wants header_name and litellm_user_role"),
        }
    }
    (end_users, users)
}

fn admin_listen(section: &Section<'_>, found: &mut Collector) -> Option<SocketAddr> {
    const NAME: &str = "admin_listen";
    let text = section.text(NAME)?;
    let address = text.parse().ok();
    if let (None, Some(place)) = (&address, section.place(NAME)) {
        found.error(place, &section.path_of(NAME), "wants an address and a port, such as 127.0.0.1:4001");
    }
    address
}
