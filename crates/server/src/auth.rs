//! Who calls: the key of a request, held against the master key and those that were given out.
//!
//! **Invariant:** a [`Caller`] comes from [`Keys::authenticate`], or of a token that was verified (`tokens`), so a route that asks for one cannot be reached
//! without the check. **Invariant:** keys are compared as SHA-256 digests in constant time, and are never printed.

use crate::error::Rejection;
use crate::realtime::protocol_key;
use crate::tokens::Bearer;
use http::HeaderMap;
use http::header::{AUTHORIZATION, HeaderName};
use sha2::{Digest, Sha256};
use std::net::IpAddr;
use std::sync::Arc;
use subtle::ConstantTimeEq;
use tollgate_config::AddressRange;
use tollgate_identity::grant::Standing;
use tollgate_identity::jwt::is_token;
use tollgate_identity::role::{Actor, Call, Groups, KeyType, Role, Routes as RouteList};
use tollgate_identity::secret::Token;
use tollgate_identity::{Directory, Holder, Record};
use tollgate_ledger::Ledger;
use tollgate_policy::clock::Wall;

/// A caller whose key was checked.
#[derive(Debug, Clone, Default)]
pub(crate) struct Caller {
    /// SHA-256 of the key; all zeros where no key is asked for.
    digest: [u8; 32],
    who: Who,
    /// Where it comes from, past the proxies that are believed.
    address: Option<IpAddr>,
}

/// What a request brings that says who calls.
pub(crate) struct Visit<'a> {
    pub(crate) headers: &'a HeaderMap,
    /// The key in the query of a surface whose clients put it there.
    pub(crate) in_query: Option<&'a str>,
    /// The path.
    pub(crate) path: &'a str,
    /// The pattern of the route that it leads to, where the table says one.
    pub(crate) pattern: Option<&'static str>,
    /// The other end of the connection.
    pub(crate) peer: Option<IpAddr>,
}

impl<'a> Visit<'a> {
    /// What says who calls: the first header that has a value, else the query; or the operator's one header.
    fn credential(&self, keys: &Keys) -> Option<&'a [u8]> {
        if let Some(name) = &keys.header {
            return key_in(self.headers, name);
        }
        let in_headers = key_of(self.headers).or_else(|| protocol_key(self.headers));
        in_headers.or(self.in_query.map(str::as_bytes))
    }

    /// The same, where it may be a bearer token of an identity provider.
    pub(crate) fn token(&self, keys: &Keys) -> Option<&'a str> {
        std::str::from_utf8(self.credential(keys)?).ok().filter(|text| is_token(text))
    }

    /// Whether it brings anything that says who calls.
    pub(crate) fn has_credential(&self, keys: &Keys) -> bool {
        self.credential(keys).is_some()
    }

    /// The route that is called.
    pub(crate) fn call(&self) -> Call<'_> {
        let pattern = self.pattern.unwrap_or(self.path);
        Call { pattern, path: self.path, groups: Groups::of_route(pattern) }
    }

    /// Where it comes from, past the proxies that are believed.
    pub(crate) fn address(&self, trusted: &[AddressRange]) -> Option<IpAddr> {
        self.peer.map(|peer| client(peer, self.headers, trusted))
    }
}

/// Whose key it is.
#[derive(Debug, Clone, Default)]
enum Who {
    /// Anybody's: none is asked for.
    #[default]
    Anyone,
    /// Nobody's that is good, on a route that is open to everybody.
    Public,
    /// The operator's own.
    Master,
    /// One that was given out, with everybody above it.
    Holder(Arc<Holder>),
    /// A bearer token that was verified, with everybody whom it names.
    Bearer(Arc<Bearer>),
}

impl Caller {
    /// What the caller owns is kept under this name: the hash of its key, as LiteLLM writes it.
    pub(crate) fn owner(&self) -> String {
        if let Some(bearer) = self.bearer() {
            return bearer.holder().key.id.as_ref().to_owned();
        }
        Token::of_digest(self.digest).as_str().to_owned()
    }

