//! What a run prints: tables of medians, the bars and whether they are met. The same goes into docs/performance.md.

use crate::Fault;
use crate::cases;
use crate::growth::Row;
use crate::lag::Lag;
use crate::load::Found;
use crate::single::Memory;
use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::Path;
use std::time::Duration;

/// Begins what a run replaces in the page.
const BEGIN: &str = "<!-- bench -->\n";
/// Ends it.
const END: &str = "<!-- /bench -->\n";
/// A client that is busier than this measures itself.
const BUSY: f64 = 0.9;
/// The floor scatters by no more than this on a machine where nothing else is at work.
const CALM: f64 = 1.5;
/// Threads of the server whose share of a request is not worth a row, microseconds.
const NEGLIGIBLE_US: f64 = 0.05;

/// What a run found.
#[derive(Debug)]
pub struct Report {
    machine: Vec<String>,
    faults: Vec<String>,
    /// The main table.
    pub steady: Vec<Row>,
    /// By stored keys.
    pub by_stored_keys: Vec<Row>,
    /// By connections.
    pub by_connections: Vec<Row>,
    /// Revoke lags.
    pub lags: Vec<Lag>,
    /// Memory per entry.
    pub memory: Option<Memory>,
    /// Start times, sorted.
    pub starts: Vec<Duration>,
    /// The whole run.
    pub took: Duration,
}

/// A promise, and what was found.
struct Bar {
    text: &'static str,
    /// What was found, in words, and whether that will do; `None` if it was not measured or is in doubt.
    found: Option<(String, bool)>,
}

/// The median of what is not sorted yet; 0 of nothing.
fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    let upper = values.get(middle).copied().unwrap_or_default();
    match values.len() % 2 {
        0 => f64::midpoint(upper, values.get(middle.saturating_sub(1)).copied().unwrap_or_default()),
        _ => upper,
    }
}

/// The value that so much of what is sorted does not exceed, by nearest rank.
fn quantile(sorted: &[Duration], quantile: f64) -> Duration {
    let rank = (sorted.len() as f64 * quantile).ceil() as usize;
    sorted.get(rank.saturating_sub(1)).copied().unwrap_or_default()
}

fn ms(time: Duration) -> String {
    format!("{:.1}", time.as_secs_f64() * 1e3)
}

impl Row {
    fn median(&self, of: impl Fn(&Found) -> f64) -> f64 {
        median(self.rounds.iter().map(|(measured, _)| of(&measured.found)))
    }

    /// To the floor of the same round.
    fn to_floor(&self) -> f64 {
        median(self.rounds.iter().map(|(measured, floor)| measured.found.rate() / floor.rate()))
    }

    /// The floor's CPU time by this case's, server only, all rounds together: true even when others keep the machine busy.
    fn cpu_to_floor(&self) -> f64 {
        let per_answer = |found: &mut dyn Iterator<Item = &Found>| {
            let (cpu_us, answers) =
                found.fold((0, 0), |(cpu_us, answers), found| (cpu_us + found.server_cpu_us, answers + found.answers));
            cpu_us as f64 / (answers as f64).max(1.0)
        };
        let floor = per_answer(&mut self.rounds.iter().map(|(_, floor)| floor));
        floor / per_answer(&mut self.rounds.iter().map(|(measured, _)| &measured.found)).max(f64::EPSILON)
    }

    /// Why its figures are not to be trusted, if so.
    fn doubt(&self) -> Option<String> {
        let busy = self.median(|found| found.client_cpu_us as f64 / 1e6 / found.seconds);
        let busy = (busy > BUSY).then(|| format!("the client was busy {:.0} % of the time", 100.0 * busy));
        self.rounds.iter().find_map(|(measured, _)| measured.doubt.clone()).or(busy)
    }
}

/// To another case in the same round.
fn ratio(row: &Row, other: &Row) -> f64 {
    let rounds = row.rounds.iter().zip(&other.rounds);
    median(rounds.map(|((one, _), (other, _))| one.found.rate() / other.found.rate()))
}

