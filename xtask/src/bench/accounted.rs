//! The part of the page that tells of keys and money: what they cost, a hot key, very many keys, the journal.
//!
//! Measures nothing; the page as a whole is `report.rs`'s.
//!
//! **Invariant**: what was not measured has no section and no aim.

use super::arrivals::Seen;
use super::durable::{self, Durable, Journal, JournalRow};
use super::hot::{self, Hot, HotRow, Spread};
use super::instructions::{self, InstructionsRow};
use super::many::{ManyRow, SIZES};
use super::noisy::{self, Noisy};
use super::report::{Aim, line, megabytes};
use super::stats::median;
use super::threads::Threads;
use super::tolls::{Stages, TollRow, Who};

/// Everything about keys and money that a run measured.
#[derive(Default)]
pub(crate) struct Accounted {
    /// What keys and budgets cost.
    pub(crate) tolls: Vec<TollRow>,
    /// One key beside many.
    pub(crate) hot: Hot,
    /// One that floods beside others.
    pub(crate) noisy: Noisy,
    /// Databases of several sizes.
    pub(crate) many: Vec<ManyRow>,
    /// With a journal and without.
    pub(crate) durable: Durable,
    /// Instructions of a request.
    pub(crate) instructions: Vec<InstructionsRow>,
}

impl Accounted {
    /// The aims of keys and money.
    pub(crate) fn aims(&self) -> Vec<Aim> {
        let stages = self.tolls.iter().find(|row| row.who == Who::Budgets).and_then(|row| row.stages);
        let many = self.many.iter().find(|row| row.keys == SIZES[1]);
        let journal = |journal| self.durable.rows.iter().find(|row| row.journal == journal);
        let added = |of: Option<&JournalRow>| Some(p99(of?) - p99(journal(Journal::Off)?));
        let mut aims = vec![
            Aim::most(
                "authenticate, admit and settle under four budgets",
                "<= 15 us",
                15.0,
                " us",
                stages.map(|stages| stages.whole),
            ),
            Aim::most(
                "start with 100,000 keys",
                "<= 3 s",
                3.0,
                " s",
                many.map(|row| median(&row.ready_ms) / 1e3),
            ),
            Aim::most(
                "lookup among 100,000 keys",
                "<= 20 us",
                20.0,
                " us",
                many.and_then(|row| row.lookup_us),
            ),
            Aim::most(
                "idle memory with 100,000 keys",
                "<= 200 MB",
                200.0,
                " MB",
                many.map(|row| megabytes(row.idle.rss_kb)),
            ),
            Aim::most(
                "p99 with `strict` - without a journal",
                "<= 2 ms",
                2.0,
                " ms",
                added(journal(Journal::Strict)),
            ),
        ];
        aims.extend(self.aims_of_load());
        aims
    }

    /// Those of keys beside one another.
    fn aims_of_load(&self) -> [Aim; 5] {
        [
            Aim::most(
                "one hot key: p99 / that of 1,000 keys",
                "<= 1.10x",
                1.1,
                "x",
                self.hot.ratio(|row| &row.seen.p99),
            ),
            Aim::most(
                "one hot key: CPU / that of 1,000 keys",
                "<= 1.1x",
                1.1,
                "x",
                self.hot.ratio(|row| &row.cpu_us),
            ),
            Aim::most(
                "one hot key: errors",
                "0",
                0.0,
                "",
                self.hot.row(Spread::Hot).map(|row| row.seen.errors as f64),
            ),
            Aim::most(
                "one that floods: p99 of 20 others / without it",
                "<= 1.10x",
                1.1,
                "x",
                self.noisy.ratio(|seen| &seen.p99),
            ),
            Aim::most(
                "one that floods: others' errors",
                "0",
                0.0,
                "",
                (self.noisy.rate > 0).then_some(self.noisy.beside.errors as f64),
            ),
        ]
    }

    /// The sections.
    pub(crate) fn sections(&self) -> String {
        [
            tolls(&self.tolls),
            instructions(&self.instructions),
            hot_key(&self.hot),
            one_that_floods(&self.noisy),
            many(&self.many),
            journals(&self.durable),
        ]
        .concat()
    }
}

fn p99(row: &JournalRow) -> f64 {
    median(&row.seen.p99)
}

