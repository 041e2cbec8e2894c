//! Who is told of alerts, and of which.
//!
//! Owns: the channels, wherever they are written, with their addresses and keys from the environment. Leaves to others:
//! what is worth an alert, and telling it.
//!
//! **Invariant:** an address is a secret: whoever has a webhook's address can write to it.

use std::time::Duration;

use tollgate_catalog::PicoDollars;
use tollgate_policy::anomaly::AverageRule;
use tollgate_policy::period::Cadence;

use crate::alert_type::{AlertType, AlertTypes};
use crate::budgets::dollars;
use crate::environment::Environment;
use crate::keys::router::ALERTING;
use crate::keys::{alerts as keys, general, nearest, router, tollgate};
use crate::report::{Collector, Message, printable};
use crate::secret::Secret;
use crate::section::{Section, items_of};
use crate::span::cadence;
use crate::yaml::{Node, Place};

/// How long the same is not said again about money (`budget_alert_ttl`), where nothing else is written.
const BUDGET_TTL: Duration = Duration::from_secs(24 * 60 * 60);
/// The same about deployments and groups (`outage_alert_ttl`).
const OUTAGE_TTL: Duration = Duration::from_secs(60);
/// How often the spend of teams and tags is told, as in LiteLLM.
const REPORT_EVERY: Cadence = Cadence::Days(7);
/// How often users' spend is looked at.
const USERS_EVERY: Duration = Duration::from_secs(300);
/// And at most so often: each look reads the sums of the month.
const USERS_EVERY_MIN: Duration = Duration::from_secs(60);
/// Days that an average is taken of at most.
const BASELINE_DAYS_MAX: u32 = 90;
/// Where PagerDuty takes events (its Events API v2).
const PAGERDUTY_URL: &str = "https://events.pagerduty.com/v2/enqueue";
/// Where mail is handed in (RFC 6409), as LiteLLM has it.
const SMTP_PORT: u16 = 587;
/// Where TLS comes before the first line (RFC 8314).
const SMTPS_PORT: u16 = 465;

/// All about alerts.
#[derive(Clone, Debug, PartialEq)]
pub struct Alerting {
    /// Who is told.
    pub channels: Vec<AlertChannel>,
    /// How long the same is not said again about money.
    pub budget_ttl: Duration,
    /// How long the same is not said again about a deployment or a group.
    pub outage_ttl: Duration,
    /// What of users' spend is told.
    pub users: UserSpendSettings,
    /// How often the spend of teams and tags is told, beside that of each month: some days.
    pub report_every: Cadence,
    /// Every request of an end user's is told with what it cost: LiteLLM's `webhook` is among the channels.
    pub tracks_end_users: bool,
}

impl Default for Alerting {
    fn default() -> Self {
        Self {
            channels: Vec::new(),
            budget_ttl: BUDGET_TTL,
            outage_ttl: OUTAGE_TTL,
            users: UserSpendSettings::default(),
            report_every: REPORT_EVERY,
            tracks_end_users: false,
        }
    }
}

/// What of users' spend is told: LiteLLM's rules.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UserSpendSettings {
    /// What a user spends in a day.
    pub daily: Option<PicoDollars>,
    /// What a user spends in a month of the calendar.
    pub monthly: Option<PicoDollars>,
    /// A day far above the average; where it is wanted.
    pub anomaly: Option<AverageRule>,
    /// How often it is looked.
    pub every: Duration,
}

impl Default for UserSpendSettings {
    fn default() -> Self {
        Self { daily: None, monthly: None, anomaly: None, every: USERS_EVERY }
    }
}

