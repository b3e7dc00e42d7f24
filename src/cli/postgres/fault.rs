//! What went wrong with the private Postgres, in one line that says what to do.

use std::error::Error;
use std::fmt;
use std::io;
use std::path::Path;

/// Why the private Postgres could not be started, reached or stopped. `Display` is one line for a person.
#[derive(Debug)]
pub struct Fault {
    line: String,
    detail: Option<String>,
    source: Option<io::Error>,
}

impl Fault {
    /// The last lines that Postgres itself had to say, when it said anything.
    pub fn detail(&self) -> Option<&str> {
        self.detail.as_deref()
    }

    pub(super) fn new(line: impl Into<String>) -> Self {
        Self { line: line.into(), detail: None, source: None }
    }

    /// A failed file operation: `doing` completes "cannot …".
    pub(super) fn io(doing: &str, path: &Path, source: io::Error) -> Self {
        let line = format!("cannot {doing} {}: {}{}", path.display(), reason(&source), advice(&source));
        Self { line, detail: None, source: Some(source) }
    }

    /// A Postgres program failed. The line quotes what it complained about, the detail holds the rest.
    pub(super) fn program(what: &str, output: &str) -> Self {
        let complaint = complaint(output);
        let says = |words| output.contains(words);
        let advice = if says("No space left on device") || says("Check free disk space") {
            FULL
        } else if says("could not look up effective user ID") {
            "; run as a user that has an account, or set DATABASE_URL"
        } else {
            ""
        };
        let detail = (!output.trim().is_empty()).then(|| output.trim().to_owned());
        Self { line: format!("{what}: {complaint}{advice}"), detail, source: None }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.line)
    }
}

impl Error for Fault {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        let source = self.source.as_ref()?;
        Some(source)
    }
}

const FULL: &str = "; free some space or choose another --data-dir";

fn advice(error: &io::Error) -> &'static str {
    let kind = error.kind();
    if matches!(kind, io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded) {
        FULL
    } else if kind == io::ErrorKind::ReadOnlyFilesystem {
        "; choose a --data-dir on a disk that can be written"
    } else if kind == io::ErrorKind::PermissionDenied {
        "; run as the owner of the folder or choose another --data-dir"
    } else {
        ""
    }
}

/// The system's words without Rust's `(os error 28)`.
fn reason(error: &io::Error) -> String {
    let text = error.to_string();
    text.split(" (os error").next().unwrap_or_default().to_owned()
}

/// The line that matters among what a Postgres program printed: its first error, as the others follow from it, and a hint.
fn complaint(output: &str) -> String {
    let lines: Vec<&str> = output.lines().map(without_stamp).filter(|line| !line.is_empty()).collect();
    let is_error = |line: &&&str| ["FATAL:", "PANIC:", "ERROR:", "error:"].iter().any(|word| line.contains(word));
    let Some(error) = lines.iter().find(is_error).or(lines.last()) else {
        return "it ended without a word".to_owned();
    };
    match lines.iter().find_map(|line| line.strip_prefix("HINT:")) {
        Some(hint) => format!("{error} ({})", hint.trim()),
        None => (*error).to_owned(),
    }
}

/// A log line without the `2026-01-31 12:00:00.000 UTC [123] ` before it.
fn without_stamp(line: &str) -> &str {
    match line.split_once("] ") {
        Some((stamp, rest)) if stamp.starts_with(|first: char| first.is_ascii_digit()) => rest.trim(),
        _ => line.trim(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_quotes_the_first_error_and_the_hint() {
        let log = "2026-01-31 12:00:00.000 UTC [7] FATAL:  lock file exists\n\
                   2026-01-31 12:00:00.000 UTC [7] HINT:  Is another postmaster running?\nLOG:  shut down\n";
        let fault = Fault::program("cannot start", log);
        assert_eq!(fault.to_string(), "cannot start: FATAL:  lock file exists (Is another postmaster running?)");
        assert_eq!(fault.detail(), Some(log.trim()));
    }

    #[test]
    fn a_full_disk_comes_with_advice() {
        let fault = Fault::program("cannot start", "FATAL:  could not write: No space left on device");
        assert!(fault.to_string().ends_with(FULL), "{fault}");
        let fault = Fault::io("write", Path::new("/x"), io::Error::from_raw_os_error(28));
        assert_eq!(fault.to_string(), format!("cannot write /x: No space left on device{FULL}"));
    }
}
