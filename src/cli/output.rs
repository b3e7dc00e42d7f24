//! What commands print, and how they fail: data on stdout, talk on stderr, exit codes that scripts can rely on.

use crate::cli::postgres::Fault;
use crate::config::Malformed;
use crate::model::code::Code;
use crate::model::error::Error;
use serde::Serialize;
use std::fmt::Display;
use std::io::Write;
use std::process::ExitCode;

/// Why a command ended without doing what it was asked.
#[derive(Debug)]
pub struct Failure {
    exit: u8,
    kind: &'static str,
    message: String,
}

impl Failure {
    /// It could not be done.
    #[must_use]
    pub fn failed(message: impl Display) -> Self {
        Self { exit: 1, kind: "failure", message: message.to_string() }
    }

    /// Why, in one line.
    #[must_use]
    pub fn message(&self) -> &str {
        &self.message
    }

    /// What was asked about is denied, as the result on stdout has said.
    #[must_use]
    pub fn denied() -> Self {
        Self { exit: 3, kind: "denied", message: String::new() }
    }

    /// It was not asked properly.
    #[must_use]
    pub fn usage(message: impl Display) -> Self {
        Self { exit: 2, kind: "usage", message: message.to_string() }
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        let (exit, kind) = match error.code.row().status {
            400 => (2, "usage"),
            401 | 403 => (3, "denied"),
            404 => (4, "not_found"),
            _ => (1, "failure"),
        };
        let source = error.source.map(|source| format!(" ({})", source.to_string().trim())).unwrap_or_default();
        let detail = if error.code == Code::ServiceUnavailable {
            "the database cannot be reached: check DATABASE_URL, and that Postgres runs and takes connections"
        } else {
            &error.detail
        };
        Self { exit, kind, message: format!("{detail}{source}") }
    }
}

impl From<Malformed> for Failure {
    fn from(malformed: Malformed) -> Self {
        Self::usage(malformed)
    }
}

impl From<Fault> for Failure {
    fn from(fault: Fault) -> Self {
        Self::failed(fault)
    }
}

#[derive(Serialize)]
struct Problem<'a> {
    error: ProblemBody<'a>,
}

#[derive(Serialize)]
struct ProblemBody<'a> {
    kind: &'a str,
    exit: u8,
    message: &'a str,
}

/// Where a command's words go.
#[derive(Clone, Copy, Debug)]
pub struct Out {
    /// Whether they are JSON.
    pub json: bool,
}

impl Out {
    /// Prints a command's result: as JSON, or as `text` for people.
    ///
    /// # Errors
    /// stdout is gone.
    pub fn data<T: Serialize>(self, data: &T, text: impl FnOnce() -> String) -> Result<(), Failure> {
        let text = if self.json { serde_json::to_string(data).map_err(Failure::failed)? } else { text() };
        self.raw(&text)
    }

    /// Prints text to stdout, ending in a line end unless it is empty.
    ///
    /// # Errors
    /// stdout is gone.
    pub fn raw(self, text: &str) -> Result<(), Failure> {
        let mut stdout = std::io::stdout().lock();
        let end = if text.is_empty() || text.ends_with('\n') { "" } else { "\n" };
        write!(stdout, "{text}{end}").and_then(|()| stdout.flush()).map_err(Failure::failed)
    }

    /// Says something beside the result, to people.
    pub fn say(self, text: impl Display) {
        if !self.json {
            // Nobody is left to tell that stderr is gone.
            let _ = writeln!(std::io::stderr().lock(), "{text}");
        }
    }

    /// Says why it failed; the result is the exit code.
    #[must_use]
    pub fn failure(self, failure: &Failure) -> ExitCode {
        if failure.message.is_empty() {
            return ExitCode::from(failure.exit);
        }
        let body = ProblemBody { kind: failure.kind, exit: failure.exit, message: &failure.message };
        let text = if self.json {
            serde_json::to_string(&Problem { error: body }).unwrap_or_default()
        } else {
            format!("keyward: {}", failure.message)
        };
        let _ = writeln!(std::io::stderr().lock(), "{text}");
        ExitCode::from(failure.exit)
    }

    /// Prints help, version or a usage error in clap's own form.
    #[must_use]
    pub fn clap(self, error: &clap::Error) -> ExitCode {
        let _ = error.print();
        if error.use_stderr() { ExitCode::from(2) } else { ExitCode::SUCCESS }
    }
}

/// Rows as columns that stand below each other.
#[must_use]
pub fn table<const N: usize>(header: [&str; N], rows: &[[String; N]]) -> String {
    let mut widths = header.map(str::len);
    for row in rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count());
        }
    }
    let line = |cells: Vec<&str>| {
        let padded: Vec<_> = cells.iter().zip(widths).map(|(cell, width)| format!("{cell:width$}")).collect();
        padded.join("  ").trim_end().to_owned()
    };
    let head = std::iter::once(line(header.to_vec()));
    head.chain(rows.iter().map(|row| line(row.iter().map(String::as_str).collect()))).collect::<Vec<_>>().join("\n")
}
