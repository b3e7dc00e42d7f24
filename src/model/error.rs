//! The one error type: a code, a sentence for the caller, and the private cause for the log.

use crate::model::code::Code;
use std::fmt;

/// The result of everything that can fail towards a caller.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// One thing that is wrong with a request (`errors[]` of a 400).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// Where: `body.<path>`, as in `body.ratelimits[0].limit`.
    pub location: String,
    /// What is wrong, in plain words.
    pub message: String,
    /// What to do about it, where that is known.
    pub fix: Option<String>,
}

/// What a root key lacked (decisions.md #5).
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Lack {
    /// Alternative sets of permissions; holding all of any one set suffices.
    pub required: Vec<Vec<String>>,
    /// The smallest set that, added to what is held, suffices.
    pub missing: Vec<String>,
}

/// An answer that is not a success. It has no `Display`: `detail` is for the caller, `source` only for the log.
pub struct Error {
    /// Row of the code table.
    pub code: Code,
    /// One or more sentences for the caller. Never holds a secret, nor an id that the caller did not send.
    pub detail: String,
    /// The single faults of an invalid request.
    pub violations: Vec<Violation>,
    /// What was lacking, for `insufficient_permissions`.
    pub lack: Option<Box<Lack>>,
    /// Whole seconds after which trying again makes sense (429, 503).
    pub retry_after_s: Option<u64>,
    /// The cause, logged once with the request id and never shown.
    pub source: Option<Box<dyn std::error::Error + Send + Sync>>,
}

impl Error {
    /// An error with a sentence for the caller.
    #[must_use]
    pub fn new(code: Code, detail: impl Into<String>) -> Self {
        Self { code, detail: detail.into(), violations: Vec::new(), lack: None, retry_after_s: None, source: None }
    }

    /// A 400 about one place of the request.
    #[must_use]
    pub fn invalid(location: impl Into<String>, message: impl Into<String>, fix: Option<&str>) -> Self {
        let violation =
            Violation { location: location.into(), message: message.into(), fix: fix.map(ToOwned::to_owned) };
        Self::new(Code::InvalidInput, format!("{}: {}", violation.location, violation.message)).violating(violation)
    }

    /// Adds one fault to the list.
    #[must_use]
    pub fn violating(mut self, violation: Violation) -> Self {
        self.violations.push(violation);
        self
    }

    /// Keeps the cause for the log.
    #[must_use]
    pub fn caused_by(mut self, source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        self.source = Some(source.into());
        self
    }

    /// A fault of Keyward itself; the caller learns only that it happened.
    #[must_use]
    pub fn unexpected(source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        Self::new(
            Code::UnexpectedError,
            "Keyward met an unexpected fault while serving this request. Nothing was changed. \
             Look the request id up in the server's log.",
        )
        .caused_by(source)
    }

    /// The store cannot be asked right now.
    #[must_use]
    pub fn unavailable(source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        let mut error = Self::new(
            Code::ServiceUnavailable,
            "Keyward cannot reach its database right now, so it cannot answer this request. Try again shortly.",
        )
        .caused_by(source);
        error.retry_after_s = Some(1);
        error
    }

    /// Says of an error that may have come after the deed that it is unknown whether the deed was done.
    #[must_use]
    pub fn unsure(mut self) -> Self {
        self.detail.push_str(" A change that it asked for may have been made: look before you repeat it.");
        self
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Error").field("code", &self.code).field("detail", &self.detail).finish_non_exhaustive()
    }
}
