//! `cargo xtask test`: prepare the machine, run the suites in order, print the table and the counts.
//!
//! How each suite is run and how its runner's last words are read is `suites.rs`'s and `counts.rs`'s.
//!
//! **Invariant**: every suite that was asked for is in the table; one that could not run, or ran no test, counts as
//! failed.

mod counts;
mod suites;

use std::time::{Duration, Instant};

use self::counts::Counts;
use self::suites::{SUITES, Suite};
use crate::shell::Workspace;

struct Options {
    only: Vec<String>,
    long: bool,
}

/// How one suite ended.
struct Row {
    name: &'static str,
    counts: Counts,
    took: Duration,
    note: String,
}

/// Runs the command; `Ok(false)` when a suite failed.
///
/// # Errors
/// On arguments that cannot be understood.
pub(crate) fn run(args: &[String]) -> Result<bool, String> {
    let options = parse(args)?;
    let workspace = Workspace::find();
    let chosen = SUITES.iter().filter(|suite| options.only.is_empty() || suite.is_among(&options.only));
    let rows: Vec<Row> = chosen.map(|suite| run_one(&workspace, suite, options.long)).collect();
    print!("{}", table(&rows));
    let total = rows.iter().fold(Counts::default(), |sum, row| sum + row.counts);
    println!("{total}");
    Ok(total.failed == 0 && total.passed > 0)
}

fn parse(args: &[String]) -> Result<Options, String> {
    let mut options = Options { only: Vec::new(), long: false };
    let mut args = args.iter();
    while let Some(arg) = args.next() {
        match arg.as_str() {
            "--long" => options.long = true,
            "--only" => {
                let name = args.next().ok_or("--only wants the name of a suite")?;
                if !SUITES.iter().any(|suite| suite.name == name) {
                    let names: Vec<&str> = SUITES.iter().map(|suite| suite.name).collect();
                    return Err(format!("no suite is called {name:?}; there are {}", names.join(", ")));
                }
                options.only.push(name.clone());
            }
            other => return Err(format!("unknown argument {other:?}; see cargo xtask help")),
        }
    }
    Ok(options)
}

fn run_one(workspace: &Workspace, suite: &Suite, long: bool) -> Row {
    println!("\n== {}: {}", suite.name, suite.about);
    let start = Instant::now();
    let (counts, note) = match (suite.run)(workspace, long) {
        Ok(counts) if counts.is_empty() => (Counts::failure(), "no test ran".to_owned()),
        Ok(counts) => (counts, String::new()),
        Err(message) => {
            println!("{message}");
            let first = message.lines().next().unwrap_or_default().to_owned();
            (Counts::failure(), first)
        }
    };
    Row { name: suite.name, counts, took: start.elapsed(), note }
}

fn table(rows: &[Row]) -> String {
    let mut text = String::from("\nsuite     passed  failed  skipped  seconds\n");
    for row in rows {
        let Counts { passed, failed, skipped } = row.counts;
        let seconds = row.took.as_secs_f64();
        let line =
            format!("{:<8} {passed:>7} {failed:>7} {skipped:>8} {seconds:>8.1}  {}", row.name, row.note);
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text.push('\n');
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn args(text: &str) -> Vec<String> {
        text.split_whitespace().map(str::to_owned).collect()
    }

    #[test]
    fn arguments_choose_suites_and_length() {
        let options = parse(&args("--long --only rust --only node")).unwrap();
        assert!(options.long);
        assert_eq!(options.only, ["rust", "node"]);
        let error = parse(&args("--only rusty")).err().unwrap();
        assert!(error.contains("\"rusty\"") && error.contains("rust, doc"), "{error}");
        assert!(parse(&args("--only")).is_err());
        assert!(parse(&args("--fast")).is_err());
    }

    #[test]
    fn a_suite_that_ran_nothing_or_could_not_run_counts_as_failed() {
        let workspace = Workspace::find();
        let idle = Suite { name: "idle", about: "", run: |_, _| Ok(Counts::default()) };
        let row = run_one(&workspace, &idle, false);
        assert_eq!((row.counts.failed, row.note.as_str()), (1, "no test ran"));
        let broken = Suite { name: "broken", about: "", run: |_, _| Err("no python\nmore".to_owned()) };
        let row = run_one(&workspace, &broken, false);
        assert_eq!((row.counts.failed, row.note.as_str()), (1, "no python"));
    }

    #[test]
    fn the_table_has_a_line_per_suite() {
        let rows = [Row {
            name: "rust",
            counts: Counts { passed: 12, failed: 0, skipped: 1 },
            took: Duration::from_millis(1500),
            note: String::new(),
        }];
        assert!(table(&rows).contains("\nrust          12       0        1      1.5\n"), "{}", table(&rows));
    }
}
