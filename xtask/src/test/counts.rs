//! How many tests passed, failed and were skipped, read from what each runner prints last.
//!
//! Leaves running to `suites.rs`.
//!
//! **Invariant**: a number is taken from the runner's own summary line only, never guessed; no summary is no count.

use std::fmt;
use std::ops::Add;

/// The outcome of a suite in numbers of tests.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    /// Tests that passed.
    pub(crate) passed: u32,
    /// Tests that failed, timed out or could not be set up.
    pub(crate) failed: u32,
    /// Tests that their runner left out.
    pub(crate) skipped: u32,
}

impl Counts {
    /// One test that failed: what a suite that cannot run counts as.
    pub(crate) fn failure() -> Self {
        Self { failed: 1, ..Self::default() }
    }

    /// One check that did or did not pass.
    pub(crate) fn check(ok: bool) -> Self {
        Self { passed: u32::from(ok), failed: u32::from(!ok), skipped: 0 }
    }

    /// Whether no test passed or failed.
    pub(crate) fn is_empty(self) -> bool {
        self.passed == 0 && self.failed == 0
    }
}

impl Add for Counts {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self {
            passed: self.passed + other.passed,
            failed: self.failed + other.failed,
            skipped: self.skipped + other.skipped,
        }
    }
}

impl fmt::Display for Counts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} passed, {} failed", self.passed, self.failed)?;
        if self.skipped > 0 { write!(f, ", {} skipped", self.skipped) } else { Ok(()) }
    }
}

/// The counts of `cargo test`: the sum over its `test result:` lines.
pub(crate) fn of_cargo_test(lines: &[String]) -> Counts {
    let results = lines.iter().filter(|line| line.starts_with("test result:"));
    results.fold(Counts::default(), |sum, line| sum + words(line))
}

/// The counts of `cargo nextest run`: its `Summary` line.
pub(crate) fn of_nextest(lines: &[String]) -> Counts {
    let summary = lines.iter().rev().find(|line| line.trim_start().starts_with("Summary ["));
    summary.map_or_else(Counts::default, |line| words(line))
}

/// The counts of pytest: its last line that ends with `in N.NNs`, with or without the frame of `=`.
pub(crate) fn of_pytest(lines: &[String]) -> Counts {
    let is_summary = |line: &&String| {
        let text = line.trim_matches(['=', ' ']);
        text.contains(" in ") && words(text) != Counts::default()
    };
    lines.iter().rev().find(is_summary).map_or_else(Counts::default, |line| words(line))
}

/// The counts of node's test runner: its `pass`, `fail`, `cancelled` and `skipped` lines.
pub(crate) fn of_node(lines: &[String]) -> Counts {
    let mut counts = Counts::default();
    for line in lines {
        let mut parts = line.trim_start_matches(['#', 'ℹ', ' ']).split(' ');
        let (Some(word), Some(number), None) = (parts.next(), parts.next(), parts.next()) else { continue };
        let Ok(number) = number.parse::<u32>() else { continue };
        match word {
            "pass" => counts.passed = number,
            "fail" | "cancelled" => counts.failed += number,
            "skipped" | "todo" => counts.skipped += number,
            _ => {}
        }
    }
    counts
}

/// Adds up the `NUMBER WORD` pairs of a summary line.
fn words(line: &str) -> Counts {
    let parts: Vec<&str> =
        line.split([' ', ';', ',', '(', ')', '=', ':']).filter(|part| !part.is_empty()).collect();
    let mut counts = Counts::default();
    for pair in parts.windows(2) {
        let [number, word] = pair else { continue };
        let Ok(number) = number.parse::<u32>() else { continue };
        match *word {
            "passed" => counts.passed += number,
            "failed" | "error" | "errors" | "timed" => counts.failed += number,
            "skipped" | "ignored" | "xfailed" => counts.skipped += number,
            _ => {}
        }
    }
    counts
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(read: fn(&[String]) -> Counts, output: &str, expect: (u32, u32, u32)) {
        let lines: Vec<String> = output.lines().map(str::to_owned).collect();
        let Counts { passed, failed, skipped } = read(&lines);
        assert_eq!((passed, failed, skipped), expect, "{output}");
    }

    #[test]
    fn cargo_test_results_are_added_up() {
        let output = "test result: ok. 3 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out\n\
                      test result: FAILED. 2 passed; 1 failed; 0 ignored; 0 measured; 4 filtered out";
        check(of_cargo_test, output, (5, 1, 1));
        check(of_cargo_test, "error: could not compile", (0, 0, 0));
    }

    #[test]
    fn nextest_says_it_in_its_summary() {
        let output = "     Summary [   0.011s] 12 tests run: 10 passed (1 slow), 2 failed, 3 skipped";
        check(of_nextest, output, (10, 2, 3));
        let output = "Summary [ 9.011s] 12 tests run: 9 passed, 2 failed, 1 timed out, 0 skipped";
        check(of_nextest, output, (9, 3, 0));
    }

    #[test]
    fn pytest_says_it_in_its_last_line() {
        check(of_pytest, "x\n===== 2 failed, 5 passed, 1 skipped, 1 error in 3.21s =====", (5, 3, 1));
        check(of_pytest, "tests/a.py ..\n7 passed in 0.5s", (7, 0, 0));
        check(of_pytest, "===== no tests ran in 0.01s =====", (0, 0, 0));
    }

    #[test]
    fn node_says_it_in_lines_of_its_own() {
        let output = "# tests 7\n# suites 0\n# pass 4\n# fail 1\n# cancelled 1\n# skipped 1\n# todo 0";
        check(of_node, output, (4, 2, 1));
        check(of_node, "ℹ pass 3\nℹ fail 0", (3, 0, 0));
    }

    #[test]
    fn the_closing_line_leaves_out_what_was_not_skipped() {
        assert_eq!(Counts { passed: 3, failed: 1, skipped: 0 }.to_string(), "3 passed, 1 failed");
        assert_eq!(Counts { passed: 3, failed: 0, skipped: 2 }.to_string(), "3 passed, 0 failed, 2 skipped");
    }
}
