//! The part of the page that tells of routing: a loss, hedging, the cost of a choice.
//!
//! Measures nothing; the page as a whole is `report.rs`'s.
//!
//! **Invariant**: what was not measured has no section and no aim.

use super::hedging::{self, HedgeRow, Hedging};
use super::loss::{self, Loss, LossRow};
use super::report::Aim;
use super::routing::RoutingRow;
use super::stats::median;

/// Everything about routing that a run measured.
#[derive(Default)]
pub(crate) struct Routed {
    /// A deployment lost.
    pub(crate) losses: Vec<LossRow>,
    /// Hedging off and on.
    pub(crate) hedges: Vec<HedgeRow>,
    /// Groups of several sizes.
    pub(crate) routings: Vec<RoutingRow>,
}

impl Routed {
    /// The aims of routing.
    pub(crate) fn aims(&self) -> Vec<Aim> {
        let shut = self.losses.iter().find(|row| row.loss == Loss::Shut);
        let hundred = self.routings.iter().find(|row| row.size == 100);
        vec![
            Aim::most(
                "callers' errors through the loss of one of three deployments",
                "0",
                0.0,
                "",
                shut.map(|row| row.errors as f64),
            ),
            Aim::most(
                "p99 in that loss - steady p99",
                "<= 150 ms",
                150.0,
                " ms",
                shut.map(|row| row.lost_p99 - row.steady_p99),
            ),
            Aim::most(
                "choosing among 100 deployments",
                "<= 5 us",
                5.0,
                " us",
                hundred.and_then(|row| row.choice_ns).map(|choice| choice / 1e3),
            ),
        ]
    }

    /// The sections.
    pub(crate) fn sections(&self) -> String {
        [losses(&self.losses), hedges(&self.hedges), routings(&self.routings)].concat()
    }
}

fn losses(rows: &[LossRow]) -> String {
    if rows.is_empty() {
        return String::new();
    }
    let mut text = format!(
        "\n## Loss of one of three deployments\n\n{} requests a second, plain and streamed in turns, each at its own \
         moment, from which its time counts. The stand-ins take 20 to 40 ms. One is lost under load and comes back. \
         Errors are callers'; attempts are those at the lost deployment, by requests that came before it was ejected \
         and after; the last column is what came between its return and its first answer. Milliseconds.\n\n\
         | lost | requests meanwhile | errors | steady p99 | p99 meanwhile | longest | attempts, then after ejection | \
         used again after |\n|---|---|---|---|---|---|---|---|\n",
        loss::RATE
    );
    for row in rows {
        let used = row.until_used.map_or_else(
            || "not in time".to_owned(),
            |(requests, took)| format!("{requests} requests, {:.1} s", took.as_secs_f64()),
        );
        text.push_str(&format!(
            "| {} | {} | {} | {:.1} | {:.1} ({:+.1}) | {:.0} | {}, {} | {used} |\n",
            row.loss.title(),
            row.requests,
            row.errors,
            row.steady_p99,
            row.lost_p99,
            row.lost_p99 - row.steady_p99,
            row.lost_longest,
            row.attempts_before,
            row.attempts_after,
        ));
    }
    for error in rows.iter().filter_map(|row| row.first_error.as_deref()) {
        text.push_str(&format!("\nThe first error: `{}`\n", error.replace(['\n', '`'], " ")));
    }
    text
}

fn hedges(rows: &[HedgeRow]) -> String {
    let Some(off) = rows.iter().find(|row| row.hedging == Hedging::Off) else { return String::new() };
    let tail = hedging::TAIL;
    let mut text = format!(
        "\n## Hedging\n\n{} requests a second at three deployments that take {} to {} ms, and {} ms for {}% of the \
         requests; groups in turns. Milliseconds; what it is to the same without hedging is in brackets.\n\n\
         | hedging | p50 | p99 | extra requests | errors |\n|---|---|---|---|---|\n",
        hedging::RATE,
        tail.low_ms,
        tail.high_ms,
        tail.slow_ms,
        tail.slow_percent
    );
    for row in rows {
        let cell = |pick: fn(&HedgeRow) -> &Vec<f64>| {
            let (value, base) = (median(pick(row)), median(pick(off)));
            match row.hedging {
                Hedging::Off => format!("{value:.1}"),
                Hedging::On => format!("{value:.1} ({:.2}x)", value / base),
            }
        };
        text.push_str(&format!(
            "| {} | {} | {} | {:.1}% | {} |\n",
            row.hedging.title(),
            cell(|row| &row.seen.p50),
            cell(|row| &row.seen.p99),
            median(&row.extra) * 100.0,
            row.seen.errors
        ));
    }
    text
}

