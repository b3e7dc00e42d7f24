//! A verdict in words: pure, the one way from a verdict and what it was made on to what records, simulations and answers say.

use crate::authz::expression::Expression;
use crate::domain::decisions::remedy;
use crate::domain::root_keys;
use crate::model::clock::Timestamp;
use crate::model::code::Code;
use crate::model::decision::Credential;
use crate::model::decision::CredentialType;
use crate::model::decision::DataAge;
use crate::model::decision::Description;
use crate::model::decision::Held;
use crate::model::decision::HeldRoute;
use crate::model::decision::KeyQuestion;
use crate::model::decision::LooksLike;
use crate::model::decision::Owner;
use crate::model::decision::Principal;
use crate::model::decision::Required;
use crate::model::decision::RequiredCredits;
use crate::model::decision::RequiredLimit;
use crate::model::decision::Step;
use crate::model::decision::Told;
use crate::model::error::Lack;
use crate::model::error::Need;
use crate::model::error::Refusal;
use crate::model::id::WorkspaceId;
use crate::model::rate_limit::Evaluated;
use crate::model::root_key::RootKey;
use crate::model::verdict::Reason;
use crate::model::verdict::Verdict;
use crate::model::workspace::Workspace;
use crate::store::snapshot::Snapshot;
use chrono::SecondsFormat;
use std::collections::BTreeSet;

/// Longest text that may be a key, bytes: a longer one is malformed.
const MAX_KEY: usize = 512;

/// A verdict on a key, with what it was made on.
#[derive(Clone, Copy, Debug)]
pub struct KeyVerdict<'a> {
    /// Where the key was looked for.
    pub workspace: &'a WorkspaceId,
    /// The verdict.
    pub verdict: &'a Verdict,
    /// The key, also where the answer does not show it.
    pub snapshot: Option<&'a Snapshot>,
    /// Its balance; `None` is unlimited.
    pub credits: Option<i64>,
    /// Every limit that was evaluated.
    pub limits: &'a [Evaluated],
    /// What was asked.
    pub question: &'a KeyQuestion,
    /// What can be said of it if there is no such key.
    pub looks_like: LooksLike,
    /// How old the key's data was.
    pub data: DataAge,
}

/// A verdict on a root key, with what it was made on.
#[derive(Clone, Copy, Debug)]
pub struct RootKeyVerdict<'a> {
    /// The operation that it was to perform.
    pub operation: &'a str,
    /// Why it was refused; `None` if it may.
    pub refused: Option<(Code, Refusal)>,
    /// What was needed, as far as that was looked at; with `missing` empty if it may.
    pub lack: Option<&'a Lack>,
    /// The root key with its workspace, if there is one.
    pub root_key: Option<(&'a RootKey, &'a Workspace)>,
    /// What can be said of it if there is none.
    pub looks_like: LooksLike,
    /// How old its data was.
    pub data: DataAge,
}

/// What a text that is no key of a workspace looks like, as far as the text itself tells.
#[must_use]
pub fn looks_like(text: &str) -> LooksLike {
    let begins = |prefix: &str| text.strip_prefix(prefix).is_some_and(|rest| rest.starts_with('_'));
    if text.is_empty() || text.len() > MAX_KEY || !text.bytes().all(|byte| byte.is_ascii_graphic()) {
        LooksLike::Malformed
    } else if begins(root_keys::PREFIX) {
        LooksLike::RootKey
    } else {
        LooksLike::Unknown
    }
}

