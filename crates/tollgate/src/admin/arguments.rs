//! The arguments of the commands that speak to a running gateway.
//!
//! Owns their names, their forms and what `--help` says of them. **Invariant:** a key that is given is never printed,
//! not by `--help` either.

use super::amount::{Budget, Clearable};
use super::days::Day;
use crate::cli::secret;
use clap::{Args, Subcommand, ValueEnum};
use std::path::PathBuf;
use tollgate_config::Secret;
use tollgate_policy::period::Cadence;

/// Where the gateway is, with which key it is asked, and how the answer is printed.
#[derive(Debug, Clone, Args)]
pub(crate) struct Reach {
    /// The gateway
    #[arg(
        long,
        value_name = "URL",
        env = "TOLLGATE_URL",
        default_value = "http://127.0.0.1:4000",
        global = true
    )]
    pub(crate) url: String,
    /// The key to ask with; everybody on the machine can see arguments, so rather set the variable
    #[arg(long, value_name = "KEY", env = "TOLLGATE_API_KEY", hide_env_values = true, value_parser = secret, global = true)]
    pub(crate) key: Option<Secret>,
    /// Print the gateway's reply as it is; of a list each page is a line
    #[arg(long, global = true)]
    pub(crate) json: bool,
}

fn cadence(text: &str) -> Result<Cadence, String> {
    Cadence::parse(text).map_err(|error| error.to_string())
}

/// What may be held to: of keys, teams and users.
#[derive(Debug, Clone, Default, Args)]
pub(crate) struct Bounds {
    /// US dollars, and for how long: 50, 50/30d, 0.5/1d, 10/1mo; `none` takes it away
    #[arg(long, value_name = "AMOUNT[/DURATION]")]
    pub(crate) budget: Option<Clearable<Budget>>,
    /// Requests of a minute; `none` takes it away
    #[arg(long, value_name = "N")]
    pub(crate) rpm: Option<Clearable<u64>>,
    /// Tokens of a minute; `none` takes it away
    #[arg(long, value_name = "N")]
    pub(crate) tpm: Option<Clearable<u64>>,
    /// Requests at the same time; `none` takes it away
    #[arg(long, value_name = "N")]
    pub(crate) parallel: Option<Clearable<u64>>,
    /// The models, with commas between; without, those of the team or all
    #[arg(long, value_name = "MODELS", value_delimiter = ',')]
    pub(crate) models: Option<Vec<String>>,
}

/// `tollgate keys`.
#[derive(Debug, Args)]
pub(crate) struct KeyArguments {
    #[command(flatten)]
    pub(crate) reach: Reach,
    #[command(subcommand)]
    pub(crate) command: KeyCommand,
}

/// What is done with keys. A key is named by its alias, its hash, or itself.
#[derive(Debug, Subcommand)]
pub(crate) enum KeyCommand {
    /// Make a key, and print it: it is shown once
    Create(NewKey),
    /// Every key
    List {
        /// Those of this team, by its alias or id
        #[arg(long, value_name = "TEAM")]
        team: Option<String>,
        /// Those of this user, by id or e-mail address
        #[arg(long, value_name = "USER")]
        user: Option<String>,
    },
    /// One key
    Info {
        /// Its alias, its hash, or itself
        name: String,
    },
    /// Change what a key may do; what is not named stays
    Update(ChangedKey),
    /// Let nothing through with a key
    Block {
        /// Its alias, its hash, or itself
        name: String,
    },
    /// Let a blocked key through again
    Unblock {
        /// Its alias, its hash, or itself
        name: String,
    },
    /// Delete keys
    Delete {
        /// Aliases, hashes, or the keys themselves
        #[arg(required = true)]
        names: Vec<String>,
    },
    /// Put a new key in place of one, and print it: it is shown once
    Regenerate {
        /// Its alias, its hash, or itself
        name: String,
        /// How long the old one goes on
        #[arg(long, value_name = "DURATION", value_parser = cadence)]
        grace_period: Option<Cadence>,
        /// Print the new key alone
        #[arg(short, long)]
        quiet: bool,
    },
}