    /// A number for the caller's key; none where no key is asked for.
    pub(crate) fn key_hash(&self) -> Option<u64> {
        Some(self.hash()).filter(|hash| *hash != 0)
    }

    /// A number for the caller's key.
    pub(crate) fn hash(&self) -> u64 {
        let [a, b, c, d, e, f, g, h, ..] = self.digest;
        u64::from_be_bytes([a, b, c, d, e, f, g, h])
    }

    /// The key and everybody above it, where it was given out.
    pub(crate) fn holder(&self) -> Option<&Holder> {
        match &self.who {
            Who::Holder(holder) => Some(holder),
            Who::Bearer(bearer) => Some(bearer.holder()),
            Who::Anyone | Who::Public | Who::Master => None,
        }
    }

    /// Who calls with a token, of whom a holder says less.
    pub(crate) fn bearer(&self) -> Option<&Bearer> {
        if let Who::Bearer(bearer) = &self.who { Some(bearer) } else { None }
    }

    /// Who calls with a token that was verified and stands for a key that was given out.
    pub(crate) fn of_key(holder: Holder, address: Option<IpAddr>) -> Self {
        // What is no digest owns nothing that another has.
        let digest = Token::digest(&holder.key.id).unwrap_or_else(|| Sha256::digest(&*holder.key.id).into());
        Self { digest, who: Who::Holder(Arc::new(holder)), address }
    }

    /// Who calls with a token that was verified.
    pub(crate) fn of_bearer(bearer: Bearer, address: Option<IpAddr>) -> Self {
        Self { digest: bearer.subject(), who: Who::Bearer(Arc::new(bearer)), address }
    }

    /// Where it comes from.
    pub(crate) fn address(&self) -> Option<IpAddr> {
        self.address
    }

    /// What it may see and change.
    pub(crate) fn actor(&self, directory: &Directory) -> Actor {
        match &self.who {
            Who::Holder(holder) => Actor::of_holder(holder, directory),
            Who::Bearer(bearer) => bearer.actor(directory),
            Who::Public => Actor::of_role(Role::InternalUserViewer, None, RouteList::default(), directory),
            Who::Anyone | Who::Master => Actor::master(),
        }
    }

    /// Whether its key is good at this moment, for where it comes from and where it goes.
    pub(crate) fn check(&self, now: Wall, visit: &Visit<'_>) -> Result<(), Rejection> {
        let Some(holder) = self.holder() else { return Ok(()) };
        let checked = Standing::of(holder, now).and_then(|standing| {
            if let Some(address) = self.address {
                standing.address(address)?;
            }
            let is_narrow = |record: &Arc<Record>| {
                !record.reach.routes.is_unlimited() || record.reach.key_type != KeyType::Default
            };
            if !holder.records().any(is_narrow) {
                return Ok(());
            }
            standing.route(&visit.call())
        });
        checked.map_err(|denied| Rejection::denied(&denied))
    }

    /// Whether its key is good still: it may have been taken back, blocked or run out since its caller came. A token that was
    /// verified goes on as it was.
    pub(crate) fn check_again(&self, ledger: &Ledger) -> Result<(), Rejection> {
        let Who::Holder(holder) = &self.who else { return Ok(()) };
        let id = &*holder.key.id;
        let holder = ledger.directory().holder(id).ok_or_else(|| Rejection::unknown_key(id))?;
        let standing = Standing::of(&holder, ledger.clock().wall());
        standing.map(|_| ()).map_err(|denied| Rejection::denied(&denied))
    }

    /// Whether it is the operator: by the master key, or since no key is asked for.
    pub(crate) fn is_master(&self) -> bool {
        matches!(self.who, Who::Anyone | Who::Master)
    }