impl UserSpendSettings {
    fn read(args: &Section<'_>, is_chosen: bool, found: &mut Collector) -> Self {
        let default = AverageRule::default();
        let floor = amount(args, "spend_anomaly_min_spend", found);
        let factor = args.number("spend_anomaly_multiplier").filter(|factor| factor.is_finite());
        let days = args.count32("spend_anomaly_baseline_days");
        if let (Some(place), Some(false)) =
            (args.place("spend_anomaly_multiplier"), factor.map(|factor| factor > 1.0))
        {
            let path = args.path_of("spend_anomaly_multiplier");
            found.error(place, &path, "wants a number above 1: a day like any other is no anomaly");
        }
        let rule = AverageRule {
            // What was too large is as good as the largest.
            factor_millionths: factor
                .map_or(default.factor_millionths, |factor| (factor * 1e6).round() as u64),
            floor: floor.unwrap_or(default.floor),
            days: days.unwrap_or(default.days).clamp(1, BASELINE_DAYS_MAX),
        };
        let is_written = floor.is_some() || factor.is_some() || days.is_some();
        let every = args.seconds("user_spend_check_interval").unwrap_or(USERS_EVERY);
        if let Some(place) = args.place("user_spend_check_interval").filter(|_| every < USERS_EVERY_MIN) {
            let path = args.path_of("user_spend_check_interval");
            found.error(place, &path, "wants 60 seconds at least");
        }
        let daily = amount(args, "daily_spend_per_user_threshold", found);
        let monthly = amount(args, "monthly_spend_per_user_threshold", found);
        Self { daily, monthly, anomaly: (is_written || is_chosen).then_some(rule), every }
    }
}

/// An amount above nothing.
fn amount(args: &Section<'_>, name: &'static str, found: &mut Collector) -> Option<PicoDollars> {
    let node = args.node(name)?;
    let amount = dollars(node, &args.path_of(name), found)?;
    if amount == PicoDollars::ZERO {
        found.error(node.place, &args.path_of(name), "wants an amount above 0");
    }
    Some(amount)
}

/// How often there are reports; months would be there twice.
fn report_every(general: &Section<'_>, found: &mut Collector) -> Cadence {
    let Some(node) = general.node("spend_report_frequency") else { return REPORT_EVERY };
    match node.text().and_then(cadence) {
        Some(every @ (Cadence::Days(_) | Cadence::Weeks(_))) => every,
        Some(Cadence::Hours(24)) => Cadence::Days(1),
        _ => {
            let path = general.path_of("spend_report_frequency");
            found.error(node.place, &path, "wants whole days, such as 1d or 7d");
            REPORT_EVERY
        }
    }
}

impl Alerting {
    /// Every address, key and password of the channels.
    pub fn secrets(&self) -> Vec<&Secret> {
        self.channels.iter().flat_map(|channel| channel.way.secrets()).collect()
    }
}

/// One who is told.
#[derive(Clone, Debug, PartialEq)]
pub struct AlertChannel {
    /// How.
    pub way: AlertWay,
    /// Of what.
    pub types: AlertTypes,
}

/// How somebody is told.
#[derive(Clone, Debug, PartialEq)]
pub enum AlertWay {
    /// A message in Slack's shape, at an incoming webhook of Slack or of what takes the same.
    Slack {
        /// An http(s) address.
        url: Secret,
    },
    /// An Adaptive Card at a workflow of Microsoft Teams.
    MsTeams {
        /// An http(s) address.
        url: Secret,
    },
    /// An embed at a webhook of Discord.
    Discord {
        /// An http(s) address.
        url: Secret,
    },
    /// JSON that says what happened, in LiteLLM's names.
    Webhook {
        /// An http(s) address.
        url: Secret,
        /// What it is signed with.
        secret: Option<Secret>,
    },
    /// An event of PagerDuty's Events API v2.
    PagerDuty {
        /// An http(s) address.
        url: Secret,
        /// The integration's routing key.
        key: Secret,
    },
    /// A mail.
    Email(Box<Mail>),
}

impl AlertWay {
    /// Its word in `general_settings.alerting`.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Slack { .. } => "slack",
            Self::MsTeams { .. } => "ms_teams",
            Self::Discord { .. } => "discord",
            Self::Webhook { .. } => "webhook",
            Self::PagerDuty { .. } => "pagerduty",
            Self::Email(_) => "email",
        }
    }

    fn secrets(&self) -> Vec<&Secret> {
        match self {
            Self::Slack { url } | Self::MsTeams { url } | Self::Discord { url } => vec![url],
            Self::Webhook { url, secret } => std::iter::once(url).chain(secret).collect(),
            // The address of PagerDuty is public.
            Self::PagerDuty { key, .. } => vec![key],
            Self::Email(mail) => mail.login.iter().map(|(_, password)| password).collect(),
        }
    }
}