/// Describes a verdict on a key.
#[must_use]
pub fn key(judged: &KeyVerdict<'_>) -> Description {
    let KeyVerdict { verdict, snapshot, question, .. } = *judged;
    let missing = match &verdict.reason {
        Reason::LacksPermissions { missing, .. } => missing.clone(),
        Reason::Passed
        | Reason::NoSuchKey
        | Reason::ApiNotCovered(_)
        | Reason::OtherApi(_)
        | Reason::Disabled
        | Reason::ExpiredAt(_)
        | Reason::OwnerDisabled(_)
        | Reason::AddressNotListed(_)
        | Reason::LimitsExceeded(_)
        | Reason::CreditsExceeded { .. } => Vec::new(),
    };
    let owner = snapshot.and_then(|snapshot| snapshot.identity.as_ref());
    let owner = owner.map(|owner| Owner { id: owner.id.clone(), external_id: owner.external_id.clone() });
    Description {
        code: verdict.outcome.code().to_owned(),
        step: step_of_key(&verdict.reason),
        summary: summary_of_key(judged),
        credential: credential_of_key(judged),
        principal: Principal { workspace_id: Some(judged.workspace.clone()), owner },
        required: required_of_key(judged),
        held: snapshot.map(|snapshot| held_by_key(snapshot, question)).unwrap_or_default(),
        missing,
        change: remedy::of_key(judged),
        data: judged.data,
    }
}

fn step_of_key(reason: &Reason) -> Option<Step> {
    Some(match reason {
        Reason::Passed => return None,
        Reason::NoSuchKey | Reason::ApiNotCovered(_) | Reason::OtherApi(_) => Step::Lookup,
        Reason::Disabled => Step::Enabled,
        Reason::ExpiredAt(_) => Step::Expiry,
        Reason::OwnerDisabled(_) => Step::Owner,
        Reason::AddressNotListed(_) => Step::Address,
        Reason::LacksPermissions { .. } => Step::Permissions,
        Reason::LimitsExceeded(_) => Step::RateLimits,
        Reason::CreditsExceeded { .. } => Step::Credits,
    })
}

fn credential_of_key(judged: &KeyVerdict<'_>) -> Credential {
    let Some(Snapshot { key, .. }) = judged.snapshot else { return Credential::unknown(judged.looks_like) };
    let looks_like = match judged.verdict.reason {
        Reason::ApiNotCovered(_) => Some(LooksLike::NotCovered),
        Reason::OtherApi(_) => Some(LooksLike::OtherApi),
        Reason::NoSuchKey => Some(judged.looks_like),
        Reason::Passed
        | Reason::Disabled
        | Reason::ExpiredAt(_)
        | Reason::OwnerDisabled(_)
        | Reason::AddressNotListed(_)
        | Reason::LacksPermissions { .. }
        | Reason::LimitsExceeded(_)
        | Reason::CreditsExceeded { .. } => None,
    };
    Credential {
        r#type: CredentialType::Key,
        id: Some(key.id.to_string()),
        name: key.name.clone(),
        start: Some(key.start.clone()),
        api_id: Some(key.api_id.clone()),
        looks_like,
    }
}

fn required_of_key(judged: &KeyVerdict<'_>) -> Required {
    let question = judged.question;
    let passed = judged.verdict.reason == Reason::Passed;
    let limits: Vec<_> = judged.limits.iter().filter(|limit| passed || limit.exceeded).map(required_limit).collect();
    let list = judged.snapshot.and_then(|snapshot| snapshot.ip_whitelist.as_ref());
    let ends = judged.snapshot.and_then(|snapshot| snapshot.key.expires_at);
    Required {
        query: question.query.clone(),
        expires: ends.map(|at| at.timestamp_millis()),
        addresses: list.map(|list| list.entries()),
        address: question.address.filter(|_| list.is_some()),
        ratelimits: (!limits.is_empty()).then_some(limits),
        credits: judged.credits.map(|remaining| RequiredCredits { cost: question.cost, remaining }),
        ..Required::default()
    }
}

fn required_limit(limit: &Evaluated) -> RequiredLimit {
    RequiredLimit {
        name: limit.name.clone(),
        limit: limit.limit,
        duration: limit.duration_ms,
        remaining: limit.remaining,
        reset: limit.reset_ms,
        cost: limit.cost,
    }
}

