//! The arguments, and what `--help` teaches.

use crate::admin::arguments::{
    AuditArguments, BudgetArguments, KeyArguments, SpendArguments, TeamArguments, UserArguments,
};
use clap::{Args, Parser, Subcommand};
use std::net::IpAddr;
use std::path::PathBuf;
use tollgate_config::Secret;

const ABOUT: &str = "An AI gateway: one process between applications and every model provider.

Without a command it serves. Without --config it looks for ./config.yaml, then /app/config.yaml; with neither it opens \
the providers whose keys are in the environment (OPENAI_API_KEY, ANTHROPIC_API_KEY, GEMINI_API_KEY, ...), or, if there \
are none, simulated models.";

const EXAMPLES: &str = "Examples:
  tollgate                                   serve on http://127.0.0.1:4000
  tollgate --config config.yaml --port 8080  serve LiteLLM's configuration as it is
  tollgate check --config config.yaml        every error and warning, with file and line
  tollgate demo                              a gateway over simulated providers, with commands to try

  export TOLLGATE_URL=http://127.0.0.1:4000 TOLLGATE_API_KEY=sk-...
  tollgate keys create --team research --budget 50/30d --models gpt-4o
  tollgate spend --by team --since 7d

  curl http://127.0.0.1:4000/v1/chat/completions -H 'content-type: application/json' \\
    -d '{\"model\": \"simulated/gpt-4o-mini\", \"messages\": [{\"role\": \"user\", \"content\": \"Hello\"}]}'";

/// The whole command line.
#[derive(Debug, Parser)]
#[command(name = "tollgate", version, about = ABOUT, after_help = EXAMPLES, args_conflicts_with_subcommands = true)]
pub(crate) struct Arguments {
    /// What to do; serving if nothing is said.
    #[command(subcommand)]
    pub(crate) command: Option<Command>,
    /// LiteLLM's spelling: the arguments of `serve` without the word.
    #[command(flatten)]
    pub(crate) serve: ServeArguments,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Serve the gateway (also without this word)
    Serve(ServeArguments),
    /// Read a configuration and report every error and warning; exit status 1 if there is an error
    Check(CheckArguments),
    /// Run a gateway over simulated providers with latencies, prices and faults, and print commands to try
    Demo(DemoArguments),
    /// Run the simulated providers alone: OpenAI at /v1, Azure at /openai, Anthropic at /v1/messages, Gemini at /v1beta
    Simulator(SimulatorArguments),
    /// Make, list, change, block and delete virtual keys of a running gateway
    Keys(KeyArguments),
    /// Make, list, change and delete teams, and who is in them
    Teams(TeamArguments),
    /// Make, list and delete users
    Users(UserArguments),
    /// Make and list budgets that others refer to
    Budgets(BudgetArguments),
    /// What was spent, by team, user, key, model, tag or day; priced again; compared with an invoice
    Spend(SpendArguments),
    /// Who changed what through the admin API
    Audit(AuditArguments),
    /// Take over what another gateway's database holds
    Migrate(MigrateArguments),
}

/// How to serve.
#[derive(Debug, Clone, Args)]
pub(crate) struct ServeArguments {
    /// The configuration, in LiteLLM's YAML
    #[arg(short, long, value_name = "FILE", env = "CONFIG_FILE_PATH")]
    pub(crate) config: Option<PathBuf>,
    /// The address to listen on; without a master key only a loopback address is accepted
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1", env = "HOST")]
    pub(crate) host: IpAddr,
    /// The port to listen on; 0 takes a free one
    #[arg(short, long, default_value_t = 4000, env = "PORT")]
    pub(crate) port: u16,
    /// Worker threads; one per core if nothing is said
    #[arg(long, value_name = "N", alias = "num_workers", env = "NUM_WORKERS")]
    pub(crate) num_workers: Option<usize>,
    /// Log every request and attempt
    #[arg(long, alias = "detailed_debug")]
    pub(crate) debug: bool,
}

/// What to check.
#[derive(Debug, Clone, Args)]
pub(crate) struct CheckArguments {
    /// The configuration, in LiteLLM's YAML
    #[arg(short, long, value_name = "FILE", env = "CONFIG_FILE_PATH")]
    pub(crate) config: Option<PathBuf>,
}

/// `tollgate migrate`.
#[derive(Debug, Clone, Args)]
pub(crate) struct MigrateArguments {
    #[command(subcommand)]
    pub(crate) from: MigrateFrom,
}

/// Whose database.
#[derive(Debug, Clone, Subcommand)]
pub(crate) enum MigrateFrom {
    /// Take over LiteLLM's keys, teams, users, organizations, projects, customers, budgets, tags, groups, models and
    /// credentials, and what was spent; its database is only read
    Litellm(LitellmArguments),
}