/// How mail is handed in.
#[derive(Clone, Debug, PartialEq)]
pub struct Mail {
    /// The server's name or address.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// When TLS begins.
    pub tls: MailTls,
    /// Name and password, where the server wants them.
    pub login: Option<(String, Secret)>,
    /// Whom the mail is from.
    pub sender: String,
    /// Who gets every alert.
    pub to: Vec<String>,
}

/// When TLS begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MailTls {
    /// Before the first line.
    Implicit,
    /// After STARTTLS; without it nothing is sent.
    Starttls,
    /// Never.
    None,
}

/// The words of `alerting`, as they are named when one is unknown.
const WORDS: [&str; 6] = ["slack", "ms_teams", "discord", "webhook", "email", "pagerduty"];

/// Reads all about alerts.
pub(crate) fn resolve(root: &Node, environment: &Environment<'_>, found: &mut Collector) -> Alerting {
    let general = Section::new(root.get("general_settings"), general::TABLE, "general_settings");
    let tollgate = Section::new(root.get("tollgate_settings"), tollgate::TABLE, "tollgate_settings");
    let args = general.section("alerting_args", keys::ARGS);
    let mut reading = Reading {
        own: tollgate.section("alerts", keys::OWN),
        types: types(&general, found),
        general,
        environment,
        found,
        channels: Vec::new(),
    };
    reading.written(root);
    reading.named();
    let Reading { channels, types, found, general, .. } = reading;
    // Their type is told where nothing is chosen; LiteLLM's rule goes with the word itself.
    let is_chosen = types.is_some_and(|types| types.has(AlertType::UserSpendAnomalies));
    let tracks_end_users = general.items("alerting").iter().any(|item| item.text() == Some("webhook"));
    Alerting {
        channels,
        budget_ttl: args.seconds("budget_alert_ttl").unwrap_or(BUDGET_TTL),
        outage_ttl: args.seconds("outage_alert_ttl").unwrap_or(OUTAGE_TTL),
        users: UserSpendSettings::read(&args, is_chosen, found),
        report_every: report_every(&general, found),
        tracks_end_users,
    }
}

/// What `alert_types` names; `None` where it is not written.
fn types(general: &Section<'_>, found: &mut Collector) -> Option<AlertTypes> {
    general.node("alert_types")?;
    let mut types = AlertTypes::NONE;
    for item in general.items("alert_types") {
        let Some(word) = item.text() else { continue };
        types = types.with(type_of(word, item.place, &general.path_of("alert_types"), found));
    }
    Some(types)
}

/// The type of a word; none where it is unknown, which is said.
fn type_of(word: &str, place: Place, path: &str, found: &mut Collector) -> AlertTypes {
    let Some(of) = AlertType::of_word(word) else {
        let near = nearest(word, AlertType::all().map(AlertType::word));
        let message = format!("unknown type of alert `{}`", printable(word));
        found.warning(place, path, Message::with_nearest(message, near));
        return AlertTypes::NONE;
    };
    AlertTypes::of(&[of])
}

struct Reading<'a, 'r> {
    own: Section<'a>,
    general: Section<'a>,
    types: Option<AlertTypes>,
    environment: &'r Environment<'r>,
    found: &'r mut Collector,
    channels: Vec<AlertChannel>,
}

impl Reading<'_, '_> {
    /// The addresses that stand in the file.
    fn written(&mut self, root: &Node) {
        if let Some(url) = self.own.secret("webhook_url") {
            let secret = self.webhook_secret();
            self.add(AlertWay::Webhook { url, secret });
        }
        let of_router = |section: &str| {
            let section = Section::new(root.get(section), router::TABLE, section);
            section.section("alerting_config", ALERTING).secret("webhook_url")
        };
        if let Some(url) = of_router("router_settings").or_else(|| of_router("litellm_settings")) {
            self.add(AlertWay::Slack { url });
        }
    }