/// Of what the query names, what is held, by all its routes.
fn held_by_key(snapshot: &Snapshot, question: &KeyQuestion) -> Vec<Held> {
    let Some(Ok(query)) = question.query.as_deref().map(Expression::parse) else { return Vec::new() };
    let held = query.permissions().into_iter().map(|slug| Held {
        permission: slug.to_owned(),
        routes: snapshot.access.routes(slug).into_iter().map(HeldRoute::from).collect(),
    });
    held.filter(|held| !held.routes.is_empty()).collect()
}

fn summary_of_key(judged: &KeyVerdict<'_>) -> String {
    let Some(snapshot) = judged.snapshot else { return summary_of_unknown_key(judged.looks_like).to_owned() };
    let key = named("key", snapshot.key.id.as_str(), snapshot.key.name.as_deref());
    let owner = snapshot.identity.as_ref().map(|owner| format!("`{}`", owner.external_id)).unwrap_or_default();
    match &judged.verdict.reason {
        Reason::Passed => format!("Every check passed: {key} is valid."),
        Reason::NoSuchKey if judged.looks_like == LooksLike::Deleted => {
            format!("The {key} was deleted, or its API was.")
        }
        Reason::NoSuchKey => summary_of_unknown_key(judged.looks_like).to_owned(),
        Reason::ApiNotCovered(api) => {
            format!("The {key} belongs to the API {api}, whose keys the calling root key may not verify.")
        }
        Reason::OtherApi(api) => {
            format!("The {key} belongs to the API {api}, and the request asked for keys of other APIs only.")
        }
        Reason::Disabled => format!("The {key} is disabled."),
        Reason::ExpiredAt(at) => format!("The {key} expired at {}.", shown(*at)),
        Reason::OwnerDisabled(_) => format!("The owner {owner} of the {key} is disabled."),
        Reason::AddressNotListed(Some(address)) => {
            format!("The address {address} is not on the allow list of the API {}.", snapshot.key.api_id)
        }
        Reason::AddressNotListed(None) => {
            format!("The API {} has an allow list, and the address of the request is unknown.", snapshot.key.api_id)
        }
        Reason::LacksPermissions { required, missing } => {
            let owner = if owner.is_empty() { owner } else { format!(" of {owner}") };
            format!(
                "The {key}{owner} does not hold what `{required}` asks for: no role, no grant and no owner gives it {}.",
                quoted(missing)
            )
        }
        Reason::LimitsExceeded(limits) => {
            let names: Vec<_> = limits.iter().map(|limit| limit.name.clone()).collect();
            let word = if names.len() == 1 { "rate limit" } else { "rate limits" };
            format!("The {key} has used up its {word} {}.", quoted(&names))
        }
        Reason::CreditsExceeded { remaining, cost } => {
            format!("The {key} has {remaining} credits left, and the call costs {cost}.")
        }
    }
}

/// What is said of a text that is no key of the workspace.
#[must_use]
pub(in crate::domain) fn summary_of_unknown_key(looks_like: LooksLike) -> &'static str {
    match looks_like {
        LooksLike::RootKey => {
            "No key of this workspace is this text. It looks like a root key, which is not verified: root keys call Keyward."
        }
        LooksLike::PrefixOf => {
            "No key of this workspace is this text. Its prefix is that of an API's keys: it may be mistyped, cut off, or \
             deleted long ago."
        }
        LooksLike::Malformed => "No key of this workspace is this text, and no key looks like it.",
        LooksLike::Deleted => "This key was deleted, or its API was.",
        LooksLike::Unknown | LooksLike::OtherApi | LooksLike::NotCovered | LooksLike::KeyOfApi => {
            "No key of this workspace is this text."
        }
    }
}

