//! Rounds of measurements: each case once a round, the floor before every third, and what grows with keys and connections.

use crate::Fault;
use crate::cases;
use crate::cases::Case;
use crate::cases::Measured;
use crate::cases::Servers;
use crate::load::Found;
use crate::stage::Stage;

/// Client connections of the tables of growth.
const CONNECTIONS: [usize; 4] = [1, 8, 64, 256];
/// Cases whose growth is shown.
const GROWING: [&str; 5] = [cases::WARM, cases::COLD, cases::SELECT, cases::CREDITS, cases::UPDATE];
/// Cases between two measurements of the floor: not so many that the machine becomes another one meanwhile.
const GROUP: usize = 3;

/// All measurements of one case.
#[derive(Clone, Debug)]
pub struct Row {
    /// Its name.
    pub name: &'static str,
    /// What it was measured with.
    pub connections: usize,
    /// How many plain keys were stored.
    pub stored: u64,
    /// One a round, with what the floor did just before.
    pub rounds: Vec<(Measured, Found)>,
}

/// Measures cases in rounds. The first row is the floor.
pub fn rounds(
    stage: &Stage,
    servers: &Servers,
    cases: &[Case],
    rounds: usize,
    connections: usize,
) -> Result<Vec<Row>, Fault> {
    let floor = Case::floor(stage);
    let row = |case: &Case| Row { name: case.name, connections, stored: stage.stored(), rounds: Vec::new() };
    let (mut floors, mut rows) = (row(&floor), cases.iter().map(row).collect::<Vec<_>>());
    for round in 1..=rounds {
        for (cases, rows) in cases.chunks(GROUP).zip(rows.chunks_mut(GROUP)) {
            let bare = floor.measure(stage, servers, connections)?;
            raw(round, &floors, &bare, &bare.found);
            for (case, row) in cases.iter().zip(rows) {
                let measured = case.measure(stage, servers, connections)?;
                raw(round, row, &measured, &bare.found);
                row.rounds.push((measured, bare.found.clone()));
            }
            floors.rounds.push((bare.clone(), bare.found));
        }
    }
    rows.insert(0, floors);
    Ok(rows)
}

/// With 10^3 to all keys stored: what is cold, what is warm, and one SELECT for comparison. All keys are stored afterwards.
pub fn by_stored_keys(stage: &mut Stage) -> Result<Vec<Row>, Fault> {
    let (mut rows, mut keys) = (Vec::new(), 1_000);
    loop {
        keys = keys.min(stage.options.keys());
        stage.store(keys)?;
        let servers = Servers::start(stage)?;
        rows.extend(of(stage, &servers, &[cases::WARM, cases::COLD, cases::SELECT], stage.options.connections)?);
        if keys == stage.options.keys() {
            return Ok(rows);
        }
        keys *= 10;
    }
}

/// With 1 to 256 connections.
pub fn by_connections(stage: &Stage, servers: &Servers) -> Result<Vec<Row>, Fault> {
    let mut rows = Vec::new();
    for connections in CONNECTIONS {
        rows.extend(of(stage, servers, &GROWING, connections)?);
    }
    Ok(rows)
}

fn of(stage: &Stage, servers: &Servers, names: &[&str], connections: usize) -> Result<Vec<Row>, Fault> {
    let cases: Vec<_> = Case::all(stage).into_iter().filter(|case| names.contains(&case.name)).collect();
    rounds(stage, servers, &cases, stage.options.growth_rounds(), connections)
}

fn raw(round: usize, row: &Row, measured: &Measured, floor: &Found) {
    let Found { p50_us, p99_us, server_cpu_us, database_cpu_us, client_cpu_us, seconds, .. } = &measured.found;
    let found = &measured.found;
    println!(
        "raw round={round} case={:?} connections={} stored={} rps={:.0} ratio={:.3} p50_us={p50_us:.0} p99_us={p99_us:.0} \
         server_us={:.1} database_us={:.1} client_busy={:.2}{}",
        row.name,
        row.connections,
        row.stored,
        found.rate(),
        found.rate() / floor.rate(),
        found.per_answer(*server_cpu_us),
        found.per_answer(*database_cpu_us),
        *client_cpu_us as f64 / 1e6 / seconds,
        measured.doubt.as_ref().map(|doubt| format!(" DOUBT: {doubt}")).unwrap_or_default(),
    );
}