impl Report {
    /// A report on a machine, empty.
    pub fn new(machine: Vec<String>) -> Self {
        Self {
            machine,
            faults: Vec::new(),
            steady: Vec::new(),
            by_stored_keys: Vec::new(),
            by_connections: Vec::new(),
            lags: Vec::new(),
            memory: None,
            starts: Vec::new(),
            took: Duration::ZERO,
        }
    }

    /// What one part of the run found; nothing, and a note, if it failed: the other parts took minutes and still count.
    pub fn kept<T: Default>(&mut self, part: &str, result: Result<T, Fault>) -> T {
        result.unwrap_or_else(|fault| {
            eprintln!("bench: {part}: {fault}");
            self.faults.push(format!("{part}: {fault}"));
            T::default()
        })
    }

    /// As Markdown.
    pub fn text(&self) -> String {
        let mut text = String::new();
        // Writing to a string does not fail.
        let _ = self.tables(&mut text);
        text
    }

    fn tables(&self, out: &mut String) -> std::fmt::Result {
        for line in &self.machine {
            writeln!(out, "* {line}")?;
        }
        if let Some(scatter) = self.scatter().filter(|scatter| *scatter > CALM) {
            writeln!(
                out,
                "* **in doubt, all of it**: the fastest measurement of the floor was {scatter:.1} times the slowest: something \
                 else was at work on this machine"
            )?;
        }
        for fault in &self.faults {
            writeln!(out, "* **failed**: {fault}")?;
        }
        let rounds = self.steady.iter().map(|row| row.rounds.len()).min().unwrap_or_default();
        writeln!(
            out,
            "* medians of {rounds} rounds (of the tables of growth: fewer); the whole run took {:.0} s",
            self.took.as_secs_f64()
        )?;
        table(out, "Everything at once", &self.steady, |row| row.name.to_owned())?;
        table(out, "As connections grow", &self.by_connections, |row| {
            format!("{}; {} connections", row.name, row.connections)
        })?;
        table(out, "As stored keys grow", &self.by_stored_keys, |row| format!("{}; {} keys", row.name, row.stored))?;
        self.threads(out)?;
        self.singles(out)?;
        writeln!(out, "\n### Bars\n\n| promised | found | |\n|---|---|---|")?;
        for Bar { text, found } in self.bars() {
            match found {
                Some((found, met)) => {
                    writeln!(out, "| {text} | {found} | {} |", if met { "met" } else { "**missed**" })?
                }
                None => writeln!(out, "| {text} | not measured | |")?,
            }
        }
        Ok(())
    }

    /// How much the floor itself scattered.
    fn scatter(&self) -> Option<f64> {
        let floor = self.steady.iter().find(|row| row.name == cases::FLOOR)?;
        let rates = || floor.rounds.iter().map(|(measured, _)| measured.found.rate());
        Some(rates().fold(0.0, f64::max) / rates().fold(f64::INFINITY, f64::min))
    }

    fn singles(&self, out: &mut String) -> std::fmt::Result {
        if !self.lags.is_empty() {
            writeln!(out, "\n### Revoke lag\n")?;
            writeln!(
                out,
                "From the 200 of one node to the first refusal by another one under load. One verification took the"
            )?;
            writeln!(out, "last column meanwhile: the measure is no finer.\n")?;
            writeln!(
                out,
                "| revoked by | times | p50 ms | p99 ms | max ms | one verification ms |\n|---|---|---|---|---|---|"
            )?;
        }
        for lag in &self.lags {
            let [p50, p99, max] = [0.5, 0.99, 1.0].map(|share| ms(quantile(&lag.times, share)));
            writeln!(out, "| `{}` | {} | {p50} | {p99} | {max} | {} |", lag.name, lag.times.len(), ms(lag.one))?;
        }
        if let Some(memory) = self.memory {
            let mib = |bytes: u64| bytes as f64 / 1_048_576.0;
            let meaning = if memory.cached { "" } else { " (this server keeps no entries: the figure means nothing)" };
            writeln!(
                out,
                "\n**Memory per entry**: {:.0} bytes{meaning}: {:.1} MiB before and {:.1} MiB after {} keys were verified once each.",
                memory.per_key(),
                mib(memory.before),
                mib(memory.after),
                memory.keys
            )?;
        }
        if let (Some(first), Some(last)) = (self.starts.first(), self.starts.last()) {
            let middle = quantile(&self.starts, 0.5);
            writeln!(
                out,
                "\n**Start time** on a migrated database: {} ms ({}..{}), median of {}.",
                ms(middle),
                ms(*first),
                ms(*last),
                self.starts.len()
            )?;
        }
        Ok(())
    }