/// A key to be made.
#[derive(Debug, Args)]
pub(crate) struct NewKey {
    /// What it is called
    #[arg(long, value_name = "NAME")]
    pub(crate) alias: Option<String>,
    /// The team that it belongs to, by alias or id
    #[arg(long, value_name = "TEAM")]
    pub(crate) team: Option<String>,
    /// The user that it belongs to, by id or e-mail address
    #[arg(long, value_name = "USER")]
    pub(crate) user: Option<String>,
    #[command(flatten)]
    pub(crate) bounds: Bounds,
    /// How long it lives: 30d, 12h
    #[arg(long, value_name = "DURATION", value_parser = cadence)]
    pub(crate) expires: Option<Cadence>,
    /// The tags of its requests, with commas between
    #[arg(long, value_name = "TAGS", value_delimiter = ',')]
    pub(crate) tags: Option<Vec<String>>,
    /// Print the key alone
    #[arg(short, long)]
    pub(crate) quiet: bool,
}

/// A key to be changed.
#[derive(Debug, Args)]
pub(crate) struct ChangedKey {
    /// Its alias, its hash, or itself
    pub(crate) name: String,
    /// What it is called from now on
    #[arg(long, value_name = "NAME")]
    pub(crate) alias: Option<String>,
    /// The team that it belongs to from now on, by alias or id
    #[arg(long, value_name = "TEAM")]
    pub(crate) team: Option<String>,
    #[command(flatten)]
    pub(crate) bounds: Bounds,
    /// How long it lives from now on: 30d, 12h; `none` for ever
    #[arg(long, value_name = "DURATION")]
    pub(crate) expires: Option<Clearable<Cadence>>,
    /// The tags of its requests, with commas between
    #[arg(long, value_name = "TAGS", value_delimiter = ',')]
    pub(crate) tags: Option<Vec<String>>,
}

/// `tollgate teams`.
#[derive(Debug, Args)]
pub(crate) struct TeamArguments {
    #[command(flatten)]
    pub(crate) reach: Reach,
    #[command(subcommand)]
    pub(crate) command: TeamCommand,
}

/// What is done with teams. A team is named by its alias or its id.
#[derive(Debug, Subcommand)]
pub(crate) enum TeamCommand {
    /// Make a team
    Create {
        /// What it is called
        alias: String,
        /// Its id; one is made if nothing is said
        #[arg(long, value_name = "ID")]
        id: Option<String>,
        /// The id of the organization that it belongs to
        #[arg(long, value_name = "ID")]
        organization: Option<String>,
        #[command(flatten)]
        bounds: Bounds,
    },
    /// Every team
    List,
    /// One team, its members and its keys
    Info {
        /// Its alias or id
        name: String,
    },
    /// Change what a team may do; what is not named stays
    Update {
        /// Its alias or id
        name: String,
        /// What it is called from now on
        #[arg(long, value_name = "NAME")]
        alias: Option<String>,
        #[command(flatten)]
        bounds: Bounds,
    },
    /// Delete teams, and their keys with them
    Delete {
        /// Aliases or ids
        #[arg(required = true)]
        names: Vec<String>,
    },
    /// Put a user into a team
    AddMember {
        /// The team's alias or id
        team: String,
        /// The user's id or e-mail address
        user: String,
        /// What the user is there
        #[arg(long, value_enum, default_value_t = TeamRole::User)]
        role: TeamRole,
        /// US dollars for this user within the team, and for how long: 50, 50/30d
        #[arg(long, value_name = "AMOUNT[/DURATION]")]
        budget: Option<Budget>,
    },
    /// Take a user out of a team
    RemoveMember {
        /// The team's alias or id
        team: String,
        /// The user's id or e-mail address
        user: String,
    },
}