/// Describes a verdict on a root key.
#[must_use]
pub fn root_key(judged: &RootKeyVerdict<'_>) -> Description {
    let needs = judged.lack.map(|lack| lack.needs.as_slice()).unwrap_or_default();
    let missing = missing(needs);
    let held: BTreeSet<_> = needs.iter().flat_map(|need| &need.held).collect();
    let direct = |tuple: &String| Held { permission: tuple.clone(), routes: vec![HeldRoute::Direct] };
    let workspace_id = judged.root_key.map(|(_, workspace)| workspace.id.clone());
    Description {
        code: judged.refused.map_or("VALID", |(code, _)| code.row().path).to_owned(),
        step: judged.refused.map(|(_, refusal)| step_of_root_key(refusal)),
        summary: summary_of_root_key(judged, &missing),
        credential: judged.root_key.map_or_else(
            || Credential::unknown(judged.looks_like),
            |(root_key, _)| Credential {
                r#type: CredentialType::RootKey,
                id: Some(root_key.id.to_string()),
                name: root_key.name.clone(),
                start: Some(root_key.start.clone()),
                api_id: None,
                looks_like: None,
            },
        ),
        principal: Principal { workspace_id, owner: None },
        required: required_of_root_key(judged, needs),
        held: held.into_iter().map(direct).collect(),
        change: remedy::of_root_key(judged, &missing),
        missing,
        data: judged.data,
    }
}

/// What the denied root key itself may read, where that is not all.
#[must_use]
pub fn told(judged: &RootKeyVerdict<'_>) -> Option<Told> {
    let lack = judged.lack?;
    Some(Told {
        summary: summary_of_root_key(judged, &lack.missing),
        required: lack.required.clone(),
        missing: lack.missing.clone(),
        change: remedy::of_root_key(judged, &lack.missing),
    })
}

fn step_of_root_key(refusal: Refusal) -> Step {
    match refusal {
        Refusal::Unknown | Refusal::UnknownTooOften => Step::RootKey,
        Refusal::Disabled => Step::RootKeyEnabled,
        Refusal::ExpiredAt(_) => Step::RootKeyExpiry,
        Refusal::WorkspaceDisabled => Step::WorkspaceEnabled,
        Refusal::Allowance(_) => Step::RequestAllowance,
        Refusal::Lacks => Step::RootKeyPermissions,
        Refusal::Exceeds | Refusal::Outlives { .. } => Step::Ceiling,
        Refusal::KeysLimit { .. } => Step::KeysLimit,
        Refusal::RootKeysLimit { .. } => Step::RootKeysLimit,
    }
}

/// All that is missing, sorted. A tuple for one resource is needless beside the one for all of them.
fn missing(needs: &[Need]) -> Vec<String> {
    let everywhere: BTreeSet<_> =
        needs.iter().filter(|need| need.missing().contains(&need.everywhere)).map(|need| &need.everywhere).collect();
    let covered = |need: &Need, tuple: &String| *tuple != need.everywhere && everywhere.contains(&need.everywhere);
    let missing = needs.iter().flat_map(|need| need.missing().into_iter().filter(|tuple| !covered(need, tuple)));
    missing.collect::<BTreeSet<_>>().into_iter().collect()
}

fn required_of_root_key(judged: &RootKeyVerdict<'_>, needs: &[Need]) -> Required {
    let mut required = Required::default();
    if !needs.is_empty() {
        required.permissions = Some(sets(needs));
    }
    required.expires = judged.root_key.and_then(|(root_key, _)| root_key.expires_at).map(|at| at.timestamp_millis());
    match judged.refused.map(|(_, refusal)| refusal) {
        Some(Refusal::Allowance(limit)) => required.requests_per_minute = Some(limit),
        Some(Refusal::KeysLimit { most, .. }) => required.keys_max = Some(most),
        Some(Refusal::RootKeysLimit { most, .. }) => required.root_keys_max = Some(most),
        _ => {}
    }
    required
}