fn tolls(rows: &[TollRow]) -> String {
    let Some(least) = rows.first() else { return String::new() };
    let mut text = String::from(
        "\n## Cost of keys and budgets\n\nThe stages by themselves, 16 requests at a time: who calls (`authenticate`), \
         every limit of everybody whom it is charged to (`admit`), the money that is held, its intent in the journal, and \
         what it came to (`settle`). Microseconds of processor time; the first four on the thread that serves the \
         request, the others on the journal's, which syncs, and on those that carry rows to SQLite.\n\n\
         | who calls | authenticate | admit | settle | together | journal | database |\n\
         |---|---|---|---|---|---|---|\n",
    );
    for row in rows {
        let Some(stages) = row.stages else { continue };
        let Stages { authenticate, admit, settle, whole, journal, database } = stages;
        let figures = [authenticate, admit, settle, whole, journal, database].map(|us| format!("{us:.1}"));
        text.push_str(&line(&[&[row.who.title().to_owned()], figures.as_slice()].concat()));
    }
    text.push_str(
        "\nAs part of a plain request: the closed loop as above, gateways in turns, microseconds of processor time a \
         request by what the threads are for. Every gateway keeps what is spent; the first has nowhere to keep it but \
         its memory.\n\n\
         | who calls | serving | journal | database | all | to the first |\n|---|---|---|---|---|---|\n",
    );
    let of =
        |row: &TollRow, pick: fn(&Threads) -> f64| median(&row.cpu_us.iter().map(pick).collect::<Vec<f64>>());
    let base = of(least, |threads| threads.all());
    for row in rows {
        let all = of(row, |threads| threads.all());
        text.push_str(&format!(
            "| {} | {:.1} | {:.1} | {:.1} | {all:.1} | {:+.1} |\n",
            row.who.title(),
            of(row, |threads| threads.road),
            of(row, |threads| threads.journal),
            of(row, |threads| threads.database),
            all - base
        ));
    }
    text
}

fn instructions(rows: &[InstructionsRow]) -> String {
    if rows.is_empty() {
        return String::new();
    }
    let mut text = format!(
        "\n## Instructions of a plain request\n\nBy valgrind's callgrind, which no other load disturbs: those of {} \
         requests, one after the other, over those of {}, divided by the difference; by what the threads are for. Rows \
         that come one by one are the dearest to carry: each is nearly a transaction of its own.\n\n\
         | who calls | serving | journal | database |\n|---|---|---|---|\n",
        instructions::REQUESTS[1],
        instructions::REQUESTS[0]
    );
    for row in rows {
        let Threads { road, journal, database } = row.instructions.each(|count| count / 1e3);
        text.push_str(&format!("| {} | {road:.1}k | {journal:.1}k | {database:.1}k |\n", row.who.title()));
    }
    text
}

fn hot_key(hot: &Hot) -> String {
    if hot.rows.is_empty() {
        return String::new();
    }
    let mut text = format!(
        "\n## One hot key\n\n{} requests a second, each at its own moment, from which its time counts: all of one key, \
         or of {} keys in turns. That is three fifths of the {:.0} that the gateway can do on its one core for as \
         long as one likes (from the processor time of a closed loop with these keys, and of carrying its rows into the \
         database), or {} where that is more. Each key, its team, its user and all together have a budget; the journal is \
         `strict`. Milliseconds; what it is to the keys in turns, round by round, is in brackets.\n\n\
         | requests of | answers/s | p50 | p99 | CPU us/request | errors |\n|---|---|---|---|---|---|\n",
        hot.rate,
        hot::KEYS,
        hot.most,
        hot::RATE_MAX
    );
    for row in &hot.rows {
        let cell = |pick: fn(&HotRow) -> &Vec<f64>, digits: usize| {
            let value = median(pick(row));
            match hot.ratio(pick).filter(|_| row.spread == Spread::Hot) {
                None => format!("{value:.digits$}"),
                Some(ratio) => format!("{value:.digits$} ({ratio:.2}x)"),
            }
        };
        let title = match row.spread {
            Spread::Hot => "one key".to_owned(),
            Spread::Even => format!("{} keys", hot::KEYS),
        };
        text.push_str(&format!(
            "| {title} | {} | {} | {} | {} | {} |\n",
            cell(|row| &row.per_second, 0),
            cell(|row| &row.seen.p50, 2),
            cell(|row| &row.seen.p99, 2),
            cell(|row| &row.cpu_us, 1),
            row.seen.errors
        ));
    }
    text
}

/// One of the times that were seen.
type Pick = fn(&Seen) -> &Vec<f64>;

