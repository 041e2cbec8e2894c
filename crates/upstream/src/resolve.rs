//! Names to addresses, off the request's path where they are known.
//!
//! Addresses are good for [`FRESH`]. After that they still serve while somebody asks again: at once up to [`USABLE`],
//! then only if the answer takes longer than [`ANSWER_WAIT`] or fails, and for [`STALE_MAX`] at most. The class of a
//! name's first resolution is remembered for the guard. Names that a person supplied are kept apart, so that a flood of
//! them neither evicts the operator's nor takes their look-ups.
//! **Invariant:** one look-up per name at a time, and no more than a fixed number in all, running or waiting.

use crate::guard::{AddressClass, Trust, classify};
use std::collections::HashMap;
use std::fmt;
use std::future::Future;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::{Semaphore, watch};
use tokio::time::{Instant, timeout};

/// How long an answer is used without asking again.
const FRESH: Duration = Duration::from_secs(30);
/// How long an old answer is used at once, while it is asked again beside the request.
const USABLE: Duration = Duration::from_secs(300);
/// How long an old answer may serve while asking again fails.
const STALE_MAX: Duration = Duration::from_secs(3_600);
/// How long a request waits for a new answer where there is an old one.
const ANSWER_WAIT: Duration = Duration::from_millis(500);
/// Most names remembered in one book.
const NAMES_MAX: usize = 4_096;
/// Most look-ups at once: each may hold a thread for as long as the system's resolver likes.
const LOOKUPS_MAX: usize = 16;
/// The same for the names that people supply.
const CALLER_LOOKUPS_MAX: usize = 4;
/// Most look-ups that wait for their turn, in one book.
const WAITING_MAX: usize = 256;

/// Looks a host up; the seam at which tests put a resolver of their own.
pub type Lookup =
    Arc<dyn Fn(String, u16) -> Pin<Box<dyn Future<Output = io::Result<Vec<IpAddr>>> + Send>> + Send + Sync>;

/// Addresses of a name, and what its first answer was.
#[derive(Debug, Clone)]
pub(crate) struct Resolved {
    pub(crate) addresses: Vec<IpAddr>,
    pub(crate) first_class: AddressClass,
}

/// What a look-up gave; the error is text for the log.
type Answer = Result<Resolved, Arc<str>>;

struct Known {
    resolved: Resolved,
    asked: Instant,
}

/// At least one of the two is there.
struct Name {
    known: Option<Known>,
    flight: Option<watch::Receiver<Option<Answer>>>,
}

/// Names of one kind, and the look-ups that they may have.
struct Book {
    lookup: Lookup,
    names: Mutex<HashMap<Box<str>, Name>>,
    slots: Semaphore,
    /// Look-ups that run or wait.
    asking: AtomicUsize,
}

/// The process-wide memory of names.
pub struct Resolver {
    configured: Arc<Book>,
    callers: Arc<Book>,
}

impl fmt::Debug for Resolver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
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
        let callers = Arc::new(Book::new(Arc::clone(&lookup), CALLER_LOOKUPS_MAX));
        Self { configured: Arc::new(Book::new(lookup, LOOKUPS_MAX)), callers }
    }

    /// The addresses of `host`.
    pub(crate) async fn resolve(&self, trust: Trust, host: &str, port: u16) -> Answer {
        let book = match trust {
            Trust::Operator | Trust::Catalogue => &self.configured,
            Trust::Caller => &self.callers,
        };
        book.resolve(host, port).await
    }
}

/// What is known of a name at the moment.
enum Standing {
    Good(Resolved),
    /// Somebody is asking; until the answer comes there is this, or nothing.
    Asking(watch::Receiver<Option<Answer>>, Option<Resolved>),
    /// Nobody can be sent, and there is nothing old.
    Busy,
}

impl Book {
    fn new(lookup: Lookup, lookups_max: usize) -> Self {
        Self {
            lookup,
            names: Mutex::default(),
            slots: Semaphore::new(lookups_max),
            asking: AtomicUsize::new(0),
        }
    }