/// What a user is in a team.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum TeamRole {
    /// Uses it.
    User,
    /// Looks after it.
    Admin,
}

/// `tollgate users`.
#[derive(Debug, Args)]
pub(crate) struct UserArguments {
    #[command(flatten)]
    pub(crate) reach: Reach,
    #[command(subcommand)]
    pub(crate) command: UserCommand,
}

/// What is done with users. A user is named by id or e-mail address.
#[derive(Debug, Subcommand)]
pub(crate) enum UserCommand {
    /// Make a user
    Create(NewUser),
    /// Every user
    List,
    /// Delete users, and their keys with them
    Delete {
        /// Ids or e-mail addresses
        #[arg(required = true)]
        names: Vec<String>,
    },
}

/// A user to be made.
#[derive(Debug, Args)]
pub(crate) struct NewUser {
    /// The id; one is made if nothing is said
    pub(crate) id: Option<String>,
    /// The e-mail address
    #[arg(long, value_name = "ADDRESS")]
    pub(crate) email: Option<String>,
    /// What the user is called
    #[arg(long, value_name = "NAME")]
    pub(crate) alias: Option<String>,
    /// What the user may do
    #[arg(long, value_enum)]
    pub(crate) role: Option<UserRole>,
    /// The teams that the user belongs to, by alias or id, with commas between
    #[arg(long, value_name = "TEAMS", value_delimiter = ',')]
    pub(crate) teams: Vec<String>,
    #[command(flatten)]
    pub(crate) bounds: Bounds,
    /// Make a key for the user too, and print it: it is shown once
    #[arg(long)]
    pub(crate) with_key: bool,
    /// Print the key alone, or without one the user's id
    #[arg(short, long)]
    pub(crate) quiet: bool,
}

/// LiteLLM's roles of users.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum UserRole {
    /// Everything.
    #[value(name = "proxy_admin")]
    ProxyAdmin,
    /// Sees everything.
    #[value(name = "proxy_admin_viewer")]
    ProxyAdminViewer,
    /// Own keys and own spend.
    #[value(name = "internal_user")]
    InternalUser,
    /// Sees own keys and own spend.
    #[value(name = "internal_user_viewer")]
    InternalUserViewer,
}

/// `tollgate budgets`.
#[derive(Debug, Args)]
pub(crate) struct BudgetArguments {
    #[command(flatten)]
    pub(crate) reach: Reach,
    #[command(subcommand)]
    pub(crate) command: BudgetCommand,
}

/// What is done with budgets that others refer to.
#[derive(Debug, Subcommand)]
pub(crate) enum BudgetCommand {
    /// Make a budget
    Create {
        /// Its id; one is made if nothing is said
        id: Option<String>,
        /// US dollars, and for how long: 50, 50/30d
        #[arg(long, value_name = "AMOUNT[/DURATION]")]
        budget: Option<Budget>,
        /// US dollars from which on there is an alert
        #[arg(long, value_name = "AMOUNT", value_parser = super::amount::dollars)]
        soft: Option<tollgate_catalog::PicoDollars>,
        /// Requests of a minute
        #[arg(long, value_name = "N")]
        rpm: Option<u64>,
        /// Tokens of a minute
        #[arg(long, value_name = "N")]
        tpm: Option<u64>,
    },
    /// Every budget
    List,
}

/// `tollgate spend`.
#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub(crate) struct SpendArguments {
    #[command(flatten)]
    pub(crate) reach: Reach,
    #[command(subcommand)]
    pub(crate) command: Option<SpendCommand>,
    /// What the sums are of
    #[arg(long, value_enum, default_value_t = By::Team)]
    pub(crate) by: By,
    /// From when on: so long ago (7d, 24h, 4w), or a day (2026-12-01, UTC); whole days
    #[arg(long, value_name = "WHEN", default_value = "30d")]
    pub(crate) since: Day,
    /// Until when: so long ago, or a day; that day counts
    #[arg(long, value_name = "WHEN")]
    pub(crate) until: Option<Day>,
}