fn one_that_floods(noisy: &Noisy) -> String {
    let Noisy { rate, alone, beside, refused, answered } = noisy;
    if *rate == 0 {
        return String::new();
    }
    let mut text = format!(
        "\n## One that floods\n\n{} keys ask {rate} times a second together, three tenths of what the gateway can do for as long as \
         one likes, each request at its own moment, from which its time counts: by themselves, and beside one key that asks as \
         often as all of them and may ask {} times a minute ({answered} of its requests were answered, {refused} refused). \
         Milliseconds; what it is to the times by themselves, round by round, is in brackets.\n\n\
         | the others | p50 | p99 | errors |\n|---|---|---|---|\n",
        noisy::NORMAL,
        noisy::A_MINUTE
    );
    let time = |seen: &Seen, pick: Pick| format!("{:.2}", median(pick(seen)));
    let (p50, p99): (Pick, Pick) = (|seen| &seen.p50, |seen| &seen.p99);
    text.push_str(&format!(
        "| by themselves | {} | {} | {} |\n",
        time(alone, p50),
        time(alone, p99),
        alone.errors
    ));
    let cell = |pick| format!("{} ({:.2}x)", time(beside, pick), noisy.ratio(pick).unwrap_or(f64::NAN));
    text.push_str(&format!("| beside it | {} | {} | {} |\n", cell(p50), cell(p99), beside.errors));
    text
}

fn many(rows: &[ManyRow]) -> String {
    let Some(one) = rows.first() else { return String::new() };
    let mut text = String::from(
        "\n## A hundred thousand keys\n\nIn SQLite, with a team for every ten of them, budgets of both, documents as the \
         admin API writes them. From the start of the process to its first 200; resident memory before the first \
         request, and when every key had called; the processor time to find out who calls; that of a plain request, \
         every key in turns.\n\n\
         | keys | ready ms | idle MB | loaded MB | lookup us | CPU us/request | to one |\n\
         |---|---|---|---|---|---|---|\n",
    );
    for row in rows {
        let cpu = median(&row.cpu_us);
        let lookup = row.lookup_us.map_or_else(|| "-".to_owned(), |lookup| format!("{lookup:.2}"));
        text.push_str(&format!(
            "| {} | {:.0} | {:.1} | {:.1} | {lookup} | {cpu:.1} | {:+.1} |\n",
            row.keys,
            median(&row.ready_ms),
            megabytes(row.idle.rss_kb),
            megabytes(row.loaded.rss_kb),
            cpu - median(&one.cpu_us)
        ));
    }
    text
}

fn journals(seen: &Durable) -> String {
    let Some(off) = seen.rows.iter().find(|row| row.journal == Journal::Off) else { return String::new() };
    let mut text = format!(
        "\n## With a journal\n\n{} requests a second of a key under four budgets, each at its own moment, from which its \
         time counts; gateways in turns. Milliseconds; what it is to none is in brackets. The last line is the disk \
         by itself, in the same rounds: a write of 2 KB to the end of a file, and its sync.\n\n\
         | journal | p50 | p99 | errors |\n|---|---|---|---|\n",
        durable::RATE
    );
    for row in &seen.rows {
        let cell = |pick: fn(&JournalRow) -> &Vec<f64>| {
            let (value, base) = (median(pick(row)), median(pick(off)));
            match row.journal {
                Journal::Off => format!("{value:.2}"),
                Journal::Relaxed | Journal::Strict => format!("{value:.2} ({:+.2})", value - base),
            }
        };
        let (p50, p99) = (cell(|row| &row.seen.p50), cell(|row| &row.seen.p99));
        text.push_str(&format!("| {} | {p50} | {p99} | {} |\n", row.journal.title(), row.seen.errors));
    }
    let disk = (median(&seen.disk_p50), median(&seen.disk_p99));
    text.push_str(&format!("| the disk by itself | {:.2} | {:.2} | - |\n", disk.0, disk.1));
    text
}

#[cfg(test)]
mod tests {
    use super::super::arrivals::Seen;
    use super::super::process::Memory;
    use super::super::tolls::Stages;
    use super::*;

    fn toll_row(who: Who, whole: Option<f64>, road: f64) -> TollRow {
        let stages = whole.map(|whole| Stages {
            authenticate: 1.0,
            admit: 2.0,
            settle: 3.0,
            whole,
            journal: 5.0,
            database: 30.0,
        });
        TollRow { who, stages, cpu_us: vec![Threads { road, journal: 5.0, database: 30.0 }] }
    }

    #[test]
    fn what_keys_cost_is_told_by_stage_and_beside_those_who_need_none() {
        let rows = [toll_row(Who::Anyone, None, 20.0), toll_row(Who::Budgets, Some(6.0), 30.0)];
        let text = tolls(&rows);
        let who = "key, team, user and global budgets";
        assert!(text.contains(&format!("| {who} | 1.0 | 2.0 | 3.0 | 6.0 | 5.0 | 30.0 |")), "{text}");
        assert!(text.contains(&format!("| {who} | 30.0 | 5.0 | 30.0 | 65.0 | +10.0 |")), "{text}");
        assert_eq!(text.matches("| no key asked for").count(), 1, "{text}");
    }

