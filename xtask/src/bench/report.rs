//! The benchmark's results as a page: ratios first, then every figure they come from.
//!
//! Measures nothing. The aims are those of the project's design.
//!
//! **Invariant**: requests a second are quoted only where the contender's core was at least 95% busy; otherwise the
//! load was the limit, and the cell says so.

use super::accounted::Accounted;
use super::contender::{Kind, Road};
use super::crossed;
use super::process::Memory;
use super::routed::Routed;
use super::stats::median;

/// From which share of busy time on the contender's core was the limit.
const SATURATED: f64 = 0.95;
/// How much of that time must be the contender's own: the rest is the kernel's interrupts, or another process, which
/// would make the figure one of a busy machine.
const OWN_MIN: f64 = 0.85;

/// A road through a contender, one value a round.
pub(crate) struct RoadRow {
    /// The contender.
    pub(crate) kind: Kind,
    /// The road.
    pub(crate) road: Road,
    /// Requests a second.
    pub(crate) per_second: Vec<f64>,
    /// Microseconds of processor time per request.
    pub(crate) cpu_us: Vec<f64>,
    /// Share of time in which the contenders' core was busy.
    pub(crate) busy: Vec<f64>,
    /// Share of time in which it worked for the contender.
    pub(crate) own: Vec<f64>,
}

impl RoadRow {
    /// A row without values.
    pub(crate) fn new(kind: Kind, road: Road) -> Self {
        Self { kind, road, per_second: vec![], cpu_us: vec![], busy: vec![], own: vec![] }
    }

    /// Whether the contender had the whole core and used it up.
    fn is_saturated(&self) -> bool {
        median(&self.busy) >= SATURATED && median(&self.own) >= OWN_MIN
    }
}

/// Latencies at low load, one value a round, microseconds.
pub(crate) struct LatencyRow {
    /// The contender.
    pub(crate) kind: Kind,
    /// Median time of a plain request.
    pub(crate) whole_p50: Vec<f64>,
    /// 99th percentile of the same.
    pub(crate) whole_p99: Vec<f64>,
    /// Median time to the first token of a stream.
    pub(crate) first_p50: Vec<f64>,
}

impl LatencyRow {
    /// A row without values.
    pub(crate) fn new(kind: Kind) -> Self {
        Self { kind, whole_p50: vec![], whole_p99: vec![], first_p50: vec![] }
    }
}

/// A run of paced streams through a contender.
pub(crate) struct PaceRow {
    /// The contender.
    pub(crate) kind: Kind,
    /// Streams that were opened.
    pub(crate) asked: u32,
    /// Milliseconds between tokens.
    pub(crate) pace_ms: u64,
    /// Streams that came to their end.
    pub(crate) finished: u64,
    /// Gaps longer than three times the pace.
    pub(crate) stalls: u64,
    /// Median time from the stand-in's write to the arrival, microseconds.
    pub(crate) token_p50: f64,
    /// 99th percentile of the same.
    pub(crate) token_p99: f64,
}

/// Memory before the first request and after the last.
pub(crate) struct MemoryRow {
    /// The contender.
    pub(crate) kind: Kind,
    /// Before the first request.
    pub(crate) idle: Memory,
    /// After the last.
    pub(crate) loaded: Memory,
}

/// Milliseconds from start to the first 200, one value a start.
pub(crate) struct StartRow {
    /// The contender.
    pub(crate) kind: Kind,
    /// Milliseconds.
    pub(crate) ready_ms: Vec<f64>,
}

/// Everything that a run measured; what was not asked for is empty.
pub(crate) struct Results {
    quick: bool,
    /// Closed loops.
    pub(crate) roads: Vec<RoadRow>,
    /// Closed loops of a caller of one dialect before a provider of another.
    pub(crate) crossed: Vec<RoadRow>,
    /// Low load.
    pub(crate) latencies: Vec<LatencyRow>,
    /// Paced streams.
    pub(crate) paces: Vec<PaceRow>,
    /// Memory.
    pub(crate) memory: Vec<MemoryRow>,
    /// Starts.
    pub(crate) starts: Vec<StartRow>,
    /// Routing.
    pub(crate) routed: Routed,
    /// Keys and money.
    pub(crate) accounted: Accounted,
}

impl Results {
    /// Results without a row.
    pub(crate) fn new(quick: bool) -> Self {
        Self {
            quick,
            roads: vec![],
            crossed: vec![],
            latencies: vec![],
            paces: vec![],
            memory: vec![],
            starts: vec![],
            routed: Routed::default(),
            accounted: Accounted::default(),
        }
    }

    fn cpu(&self, kind: Kind, road: Road) -> Option<f64> {
        self.road(kind, road).map(|row| median(&row.cpu_us))
    }