    async fn resolve(self: &Arc<Self>, host: &str, port: u16) -> Answer {
        let (standing, errand) = self.standing(host);
        if let Some(errand) = errand {
            // A task of its own, so that a request that gives up neither stops it nor makes room for one too many.
            tokio::spawn(errand.run(port));
        }
        match standing {
            Standing::Good(resolved) => Ok(resolved),
            Standing::Asking(flight, None) => landed(flight).await,
            Standing::Asking(flight, Some(old)) => match timeout(ANSWER_WAIT, landed(flight)).await {
                Ok(Ok(new)) => Ok(new),
                Ok(Err(_)) | Err(_) => Ok(old),
            },
            Standing::Busy => Err(Arc::from("too many look-ups are waiting")),
        }
    }

    /// What is known, and whom to send where that is not enough and nobody is asking yet.
    fn standing(self: &Arc<Self>, host: &str) -> (Standing, Option<Errand>) {
        let mut names = self.lock();
        let (old, age) = match names.get(host).and_then(|name| name.known.as_ref()) {
            Some(known) => (Some(known.resolved.clone()), known.asked.elapsed()),
            None => (None, Duration::MAX),
        };
        let old = match old {
            Some(resolved) if age < FRESH => return (Standing::Good(resolved), None),
            old => old.filter(|_| age < STALE_MAX),
        };
        let (flight, errand) = match names.get(host).and_then(|name| name.flight.clone()) {
            Some(flight) => (flight, None),
            None if self.asking.load(Ordering::Relaxed) >= WAITING_MAX => {
                return (old.map_or(Standing::Busy, Standing::Good), None);
            }
            None => {
                make_room(&mut names, host);
                let (flight, errand) = Errand::new(self, host);
                names.entry(host.into()).or_insert_with(Name::unknown).flight = Some(flight.clone());
                (flight, Some(errand))
            }
        };
        match old {
            Some(resolved) if age < USABLE => (Standing::Good(resolved), errand),
            old => (Standing::Asking(flight, old), errand),
        }
    }