    #[test]
    fn one_hot_key_is_told_as_a_ratio_to_many() {
        let row = |spread, p99: f64, cpu: f64| HotRow {
            spread,
            seen: Seen { p50: vec![1.0], p99: vec![p99], errors: 0 },
            per_second: vec![5_000.0],
            cpu_us: vec![cpu],
        };
        let rows = vec![row(Spread::Hot, 3.0, 55.0), row(Spread::Even, 2.0, 50.0)];
        let accounted = Accounted { hot: Hot { most: 9_000.0, rate: 5_000, rows }, ..Accounted::default() };
        let values: Vec<f64> = accounted.aims().iter().filter_map(|aim| aim.value).collect();
        assert_eq!(values, [1.5, 1.1, 0.0]);
        let text = accounted.sections();
        assert!(text.contains("\n5000 requests a second") && text.contains("of the 9000 that"), "{text}");
        assert!(
            text.contains("| one key | 5000 (1.00x) | 1.00 (1.00x) | 3.00 (1.50x) | 55.0 (1.10x) | 0 |"),
            "{text}"
        );
        assert!(text.contains("| 1000 keys | 5000 | 1.00 | 2.00 | 50.0 | 0 |"), "{text}");
    }

    #[test]
    fn others_are_told_with_and_without_one_that_floods() {
        let seen = |p50, p99| Seen { p50: vec![p50], p99: vec![p99], errors: 0 };
        let (alone, beside) = (seen(1.0, 2.0), seen(1.0, 2.5));
        let noisy = Noisy { rate: 700, alone, beside, refused: 9, answered: 3 };
        let accounted = Accounted { noisy, ..Accounted::default() };
        let values: Vec<f64> = accounted.aims().iter().filter_map(|aim| aim.value).collect();
        assert_eq!(values, [1.25, 0.0]);
        let text = accounted.sections();
        assert!(text.contains("ask 700 times a second") && text.contains("(3 of its requests"), "{text}");
        assert!(text.contains("| by themselves | 1.00 | 2.00 | 0 |"), "{text}");
        assert!(text.contains("| beside it | 1.00 (1.00x) | 2.50 (1.25x) | 0 |"), "{text}");
    }

    #[test]
    fn many_keys_are_told_beside_one() {
        let row = |keys, ms: f64, kb, cpu: f64| ManyRow {
            keys,
            ready_ms: vec![ms],
            idle: Memory { rss_kb: kb, pss_kb: kb },
            loaded: Memory { rss_kb: kb, pss_kb: kb },
            lookup_us: Some(1.25),
            cpu_us: vec![cpu],
        };
        let rows = vec![row(1, 12.0, 20_480, 50.0), row(100_000, 1_500.0, 204_800, 52.0)];
        assert!(many(&rows).contains("| 100000 | 1500 | 200.0 | 200.0 | 1.25 | 52.0 | +2.0 |"));
        let accounted = Accounted { many: rows, ..Accounted::default() };
        let values: Vec<f64> = accounted.aims().iter().filter_map(|aim| aim.value).collect();
        assert_eq!(values, [1.5, 1.25, 200.0]);
    }

    #[test]
    fn a_journal_is_told_beside_none_and_the_disk() {
        let row = |journal, p99: f64| JournalRow {
            journal,
            seen: Seen { p50: vec![1.0], p99: vec![p99], errors: 0 },
        };
        let rows = vec![row(Journal::Off, 2.0), row(Journal::Relaxed, 2.5), row(Journal::Strict, 3.5)];
        let durable = Durable { rows, disk_p50: vec![0.5], disk_p99: vec![1.25] };
        let text = journals(&durable);
        assert!(text.contains("| `strict` | 1.00 (+0.00) | 3.50 (+1.50) | 0 |"), "{text}");
        assert!(text.contains("| the disk by itself | 0.50 | 1.25 | - |"), "{text}");
        let accounted = Accounted { durable, ..Accounted::default() };
        let values: Vec<f64> = accounted.aims().iter().filter_map(|aim| aim.value).collect();
        assert_eq!(values, [1.5]);
    }

    #[test]
    fn instructions_are_told_in_thousands() {
        let counts = Threads { road: 133_849.0, journal: 5_000.0, database: 76_000.0 };
        let row = InstructionsRow { who: Who::Master, instructions: counts };
        assert!(instructions(&[row]).contains("| master key | 133.8k | 5.0k | 76.0k |"));
    }

    #[test]
    fn what_was_not_measured_has_no_section() {
        let none = Accounted::default();
        assert_eq!(none.sections(), "");
        assert!(none.aims().iter().all(|aim| aim.value.is_none()));
    }
}