    /// The channels of `general_settings.alerting`.
    fn named(&mut self) {
        for item in self.general.items("alerting") {
            let Some(word) = item.text() else { continue };
            match word {
                "slack" => self.slack(item.place),
                "ms_teams" => {
                    if let Some(url) = self.url(&["MS_TEAMS_WEBHOOK_URL"], "ms_teams", item.place) {
                        self.add(AlertWay::MsTeams { url });
                    }
                }
                "discord" => {
                    if let Some(url) = self.url(&["DISCORD_WEBHOOK_URL"], "discord", item.place) {
                        self.add(AlertWay::Discord { url });
                    }
                }
                "webhook" => {
                    if let Some(url) = self.url(&["WEBHOOK_URL"], "webhook", item.place) {
                        let secret = self.webhook_secret();
                        self.add(AlertWay::Webhook { url, secret });
                    }
                }
                "pagerduty" => self.pagerduty(item.place),
                "email" => self.email(item.place),
                _ => self.unknown(word, item.place),
            }
        }
    }

    fn unknown(&mut self, word: &str, place: Place) {
        // What resembles none of the words may be an address, which is not shown.
        let near = nearest(word, WORDS.into_iter());
        let shown = near.map(|_| format!(" `{}`", printable(word))).unwrap_or_default();
        let message = format!("unknown value{shown}; {} are known", WORDS.join(", "));
        self.found.warning(place, &self.general.path_of("alerting"), Message::with_nearest(message, near));
    }

    /// Slack, at the addresses of single types and at its own for all others.
    fn slack(&mut self, place: Place) {
        let mut elsewhere = AlertTypes::NONE;
        let told = self.types.unwrap_or(AlertTypes::DEFAULT);
        let path = self.general.path_of("alert_to_webhook_url");
        for entry in self.general.entries("alert_to_webhook_url") {
            let of = type_of(&entry.key, entry.place, &path, self.found);
            let one = std::slice::from_ref(&entry.value);
            let urls = if entry.value.text().is_some() { one } else { items_of(&entry.value) };
            for url in urls.iter().filter_map(|url| url.text().map(Secret::new)) {
                elsewhere = elsewhere.with(of);
                let types = AlertTypes::NONE.with(of).without(AlertTypes::ALL.without(told));
                self.add_of(AlertWay::Slack { url }, types);
            }
        }
        // With every type that is told at an address of its own, the common one is not missed.
        let rest = told.without(elsewhere);
        if !rest.is_empty()
            && let Some(url) = self.url(&["SLACK_WEBHOOK_URL", "ALERTING_WEBHOOK_URL"], "slack", place)
        {
            self.add_of(AlertWay::Slack { url }, rest);
        }
    }

    fn pagerduty(&mut self, place: Place) {
        let Some(key) = self.environment.first_of(&["PAGERDUTY_API_KEY"]) else {
            return self.missing("PAGERDUTY_API_KEY", "pagerduty", place);
        };
        let url = self.own.secret("pagerduty_url").unwrap_or_else(|| Secret::new(PAGERDUTY_URL));
        self.add(AlertWay::PagerDuty { url, key: Secret::new(key.trim()) });
    }

    fn email(&mut self, place: Place) {
        let variable = |name: &str| self.environment.first_of(&[name]).map(|value| value.trim().to_owned());
        let Some(host) = variable("SMTP_HOST") else { return self.missing("SMTP_HOST", "email", place) };
        let Some(sender) = variable("SMTP_SENDER_EMAIL") else {
            return self.missing("SMTP_SENDER_EMAIL", "email", place);
        };
        let login = variable("SMTP_USERNAME").zip(variable("SMTP_PASSWORD").map(Secret::new));
        let is_set = |name: &str, word: &str| variable(name).is_some_and(|it| it.eq_ignore_ascii_case(word));
        let port = variable("SMTP_PORT").map_or(Ok(SMTP_PORT), |port| port.parse());
        let tls = match &port {
            _ if is_set("SMTP_USE_SSL", "true") => MailTls::Implicit,
            Ok(SMTPS_PORT) => MailTls::Implicit,
            _ if is_set("SMTP_TLS", "false") => MailTls::None,
            _ => MailTls::Starttls,
        };
        let path = self.general.path_of("alerting");
        let port = port.ok().filter(|port| *port != 0);
        let Some(port) = port else {
            return self.found.error(place, &path, "the variable SMTP_PORT is no port");
        };
        if !is_host(&host) {
            return self.found.error(place, &path, "the variable SMTP_HOST is no name of a host");
        }
        if !is_mailbox(&sender) {
            return self.found.error(place, &path, "the variable SMTP_SENDER_EMAIL is no e-mail address");
        }
        let to = self.recipients(place);
        let mail = Mail { host, port, tls, login, sender, to };
        self.add_of(AlertWay::Email(Box::new(mail)), self.types.unwrap_or(AlertTypes::MONEY));
    }