fn routings(rows: &[RoutingRow]) -> String {
    let Some(one) = rows.first() else { return String::new() };
    let mut text = String::from(
        "\n## Cost of routing\n\nChoosing by itself, and with taking the place and giving it back: nanoseconds, the \
         best of several batches. The processor time of a plain request through groups of these sizes: the closed \
         loop as above, groups in turns.\n\n\
         | deployments | choice ns | with its place ns | CPU us/request | to one |\n|---|---|---|---|---|\n",
    );
    let nanoseconds =
        |value: Option<f64>| value.map_or_else(|| "-".to_owned(), |value| format!("{value:.0}"));
    for row in rows {
        let cpu = median(&row.cpu_us);
        let more = cpu - median(&one.cpu_us);
        text.push_str(&format!(
            "| {} | {} | {} | {cpu:.1} | {more:+.1} |\n",
            row.size,
            nanoseconds(row.choice_ns),
            nanoseconds(row.step_ns)
        ));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::super::arrivals::Seen;
    use super::*;
    use std::time::Duration;

    fn loss_row(errors: usize, lost_p99: f64) -> LossRow {
        LossRow {
            loss: Loss::Shut,
            requests: 4_000,
            errors,
            first_error: (errors > 0).then(|| "503: `no`\n".to_owned()),
            steady_p99: 41.0,
            lost_p99,
            lost_longest: 80.4,
            attempts_before: 3,
            attempts_after: 2,
            until_used: Some((12, Duration::from_millis(60))),
        }
    }

    #[test]
    fn a_loss_is_told_beside_the_steady_state() {
        let text = losses(&[loss_row(0, 44.5)]);
        let row =
            "| shut: connections refused | 4000 | 0 | 41.0 | 44.5 (+3.5) | 80 | 3, 2 | 12 requests, 0.1 s |";
        assert!(text.contains(row), "{text}");
        let text = losses(&[LossRow { until_used: None, ..loss_row(1, 44.5) }]);
        assert!(text.contains("| not in time |") && text.contains("`503:  no  `"), "{text}");
    }

    #[test]
    fn hedging_is_told_as_a_ratio_to_none() {
        let row = |hedging, p99: f64, extra| HedgeRow {
            hedging,
            seen: Seen { p50: vec![30.0], p99: vec![p99], errors: 0 },
            extra: vec![extra],
        };
        let text = hedges(&[row(Hedging::Off, 300.0, 0.0), row(Hedging::On, 75.0, 0.041)]);
        assert!(text.contains("| off | 30.0 | 300.0 | 0.0% | 0 |"), "{text}");
        assert!(text.contains("| 30.0 (1.00x) | 75.0 (0.25x) | 4.1% | 0 |"), "{text}");
    }

    #[test]
    fn a_choice_is_told_beside_the_one_of_a_single_deployment() {
        let row =
            |size, ns: f64, cpu| RoutingRow { size, choice_ns: Some(ns), step_ns: None, cpu_us: vec![cpu] };
        let text = routings(&[row(1, 90.0, 30.0), row(100, 2_345.0, 33.5)]);
        assert!(text.contains("| 1 | 90 | - | 30.0 | +0.0 |"), "{text}");
        assert!(text.contains("| 100 | 2345 | - | 33.5 | +3.5 |"), "{text}");
    }

    #[test]
    fn what_was_not_measured_has_no_value() {
        let none = Routed::default();
        assert_eq!(none.sections(), "");
        assert!(none.aims().iter().all(|aim| aim.value.is_none()));
        let some = Routed { losses: vec![loss_row(0, 44.5)], ..Routed::default() };
        let values: Vec<Option<f64>> = some.aims().iter().map(|aim| aim.value).collect();
        assert_eq!(values, [Some(0.0), Some(3.5), None]);
    }
}