    fn road(&self, kind: Kind, road: Road) -> Option<&RoadRow> {
        self.roads.iter().find(|row| row.kind == kind && row.road == road)
    }

    fn latency(&self, kind: Kind) -> Option<&LatencyRow> {
        self.latencies.iter().find(|row| row.kind == kind)
    }
}

/// The whole page.
pub(crate) fn markdown(results: &Results, machine: &str) -> String {
    let mut page = String::from("# Benchmarks\n\n");
    page.push_str(
        "Written by `cargo xtask bench`. Every contender stands between the same load and the same provider \
         stand-in, pinned to one core; load and stand-in share the other. Contenders take turns within each \
         round, and every figure is the median over the rounds. Tollgate runs with its master key, cost and \
         metrics on.\n\n",
    );
    if results.quick {
        page.push_str("**A quick run: for orientation only.**\n\n");
    }
    page.push_str("## Machine\n\n");
    page.push_str(machine);
    page.push_str(&aims(results));
    page.push_str(&roads(results));
    page.push_str(&crossed_pairs(results));
    page.push_str(&latencies(results));
    page.push_str(&paces(results));
    page.push_str(&results.routed.sections());
    page.push_str(&results.accounted.sections());
    page.push_str(&memory(results));
    page.push_str(&starts(results));
    page
}

/// A measured figure beside its aim.
pub(crate) struct Aim {
    what: &'static str,
    aim: &'static str,
    limit: f64,
    /// Whether the figure must not be below the limit; otherwise it must not be above.
    at_least: bool,
    /// The figure; `None` where it was not measured.
    pub(crate) value: Option<f64>,
    unit: &'static str,
    /// The same figure of nginx, where it is one.
    nginx: Option<f64>,
}

impl Aim {
    /// An aim that is a limit from above.
    pub(crate) fn most(
        what: &'static str,
        aim: &'static str,
        limit: f64,
        unit: &'static str,
        value: Option<f64>,
    ) -> Self {
        Self { what, aim, limit, at_least: false, value, unit, nginx: None }
    }
}

fn aims(results: &Results) -> String {
    let ratio = |road| Some(results.cpu(Kind::Tollgate, road)? / results.cpu(Kind::Nginx, road)?);
    let added = |kind, pick: fn(&LatencyRow) -> &Vec<f64>| {
        let of = |kind| results.latency(kind).map(|row| median(pick(row)));
        Some(of(kind)? - of(Kind::Direct)?)
    };
    let latency = |what, aim, limit, pick: fn(&LatencyRow) -> &Vec<f64>| Aim {
        nginx: added(Kind::Nginx, pick),
        ..Aim::most(what, aim, limit, " us", added(Kind::Tollgate, pick))
    };
    let memory = |kind| {
        let row = results.memory.iter().find(|row| row.kind == kind);
        row.map(|row| megabytes(row.idle.rss_kb))
    };
    let start = |kind| {
        let row = results.starts.iter().find(|row| row.kind == kind);
        row.map(|row| median(&row.ready_ms))
    };
    let most = Aim::most;
    let list = [
        most("CPU per plain request / nginx's", "<= 1.5x", 1.5, "x", ratio(Road::Plain)),
        most("CPU per stream of 8 tokens / nginx's", "<= 2x", 2.0, "x", ratio(Road::Stream)),
        most("CPU per 200 KB prompt, renamed / nginx's", "<= 1.2x", 1.2, "x", ratio(Road::Large)),
        Aim {
            what: "requests/s on one core / nginx's",
            aim: ">= 0.6",
            limit: 0.6,
            at_least: true,
            value: per_core_ratio(results),
            unit: "x",
            nginx: None,
        },
        latency("added p50 at low load", "<= 70 us", 70.0, |row| &row.whole_p50),
        latency("added p99 at low load", "<= 200 us", 200.0, |row| &row.whole_p99),
        latency("added time to first token", "<= 150 us", 150.0, |row| &row.first_p50),
        Aim {
            nginx: memory(Kind::Nginx),
            ..most("idle memory", "<= 15 MB", 15.0, " MB", memory(Kind::Tollgate))
        },
        Aim {
            nginx: start(Kind::Nginx),
            ..most("start to ready", "<= 50 ms", 50.0, " ms", start(Kind::Tollgate))
        },
    ];
    let mut text = String::from("\n## Aims\n\n| | aim | measured | | nginx |\n|---|---|---|---|---|\n");
    for Aim { what, aim, limit, at_least, value, unit, nginx } in
        list.into_iter().chain(results.routed.aims()).chain(results.accounted.aims())
    {
        let Some(value) = value else { continue };
        let met = if at_least { value >= limit } else { value <= limit };
        let verdict = if met { "met" } else { "**not met**" };
        let nginx = nginx.map_or_else(|| "-".to_owned(), |nginx| format!("{nginx:.2}{unit}"));
        text.push_str(&format!("| {what} | {aim} | {value:.2}{unit} | {verdict} | {nginx} |\n"));
    }
    text
}