    /// Somebody without a good key, who comes from there.
    pub(crate) fn public(address: Option<IpAddr>) -> Self {
        Self { digest: [0; 32], who: Who::Public, address }
    }
}

/// The keys that open the gateway.
#[derive(Debug, Clone, Default)]
pub(crate) struct Keys {
    master: Option<[u8; 32]>,
    /// The one header in which keys come, where the operator names one.
    header: Option<HeaderName>,
}

/// Headers that may carry a key, in LiteLLM's order after its own: each is what one family of client libraries sends.
static KEY_HEADERS: [HeaderName; 5] = [
    HeaderName::from_static("x-litellm-api-key"),
    AUTHORIZATION,
    HeaderName::from_static("api-key"),
    HeaderName::from_static("x-api-key"),
    HeaderName::from_static("x-goog-api-key"),
];

impl Keys {
    /// With a master key, every caller needs it; without, nobody needs any.
    pub(crate) fn new(master_key: Option<&str>) -> Self {
        Self { master: master_key.map(|key| Sha256::digest(key.as_bytes()).into()), header: None }
    }

    /// Keys come in this header and in no other.
    pub(crate) fn in_header(self, name: Option<&str>) -> Self {
        Self { header: name.and_then(|name| HeaderName::try_from(name).ok()), ..self }
    }

    /// The master key's digest, where there is one.
    pub(crate) fn master(&self) -> Option<&[u8; 32]> {
        self.master.as_ref()
    }

    /// Checks the request's key: in a header, else in the query of a surface whose clients put it there.
    pub(crate) fn authenticate(
        &self,
        ledger: &Ledger,
        visit: &Visit<'_>,
        address: Option<IpAddr>,
    ) -> Result<Caller, Rejection> {
        let key = visit.credential(self);
        let Some(master) = &self.master else {
            // Nobody is asked, and whoever shows a key that was given out is held to it.
            let digest = key.map(|key| <[u8; 32]>::from(Sha256::digest(key)));
            let holder = digest.and_then(|digest| Some((digest, find(ledger, digest)?)));
            let held = |(digest, holder)| Caller { digest, who: Who::Holder(Arc::new(holder)), address };
            return Ok(holder.map(held).unwrap_or(Caller { address, ..Caller::default() }));
        };
        let key = key.ok_or_else(Rejection::no_key)?;
        let digest: [u8; 32] = Sha256::digest(key).into();
        if bool::from(digest.ct_eq(master)) {
            return Ok(Caller { digest, who: Who::Master, address });
        }
        if !key.starts_with(b"sk-") {
            return Err(Rejection::not_a_virtual_key());
        }
        match find(ledger, digest) {
            Some(holder) => Ok(Caller { digest, who: Who::Holder(Arc::new(holder)), address }),
            None => Err(Rejection::unknown_key(Token::of_digest(digest).as_str())),
        }
    }
}

/// Where a request comes from: the last address of `x-forwarded-for` that no believed proxy has, where a believed one
/// brings it.
fn client(peer: IpAddr, headers: &HeaderMap, trusted: &[AddressRange]) -> IpAddr {
    let is_trusted = |address: IpAddr| trusted.iter().any(|range| range.contains(address));
    if !is_trusted(peer) {
        return peer;
    }
    let named = headers.get_all("x-forwarded-for").iter().rev();
    let texts = named.filter_map(|value| value.to_str().ok()).flat_map(|text| text.rsplit(','));
    let mut from = peer;
    for text in texts {
        // What cannot be read ends what can be believed.
        let Ok(address) = text.trim().parse() else { break };
        from = address;
        if !is_trusted(address) {
            break;
        }
    }
    from
}

/// Whoever has the key of this digest.
fn find(ledger: &Ledger, digest: [u8; 32]) -> Option<Holder> {
    ledger.directory().holder(Token::of_digest(digest).as_str())
}