/// Everything by `*`, and everything by the ids that the request is about.
fn sets(needs: &[Need]) -> Vec<Vec<String>> {
    let everywhere: BTreeSet<_> = needs.iter().map(|need| need.everywhere.clone()).collect();
    let narrow = |need: &Need| {
        if need.concrete.is_empty() { vec![need.everywhere.clone()] } else { need.concrete.clone() }
    };
    let narrow: BTreeSet<_> = needs.iter().flat_map(narrow).collect();
    let mut sets = vec![everywhere.into_iter().collect::<Vec<_>>()];
    let narrow: Vec<_> = narrow.into_iter().collect();
    if !sets.contains(&narrow) {
        sets.push(narrow);
    }
    sets
}

fn summary_of_root_key(judged: &RootKeyVerdict<'_>, missing: &[String]) -> String {
    let operation = judged.operation;
    let Some((root_key, workspace)) = judged.root_key else {
        return match judged.looks_like {
            LooksLike::Deleted => "The credential of this request was a root key until it was deleted.",
            LooksLike::KeyOfApi => {
                "The credential of this request is a key of an API. Such keys are verified; they cannot call Keyward."
            }
            LooksLike::RootKey
            | LooksLike::Unknown
            | LooksLike::PrefixOf
            | LooksLike::Malformed
            | LooksLike::OtherApi
            | LooksLike::NotCovered => "The credential of this request is no root key that Keyward knows.",
        }
        .to_owned();
    };
    let who = named("root key", root_key.id.as_str(), root_key.name.as_deref());
    let Some((_, refusal)) = judged.refused else { return format!("Every check passed: {who} may call {operation}.") };
    match refusal {
        Refusal::Unknown => format!("The {who} was deleted."),
        Refusal::UnknownTooOften => {
            format!(
                "Too many requests from this address failed to authenticate within a minute; this one came with the {who}, which may not be used."
            )
        }
        Refusal::Disabled => format!("The {who} is disabled."),
        Refusal::ExpiredAt(at) => format!("The {who} expired at {}.", shown(at)),
        Refusal::WorkspaceDisabled => format!("The workspace `{}` of the {who} is disabled.", workspace.name),
        Refusal::Allowance(limit) => {
            format!("The {who} made more than the {limit} requests per minute that its workspace allows.")
        }
        Refusal::Lacks => format!("The {who} may not call {operation}: it lacks {}.", quoted(missing)),
        Refusal::Exceeds => {
            format!(
                "A root key gives away only what it holds itself, and the {who} lacks {} ({operation}).",
                quoted(missing)
            )
        }
        Refusal::Outlives { own, other } => {
            let end = |at: Option<Timestamp>| at.map_or("never".to_owned(), |at| format!("at {}", shown(at)));
            format!(
                "A root key gives no rights to one that outlives it: the {who} ends {}, the other one {}.",
                end(own),
                end(other)
            )
        }
        Refusal::KeysLimit { most, wanted } => {
            format!("The workspace `{}` may have {most} keys, and this would have made {wanted}.", workspace.name)
        }
        Refusal::RootKeysLimit { most, wanted } => {
            format!("The workspace `{}` may have {most} root keys, and this would have made {wanted}.", workspace.name)
        }
    }
}

fn named(kind: &str, id: &str, name: Option<&str>) -> String {
    name.map_or_else(|| format!("{kind} {id}"), |name| format!("{kind} `{name}` ({id})"))
}

/// `a`, `b` and `c`.
pub(super) fn quoted(texts: &[String]) -> String {
    let quoted: Vec<_> = texts.iter().map(|text| format!("`{text}`")).collect();
    match quoted.as_slice() {
        [all @ .., last] if !all.is_empty() => format!("{} and {last}", all.join(", ")),
        _ => quoted.concat(),
    }
}

pub(super) fn shown(at: Timestamp) -> String {
    at.to_rfc3339_opts(SecondsFormat::Millis, true)
}
