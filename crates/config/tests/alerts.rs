//! Who is told of alerts, as files and environments say it.

use std::time::Duration;
use tollgate_catalog::PicoDollars;
use tollgate_config::{AlertType, AlertTypes, AlertWay, Config, MailTls, UserSpendSettings, is_mailbox};
use tollgate_policy::anomaly::AverageRule;
use tollgate_policy::period::Cadence;

const GROUPS: &str = "model_list:\n- model_name: a\n  litellm_params: {model: openai/a, api_key: k}\n";

/// Every variable that a channel may want.
const VARIABLES: &[(&str, &str)] = &[
    ("SLACK_WEBHOOK_URL", "https://hooks.slack.test/T0/secret"),
    ("MS_TEAMS_WEBHOOK_URL", "https://teams.test/secret"),
    ("DISCORD_WEBHOOK_URL", "https://discord.test/secret"),
    ("WEBHOOK_URL", "https://hook.test/secret"),
    ("WEBHOOK_SECRET", "signing secret"),
    ("PAGERDUTY_API_KEY", "routing secret"),
    ("SMTP_HOST", "mail.test"),
    ("SMTP_USERNAME", "robot"),
    ("SMTP_PASSWORD", "mail secret"),
    ("SMTP_SENDER_EMAIL", "tollgate@example.com"),
];

/// What a file says, below a group, with these variables.
fn load(settings: &str, variables: &[(&str, &str)]) -> (Option<Config>, Vec<String>) {
    let lookup =
        |name: &str| variables.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned());
    let loaded = Config::from_yaml_text(&format!("{GROUPS}{settings}\n"), &lookup);
    let lines = loaded.report.to_string().lines().map(str::to_owned).collect();
    (loaded.config, lines)
}

#[cfg(test)]
fn config(settings: &str) -> Config {
    let (config, lines) = load(settings, VARIABLES);
    assert_eq!(lines, [] as [&str; 0], "{settings}");
    config.unwrap()
}

/// The word and the address, where it has one, of every channel.
fn told(config: &Config) -> Vec<(&str, &str)> {
    let channels = config.general.alerts.channels.iter();
    channels
        .map(|channel| {
            let url = match &channel.way {
                AlertWay::Slack { url }
                | AlertWay::MsTeams { url }
                | AlertWay::Discord { url }
                | AlertWay::PagerDuty { url, .. }
                | AlertWay::Webhook { url, .. } => url.expose(),
                AlertWay::Email(mail) => &mail.host,
            };
            (channel.way.word(), url)
        })
        .collect()
}