/// The key in the first header that has one.
fn key_of(headers: &HeaderMap) -> Option<&[u8]> {
    KEY_HEADERS.iter().find_map(|name| key_in(headers, name))
}

/// The key in a header; a `Bearer ` before it, in any case, is not part of it.
fn key_in<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a [u8]> {
    let value = headers.get(name)?.as_bytes().trim_ascii();
    if let Some(signed) = value.strip_prefix(b"AWS4-HMAC-SHA256 ") {
        return access_key(signed);
    }
    let key = match value.split_at_checked(7) {
        Some((scheme, key)) if scheme.eq_ignore_ascii_case(b"bearer ") => key.trim_ascii(),
        _ if *name == AUTHORIZATION && value.eq_ignore_ascii_case(b"bearer") => b"",
        _ => value,
    };
    (!key.is_empty()).then_some(key)
}

/// AWS's clients sign requests instead of sending a key (Signature Version 4). The id of the access key stands in the
/// signature in clear, and is the gateway's key here: as good as any other header that carries it.
fn access_key(signed: &[u8]) -> Option<&[u8]> {
    let start = memchr::memmem::find(signed, b"Credential=")? + b"Credential=".len();
    let credential = signed.get(start..)?;
    credential.split(|byte| *byte == b'/').next().filter(|key| !key.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;

    fn headers(rows: &[(&'static str, &str)]) -> HeaderMap {
        rows.iter()
            .map(|(name, value)| (name.parse().unwrap(), HeaderValue::from_str(value).unwrap()))
            .collect()
    }

    fn ledger() -> Ledger {
        let kernel = tollgate_policy::accounts::Kernel::new(tollgate_policy::accounts::Kernel::utc());
        let accounts = tollgate_ledger::Accounts::new(kernel, tollgate_ledger::Defaults::default());
        Ledger::new(tollgate_ledger::Clock::default(), accounts)
    }

    fn visit(headers: &HeaderMap) -> Visit<'_> {
        Visit { headers, in_query: None, path: "/v1/models", pattern: None, peer: None }
    }

    #[test]
    fn a_proxy_that_is_believed_names_the_client_and_nobody_else_does() {
        let check = |peer: &str, forwarded: &str, from: &str| {
            let trusted = [AddressRange::parse("10.0.0.0/8").unwrap()];
            let headers = headers(&[("x-forwarded-for", forwarded)]);
            assert_eq!(client(peer.parse().unwrap(), &headers, &trusted), from.parse::<IpAddr>().unwrap());
        };
        check("192.0.2.1", "198.51.100.7", "192.0.2.1");
        check("10.0.0.1", "198.51.100.7", "198.51.100.7");
        check("10.0.0.1", "203.0.113.9, 198.51.100.7, 10.2.3.4", "198.51.100.7");
        check("10.0.0.1", "203.0.113.9, nonsense, 10.2.3.4", "10.2.3.4");
        check("10.0.0.1", "10.9.9.9", "10.9.9.9");
    }

    fn verdict(rows: &[(&'static str, &str)]) -> Result<(), u16> {
        Keys::new(Some("sk-1234"))
            .authenticate(&ledger(), &visit(&headers(rows)), None)
            .map(|_| ())
            .map_err(|r| r.status().as_u16())
    }

    #[test]
    fn the_master_key_is_taken_from_every_clients_header() {
        for (name, value) in [
            ("authorization", "Bearer sk-1234"),
            ("authorization", "bearer  sk-1234 "),
            ("authorization", "sk-1234"),
            ("api-key", "sk-1234"),
            ("x-api-key", "sk-1234"),
            ("x-goog-api-key", "sk-1234"),
            ("x-litellm-api-key", "Bearer sk-1234"),
            ("x-litellm-api-key", "sk-1234"),
            (
                "authorization",
                "AWS4-HMAC-SHA256 Credential=sk-1234/20261122/us-east-1/bedrock/aws4_request, SignedHeaders=host, Signature=00",
            ),
        ] {
            assert_eq!(verdict(&[(name, value)]), Ok(()), "{name}: {value}");
        }
    }

    #[test]
    fn anything_else_is_refused() {
        for rows in [
            &[][..],
            &[("authorization", "")],
            &[("authorization", "Bearer ")],
            &[("authorization", "Bearer")],
            &[("authorization", "Bearer sk-1235")],
            &[("authorization", "Bearer sk-12345")],
            &[("authorization", "Bearer sk-123")],
            &[("authorization", "Basic sk-1234")],
            &[("authorization", "Bearer SK-1234")],
            &[("cookie", "sk-1234")],
            &[(
                "authorization",
                "AWS4-HMAC-SHA256 Credential=sk-1235/20261122/us-east-1/bedrock/aws4_request",
            )],
            &[("authorization", "AWS4-HMAC-SHA256 SignedHeaders=host")],
            &[("authorization", "AWS4-HMAC-SHA256 Credential=/x")],
            &[("authorization", "Bearer sk-no"), ("x-api-key", "sk-1234")],
        ] {
            assert_eq!(verdict(rows), Err(401), "{rows:?}");
        }
    }

    /// Welch's t of two lists of times, of which the slowest tenth is left out: what the machine did meanwhile.
    fn welch(times: [Vec<f64>; 2]) -> f64 {
        let [a, b] = times.map(|mut times| {
            times.sort_unstable_by(f64::total_cmp);
            times.truncate(times.len() * 9 / 10);
            let count = times.len() as f64;
            let mean = times.iter().sum::<f64>() / count;
            let variance = times.iter().map(|time| (time - mean).powi(2)).sum::<f64>() / (count - 1.0);
            (mean, variance / count)
        });
        (a.0 - b.0) / (a.1 + b.1).sqrt()
    }

    #[test]
    fn how_much_of_the_master_key_is_right_takes_no_time() {
        let master = format!("sk-{}", "m".repeat(61));
        let (keys, ledger) = (Keys::new(Some(&master)), ledger());
        // All but the last letter, and none: of one length, and both are looked for in vain.
        let near = format!("Bearer {}x", master.get(..63).unwrap());
        let far = format!("Bearer sk-{}", "x".repeat(61));
        let asked = [near, far].map(|key| headers(&[("authorization", &key)]));
        let is_long = std::env::var_os("TOLLGATE_TEST_LONG").is_some();
        let samples = if is_long { 1_000_000 } else { 1_000 };
        let mut times = [const { Vec::new() }; 2];
        for number in 0..samples * 2 {
            // By turns, in an order that no other thing of the machine has.
            let side = (number ^ (number >> 3) ^ (number >> 7)) & 1;
            let began = std::time::Instant::now();
            let refused = keys.authenticate(&ledger, &visit(&asked[side]), None).is_err();
            times[side].push(began.elapsed().as_nanos() as f64);
            assert!(refused);
        }
        let t = welch(times);
        // A bound on noise, where there is enough of it to tell.
        assert!(!is_long || t.abs() < 4.5, "t = {t}");
    }

    #[test]
    fn without_a_master_key_nobody_is_asked() {
        assert!(Keys::new(None).authenticate(&ledger(), &visit(&HeaderMap::new()), None).is_ok());
    }

    #[test]
    fn the_hash_in_the_message_is_the_one_litellm_prints() {
        let rejection = Keys::new(Some("sk-1234")).authenticate(
            &ledger(),
            &visit(&headers(&[("authorization", "Bearer sk-bad")])),
            None,
        );
        let message = rejection.err().map(|r| r.message().to_owned()).unwrap();
        assert!(
            message.contains("3f23a3100c3183021be4f433982d93c1f20ea652ad60ef8cbe04abfe8a5a0dcf"),
            "{message}"
        );
        assert!(!message.contains("sk-bad"));
    }
}
