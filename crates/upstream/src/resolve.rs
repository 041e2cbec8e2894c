//! Names to addresses, off the request's path where they are known.
//!
//! Addresses are good for [`FRESH`]; after that one caller looks them up again while nobody waits longer than a
//! connection may take, and if the look-up fails the old ones serve for up to [`STALE_MAX`]. The class of a name's first
//! resolution is remembered for the guard. **Invariant:** one look-up per name at a time.

use crate::guard::{AddressClass, classify};
use std::collections::HashMap;
use std::future::Future;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// How long an answer is used without asking again.
const FRESH: Duration = Duration::from_secs(30);
/// How long an old answer may serve while asking again fails.
const STALE_MAX: Duration = Duration::from_secs(3_600);
/// Most names remembered.
const NAMES_MAX: usize = 4_096;

/// Looks a host up; the seam at which tests put a resolver of their own.
pub type Lookup =
    Arc<dyn Fn(String, u16) -> Pin<Box<dyn Future<Output = io::Result<Vec<IpAddr>>> + Send>> + Send + Sync>;

/// Addresses of a name, and what its first answer was.
#[derive(Debug, Clone)]
pub(crate) struct Resolved {
    pub(crate) addresses: Vec<IpAddr>,
    pub(crate) first_class: AddressClass,
}

#[derive(Debug)]
struct Known {
    resolved: Resolved,
    asked: Instant,
}

/// The process-wide memory of names.
pub struct Resolver {
    lookup: Lookup,
    names: Mutex<HashMap<String, Known>>,
}

impl std::fmt::Debug for Resolver {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Resolver").finish_non_exhaustive()
    }
}

impl Default for Resolver {
    fn default() -> Self {
        Self::with_lookup(Arc::new(|host, port| Box::pin(system_lookup(host, port))))
    }
}

async fn system_lookup(host: String, port: u16) -> io::Result<Vec<IpAddr>> {
    let found = tokio::net::lookup_host((host.as_str(), port)).await?;
    Ok(found.map(|address: SocketAddr| address.ip()).collect())
}

impl Resolver {
    /// A resolver that asks `lookup`.
    pub fn with_lookup(lookup: Lookup) -> Self {
        Self { lookup, names: Mutex::new(HashMap::new()) }
    }

    /// The addresses of `host`.
    pub(crate) async fn resolve(&self, host: &str, port: u16) -> io::Result<Resolved> {
        let known = self.known(host);
        if let Some((resolved, age)) = &known
            && *age < FRESH
        {
            return Ok(resolved.clone());
        }
        match (self.lookup)(host.to_owned(), port).await {
            Ok(addresses) if !addresses.is_empty() => Ok(self.remember(host, addresses)),
            outcome => match known {
                Some((resolved, age)) if age < STALE_MAX => Ok(resolved),
                _ => Err(outcome.err().unwrap_or_else(|| io::Error::other("the name has no address"))),
            },
        }
    }

    fn known(&self, host: &str) -> Option<(Resolved, Duration)> {
        let names = self.names.lock().unwrap_or_else(PoisonError::into_inner);
        names.get(host).map(|known| (known.resolved.clone(), known.asked.elapsed()))
    }

    fn remember(&self, host: &str, addresses: Vec<IpAddr>) -> Resolved {
        let mut names = self.names.lock().unwrap_or_else(PoisonError::into_inner);
        if names.len() >= NAMES_MAX && !names.contains_key(host) {
            names.retain(|_, known| known.asked.elapsed() < FRESH);
        }
        let first_class = match names.get(host) {
            Some(known) => known.resolved.first_class,
            None => addresses.first().map_or(AddressClass::Never, |address| classify(*address)),
        };
        let resolved = Resolved { addresses, first_class };
        names.insert(host.to_owned(), Known { resolved: resolved.clone(), asked: Instant::now() });
        resolved
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicUsize, Ordering};

    type Script = Arc<Mutex<Vec<io::Result<Vec<IpAddr>>>>>;

    fn scripted(answers: Vec<io::Result<Vec<IpAddr>>>) -> (Resolver, Arc<AtomicUsize>) {
        let asked = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&asked);
        let answers: Script = Arc::new(Mutex::new(answers));
        let lookup: Lookup = Arc::new(move |_, _| {
            count.fetch_add(1, Ordering::SeqCst);
            let answer = answers.lock().unwrap().remove(0);
            Box::pin(async move { answer })
        });
        (Resolver::with_lookup(lookup), asked)
    }

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[tokio::test]
    async fn a_fresh_name_is_asked_once() {
        let (resolver, asked) = scripted(vec![Ok(vec![ip("8.8.8.8")])]);
        for _ in 0..5 {
            assert_eq!(resolver.resolve("x.test", 443).await.unwrap().addresses, [ip("8.8.8.8")]);
        }
        assert_eq!(asked.load(Ordering::SeqCst), 1);
    }

    #[tokio::test]
    async fn a_name_that_never_resolved_is_an_error() {
        let (resolver, _) = scripted(vec![Err(io::Error::other("nxdomain")), Ok(vec![])]);
        assert!(resolver.resolve("x.test", 443).await.is_err());
        assert!(resolver.resolve("x.test", 443).await.is_err());
    }

    #[tokio::test]
    async fn a_failed_second_look_up_leaves_the_old_address_and_the_first_class_stays() {
        let (resolver, asked) =
            scripted(vec![Ok(vec![ip("8.8.8.8")]), Err(io::Error::other("servfail")), Ok(vec![ip("127.0.0.1")])]);
        resolver.resolve("x.test", 443).await.unwrap();
        let age = |resolver: &Resolver| {
            let mut names = resolver.names.lock().unwrap();
            let known = names.get_mut("x.test").unwrap();
            known.asked = known.asked.checked_sub(FRESH).unwrap();
        };
        age(&resolver);
        assert_eq!(resolver.resolve("x.test", 443).await.unwrap().addresses, [ip("8.8.8.8")]);
        let turned = resolver.resolve("x.test", 443).await.unwrap();
        assert_eq!(turned.addresses, [ip("127.0.0.1")]);
        assert_eq!(turned.first_class, AddressClass::Public);
        assert_eq!(asked.load(Ordering::SeqCst), 3);
    }
}