#[test]
fn every_channel_has_its_word_and_its_variables() {
    let all = "general_settings: {alerting: [slack, ms_teams, discord, webhook, email, pagerduty]}
tollgate_settings: {alerts: {email_to: [ops@example.com, \"boss@example.com\"]}}";
    let config = config(all);
    assert_eq!(
        told(&config),
        [
            ("slack", "https://hooks.slack.test/T0/secret"),
            ("ms_teams", "https://teams.test/secret"),
            ("discord", "https://discord.test/secret"),
            ("webhook", "https://hook.test/secret"),
            ("email", "mail.test"),
            ("pagerduty", "https://events.pagerduty.com/v2/enqueue"),
        ]
    );
    for channel in &config.general.alerts.channels {
        let expect = match &channel.way {
            AlertWay::Email(mail) => {
                assert_eq!(
                    (mail.port, mail.tls, mail.sender.as_str()),
                    (587, MailTls::Starttls, "tollgate@example.com")
                );
                assert_eq!(
                    mail.login.as_ref().map(|(name, word)| (name.as_str(), word.expose())),
                    Some(("robot", "mail secret"))
                );
                assert_eq!(mail.to, ["ops@example.com", "boss@example.com"]);
                AlertTypes::MONEY
            }
            AlertWay::Webhook { secret, .. } => {
                assert_eq!(secret.as_ref().map(|secret| secret.expose()), Some("signing secret"));
                AlertTypes::DEFAULT
            }
            _ => AlertTypes::DEFAULT,
        };
        assert_eq!(channel.types, expect, "{channel:?}");
    }
    let printed = format!("{config:?}");
    assert!(
        !printed.contains("/secret") && !printed.contains("mail secret") && !printed.contains("routing s")
    );
    let secrets: Vec<&str> = config.secrets().iter().map(|secret| secret.expose()).collect();
    for secret in ["https://hook.test/secret", "signing secret", "routing secret", "mail secret"] {
        assert!(secrets.contains(&secret), "{secret}");
    }
}

#[test]
fn alerts_go_to_every_address_that_is_written_once() {
    let config = config(
        "general_settings: {alerting: [slack, slack]}
router_settings: {alerting_config: {webhook_url: 'https://hooks.slack.test/T0/secret'}}
tollgate_settings: {alerts: {webhook_url: 'https://ops.test/secret', webhook_secret: of-the-file, pagerduty_url: 'https://eu.test/'}}",
    );
    assert_eq!(
        told(&config),
        [("webhook", "https://ops.test/secret"), ("slack", "https://hooks.slack.test/T0/secret")]
    );
    let AlertWay::Webhook { secret, .. } = &config.general.alerts.channels[0].way else {
        panic!("no webhook")
    };
    assert_eq!(secret.as_ref().map(|secret| secret.expose()), Some("of-the-file"));
}

#[test]
fn types_may_have_addresses_of_their_own() {
    let settings = "general_settings:
  alerting: [slack]
  alert_types: [budget_alerts, outage_alerts, daily_reports]
  alert_to_webhook_url:
    budget_alerts: https://one.test/
    outage_alerts: [https://one.test/, https://two.test/]
    llm_too_slow: https://three.test/";
    let config = config(settings);
    let of = AlertTypes::of;
    let seen: Vec<_> = told(&config).into_iter().map(|(_, url)| url).collect();
    assert_eq!(
        seen,
        [
            "https://one.test/",
            "https://two.test/",
            "https://three.test/",
            "https://hooks.slack.test/T0/secret"
        ]
    );
    let types: Vec<AlertTypes> = config.general.alerts.channels.iter().map(|channel| channel.types).collect();
    assert_eq!(
        types,
        [
            of(&[AlertType::BudgetAlerts, AlertType::OutageAlerts]),
            of(&[AlertType::OutageAlerts]),
            AlertTypes::NONE,
            of(&[AlertType::DailyReports])
        ]
    );
}

#[test]
fn what_is_chosen_is_told_everywhere_and_how_long_it_is_quiet() {
    let config = config(
        "general_settings: {alerting: [email, webhook], alert_types: [new_team_created], \
         alerting_args: {budget_alert_ttl: 10, outage_alert_ttl: 5}}\n\
         tollgate_settings: {alerts: {email_to: []}}",
    );
    let alerts = &config.general.alerts;
    assert!(alerts.channels.iter().all(|it| it.types == AlertTypes::of(&[AlertType::NewTeamCreated])));
    assert_eq!((alerts.budget_ttl, alerts.outage_ttl), (Duration::from_secs(10), Duration::from_secs(5)));
}

#[test]
fn what_of_users_spend_and_how_often_reports_are_told() {
    let dollars = |text: &str| Some(PicoDollars::parse_dollars(text).unwrap());
    let check = |settings: &str, expect: UserSpendSettings, every: Cadence| {
        let config = config(&format!("general_settings: {{alerting: [webhook]{settings}}}"));
        assert_eq!((config.general.alerts.users, config.general.alerts.report_every), (expect, every));
        assert!(config.general.alerts.tracks_end_users);
    };
    let none = UserSpendSettings::default();
    let rule = AverageRule::default();
    check("", none, Cadence::Days(7));
    check(
        ", spend_report_frequency: 1d, alerting_args: {daily_spend_per_user_threshold: 50, \
         monthly_spend_per_user_threshold: 0.5, user_spend_check_interval: 60}",
        UserSpendSettings {
            daily: dollars("50"),
            monthly: dollars("0.5"),
            every: Duration::from_secs(60),
            ..none
        },
        Cadence::Days(1),
    );
    // LiteLLM's rule acts where its type or one of its numbers is written.
    check(
        ", alert_types: [user_spend_anomalies]",
        UserSpendSettings { anomaly: Some(rule), ..none },
        Cadence::Days(7),
    );
    let own = AverageRule { factor_millionths: 2_500_000, days: 90, ..rule };
    check(
        ", spend_report_frequency: 2w, alerting_args: {spend_anomaly_multiplier: 2.5, \
         spend_anomaly_baseline_days: 400}",
        UserSpendSettings { anomaly: Some(own), ..none },
        Cadence::Weeks(2),
    );
    for wrong in [
        "alerting_args: {daily_spend_per_user_threshold: 0}",
        "alerting_args: {spend_anomaly_multiplier: 1}",
        "alerting_args: {spend_anomaly_baseline_days: 0}",
        "alerting_args: {user_spend_check_interval: 10}",
        "spend_report_frequency: 36h",
        "spend_report_frequency: 1mo",
    ] {
        let (config, lines) = load(&format!("general_settings: {{{wrong}}}"), VARIABLES);
        assert!(config.is_none() && lines.len() == 1, "{wrong}: {lines:?}");
    }
}

#[test]
fn tls_of_mail_is_as_litellm_has_it() {
    let check = |more: &[(&str, &str)], port: u16, tls: MailTls| {
        let variables = [VARIABLES, more].concat();
        let settings =
            "general_settings: {alerting: [email]}\ntollgate_settings: {alerts: {email_to: [a@b.c]}}";
        let (config, lines) = load(settings, &variables);
        assert_eq!(lines, [] as [&str; 0]);
        let config = config.unwrap();
        let AlertWay::Email(mail) = &config.general.alerts.channels[0].way else { panic!("no mail") };
        assert_eq!((mail.port, mail.tls), (port, tls), "{more:?}");
    };
    check(&[], 587, MailTls::Starttls);
    check(&[("SMTP_PORT", "465")], 465, MailTls::Implicit);
    check(&[("SMTP_PORT", "2525"), ("SMTP_USE_SSL", "True")], 2525, MailTls::Implicit);
    check(&[("SMTP_PORT", "25"), ("SMTP_TLS", "False")], 25, MailTls::None);
    check(&[("SMTP_TLS", "True")], 587, MailTls::Starttls);
}

#[test]
fn what_is_missing_or_wrong_is_named_and_never_shown() {
    let check = |settings: &str, variables: &[(&str, &str)], expect: &[&str]| {
        let (_, lines) = load(settings, variables);
        assert_eq!(lines, expect, "{settings}");
        assert!(!lines.iter().any(|line| line.contains("secret")), "{lines:?}");
    };
    check(
        "general_settings:\n  alerting:\n  - slak\n  - https://hooks.slack.test/secret\n  - webhook\n",
        &[("WEBHOOK_URL", "nonsense secret")],
        &[
            "config.yaml:6: warning: general_settings.alerting: unknown value `slak`; slack, ms_teams, discord, webhook, email, pagerduty are known (nearest: slack)",
            "config.yaml:7: warning: general_settings.alerting: unknown value; slack, ms_teams, discord, webhook, email, pagerduty are known",
            "config.yaml:8: error: general_settings.alerting: the variable WEBHOOK_URL is no http(s) address",
        ],
    );
    check(
        "general_settings: {alerting: [slack, ms_teams, discord, webhook, pagerduty, email]}",
        &[],
        &[
            "config.yaml:4: warning: general_settings.alerting: SLACK_WEBHOOK_URL is not set: slack is told nothing",
            "config.yaml:4: warning: general_settings.alerting: MS_TEAMS_WEBHOOK_URL is not set: ms_teams is told nothing",
            "config.yaml:4: warning: general_settings.alerting: DISCORD_WEBHOOK_URL is not set: discord is told nothing",
            "config.yaml:4: warning: general_settings.alerting: WEBHOOK_URL is not set: webhook is told nothing",
            "config.yaml:4: warning: general_settings.alerting: PAGERDUTY_API_KEY is not set: pagerduty is told nothing",
            "config.yaml:4: warning: general_settings.alerting: SMTP_HOST is not set: email is told nothing",
        ],
    );
    let email =
        "general_settings: {alerting: [email]}\ntollgate_settings: {alerts: {email_to: [ops@example.com]}}";
    let with = |name: &'static str, value: &'static str| {
        let others = VARIABLES.iter().copied().filter(|(known, _)| *known != name);
        others.chain([(name, value)]).collect::<Vec<_>>()
    };
    for (name, value, expect) in [
        ("SMTP_PORT", "0", "error: general_settings.alerting: the variable SMTP_PORT is no port"),
        ("SMTP_PORT", "mail", "error: general_settings.alerting: the variable SMTP_PORT is no port"),
        (
            "SMTP_HOST",
            "mail test",
            "error: general_settings.alerting: the variable SMTP_HOST is no name of a host",
        ),
        (
            "SMTP_SENDER_EMAIL",
            "a@b.c>\r\nDATA",
            "error: general_settings.alerting: the variable SMTP_SENDER_EMAIL is no e-mail address",
        ),
        (
            "SMTP_SENDER_EMAIL",
            "",
            "warning: general_settings.alerting: SMTP_SENDER_EMAIL is not set: email is told nothing",
        ),
    ] {
        check(email, &with(name, value), &[&format!("config.yaml:4: {expect}")]);
    }
    check(
        "general_settings: {alerting: [email]}",
        VARIABLES,
        &["config.yaml:4: note: tollgate_settings.alerts.email_to: without it nobody is mailed"],
    );
    check(
        "general_settings: {alerting: [email]}\ntollgate_settings: {alerts: {email_to: [nobody]}}",
        VARIABLES,
        &["config.yaml:5: error: tollgate_settings.alerts.email_to: wants e-mail addresses"],
    );
    check(
        "general_settings: {alert_types: [budget_alert], alerting: [webhook]}",
        VARIABLES,
        &[
            "config.yaml:4: warning: general_settings.alert_types: unknown type of alert `budget_alert` (nearest: budget_alerts)",
        ],
    );
    check(
        "general_settings:\n  alerting: [slack]\n  alert_to_webhook_url: {budget_alerts: not an address}",
        VARIABLES,
        &[
            "config.yaml:6: error: general_settings.alert_to_webhook_url.budget_alerts: wants http(s) address or list of http(s) address, found a text",
        ],
    );
    check(
        "tollgate_settings: {alerts: {webhook_url: 'ops.test/hidden'}}",
        VARIABLES,
        &[
            "config.yaml:4: error: tollgate_settings.alerts.webhook_url: wants an http(s) address: it must begin with http:// or https://",
        ],
    );
}

#[test]
fn the_neutral_variable_stands_in_for_slacks() {
    let (config, lines) =
        load("general_settings: {alerting: [slack]}", &[("ALERTING_WEBHOOK_URL", "https://chat.test/hook")]);
    assert_eq!(lines, [] as [&str; 0]);
    assert_eq!(told(&config.unwrap()), [("slack", "https://chat.test/hook")]);
}

#[test]
fn an_address_that_could_say_more_than_an_address_is_none() {
    let check = |text: &str, expect: bool| assert_eq!(is_mailbox(text), expect, "{text:?}");
    check("a@b.c", true);
    check("first.last+tag@mail.example.com", true);
    check("a@localhost", true);
    check("a@[127.0.0.1]", true);
    check("a", false);
    check("@b.c", false);
    check("a@", false);
    check("a@b@c", false);
    check("a b@c.d", false);
    check("a@b.c>", false);
    check("a@b.c\r\nRCPT TO:<x@y.z>", false);
    check("\"a\"@b.c", false);
    check("a@b.c,d@e.f", false);
    check("\u{fc}@b.c", false);
    check(&format!("{}@b.c", "a".repeat(65)), false);
}
