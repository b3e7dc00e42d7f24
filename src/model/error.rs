//! The one error type: a code, a sentence for the caller, and the private cause for the log.

use crate::model::clock::Timestamp;
use crate::model::code::Code;
use serde::Deserialize;
use serde::Serialize;
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
    /// All that was needed, with what counted. For the record: it may name ids that the caller did not send.
    pub needs: Vec<Need>,
}

/// One action that was needed, and the tuples that count for it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Need {
    /// The tuple for every resource, which always suffices.
    pub everywhere: String,
    /// The tuples of the resources that the request is about: all of them suffice, too. Empty if nothing but
    /// `everywhere` does.
    pub concrete: Vec<String>,
    /// Whether the tuple of any resource suffices: nothing was looked up yet (rule 1).
    pub any: bool,
    /// Tuples of this action that are held.
    pub held: Vec<String>,
}

impl Need {
    /// The fewest and narrowest tuples that suffice on top of what is held; none if it is satisfied.
    #[must_use]
    pub fn missing(&self) -> Vec<String> {
        if self.held.contains(&self.everywhere) || (self.any && !self.held.is_empty()) {
            return Vec::new();
        }
        if self.concrete.is_empty() {
            return vec![self.everywhere.clone()];
        }
        self.concrete.iter().filter(|tuple| !self.held.contains(tuple)).cloned().collect()
    }
}

/// Why a root key was refused, with what was looked at: the verdict that the answer, the record and its explanation read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Refusal {
    /// No live root key has this hash.
    Unknown,
    /// Too many requests from its address failed to authenticate.
    UnknownTooOften,
    /// It is disabled.
    Disabled,
    /// Its time is over.
    ExpiredAt(Timestamp),
    /// Its workspace is disabled.
    WorkspaceDisabled,
    /// It made more requests per minute than these.
    Allowance(u32),
    /// It lacks what [`Lack`] says.
    Lacks,
    /// It was about to give away what it does not hold itself: [`Lack`] says what.
    Exceeds,
    /// It was about to give rights to a root key that outlives it; `None` never ends.
    Outlives {
        /// Its own end.
        own: Option<Timestamp>,
        /// The other's.
        other: Option<Timestamp>,
    },
    /// The workspace may not have so many keys.
    KeysLimit {
        /// How many it may have.
        most: i64,
        /// How many it would have had.
        wanted: i64,
    },
    /// The workspace may not have so many root keys.
    RootKeysLimit {
        /// How many it may have.
        most: i64,
        /// How many it would have had.
        wanted: i64,
    },
}

impl Refusal {
    /// The end of the other root key, if this one was refused since that would outlive it; the inner `None` never ends.
    #[must_use]
    pub fn other_end(self) -> Option<Option<Timestamp>> {
        if let Self::Outlives { other, .. } = self { Some(other) } else { None }
    }
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
    /// Why the root key was refused, if it was.
    pub refusal: Option<Box<Refusal>>,
    /// Whole seconds after which trying again makes sense (429, 503).
    pub retry_after_s: Option<u64>,
    /// The cause, logged once with the request id and never shown.
    pub source: Option<Box<dyn std::error::Error + Send + Sync>>,
}

impl Error {
    /// An error with a sentence for the caller.
    #[must_use]
    pub fn new(code: Code, detail: impl Into<String>) -> Self {
        Self {
            code,
            detail: detail.into(),
            violations: Vec::new(),
            lack: None,
            refusal: None,
            retry_after_s: None,
            source: None,
        }
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

    /// Says why the root key was refused.
    #[must_use]
    pub fn refusing(mut self, refusal: Refusal) -> Self {
        self.refusal = Some(Box::new(refusal));
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