/// Requests that a whole core would serve, from the processor time of one: comparable also where the load was the
/// limit.
fn per_core_ratio(results: &Results) -> Option<f64> {
    let saturated = |kind| {
        let row = results.road(kind, Road::Plain)?;
        row.is_saturated().then(|| median(&row.per_second))
    };
    match (saturated(Kind::Tollgate), saturated(Kind::Nginx)) {
        (Some(ours), Some(nginx)) => Some(ours / nginx),
        _ => Some(results.cpu(Kind::Nginx, Road::Plain)? / results.cpu(Kind::Tollgate, Road::Plain)?),
    }
}

fn roads(results: &Results) -> String {
    if results.roads.is_empty() {
        return String::new();
    }
    let mut text = String::from(
        "\n## Cost of a request\n\n16 connections, each sends its next request when the reply is complete. \
         Where the core was less than 95% busy, or busy with something else, requests/s are in brackets: the load \
         was the limit, or the machine.\n\n\
         | road | contender | CPU us/request | / nginx | requests/s | core busy | with it |\n\
         |---|---|---|---|---|---|---|\n",
    );
    for row in &results.roads {
        let busy = median(&row.busy);
        let rate = format!("{:.0}", median(&row.per_second));
        let (cpu, ratio, rate, busy) = if row.kind == Kind::Direct {
            ("-".to_owned(), "-".to_owned(), format!("({rate})"), "- | -".to_owned())
        } else {
            let cpu = median(&row.cpu_us);
            let ratio = results.cpu(Kind::Nginx, row.road).map_or(f64::NAN, |nginx| cpu / nginx);
            let rate = if row.is_saturated() { rate } else { format!("({rate})") };
            let busy = format!("{:.0}% | {:.0}%", busy * 100.0, median(&row.own) * 100.0);
            (format!("{cpu:.1}"), format!("{ratio:.2}x"), rate, busy)
        };
        let (road, name) = (row.road.title(), row.kind.name());
        text.push_str(&format!("| {road} | {name} | {cpu} | {ratio} | {rate} | {busy} |\n"));
    }
    text
}

/// The crossed rows, a pair a line: what a translation costs, and each event of it.
fn crossed_pairs(results: &Results) -> String {
    if results.crossed.is_empty() {
        return String::new();
    }
    let mut text = format!(
        "\n## From one dialect to another\n\nThe same closed loop. The caller speaks the first dialect, the provider the \
         second; nginx carries the provider's own from a caller who speaks it. Streams have {} text events, each a \
         write of the provider's: what one event costs is in the last column.\n\n\
         | road | contender | CPU us/request | / nginx | CPU us/event |\n|---|---|---|---|---|\n",
        crossed::EVENTS
    );
    for row in results.crossed.iter().filter(|row| row.kind != Kind::Direct) {
        let cpu = median(&row.cpu_us);
        let nginx = results.crossed.iter().find(|other| other.kind == Kind::Nginx && other.road == row.road);
        let ratio = nginx.map_or(f64::NAN, |nginx| cpu / median(&nginx.cpu_us));
        let event =
            row.road.events().map_or_else(|| "-".to_owned(), |events| format!("{:.2}", cpu / events as f64));
        let (road, name) = (row.road.title(), row.kind.name());
        text.push_str(&format!("| {road} | {name} | {cpu:.1} | {ratio:.2}x | {event} |\n"));
    }
    text
}

fn latencies(results: &Results) -> String {
    let Some(direct) = results.latency(Kind::Direct) else { return String::new() };
    let mut text = String::from(
        "\n## Latency at low load\n\n100 requests a second over 4 connections, the cores kept awake by a task of \
         idle priority; what a contender adds to no proxy at all is in brackets. Microseconds.\n\n\
         | contender | plain p50 | plain p99 | first token p50 |\n|---|---|---|---|\n",
    );
    for row in &results.latencies {
        let cell = |pick: fn(&LatencyRow) -> &Vec<f64>| {
            let (value, base) = (median(pick(row)), median(pick(direct)));
            if row.kind == Kind::Direct {
                format!("{value:.0}")
            } else {
                format!("{value:.0} ({:+.0})", value - base)
            }
        };
        text.push_str(&format!(
            "| {} | {} | {} | {} |\n",
            row.kind.name(),
            cell(|row| &row.whole_p50),
            cell(|row| &row.whole_p99),
            cell(|row| &row.first_p50)
        ));
    }
    text
}

