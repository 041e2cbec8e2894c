//! Whether a page of another site speaks, where no master key is asked for.
//!
//! Without one whoever reaches the gateway administers it, and a browser reaches it for every page that it shows. Browsers
//! say which site a page is of; other clients say nothing of it and are let through.
//!
//! **Invariant:** where nobody is asked for a key, no page changes or reads anything by the admin API but the gateway's
//! own, at an address or at localhost: any other name may have been made to lead here.

use crate::error::Rejection;
use http::HeaderMap;
use http::header::{CONTENT_TYPE, HOST, HeaderValue, ORIGIN};
use http::uri::Authority;
use std::net::IpAddr;

/// What a page's form can send without asking first, and no client of the admin API does. What curl says of `-d`, a form of
/// fields, comes from a page with its site, so it is let through.
const OF_PAGES: [&str; 2] = ["text/plain", "multipart/form-data"];

/// Refuses what a page of another site sent.
pub(super) fn check(headers: &HeaderMap) -> Result<(), Rejection> {
    match headers.get_all(ORIGIN).iter().any(|origin| !is_own(origin, headers.get(HOST))) {
        true => Err(Rejection::strange_origin()),
        false => Ok(()),
    }
}

/// Refuses a body of a kind that pages alone send.
pub(super) fn check_kind(headers: &HeaderMap) -> Result<(), Rejection> {
    let kind = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let kind = kind.split(';').next().unwrap_or_default().trim();
    match OF_PAGES.iter().any(|of_pages| kind.eq_ignore_ascii_case(of_pages)) {
        true => Err(Rejection::wrong_content_type()),
        false => Ok(()),
    }
}

/// Whether a page's site is the gateway itself.
fn is_own(origin: &HeaderValue, host: Option<&HeaderValue>) -> bool {
    let text = |value: &HeaderValue| value.to_str().ok().map(str::to_ascii_lowercase);
    let (Some(origin), Some(host)) = (text(origin), host.and_then(text)) else { return false };
    let Some(site) = origin.strip_prefix("http://").or_else(|| origin.strip_prefix("https://")) else {
        return false;
    };
    let name = site.parse::<Authority>().map(|site| site.host().to_owned()).unwrap_or_default();
    let address = name.trim_start_matches('[').trim_end_matches(']');
    site == host && (name == "localhost" || address.parse::<IpAddr>().is_ok())
}
