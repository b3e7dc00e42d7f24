//! `keyward migrate`.

use crate::cli::database::Reach;
use crate::cli::output::Failure;
use crate::cli::output::Out;
use crate::cli::output::table;
use crate::store::database;
use crate::store::migrations;
use clap::Args;
use serde::Serialize;

/// Bring the database up to this version
#[derive(Args, Debug)]
pub struct Migrate {
    /// List the migrations and which of them the database has; change nothing
    #[arg(long)]
    list: bool,
}

#[derive(Serialize)]
struct Row {
    name: String,
    applied: bool,
}

impl Migrate {
    /// Migrates or lists.
    ///
    /// # Errors
    /// The database is away or newer.
    pub fn run(self, reach: &Reach, out: Out) -> Result<(), Failure> {
        let opened = reach.open()?;
        let mut connection = database::connect(opened.url.reveal())?;
        if !self.list {
            let applied = migrations::run(&mut connection)?;
            out.say(match applied.len() {
                0 => "nothing to do: the database is up to date".to_owned(),
                count => format!("{count} migrations were applied"),
            });
            return out.data(&applied, || applied.join("\n"));
        }
        let rows: Vec<_> = migrations::list(&mut connection)?
            .into_iter()
            .map(|migration| Row {
                name: if migration.known { migration.name } else { format!("{} (of a newer version)", migration.name) },
                applied: migration.applied,
            })
            .collect();
        out.data(&rows, || {
            let cells: Vec<_> = rows
                .iter()
                .map(|row| [row.name.clone(), if row.applied { "applied" } else { "pending" }.to_owned()])
                .collect();
            table(["MIGRATION", "STATE"], &cells)
        })
    }
}
