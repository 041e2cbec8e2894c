//! One channel: where it is, and one try to tell it something.
//!
//! Owns: the calls, and what a refusal means. Leaves to others: when a call is made, and made again.
//!
//! **Invariant:** a refusal is one word of this crate's: nothing that a receiver wrote, and nothing of its address.

use crate::alert::Alert;
use crate::pace::Pace;
use crate::shape::{discord, json, mail, pagerduty, slack, teams};
use crate::signature;
use crate::smtp;
use bytes::Bytes;
use http::header::{ACCEPT, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, RETRY_AFTER, USER_AGENT};
use http::{Method, StatusCode, Uri};
use std::fmt;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tokio::time::Instant;
use tollgate_config::{AlertWay, Mail, Secret, is_mailbox};
use tollgate_upstream::{Client, Endpoint, Failure, Kind, Outgoing, SegmentBody, Shared, Timeouts, Trust};

/// Longest call.
const CALL_MAX: Duration = Duration::from_secs(10);
/// Bytes of a reply that are read; a longer one costs its connection.
const REPLY_MAX: usize = 64 << 10;
/// Longest wait that a receiver may ask for.
const RETRY_AFTER_MAX: Duration = Duration::from_secs(300);
/// Most recipients of one mail.
const RECIPIENTS_MAX: usize = 50;
/// What identifies an alert to a webhook; the same at every try.
const DELIVERY: HeaderName = HeaderName::from_static("x-tollgate-delivery");

/// Why a channel was not told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Refusal {
    /// In a word, for the log.
    pub(crate) reason: &'static str,
    /// Wait at least so long before it is tried again.
    pub(crate) after: Duration,
    end: End,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    /// Another try may do.
    Again,
    /// The same, and the connection is of no more use.
    Broken,
    /// No other try will do.
    ForGood,
}

impl Refusal {
    pub(crate) const fn again(reason: &'static str) -> Self {
        Self { reason, after: Duration::ZERO, end: End::Again }
    }

    pub(crate) const fn broken(reason: &'static str) -> Self {
        Self { reason, after: Duration::ZERO, end: End::Broken }
    }

    pub(crate) const fn for_good(reason: &'static str) -> Self {
        Self { reason, after: Duration::ZERO, end: End::ForGood }
    }

    /// Not to be tried again before so long.
    pub(crate) fn after(self, wait: Option<Duration>) -> Self {
        Self { after: wait.unwrap_or_default(), ..self }
    }

    /// What a failure below HTTP means.
    pub(crate) fn of(failure: &Failure) -> Self {
        match failure.kind {
            Kind::Blocked => Self::for_good(failure.kind.word()),
            _ => Self::broken(failure.kind.word()),
        }
    }

    pub(crate) fn is_for_good(self) -> bool {
        self.end == End::ForGood
    }

    pub(crate) fn is_broken(self) -> bool {
        self.end == End::Broken
    }
}

/// An address that is called.
struct Hook {
    endpoint: Endpoint,
    target: Uri,
}

impl Hook {
    fn new(url: &str) -> Option<Self> {
        let endpoint = Endpoint::parse(url, Trust::Operator).ok()?;
        // The address as it was written: a slash at its end means something to some.
        let path = url.trim().split(['?', '#']).next().unwrap_or_default();
        let target = endpoint.target(if path.ends_with('/') { "/" } else { "" }).ok()?;
        Some(Self { endpoint, target })
    }
}

enum Way {
    Slack(Hook),
    MsTeams(Hook),
    Discord(Hook),
    Webhook(Hook, Option<Secret>),
    PagerDuty(Hook, Secret),
    Email(Box<Mail>),
}

/// Who is told.
pub(crate) struct Channel {
    way: Way,
    word: &'static str,
}

impl fmt::Debug for Channel {
    /// The word alone: an address is a secret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Channel").field("word", &self.word).finish_non_exhaustive()
    }
}

impl Channel {
    /// The channel of a setting; `None` where its address is none.
    pub(crate) fn new(way: &AlertWay) -> Option<Self> {
        let hook = |url: &Secret| Hook::new(url.expose());
        let word = way.word();
        let way = match way {
            AlertWay::Slack { url } => Way::Slack(hook(url)?),
            AlertWay::MsTeams { url } => Way::MsTeams(hook(url)?),
            // At `/slack` Discord wants Slack's shape (LiteLLM's way to reach it); its own is at the address without.
            AlertWay::Discord { url } => {
                let url = url.expose().trim_end_matches('/');
                Way::Discord(Hook::new(url.strip_suffix("/slack").unwrap_or(url))?)
            }
            AlertWay::Webhook { url, secret } => Way::Webhook(hook(url)?, secret.clone()),
            AlertWay::PagerDuty { url, key } => Way::PagerDuty(hook(url)?, key.clone()),
            AlertWay::Email(mail) => Way::Email(mail.clone()),
        };
        Some(Self { way, word })
    }