    /// Where the server's CPU time goes in the plain warm case, by names of threads.
    fn threads(&self, out: &mut String) -> std::fmt::Result {
        let Some(row) = self.steady.iter().find(|row| row.name == cases::WARM) else { return Ok(()) };
        let mut used: BTreeMap<&str, u64> = BTreeMap::new();
        for (name, us) in row.rounds.iter().flat_map(|(measured, _)| &measured.found.threads_cpu_us) {
            *used.entry(name).or_default() += us;
        }
        let answers: u64 = row.rounds.iter().map(|(measured, _)| measured.found.answers).sum();
        let mut shares: Vec<_> = used
            .into_iter()
            .map(|(name, us)| (us as f64 / answers.max(1) as f64, name))
            .filter(|(share, _)| *share >= NEGLIGIBLE_US)
            .collect();
        shares.sort_by(|(one, _), (other, _)| other.total_cmp(one));
        let shares: Vec<_> = shares.iter().map(|(share, name)| format!("{name} {share:.1}")).collect();
        writeln!(out, "\n{}, CPU µs a request by thread: {}.", cases::WARM, shares.join(", "))
    }

    /// Whether nothing failed and no bar was missed.
    pub fn passes(&self) -> bool {
        self.faults.is_empty() && self.bars().iter().all(|bar| bar.found.as_ref().is_none_or(|(_, met)| *met))
    }

    /// What was promised, and what was found.
    fn bars(&self) -> Vec<Bar> {
        let to_floor = |name: &str, least: f64, aim: &str| {
            self.judged([name], |[row]| {
                (format!("{:.2} (by CPU time {:.2}{aim})", row.to_floor(), row.cpu_to_floor()), row.to_floor() >= least)
            })
        };
        let to_other = |name: &str, other: &str, least: f64| {
            self.judged([name, other], |[row, other]| {
                (format!("{:.2} ×", ratio(row, other)), ratio(row, other) >= least)
            })
        };
        let cold = self.judged([cases::COLD, cases::SELECT, cases::TESTED_SELECT], |[cold, select, tested]| {
            let found = ratio(cold, select);
            let default = ratio(cold, tested);
            (format!("{found:.2} × ({default:.2} × if r2d2 tests each connection, as is its default)"), found >= 3.0)
        });
        let p99 = self.judged([cases::WARM], |[warm]| {
            let rounds = warm.rounds.iter();
            let found = median(rounds.map(|(measured, floor)| measured.found.p99_us / floor.p99_us));
            (format!("{found:.2} ×"), found <= 2.0)
        });
        let lag = self.lags.iter().map(|lag| quantile(&lag.times, 0.99)).max();
        let lag = lag.map(|lag| (format!("{} ms", ms(lag)), lag < Duration::from_millis(50)));
        let start = (!self.starts.is_empty()).then(|| quantile(&self.starts, 0.5));
        let start = start.map(|start| (format!("{} ms", ms(start)), start < Duration::from_secs(1)));
        let bar = |text, found| Bar { text, found };
        vec![
            bar("plain warm verify: at least 0.70 of the floor", to_floor(cases::WARM, 0.70, "; the aim is 0.85")),
            bar("with two limits: at least 0.65 of the floor", to_floor(cases::LIMITS, 0.65, "")),
            bar("cold: at least 3 × one SELECT a request", cold),
            bar(
                "credits of many keys: at least 5 × one UPDATE a request",
                to_other(cases::CREDITS, cases::UPDATE, 5.0),
            ),
            bar(
                "credits of one hot key: at least 5 × one UPDATE a request",
                to_other(cases::HOT_CREDITS, cases::HOT_UPDATE, 5.0),
            ),
            bar("credits of one hot key: at least 0.80 of many", to_other(cases::HOT_CREDITS, cases::CREDITS, 0.8)),
            bar("p99 of plain warm verify: at most 2 × the floor's", p99),
            bar("revoke lag: p99 below 50 ms", lag),
            bar("start on a migrated database: below 1 s", start),
            bar("writing of events: below 5 % of the server's CPU time in plain warm verify", self.events()),
        ]
    }

