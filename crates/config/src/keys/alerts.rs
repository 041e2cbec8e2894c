//! Keys that say who is told of alerts, of what about users' spend, and how often.
//!
//! Owns: the tables of `tollgate_settings.alerts` and `general_settings.alerting_args`. Leaves to others: the variables
//! of the environment that channels have their addresses from ([`crate::alerts`]).
//!
//! **Invariant:** an address, a key and a secret of a channel is never written here but by way of a kind that hides it.

use super::{Key, Kind, TEXTS, Table, active, later};

/// `tollgate_settings.alerts`.
pub(crate) static OWN: Table = &[&[
    active("webhook_url", Kind::Url, "", "Where alerts are posted as JSON."),
    active(
        "webhook_secret",
        Kind::Secret,
        "WEBHOOK_SECRET",
        "Webhooks that get JSON are signed with it (`x-tollgate-signature`).",
    ),
    active("email_to", TEXTS, "", "Who gets every alert that is mailed."),
    active(
        "pagerduty_url",
        Kind::Url,
        "https://events.pagerduty.com/v2/enqueue",
        "Where PagerDuty takes events; `https://events.eu.pagerduty.com/v2/enqueue` in its European region.",
    ),
]];

/// The rows of `general_settings` that are about alerts.
pub(crate) const GENERAL: &[Key] = &[
    active(
        "alerting",
        TEXTS,
        "",
        "Who is told of alerts: `slack`, `ms_teams`, `discord`, `webhook`, `email`, `pagerduty`; their addresses \
         and keys are in the environment.",
    ),
    active(
        "alert_types",
        TEXTS,
        "all but those of keys, teams and users; by e-mail those about money",
        "Which of LiteLLM's 27 types of alerts are told.",
    ),
    active(
        "alert_to_webhook_url",
        Kind::Map(&Kind::Either(&Kind::Url, &Kind::List(&Kind::Url))),
        "",
        "Slack addresses of single types of alerts, one or several, in place of SLACK_WEBHOOK_URL.",
    ),
    active(
        "alerting_args",
        Kind::Section(ARGS),
        "",
        "What is told of users' spend, and how often the same is said.",
    ),
    active(
        "spend_report_frequency",
        Kind::Span,
        "7d",
        "How often the spend of teams and tags is told (`spend_reports`), in whole days; that of each month is told too.",
    ),
];

/// `alerting_args`.
pub(crate) static ARGS: Table = &[&[
    active(
        "budget_alert_ttl",
        Kind::Seconds,
        "86400",
        "How long the same is not said again about money: a projection, an anomaly, a model without a price. \
         A threshold of a budget is told once a period.",
    ),
    active(
        "outage_alert_ttl",
        Kind::Seconds,
        "60",
        "How long the same is not said again about a deployment or a group.",
    ),
    active(
        "daily_spend_per_user_threshold",
        Kind::Price,
        "",
        "What a user has to spend in a day (UTC) for it to be told, in dollars.",
    ),
    active("monthly_spend_per_user_threshold", Kind::Price, "", "The same of a month of the calendar (UTC)."),
    active(
        "spend_anomaly_multiplier",
        Kind::Number,
        "3",
        "A user's day is an anomaly above so many times the average of the days before it; see the page on alerts.",
    ),
    active("spend_anomaly_min_spend", Kind::Price, "10", "And not below so many dollars."),
    active(
        "spend_anomaly_baseline_days",
        Kind::Positive,
        "7",
        "So many days before it are looked at, 90 at most.",
    ),
    active(
        "user_spend_check_interval",
        Kind::Seconds,
        "300",
        "How often users' spend is looked at; 60 at least.",
    ),
    later("daily_report_frequency", Kind::Seconds, "43200"),
    later("failure_threshold", Kind::Integer, "60"),
    later("failure_threshold_window_seconds", Kind::Seconds, "60"),
    later("hanging_threshold_seconds", Kind::Number, "60"),
    later("hanging_threshold_window_seconds", Kind::Seconds, "600"),
    later("log_to_console", Kind::Bool, "false"),
    later("major_outage_alert_threshold", Kind::Integer, "10"),
    later("max_outage_alert_list_size", Kind::Integer, "10"),
    later("minor_outage_alert_threshold", Kind::Integer, "5"),
    later("region_outage_alert_ttl", Kind::Seconds, "60"),
    later("report_check_interval", Kind::Seconds, "300"),
]];
