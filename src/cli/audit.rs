//! `keyward audit`.

use crate::cli::database::Opened;
use crate::cli::database::Reach;
use crate::cli::output::Failure;
use crate::cli::output::Out;
use crate::domain::audit_log::verify;
use crate::domain::audit_log::verify::Anchor;
use crate::domain::audit_log::verify::Report;
use crate::domain::workspaces;
use crate::model::workspace::Workspace;
use clap::Args;
use clap::Subcommand;
use serde::Serialize;
use std::fs::File;
use std::io::BufRead;
use std::io::BufReader;
use std::path::Path;
use std::path::PathBuf;

/// Verify the audit log, and take anchors for that
#[derive(Debug, Subcommand)]
pub enum Audit {
    /// Verify that nothing in the audit log was changed, removed, moved or put in; exit code 1 if something was
    ///
    /// Every row is bound to the row before by a hash, so whatever is changed breaks what follows. Who can write to the
    /// database could seal everything anew, or cut the end off: against that, give an anchor that was kept elsewhere.
    Verify(Verify),
    /// Print the end of each chain as a line of JSON, to be kept where nobody who can write to the database can write
    Anchor {
        /// Only that of this workspace
        #[arg(long, value_name = "NAME-OR-ID")]
        workspace: Option<String>,
    },
}

/// What to verify.
#[derive(Args, Debug)]
pub struct Verify {
    /// Only the log of this workspace
    #[arg(long, value_name = "NAME-OR-ID")]
    workspace: Option<String>,
    /// File with lines that `keyward audit anchor` printed; the chains must still run through all of them
    #[arg(long, value_name = "FILE")]
    anchor: Option<PathBuf>,
}

#[derive(Serialize)]
struct Answer {
    intact: bool,
    workspaces: Vec<Report>,
}

impl Audit {
    /// Runs the command.
    ///
    /// # Errors
    /// The database's, and a log that is not intact.
    pub fn run(self, reach: &Reach, out: Out) -> Result<(), Failure> {
        match self {
            Self::Verify(verify) => verify.run(reach, out),
            Self::Anchor { workspace } => {
                let opened = reach.open_migrated()?;
                for workspace in chosen(&opened, workspace.as_deref())? {
                    if let Some(anchor) = opened.view(|tx| verify::anchor(tx, &workspace.id))? {
                        out.raw(&serde_json::to_string(&anchor).map_err(Failure::failed)?)?;
                    }
                }
                Ok(())
            }
        }
    }
}

impl Verify {
    fn run(self, reach: &Reach, out: Out) -> Result<(), Failure> {
        let anchors = self.anchor.as_deref().map_or_else(|| Ok(Vec::new()), read_anchors)?;
        let opened = reach.open_migrated()?;
        let chosen = chosen(&opened, self.workspace.as_deref())?;
        let mut reports = Vec::new();
        for workspace in &chosen {
            reports.push(opened.view(|tx| verify::verify(tx, workspace, &anchors))?);
        }
        let answer = Answer { intact: reports.iter().all(|report| report.intact), workspaces: reports };
        out.data(&answer, || answer.workspaces.iter().map(told).collect::<Vec<_>>().join("\n"))?;
        if let Some(report) = answer.workspaces.iter().find(|report| !report.intact) {
            return Err(Failure::failed(format!("the audit log is not intact. {}", told(report))));
        }
        let known = |anchor: &&Anchor| chosen.iter().any(|workspace| workspace.id == anchor.workspace);
        match anchors.iter().find(|anchor| self.workspace.is_none() && !known(anchor)) {
            Some(anchor) => Err(Failure::failed(format!(
                "the audit log is not intact. Workspace {} is gone: an anchor has seen its log",
                anchor.workspace
            ))),
            None => Ok(()),
        }
    }
}

fn chosen(opened: &Opened, workspace: Option<&str>) -> Result<Vec<Workspace>, Failure> {
    match workspace {
        Some(workspace) => Ok(vec![opened.read(|tx| workspaces::find(tx, workspace))?]),
        None => opened.read(workspaces::list),
    }
}

fn read_anchors(path: &Path) -> Result<Vec<Anchor>, Failure> {
    let fault = |reason: String| Failure::usage(format!("{}: {reason}", path.display()));
    let file = File::open(path).map_err(|error| fault(error.to_string()))?;
    let mut anchors = Vec::new();
    for (number, line) in BufReader::new(file).lines().enumerate() {
        let line = line.map_err(|error| fault(error.to_string()))?;
        if line.trim().is_empty() {
            continue;
        }
        let anchor = serde_json::from_str(&line)
            .map_err(|error| fault(format!("line {} is no anchor: {error}", number.saturating_add(1))))?;
        anchors.push(anchor);
    }
    if anchors.is_empty() {
        return Err(fault("no anchor is in it, so nothing would be compared".to_owned()));
    }
    Ok(anchors)
}

/// What is known of a log, in a sentence or two.
fn told(report: &Report) -> String {
    let Report { name, rows, unsealed, anchors, .. } = report;
    if let Some(broken) = &report.broken {
        let row = broken.id.as_ref().map_or_else(String::new, |id| format!(" ({id})"));
        return format!("Workspace {name}: broken at row {}{row}: {}", broken.sequence, broken.reason);
    }
    let mut text = format!("Workspace {name}: intact, {rows} rows");
    if let Some(dropped) = &report.dropped {
        text.push_str(&format!(" after row {}, the last that was dropped since it was old", dropped.sequence));
    }
    if *anchors > 0 {
        text.push_str(&format!("; {anchors} anchors hold"));
    }
    if *unsealed > 0 {
        text.push_str(&format!("; {unsealed} rows are not sealed yet"));
    }
    text
}