    /// Its word in `general_settings.alerting`.
    pub(crate) fn word(&self) -> &'static str {
        self.word
    }

    /// How fast it may be told. Slack publishes a message a second, Discord thirty a minute, Teams four a second; a
    /// mailbox fills faster than people read, and machines take what comes.
    pub(crate) fn pace(&self) -> Pace {
        let pace = |burst, millis| Pace { burst, every: Duration::from_millis(millis) };
        match self.way {
            Way::Slack(_) | Way::MsTeams(_) => pace(10, 1_000),
            Way::Discord(_) => pace(5, 2_000),
            Way::Email(_) => pace(5, 60_000),
            Way::PagerDuty(..) => pace(20, 1_000),
            Way::Webhook(..) => pace(100, 50),
        }
    }

    /// Whether people read it, who are served by one message about many alerts; a machine wants each.
    pub(crate) fn is_for_people(&self) -> bool {
        !matches!(self.way, Way::Webhook(..) | Way::PagerDuty(..))
    }

    /// Most alerts that wait for it. For people the rest is counted, for machines the oldest are dropped.
    pub(crate) fn waiting_max(&self) -> usize {
        match self.way {
            Way::Webhook(..) => 10_000,
            Way::PagerDuty(..) => 1_000,
            _ => 100,
        }
    }

    /// Tells it once. `id` is the same at every try.
    ///
    /// # Errors
    /// [`Refusal`].
    pub(crate) async fn tell(&self, call: &Call<'_>, alert: &Alert, id: &str) -> Result<(), Refusal> {
        match &self.way {
            Way::Slack(hook) => call.post(hook, slack::body(alert).to_string(), &[]).await.map(drop),
            Way::MsTeams(hook) => {
                let reply = call.post(hook, teams::body(alert).to_string(), &[]).await?;
                // A connector answers 200 and says in its body that it passed nothing on.
                let throttled = b"HTTP error 429";
                match reply.windows(throttled.len()).any(|part| part == throttled) {
                    true => Err(Refusal::again("rate_limited")),
                    false => Ok(()),
                }
            }
            Way::Discord(hook) => call.post(hook, discord::body(alert).to_string(), &[]).await.map(drop),
            Way::Webhook(hook, secret) => {
                let body = json::body(alert);
                let signed =
                    secret.as_ref().map(|it| signature::value(it.expose(), call.seconds, body.as_bytes()));
                let mut headers = vec![(DELIVERY, id.to_owned())];
                headers.extend(signed.map(|value| (HeaderName::from_static(signature::HEADER), value)));
                call.post(hook, body, &headers).await.map(drop)
            }
            Way::PagerDuty(hook, key) => {
                for event in pagerduty::bodies(alert, key.expose()) {
                    call.post(hook, event, &[]).await?;
                }
                Ok(())
            }
            Way::Email(mail) => call.mail(mail, alert, id).await,
        }
    }
}

/// What one try is made with.
pub(crate) struct Call<'a> {
    pub(crate) client: &'a Client,
    pub(crate) shared: &'a Arc<Shared>,
    /// Seconds since 1970.
    pub(crate) seconds: i64,
}

impl Call<'_> {
    /// Posts JSON; gives the reply's beginning.
    async fn post(
        &self,
        hook: &Hook,
        body: String,
        more: &[(HeaderName, String)],
    ) -> Result<Vec<u8>, Refusal> {
        let mut headers = HeaderMap::new();
        headers.insert(ACCEPT, HeaderValue::from_static("*/*"));
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        headers.insert(USER_AGENT, HeaderValue::from_static(concat!("tollgate/", env!("CARGO_PKG_VERSION"))));
        for (name, value) in more {
            if let Ok(value) = HeaderValue::from_str(value) {
                headers.insert(name.clone(), value);
            }
        }
        let by = Instant::now() + CALL_MAX;
        let outgoing = Outgoing {
            method: Method::POST,
            target: hook.target.clone(),
            headers,
            body: SegmentBody::from(Bytes::from(body)),
            timeouts: Timeouts { connect: CALL_MAX, head_by: by, idle: CALL_MAX, whole_by: by },
        };
        let mut reply = self.client.send(&hook.endpoint, outgoing).await.map_err(|it| Refusal::of(&it))?;
        if !reply.status.is_success() {
            let after = reply.headers.get(RETRY_AFTER).and_then(|value| value.to_str().ok());
            return Err(of_status(reply.status, after.and_then(|text| wait_of(text, self.seconds))));
        }
        let mut read = Vec::new();
        // Read to its end, so that the connection serves the next one. The alert is delivered, whatever the end is.
        while let Some(Ok(piece)) = reply.body.next().await {
            read.extend_from_slice(&piece);
            if read.len() > REPLY_MAX {
                break;
            }
        }
        Ok(read)
    }

    async fn mail(&self, mail: &Mail, alert: &Alert, id: &str) -> Result<(), Refusal> {
        let mut to: Vec<&str> = Vec::new();
        for recipient in mail.to.iter().chain(&alert.recipients) {
            // Those that an alert names come from an API, not from the operator's file.
            if is_mailbox(recipient) && !to.contains(&recipient.as_str()) && to.len() < RECIPIENTS_MAX {
                to.push(recipient);
            }
        }
        if to.is_empty() {
            return Ok(());
        }
        smtp::hand_in(self.shared, mail, &to, &mail::message(alert, &mail.sender, &to, id)).await
    }
}

