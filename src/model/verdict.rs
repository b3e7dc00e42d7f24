//! The verdict on a key: the outcome and the reason for it, one value for the answer, the record and the metrics.

use crate::model::clock::Timestamp;
use crate::model::id::ApiId;
use crate::model::id::IdentityId;
use crate::model::rate_limit::Evaluated;
use std::net::IpAddr;

/// `code` of a `verifyKey` answer (keys.md section 6).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "the words of the contract")]
pub enum Outcome {
    Valid,
    NotFound,
    Forbidden,
    Disabled,
    Expired,
    InsufficientPermissions,
    RateLimited,
    UsageExceeded,
}

impl Outcome {
    /// All outcomes.
    pub const ALL: &'static [Self] = &[
        Self::Valid,
        Self::NotFound,
        Self::Forbidden,
        Self::Disabled,
        Self::Expired,
        Self::InsufficientPermissions,
        Self::RateLimited,
        Self::UsageExceeded,
    ];

    /// The word on the wire.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::Valid => "VALID",
            Self::NotFound => "NOT_FOUND",
            Self::Forbidden => "FORBIDDEN",
            Self::Disabled => "DISABLED",
            Self::Expired => "EXPIRED",
            Self::InsufficientPermissions => "INSUFFICIENT_PERMISSIONS",
            Self::RateLimited => "RATE_LIMITED",
            Self::UsageExceeded => "USAGE_EXCEEDED",
        }
    }
}

/// Why a key was judged as it was: the step that decided, with what it looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reason {
    /// Every check passed.
    Passed,
    /// No live key of the workspace has this hash.
    NoSuchKey,
    /// The root key may not verify keys of this API; the answer must not tell it from an unknown key.
    ApiNotCovered(ApiId),
    /// The request restricts to other APIs.
    OtherApi(ApiId),
    /// `enabled` is false.
    Disabled,
    /// Its time is over.
    ExpiredAt(Timestamp),
    /// Its owner is disabled.
    OwnerDisabled(IdentityId),
    /// The query of the request is not satisfied.
    LacksPermissions {
        /// What was asked for.
        required: String,
        /// Slugs that would satisfy it, none of them needless.
        missing: Vec<String>,
    },
    /// The API has an allow list and this address is not on it; `None` if the address is unknown.
    AddressNotListed(Option<IpAddr>),
    /// Limits refused.
    LimitsExceeded(Vec<Evaluated>),
    /// The balance is lower than the cost.
    CreditsExceeded {
        /// Credits that there were.
        remaining: i64,
        /// Credits that were asked for.
        cost: i64,
    },
}

/// The verdict.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// What the caller is told.
    pub outcome: Outcome,
    /// Why.
    pub reason: Reason,
}

impl From<Reason> for Verdict {
    fn from(reason: Reason) -> Self {
        let outcome = match reason {
            Reason::Passed => Outcome::Valid,
            Reason::NoSuchKey | Reason::ApiNotCovered(_) | Reason::OtherApi(_) => Outcome::NotFound,
            Reason::Disabled => Outcome::Disabled,
            Reason::ExpiredAt(_) => Outcome::Expired,
            Reason::AddressNotListed(_) | Reason::OwnerDisabled(_) => Outcome::Forbidden,
            Reason::LacksPermissions { .. } => Outcome::InsufficientPermissions,
            Reason::LimitsExceeded(_) => Outcome::RateLimited,
            Reason::CreditsExceeded { .. } => Outcome::UsageExceeded,
        };
        Self { outcome, reason }
    }
}