    /// Who gets every alert that is mailed.
    fn recipients(&mut self, place: Place) -> Vec<String> {
        let path = self.own.path_of("email_to");
        let mut to = Vec::new();
        for item in self.own.items("email_to") {
            match item.text().map(str::trim) {
                Some(address) if is_mailbox(address) => to.push(address.to_owned()),
                _ => self.found.error(item.place, &path, "wants e-mail addresses"),
            }
        }
        if self.own.node("email_to").is_none() {
            let message = "without it nobody is mailed";
            self.found.note(place, &path, message);
        }
        to
    }

    fn webhook_secret(&self) -> Option<Secret> {
        let variable = || self.environment.first_of(&["WEBHOOK_SECRET"]).map(Secret::new);
        self.own.secret("webhook_secret").or_else(variable)
    }

    /// The address in the first of the variables that is set.
    fn url(&mut self, variables: &[&str], word: &str, place: Place) -> Option<Secret> {
        let variable = variables.iter().find(|name| self.environment.first_of(&[name]).is_some());
        let Some(variable) = variable else {
            self.missing(variables.first().unwrap_or(&""), word, place);
            return None;
        };
        let url = self.environment.first_of(&[variable])?;
        if url.chars().any(char::is_control) || crate::address::why_not(&url).is_some() {
            let message = format!("the variable {variable} is no http(s) address");
            self.found.error(place, &self.general.path_of("alerting"), message);
            return None;
        }
        Some(Secret::new(url))
    }

    fn missing(&mut self, variable: &str, word: &str, place: Place) {
        let message = format!("{variable} is not set: {word} is told nothing");
        self.found.warning(place, &self.general.path_of("alerting"), message);
    }

    fn add(&mut self, way: AlertWay) {
        self.add_of(way, self.types.unwrap_or(AlertTypes::DEFAULT));
    }

    /// Adds a channel; one that is there already is told of more instead.
    fn add_of(&mut self, way: AlertWay, types: AlertTypes) {
        let url = |way: &AlertWay| match way {
            AlertWay::Slack { url }
            | AlertWay::MsTeams { url }
            | AlertWay::Discord { url }
            | AlertWay::Webhook { url, .. } => Some(url.clone()),
            AlertWay::PagerDuty { .. } | AlertWay::Email(_) => None,
        };
        let is_same = |known: &&mut AlertChannel| match url(&way) {
            Some(address) => url(&known.way) == Some(address),
            None => known.way == way,
        };
        match self.channels.iter_mut().find(is_same) {
            Some(known) => known.types = known.types.with(types),
            None => self.channels.push(AlertChannel { way, types }),
        }
    }
}

/// Whether a text can be the name or the address of a host.
fn is_host(text: &str) -> bool {
    let is_of_host =
        |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_' | b':' | b'[' | b']');
    !text.is_empty() && text.len() <= 253 && text.bytes().all(is_of_host)
}

/// Whether a text can stand between the angle brackets of SMTP (RFC 5321, 4.1.2) without meaning anything else there.
pub fn is_mailbox(text: &str) -> bool {
    let is_plain =
        |byte: u8| byte.is_ascii_graphic() && !matches!(byte, b'<' | b'>' | b',' | b';' | b'"' | b'\\');
    let parts = text.rsplit_once('@');
    let is_whole = parts.is_some_and(|(local, domain)| {
        (1..=64).contains(&local.len()) && !local.contains('@') && is_host(domain)
    });
    is_whole && text.len() <= 254 && text.bytes().all(is_plain)
}