/// From where, and where to.
#[derive(Debug, Clone, Args)]
pub(crate) struct LitellmArguments {
    /// LiteLLM's PostgreSQL database; everybody on the machine can see arguments, so rather set the variable
    #[arg(long, value_name = "URL", env = "LITELLM_DATABASE_URL", hide_env_values = true, value_parser = secret)]
    pub(crate) database_url: Secret,
    /// A PostgreSQL database or an SQLite file to write to, in place of those of the configuration
    #[arg(long, value_name = "URL|FILE", value_parser = secret)]
    pub(crate) to: Option<Secret>,
    /// The configuration, which says where to write, and with which key provider keys are sealed
    #[arg(short, long, value_name = "FILE", env = "CONFIG_FILE_PATH")]
    pub(crate) config: Option<PathBuf>,
    /// Write nothing; say what would be taken
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Print the report as JSON
    #[arg(long)]
    pub(crate) json: bool,
}

/// A text that is never printed.
pub(crate) fn secret(text: &str) -> Result<Secret, std::convert::Infallible> {
    Ok(Secret::new(text))
}

/// How to run the demonstration.
#[derive(Debug, Clone, Args)]
pub(crate) struct DemoArguments {
    /// The gateway's port; 0 takes a free one
    #[arg(short, long, default_value_t = 4000)]
    pub(crate) port: u16,
}

/// How to run the simulated providers.
#[derive(Debug, Clone, Args)]
pub(crate) struct SimulatorArguments {
    /// The port to listen on (127.0.0.1); 0 takes a free one
    #[arg(short, long, default_value_t = 9100)]
    pub(crate) port: u16,
    /// Append every request received to this file, as JSON lines
    #[arg(long, value_name = "FILE")]
    pub(crate) record: Option<PathBuf>,
    /// Answer as fast as possible with canned replies, for benchmarks
    #[arg(long)]
    pub(crate) bench: bool,
}

/// Says on standard error why the process ends.
#[expect(clippy::print_stderr, reason = "the last words of a command line")]
pub(crate) fn complain(error: &str) {
    eprintln!("tollgate: {error}");
}

/// Says something to the person at the terminal.
pub(crate) fn say(text: &str) {
    use std::io::Write;
    // A closed pipe is the reader's choice.
    let _ = writeln!(std::io::stdout(), "{text}");
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_arguments_are_consistent() {
        Arguments::command().debug_assert();
    }

    #[test]
    fn serving_needs_no_word_and_takes_litellms_spellings() {
        let parse = |line: &str| Arguments::try_parse_from(line.split(' ')).unwrap();
        let bare =
            parse("tollgate --config c.yaml --host 0.0.0.0 --port 8080 --num_workers 3 --detailed_debug");
        assert!(bare.command.is_none());
        assert_eq!(bare.serve.config, Some(PathBuf::from("c.yaml")));
        assert_eq!((bare.serve.host.to_string().as_str(), bare.serve.port), ("0.0.0.0", 8080));
        assert_eq!((bare.serve.num_workers, bare.serve.debug), (Some(3), true));
        let Some(Command::Serve(serve)) = parse("tollgate serve --config c.yaml").command else {
            panic!("not serve")
        };
        assert_eq!((serve.port, serve.host.to_string().as_str()), (4000, "127.0.0.1"));
    }

    #[test]
    fn what_is_wrong_is_refused() {
        for line in
            ["tollgate --port 70000", "tollgate --host nowhere", "tollgate --prot 1", "tollgate sevre"]
        {
            assert!(Arguments::try_parse_from(line.split(' ')).is_err(), "{line}");
        }
        for line in [
            "tollgate keys create --budget much",
            "tollgate keys create --expires soon",
            "tollgate keys delete",
            "tollgate keys update",
            "tollgate spend --by moon",
            "tollgate spend --since yesterday",
            "tollgate spend --by team reprice --since 7d",
            "tollgate spend reprice",
            "tollgate spend reprice --since 7d --correct-budgets",
            "tollgate spend reconcile invoice.csv",
            "tollgate spend reconcile --provider openai",
            "tollgate teams add-member red ann --role king",
        ] {
            assert!(Arguments::try_parse_from(line.split(' ')).is_err(), "{line}");
        }
    }

    #[test]
    fn a_key_in_the_arguments_is_shown_nowhere() {
        let line = "tollgate keys list --key sk-very-secret --url http://127.0.0.1:1 --json";
        let parsed = Arguments::try_parse_from(line.split(' ')).unwrap();
        assert!(!format!("{parsed:?}").contains("very-secret"));
        let Some(Command::Keys(keys)) = parsed.command else { panic!("not keys") };
        assert_eq!(keys.reach.key.unwrap().expose(), "sk-very-secret");
        assert!(keys.reach.json);
        let wrong = "tollgate keys list --key sk-very-secret --nothing";
        let error = Arguments::try_parse_from(wrong.split(' ')).unwrap_err();
        assert!(!error.to_string().contains("very-secret"), "{error}");
    }
}
