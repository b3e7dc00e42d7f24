//! What makes denials identical: all that their record would say, looked at in place, before anything is kept of it.

use crate::authz::caller::Caller;
use crate::domain::decisions::record::KeptKey;
use crate::domain::decisions::record::KeptRootKey;
use crate::domain::decisions::record::Stranger;
use crate::model::clock::Timestamp;
use crate::model::code::Code;
use crate::model::decision::DataAge;
use crate::model::decision::KeyQuestion;
use crate::model::error::Lack;
use crate::model::error::Refusal;
use crate::model::id::ApiId;
use crate::model::id::RequestId;
use crate::model::origin::Ignored;
use crate::model::origin::Origin;
use crate::model::rate_limit::AskedLimit;
use crate::model::rate_limit::Evaluated;
use crate::model::verdict::Reason;
use crate::model::verdict::Verdict;
use crate::store::cache::Authenticated;
use crate::store::cache::Cache;
use crate::store::snapshot::Snapshot;
use crate::store::tx::ReadAt;
use std::hash::Hash;
use std::hash::Hasher;
use std::net::IpAddr;
use std::sync::Arc;

/// A verification that was not `VALID`.
#[derive(Clone, Copy, Debug)]
pub struct KeyClass<'a> {
    /// When it was decided.
    pub at: Timestamp,
    /// The request.
    pub origin: &'a Origin,
    /// Who asked.
    pub caller: &'a Caller,
    /// The verdict.
    pub verdict: &'a Verdict,
    /// The key, also where the answer does not show it.
    pub snapshot: Option<&'a Arc<Snapshot>>,
    /// Its balance; `None` is unlimited.
    pub credits: Option<i64>,
    /// Every limit that was evaluated.
    pub limits: &'a [Evaluated],
    /// What was presented, if it is no key.
    pub stranger: Option<&'a Stranger>,
    /// The only APIs whose keys counted.
    pub apis: Option<&'a [ApiId]>,
    /// The permission query, if it can be read.
    pub query: Option<&'a str>,
    /// Who presents the key.
    pub address: Option<IpAddr>,
    /// Credits that the call was to cost.
    pub cost: i64,
    /// Rate limits that it asked for.
    pub asked: &'a [AskedLimit],
    /// What is remembered, for the age of the data.
    pub cache: &'a Cache,
    /// Whether strangers are told apart.
    pub tell_strangers_apart: bool,
}

impl KeyClass<'_> {
    /// Whether it is about what is no key.
    pub(super) fn is_stranger(&self) -> bool {
        self.snapshot.is_none()
    }

    /// All of it, for the first of its kind.
    pub(in crate::domain) fn kept(&self) -> KeptKey {
        let read = self.snapshot.map_or(ReadAt { at: self.at, elapsed_ms: 0 }, |snapshot| snapshot.read);
        let stranger = self
            .stranger
            .cloned()
            .map(|stranger| Stranger { hash: stranger.hash.filter(|_| self.tell_strangers_apart), ..stranger });
        KeptKey {
            caller: self.origin.clone(),
            operation: self.caller.operation,
            workspace: self.caller.workspace.clone(),
            verdict: self.verdict.clone(),
            snapshot: self.snapshot.cloned(),
            credits: self.credits,
            limits: self.limits.to_vec(),
            question: KeyQuestion {
                root_key: self.caller.root_key.clone(),
                key: self.snapshot.map(|snapshot| snapshot.key.id.clone()),
                apis: self.apis.map(<[_]>::to_vec),
                query: self.query.map(ToOwned::to_owned),
                address: self.address,
                cost: self.cost,
                limits: self.asked.to_vec(),
            },
            stranger,
            data: self.cache.age(read),
        }
    }
}

impl Hash for KeyClass<'_> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.caller.root_key.hash(state);
        self.caller.operation.hash(state);
        self.origin.ignored.hash(state);
        let Some(snapshot) = self.snapshot else {
            // Such a record says no more than this.
            return hash_stranger(self.stranger, self.tell_strangers_apart, state);
        };
        snapshot.key.id.hash(state);
        hash_reason(&self.verdict.reason, state);
        self.apis.hash(state);
        self.query.hash(state);
        self.cost.hash(state);
        self.asked.hash(state);
        if snapshot.ip_whitelist.is_some() {
            self.address.hash(state);
        }
    }
}