/// What is done with what was booked, beside summing it up.
#[derive(Debug, Subcommand)]
pub(crate) enum SpendCommand {
    /// Price attempts again, from the tokens of their rows; without --apply only say what would change
    Reprice(Repricing),
    /// Compare a provider's invoice with what was booked
    Reconcile(Reconciliation),
}

/// `tollgate spend reprice`.
#[derive(Debug, Args)]
pub(crate) struct Repricing {
    /// From when on: so long ago (7d, 24h, 4w), or a day (2026-12-01, UTC); whole days
    #[arg(long, value_name = "WHEN")]
    pub(crate) since: Day,
    /// Until when: so long ago, or a day; that day counts. Today, if nothing is said
    #[arg(long, value_name = "WHEN")]
    pub(crate) until: Option<Day>,
    /// These models alone, as their providers name them, with commas between
    #[arg(long, value_name = "MODELS", value_delimiter = ',')]
    pub(crate) models: Option<Vec<String>>,
    /// The models of these providers alone, with commas between
    #[arg(long, value_name = "PROVIDERS", value_delimiter = ',')]
    pub(crate) providers: Option<Vec<String>>,
    /// Prices in place of those that hold today: JSON, as {"openai/gpt-4o": {"input_cost_per_token": 0.0000025}}
    #[arg(long, value_name = "FILE")]
    pub(crate) prices: Option<PathBuf>,
    /// Change the attempts and the sums of their days
    #[arg(long)]
    pub(crate) apply: bool,
    /// Change what is spent of budgets too, each in the period that was charged
    #[arg(long, requires = "apply")]
    pub(crate) correct_budgets: bool,
}

/// `tollgate spend reconcile`.
#[derive(Debug, Args)]
pub(crate) struct Reconciliation {
    /// The invoice: CSV with the columns date, model and amount
    #[arg(value_name = "FILE.csv")]
    pub(crate) file: PathBuf,
    /// Whose invoice it is, as in openai/gpt-4o
    #[arg(long, value_name = "NAME")]
    pub(crate) provider: String,
    /// From when on; from the first day of the invoice, if nothing is said
    #[arg(long, value_name = "WHEN")]
    pub(crate) since: Option<Day>,
    /// Until when; up to the last day of the invoice, if nothing is said
    #[arg(long, value_name = "WHEN")]
    pub(crate) until: Option<Day>,
    /// US dollars by which a model may differ on a day
    #[arg(long, value_name = "AMOUNT", value_parser = super::amount::dollars)]
    pub(crate) tolerance: Option<tollgate_catalog::PicoDollars>,
}

/// What sums of spend are of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum By {
    /// Of each day.
    Day,
    /// Of each team.
    Team,
    /// Of each user.
    User,
    /// Of each key.
    Key,
    /// Of each model that answered.
    Model,
    /// Of each model that was asked for.
    Group,
    /// Of each provider.
    Provider,
    /// Of each tag.
    Tag,
    /// Of each organization.
    Organization,
    /// Of each end user.
    Customer,
}

/// `tollgate audit`.
#[derive(Debug, Args)]
pub(crate) struct AuditArguments {
    #[command(flatten)]
    pub(crate) reach: Reach,
    /// Go through the whole audit and say whether it is as it was written
    #[arg(long, conflicts_with_all = ["limit", "object", "by"])]
    pub(crate) verify: bool,
    /// The most changes to show, the newest first
    #[arg(long, value_name = "N", default_value_t = 50)]
    pub(crate) limit: usize,
    /// Changes to the object of this id
    #[arg(long, value_name = "ID")]
    pub(crate) object: Option<String>,
    /// Changes by this user
    #[arg(long, value_name = "USER")]
    pub(crate) by: Option<String>,
}