/// What a status means that is no success.
fn of_status(status: StatusCode, after: Option<Duration>) -> Refusal {
    let refusal = match status.as_u16() {
        429 => Refusal::again("rate_limited"),
        408 | 425 => Refusal::again("refused for now"),
        500.. => Refusal::again("server_error"),
        _ => Refusal::for_good("refused"),
    };
    refusal.after(after)
}

/// The wait that a `Retry-After` asks for: seconds (Discord has fractions), or a date (RFC 9110, 10.2.3).
fn wait_of(text: &str, now_seconds: i64) -> Option<Duration> {
    let text = text.trim();
    let wait = match text.parse::<f64>() {
        Ok(seconds) => Duration::try_from_secs_f64(seconds).ok()?,
        Err(_) => {
            let now = UNIX_EPOCH + Duration::from_secs(u64::try_from(now_seconds).ok()?);
            httpdate::parse_http_date(text).ok()?.duration_since(SystemTime::max(now, UNIX_EPOCH)).ok()?
        }
    };
    Some(wait.min(RETRY_AFTER_MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_says_whether_another_try_may_do() {
        let check = |status: u16, expect: bool| {
            assert_eq!(
                !of_status(StatusCode::from_u16(status).unwrap(), None).is_for_good(),
                expect,
                "{status}"
            );
        };
        for status in [408, 425, 429, 500, 502, 503, 504, 529] {
            check(status, true);
        }
        for status in [301, 302, 307, 400, 401, 403, 404, 410, 413, 422] {
            check(status, false);
        }
    }

    #[test]
    fn a_wait_is_seconds_or_a_date_and_never_endless() {
        let check = |text: &str, expect: Option<u64>| {
            assert_eq!(wait_of(text, 784_111_777).map(|wait| wait.as_millis() as u64), expect, "{text}");
        };
        check("2", Some(2_000));
        check("0.25", Some(250));
        check("Sun, 06 Nov 1994 08:49:47 GMT", Some(10_000));
        check("Sun, 06 Nov 1994 08:49:07 GMT", None);
        check("99999999", Some(300_000));
        check("-1", None);
        check("NaN", None);
        check("soon", None);
    }

    #[test]
    fn an_address_is_called_as_it_was_written() {
        for (url, expect) in [
            ("https://hooks.example/services/T0/B0/x", "/services/T0/B0/x"),
            ("https://hooks.example/alert/?key=1", "/alert/?key=1"),
            ("https://hooks.example/alert?key=1", "/alert?key=1"),
            ("https://hooks.example", "/"),
        ] {
            assert_eq!(Hook::new(url).unwrap().target.to_string(), expect);
        }
    }

    #[test]
    fn discords_own_shape_goes_to_discords_own_address() {
        for url in ["https://discord.test/api/webhooks/1/x", "https://discord.test/api/webhooks/1/x/slack"] {
            let channel = Channel::new(&AlertWay::Discord { url: Secret::new(url) }).unwrap();
            let Way::Discord(hook) = channel.way else { panic!("no Discord") };
            assert_eq!(hook.target.to_string(), "/api/webhooks/1/x");
        }
    }

    #[test]
    fn what_is_printed_of_a_channel_has_no_secret() {
        let url = Secret::new("https://hooks.example/alert?key=s3cr3t");
        let channel = Channel::new(&AlertWay::PagerDuty { url, key: Secret::new("r0ut1ng") }).unwrap();
        assert_eq!(format!("{channel:?}"), "Channel { word: \"pagerduty\", .. }");
    }
}
