//! One run from its beginning to its end.

use crate::Fault;
use crate::cases;
use crate::cases::Case;
use crate::cases::Servers;
use crate::growth;
use crate::lag;
use crate::machine;
use crate::options::Options;
use crate::report::Report;
use crate::single;
use crate::stage::Stage;
use clap::Parser;
use std::path::Path;
use std::process::ExitCode;
use std::time::Instant;

/// Measures what is asked for. Arguments are a folder, then what [`Options`] says.
pub fn run(arguments: &[String]) -> Result<ExitCode, Fault> {
    let (folder, rest) = arguments.split_first().ok_or("a role without its arguments")?;
    let name = "make bench".to_owned();
    let options = match Options::try_parse_from(std::iter::once(&name).chain(rest)) {
        Ok(options) => options,
        Err(said) => {
            said.print()?;
            return Ok(if said.use_stderr() { ExitCode::from(2) } else { ExitCode::SUCCESS });
        }
    };
    let begun = Instant::now();
    let mut stage = Stage::set(Path::new(folder), options)?;
    let machine = machine::describe(&stage, Path::new(folder))?;
    machine.iter().for_each(|line| println!("{line}"));
    let mut report = Report::new(machine);

    if stage.options.wants("growth: stored keys") {
        let rows = growth::by_stored_keys(&mut stage);
        report.by_stored_keys = report.kept("growth: stored keys", rows);
    }
    stage.store(stage.options.keys())?;
    let stage = stage;
    let servers = Servers::start(&stage)?;
    let wanted: Vec<_> = Case::all(&stage).into_iter().filter(|case| stage.options.wants(case.name)).collect();
    if !wanted.is_empty() {
        cases::settle(&stage, &servers)?;
        let rows = growth::rounds(&stage, &servers, &wanted, stage.options.rounds(), stage.options.connections);
        report.steady = report.kept("the main table", rows);
    }
    if stage.options.wants("growth: connections") {
        report.by_connections = report.kept("growth: connections", growth::by_connections(&stage, &servers));
    }
    if stage.options.wants("revoke lag") {
        report.lags = report.kept("revoke lag", lag::measure(&stage, &servers));
    }
    drop(servers);
    if stage.options.wants("memory per entry") {
        report.memory = report.kept("memory per entry", single::memory(&stage).map(Some));
    }
    if stage.options.wants("start time") {
        report.starts = report.kept("start time", single::starts(&stage));
    }
    report.took = begun.elapsed();
    println!("\n{}", report.text());
    if stage.options.write {
        report.write()?;
    }
    let failed = stage.options.strict && !report.passes();
    Ok(if failed { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}