    fn remember(&self, host: &str, addresses: Vec<IpAddr>) -> Resolved {
        let mut names = self.lock();
        let name = names.entry(host.into()).or_insert_with(Name::unknown);
        let first_class =
            name.known.as_ref().map_or_else(|| first_class(&addresses), |known| known.resolved.first_class);
        let resolved = Resolved { addresses, first_class };
        name.known = Some(Known { resolved: resolved.clone(), asked: Instant::now() });
        resolved
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Box<str>, Name>> {
        self.names.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Name {
    fn unknown() -> Self {
        Self { known: None, flight: None }
    }
}

/// A look-up under way; when it is over, however it ended, the next one for its name may start.
struct Errand {
    book: Arc<Book>,
    host: String,
    tell: watch::Sender<Option<Answer>>,
}

impl Errand {
    fn new(book: &Arc<Book>, host: &str) -> (watch::Receiver<Option<Answer>>, Self) {
        book.asking.fetch_add(1, Ordering::Relaxed);
        let (tell, flight) = watch::channel(None);
        (flight, Self { book: Arc::clone(book), host: host.to_owned(), tell })
    }

    async fn run(self, port: u16) {
        let slot = self.book.slots.acquire().await;
        let answer = match (self.book.lookup)(self.host.clone(), port).await {
            Ok(addresses) if addresses.is_empty() => Err(Arc::from("the name has no address")),
            Ok(addresses) => Ok(self.book.remember(&self.host, addresses)),
            Err(error) => Err(Arc::from(error.to_string())),
        };
        drop(slot);
        self.tell.send_replace(Some(answer));
    }
}

impl Drop for Errand {
    fn drop(&mut self) {
        self.book.asking.fetch_sub(1, Ordering::Relaxed);
        let mut names = self.book.lock();
        if let Some(name) = names.get_mut(&*self.host) {
            name.flight = None;
            if name.known.is_none() {
                names.remove(&*self.host);
            }
        }
    }
}

async fn landed(mut flight: watch::Receiver<Option<Answer>>) -> Answer {
    match flight.wait_for(Option::is_some).await {
        Ok(answer) => answer.clone().unwrap_or_else(|| Err(Arc::from("no answer"))),
        // The runtime that was asking has stopped.
        Err(_) => Err(Arc::from("the look-up was given up")),
    }
}

/// A name with a public address among its first is a public name.
fn first_class(addresses: &[IpAddr]) -> AddressClass {
    let mut classes = addresses.iter().map(|address| classify(*address));
    let first = classes.next().unwrap_or(AddressClass::Never);
    if classes.any(|class| class == AddressClass::Public) { AddressClass::Public } else { first }
}

/// Forgets the name that was asked longest ago when a new one would be too many.
fn make_room(names: &mut HashMap<Box<str>, Name>, host: &str) {
    if names.len() < NAMES_MAX || names.contains_key(host) {
        return;
    }
    let idle = names.iter().filter(|(_, name)| name.flight.is_none());
    let oldest = idle
        .min_by_key(|(_, name)| name.known.as_ref().map(|known| known.asked))
        .map(|(host, _)| host.clone());
    if let Some(oldest) = oldest {
        names.remove(&oldest);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::VecDeque;

    /// An answer and how long it takes.
    type Scripted = (Duration, io::Result<Vec<IpAddr>>);

    const AT_ONCE: Duration = Duration::ZERO;
    const TEN_SECONDS: Duration = Duration::from_secs(10);

    fn scripted(answers: Vec<Scripted>) -> (Arc<Resolver>, Arc<AtomicUsize>) {
        let asked = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&asked);
        let answers = Arc::new(Mutex::new(VecDeque::from(answers)));
        let lookup: Lookup = Arc::new(move |_, _| {
            count.fetch_add(1, Ordering::SeqCst);
            let answer = answers.lock().unwrap().pop_front();
            Box::pin(async move {
                let (takes, answer) =
                    answer.unwrap_or((Duration::ZERO, Err(io::Error::other("nothing left to say"))));
                tokio::time::sleep(takes).await;
                answer
            })
        });
        (Arc::new(Resolver::with_lookup(lookup)), asked)
    }

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    async fn ask(resolver: &Resolver) -> Answer {
        resolver.resolve(Trust::Operator, "x.test", 443).await
    }

    #[tokio::test(start_paused = true)]
    async fn a_fresh_name_is_asked_once() {
        let (resolver, asked) = scripted(vec![(AT_ONCE, Ok(vec![ip("8.8.8.8")]))]);
        for _ in 0..5 {
            assert_eq!(ask(&resolver).await.unwrap().addresses, [ip("8.8.8.8")]);
        }
        assert_eq!(asked.load(Ordering::SeqCst), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn many_who_ask_at_once_share_one_look_up() {
        let (resolver, asked) = scripted(vec![(TEN_SECONDS, Ok(vec![ip("8.8.8.8")]))]);
        let asking: Vec<_> = (0..100)
            .map(|_| {
                let resolver = Arc::clone(&resolver);
                tokio::spawn(async move { ask(&resolver).await.unwrap().addresses })
            })
            .collect();
        for one in asking {
            assert_eq!(one.await.unwrap(), [ip("8.8.8.8")]);
        }
        assert_eq!(asked.load(Ordering::SeqCst), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn a_name_that_never_resolved_is_an_error_and_is_not_remembered() {
        let (resolver, asked) =
            scripted(vec![(AT_ONCE, Err(io::Error::other("nxdomain"))), (AT_ONCE, Ok(vec![]))]);
        assert_eq!(&*ask(&resolver).await.unwrap_err(), "nxdomain");
        assert_eq!(&*ask(&resolver).await.unwrap_err(), "the name has no address");
        assert_eq!(asked.load(Ordering::SeqCst), 2);
        assert_eq!(resolver.configured.lock().len(), 0);
    }

    #[tokio::test(start_paused = true)]
    async fn an_old_address_serves_at_once_while_it_is_asked_again() {
        let (resolver, asked) =
            scripted(vec![(AT_ONCE, Ok(vec![ip("8.8.8.8")])), (TEN_SECONDS, Ok(vec![ip("9.9.9.9")]))]);
        ask(&resolver).await.unwrap();
        tokio::time::advance(FRESH).await;
        let before = Instant::now();
        for _ in 0..5 {
            assert_eq!(ask(&resolver).await.unwrap().addresses, [ip("8.8.8.8")]);
        }
        assert_eq!(before.elapsed(), Duration::ZERO, "nobody waited");
        tokio::time::sleep(TEN_SECONDS).await;
        tokio::task::yield_now().await;
        assert_eq!(ask(&resolver).await.unwrap().addresses, [ip("9.9.9.9")]);
        assert_eq!(asked.load(Ordering::SeqCst), 2);
    }

    #[tokio::test(start_paused = true)]
    async fn a_very_old_address_serves_only_when_no_new_one_comes_in_time() {
        let (resolver, _) = scripted(vec![
            (AT_ONCE, Ok(vec![ip("8.8.8.8")])),
            (AT_ONCE, Ok(vec![ip("9.9.9.9")])),
            (TEN_SECONDS, Ok(vec![ip("1.1.1.1")])),
            (AT_ONCE, Err(io::Error::other("servfail"))),
        ]);
        ask(&resolver).await.unwrap();
        tokio::time::advance(USABLE).await;
        assert_eq!(ask(&resolver).await.unwrap().addresses, [ip("9.9.9.9")], "answered in time");
        tokio::time::advance(USABLE).await;
        let before = Instant::now();
        assert_eq!(ask(&resolver).await.unwrap().addresses, [ip("9.9.9.9")], "too slow");
        assert_eq!(before.elapsed(), ANSWER_WAIT);
        tokio::time::sleep(TEN_SECONDS + USABLE).await;
        assert_eq!(ask(&resolver).await.unwrap().addresses, [ip("1.1.1.1")], "failed");
    }

    #[tokio::test(start_paused = true)]
    async fn after_an_hour_of_failures_the_old_address_is_gone() {
        let (resolver, _) = scripted(vec![(AT_ONCE, Ok(vec![ip("8.8.8.8")]))]);
        ask(&resolver).await.unwrap();
        tokio::time::advance(STALE_MAX - Duration::from_secs(1)).await;
        assert!(ask(&resolver).await.is_ok());
        tokio::time::advance(Duration::from_secs(1)).await;
        assert!(ask(&resolver).await.is_err());
    }

    #[tokio::test(start_paused = true)]
    async fn the_first_class_stays_with_a_name() {
        let (resolver, _) = scripted(vec![
            (AT_ONCE, Ok(vec![ip("10.0.0.1"), ip("8.8.8.8")])),
            (AT_ONCE, Ok(vec![ip("127.0.0.1")])),
        ]);
        assert_eq!(
            ask(&resolver).await.unwrap().first_class,
            AddressClass::Public,
            "one public address is enough"
        );
        tokio::time::advance(STALE_MAX).await;
        let turned = ask(&resolver).await.unwrap();
        assert_eq!((turned.addresses, turned.first_class), (vec![ip("127.0.0.1")], AddressClass::Public));
    }

    /// Never answers, and counts how many are waiting for it.
    fn hanging() -> (Arc<Resolver>, Arc<AtomicUsize>) {
        let asked = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&asked);
        let lookup: Lookup = Arc::new(move |_, _| {
            count.fetch_add(1, Ordering::SeqCst);
            Box::pin(std::future::pending())
        });
        (Arc::new(Resolver::with_lookup(lookup)), asked)
    }

    #[tokio::test(start_paused = true)]
    async fn a_resolver_that_hangs_holds_a_fixed_number_of_look_ups_and_callers_hold_their_own() {
        let (resolver, asked) = hanging();
        let flood = |trust: Trust| {
            for number in 0..1_000 {
                let resolver = Arc::clone(&resolver);
                let wait =
                    async move { resolver.resolve(trust, &format!("{number}.test"), 443).await.map(|_| ()) };
                tokio::spawn(timeout(TEN_SECONDS, wait));
            }
        };
        flood(Trust::Caller);
        tokio::time::sleep(TEN_SECONDS * 2).await;
        assert_eq!(asked.load(Ordering::SeqCst), CALLER_LOOKUPS_MAX);
        assert_eq!(resolver.callers.asking.load(Ordering::SeqCst), WAITING_MAX);
        assert_eq!(resolver.callers.lock().len(), WAITING_MAX);
        flood(Trust::Operator);
        tokio::time::sleep(TEN_SECONDS * 2).await;
        assert_eq!(asked.load(Ordering::SeqCst), CALLER_LOOKUPS_MAX + LOOKUPS_MAX);
    }

    #[tokio::test(start_paused = true)]
    async fn a_flood_of_callers_names_is_bounded_and_does_not_touch_the_operators() {
        let lookup: Lookup = Arc::new(|_, _| Box::pin(async { Ok(vec![IpAddr::from([8, 8, 8, 8])]) }));
        let resolver = Resolver::with_lookup(lookup);
        ask(&resolver).await.unwrap();
        for number in 0..NAMES_MAX + 100 {
            resolver.resolve(Trust::Caller, &format!("{number}.test"), 443).await.unwrap();
        }
        assert_eq!(resolver.callers.lock().len(), NAMES_MAX);
        assert_eq!(resolver.configured.lock().len(), 1);
    }
}