fn paces(results: &Results) -> String {
    if results.paces.is_empty() {
        return String::new();
    }
    let mut text = String::from(
        "\n## Paced streams\n\nFrom the stand-in's write of a token to its arrival, microseconds. A stall is a \
         gap of more than three times the pace.\n\n\
         | streams at once | pace | contender | finished | stalls | per token p50 | p99 |\n\
         |---|---|---|---|---|---|---|\n",
    );
    for row in &results.paces {
        text.push_str(&format!(
            "| {} | {} ms | {} | {} | {} | {:.0} | {:.0} |\n",
            row.asked,
            row.pace_ms,
            row.kind.name(),
            row.finished,
            row.stalls,
            row.token_p50,
            row.token_p99
        ));
    }
    text
}

/// A row of a table.
pub(crate) fn line(cells: &[String]) -> String {
    format!("| {} |\n", cells.join(" | "))
}

/// Megabytes of kilobytes, both by 1024.
pub(crate) fn megabytes(kilobytes: u64) -> f64 {
    kilobytes as f64 / 1024.0
}

fn memory(results: &Results) -> String {
    if results.memory.is_empty() {
        return String::new();
    }
    let mut text = String::from(
        "\n## Memory\n\nMegabytes over all processes of the contender, before the first request and after the \
         last.\n\n| contender | idle RSS | idle PSS | loaded RSS | loaded PSS |\n|---|---|---|---|---|\n",
    );
    for row in &results.memory {
        let [a, b, c, d] =
            [row.idle.rss_kb, row.idle.pss_kb, row.loaded.rss_kb, row.loaded.pss_kb].map(megabytes);
        text.push_str(&format!("| {} | {a:.1} | {b:.1} | {c:.1} | {d:.1} |\n", row.kind.name()));
    }
    text
}

fn starts(results: &Results) -> String {
    if results.starts.is_empty() {
        return String::new();
    }
    let mut text = String::from(
        "\n## Start to ready\n\nFrom the start of the process to its first 200, milliseconds, median.\n\n\
         | contender | ready |\n|---|---|\n",
    );
    for row in &results.starts {
        text.push_str(&format!("| {} | {:.1} |\n", row.kind.name(), median(&row.ready_ms)));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn road(kind: Kind, cpu: f64, rate: f64, busy: f64) -> RoadRow {
        RoadRow {
            kind,
            road: Road::Plain,
            per_second: vec![rate],
            cpu_us: vec![cpu],
            busy: vec![busy],
            own: vec![busy],
        }
    }

    fn with_roads(busy: f64) -> Results {
        let mut results = Results::new(false);
        results.roads = vec![
            road(Kind::Direct, 0.0, 50_000.0, 0.0),
            road(Kind::Nginx, 20.0, 22_000.0, busy),
            road(Kind::Tollgate, 25.0, 11_000.0, busy),
        ];
        results
    }

    #[test]
    fn a_rate_is_quoted_only_where_the_core_was_the_limit() {
        let limited_by_load = roads(&with_roads(0.45));
        assert!(limited_by_load.contains("| plain chat | tollgate | 25.0 | 1.25x | (11000) | 45% | 45% |"));
        let limited_by_core = roads(&with_roads(0.97));
        assert!(limited_by_core.contains("| 25.0 | 1.25x | 11000 | 97% | 97% |"), "{limited_by_core}");
    }

    #[test]
    fn the_rate_aim_falls_back_to_processor_time() {
        assert_eq!(per_core_ratio(&with_roads(0.45)), Some(0.8));
        assert_eq!(per_core_ratio(&with_roads(0.97)), Some(0.5));
    }

    #[test]
    fn aims_say_whether_they_are_met() {
        let mut results = with_roads(0.97);
        let row = |kind, us: f64| LatencyRow {
            kind,
            whole_p50: vec![us],
            whole_p99: vec![us * 2.0],
            first_p50: vec![us],
        };
        results.latencies = vec![row(Kind::Direct, 60.0), row(Kind::Tollgate, 120.0)];
        let text = aims(&results);
        assert!(text.contains("| CPU per plain request / nginx's | <= 1.5x | 1.25x | met | - |"), "{text}");
        assert!(
            text.contains("| requests/s on one core / nginx's | >= 0.6 | 0.50x | **not met** | - |"),
            "{text}"
        );
        assert!(text.contains("| added p50 at low load | <= 70 us | 60.00 us | met | - |"), "{text}");
        assert!(!text.contains("stream of 8"), "what was not measured has no line");
    }
}