    /// Judges cases that were measured. What is in doubt does not pass.
    fn judged<const N: usize>(
        &self,
        names: [&str; N],
        judge: impl FnOnce([&Row; N]) -> (String, bool),
    ) -> Option<(String, bool)> {
        let rows = names.map(|name| self.steady.iter().find(|row| row.name == name));
        let rows: Vec<&Row> = rows.into_iter().collect::<Option<_>>()?;
        if rows.iter().any(|row| row.doubt().is_some()) {
            return Some(("in doubt".to_owned(), false));
        }
        Some(judge(rows.try_into().ok()?))
    }

    /// The share of the threads that go to the database: in the plain warm case they write events, and little else.
    fn events(&self) -> Option<(String, bool)> {
        let row = self.steady.iter().find(|row| row.name == cases::WARM)?;
        let spent = |found: &Found| -> Option<u64> {
            let threads = found.threads_cpu_us.iter().filter(|(name, _)| name.starts_with("tokio-rt-worker"));
            threads.map(|(_, used)| *used).reduce(|one, other| one + other)
        };
        row.rounds.iter().all(|(measured, _)| spent(&measured.found).is_some()).then_some(())?;
        let share =
            100.0 * row.median(|found| spent(found).unwrap_or(0) as f64 / (found.server_cpu_us as f64).max(1.0));
        Some((format!("{share:.1} %"), share < 5.0))
    }

    /// Replaces the figures of docs/performance.md.
    pub fn write(&self) -> Result<(), Fault> {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/performance.md");
        let page = std::fs::read_to_string(&path)?;
        let marked = "docs/performance.md has no place for the figures";
        let (before, rest) = page.split_once(BEGIN).ok_or(marked)?;
        let (_, after) = rest.split_once(END).ok_or(marked)?;
        Ok(std::fs::write(&path, format!("{before}{BEGIN}{}{END}{after}", self.text()))?)
    }
}

fn table(out: &mut String, title: &str, rows: &[Row], name: impl Fn(&Row) -> String) -> std::fmt::Result {
    if rows.is_empty() {
        return Ok(());
    }
    writeln!(out, "\n### {title}\n")?;
    writeln!(
        out,
        "| case | requests/s (min..max) | to the floor | by CPU time | p50 ms | p99 ms | server CPU µs | database CPU µs |"
    )?;
    writeln!(out, "|---|---|---|---|---|---|---|---|")?;
    for row in rows {
        let rates = || row.rounds.iter().map(|(measured, _)| measured.found.rate());
        let (least, most) = (rates().fold(f64::INFINITY, f64::min), rates().fold(0.0, f64::max));
        writeln!(
            out,
            "| {} | {:.0} ({least:.0}..{most:.0}) | {:.2} | {:.2} | {:.2} | {:.2} | {:.1} | {:.1} |",
            name(row),
            row.median(Found::rate),
            row.to_floor(),
            row.cpu_to_floor(),
            row.median(|found| found.p50_us / 1e3),
            row.median(|found| found.p99_us / 1e3),
            row.median(|found| found.per_answer(found.server_cpu_us)),
            row.median(|found| found.per_answer(found.database_cpu_us)),
        )?;
    }
    for row in rows {
        if let Some(doubt) = row.doubt() {
            writeln!(out, "\n**In doubt:** {}: {doubt}.", name(row))?;
        }
    }
    Ok(())
}