fn hash_stranger<H: Hasher>(stranger: Option<&Stranger>, tell_apart: bool, state: &mut H) {
    stranger.map(|stranger| stranger.looks_like).hash(state);
    if let Some(hash) = stranger.and_then(|stranger| stranger.hash).filter(|_| tell_apart) {
        hash.hash(state);
    }
}

fn hash_reason<H: Hasher>(reason: &Reason, state: &mut H) {
    std::mem::discriminant(reason).hash(state);
    match reason {
        Reason::Passed | Reason::NoSuchKey | Reason::Disabled => {}
        Reason::ApiNotCovered(api) | Reason::OtherApi(api) => api.hash(state),
        Reason::ExpiredAt(at) => at.hash(state),
        Reason::OwnerDisabled(owner) => owner.hash(state),
        Reason::LacksPermissions { missing, .. } => missing.hash(state),
        Reason::AddressNotListed(address) => address.hash(state),
        Reason::LimitsExceeded(limits) => limits.iter().for_each(|limit| (&limit.name, limit.limit).hash(state)),
        Reason::CreditsExceeded { remaining, .. } => remaining.hash(state),
    }
}

/// A call whose root key was refused.
#[derive(Clone, Copy, Debug)]
pub struct RootKeyClass<'a> {
    /// When it was decided.
    pub at: Timestamp,
    /// The request.
    pub request: &'a RequestId,
    /// The operation.
    pub operation: &'static str,
    /// Whether the attempt is one for the audit log.
    pub audited: bool,
    /// The code of the answer.
    pub code: Code,
    /// Why.
    pub refusal: Refusal,
    /// What was lacking.
    pub lack: Option<&'a Lack>,
    /// The root key, if there is one.
    pub root_key: Option<&'a Arc<Authenticated>>,
    /// What was presented, if it is none.
    pub stranger: Option<&'a Stranger>,
    /// The client's address.
    pub address: Option<IpAddr>,
    /// The client's `User-Agent`.
    pub user_agent: Option<&'a str>,
    /// Credentials that the request carried beside.
    pub ignored: Ignored,
    /// What is remembered, for the age of the data.
    pub cache: &'a Cache,
    /// Whether strangers are told apart.
    pub tell_strangers_apart: bool,
}

impl RootKeyClass<'_> {
    /// All of it, for the first of its kind.
    pub(super) fn kept(&self) -> KeptRootKey {
        let data = self.root_key.map_or(DataAge { read_at: self.at.timestamp_millis(), age_ms: 0 }, |authenticated| {
            self.cache.age(authenticated.read)
        });
        let stranger = self
            .stranger
            .cloned()
            .map(|stranger| Stranger { hash: stranger.hash.filter(|_| self.tell_strangers_apart), ..stranger });
        KeptRootKey {
            operation: self.operation,
            audited: self.audited,
            code: self.code,
            refusal: self.refusal,
            lack: self.lack.cloned(),
            root_key: self.root_key.cloned(),
            stranger,
            address: self.address,
            user_agent: self.user_agent.map(Origin::user_agent),
            ignored: self.ignored,
            data,
        }
    }
}

impl Hash for RootKeyClass<'_> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.operation.hash(state);
        self.code.hash(state);
        self.ignored.hash(state);
        match self.root_key {
            Some(authenticated) => authenticated.root_key.id.hash(state),
            None => {
                self.address.hash(state);
                hash_stranger(self.stranger, self.tell_strangers_apart, state);
            }
        }
        self.refusal.hash(state);
        for need in self.lack.iter().flat_map(|lack| &lack.needs) {
            (&need.everywhere, &need.concrete).hash(state);
        }
        self.lack.map(|lack| &lack.missing).hash(state);
    }
}
