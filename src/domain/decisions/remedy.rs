//! The smallest change that would have let a request through: in words, as a request, as a command.

use crate::domain::decisions::describe::KeyVerdict;
use crate::domain::decisions::describe::RootKeyVerdict;
use crate::domain::decisions::describe::quoted;
use crate::domain::decisions::describe::shown;
use crate::model::decision::LooksLike;
use crate::model::decision::Remedy;
use crate::model::error::Refusal;
use crate::model::rate_limit::Evaluated;
use crate::model::rate_limit::RateLimit;
use crate::model::root_key::RootKey;
use crate::model::verdict::Reason;
use crate::model::workspace::Workspace;
use crate::store::snapshot::Snapshot;
use chrono::DateTime;
use serde::Serialize;
use std::collections::BTreeSet;

/// What would have made a key pass; `None` if it did.
pub(super) fn of_key(judged: &KeyVerdict<'_>) -> Option<Remedy> {
    let Some(snapshot) = judged.snapshot else { return of_unknown_key(judged.looks_like) };
    let key = &snapshot.key;
    let id = json(&key.id);
    Some(match &judged.verdict.reason {
        Reason::Passed => return None,
        Reason::NoSuchKey => return of_unknown_key(judged.looks_like),
        Reason::ApiNotCovered(api) => {
            let tuple = format!("api.{api}.verify_key");
            words(format!("Give the calling root key {} `{tuple}`.", judged.question.root_key))
        }
        Reason::OtherApi(api) => words(format!("Ask for keys of the API {api}, or leave `apiId` and `keyspaces` out.")),
        Reason::Disabled => {
            request(format!("Enable the key {}.", key.id), "keys.updateKey", &[("keyId", id), ("enabled", json(&true))])
        }
        Reason::ExpiredAt(_) => request(
            format!("Give the key {} a later end, or none.", key.id),
            "keys.updateKey",
            &[("keyId", id), ("expires", json(&None::<i64>))],
        ),
        Reason::OwnerDisabled(owner) => request(
            format!("Enable the owner {owner} of the key."),
            "identities.updateIdentity",
            &[("identity", json(owner)), ("enabled", json(&true))],
        ),
        Reason::AddressNotListed(Some(address)) => {
            let mut list = snapshot.ip_whitelist.as_ref().map(|list| list.entries()).unwrap_or_default();
            list.push(address.to_canonical().to_string());
            request(
                format!("Put the address {address} on the allow list of the API {}.", key.api_id),
                "apis.updateApi",
                &[("apiId", json(&key.api_id)), ("ipWhitelist", json(&list))],
            )
        }
        Reason::AddressNotListed(None) => {
            words("Send the address of whoever presents the key as `clientIp`.".to_owned())
        }
        Reason::LacksPermissions { missing, .. } => request(
            format!("Give the key {} {}, by itself, by a role, or through its owner.", key.id, quoted(missing)),
            "keys.addPermissions",
            &[("keyId", id), ("permissions", json(missing))],
        ),
        Reason::LimitsExceeded(exceeded) => of_limits(snapshot, exceeded),
        Reason::CreditsExceeded { remaining, cost } => {
            let more = cost.saturating_sub(*remaining);
            request(
                format!("Give the key {} {more} more credits, or let the call cost less.", key.id),
                "keys.updateCredits",
                &[("keyId", id), ("operation", json(&"increment")), ("value", json(&more))],
            )
        }
    })
}

fn of_unknown_key(looks_like: LooksLike) -> Option<Remedy> {
    Some(words(
        match looks_like {
            LooksLike::RootKey => "Send the key of an API: root keys are not verified.",
            LooksLike::Deleted => "Make a new key with keys.createKey: a deleted one does not come back.",
            LooksLike::Unknown
            | LooksLike::PrefixOf
            | LooksLike::Malformed
            | LooksLike::OtherApi
            | LooksLike::NotCovered
            | LooksLike::KeyOfApi => "Send the key exactly as it was shown when it was made.",
        }
        .to_owned(),
    ))
}

/// Limits pass by themselves; a higher one passes at once.
fn of_limits(snapshot: &Snapshot, exceeded: &[Evaluated]) -> Remedy {
    let reset = exceeded.iter().map(|limit| limit.reset_ms).max().and_then(DateTime::from_timestamp_millis);
    let until = reset.map(|at| format!("Wait until {}, when the window ends, or", shown(at))).unwrap_or_default();
    let text = |whose: &str| format!("{until} raise the limit of {whose}.").trim_start().to_owned();
    let own =
        |of: &[RateLimit]| exceeded.iter().all(|limit| of.iter().any(|stored| limit.id.as_ref() == Some(&stored.id)));
    let limits = &snapshot.limits;
    if own(&limits.key) {
        let raised = raised(&limits.key, exceeded);
        return request(
            text("the key"),
            "keys.updateKey",
            &[("keyId", json(&snapshot.key.id)), ("ratelimits", json(&raised))],
        );
    }
    match &snapshot.identity {
        Some(owner) if own(&limits.identity) => request(
            text("the owner"),
            "identities.updateIdentity",
            &[("identity", json(&owner.id)), ("ratelimits", json(&raised(&limits.identity, exceeded)))],
        ),
        Some(_) | None => words(text("the request")),
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct LimitBody<'a> {
    name: &'a str,
    limit: i64,
    duration: i64,
    auto_apply: bool,
}

/// All limits, those that refused just high enough for the call.
fn raised<'a>(stored: &'a [RateLimit], exceeded: &[Evaluated]) -> Vec<LimitBody<'a>> {
    let more = |limit: &RateLimit| {
        let refused = exceeded.iter().find(|refused| refused.id.as_ref() == Some(&limit.id));
        refused.map_or(0, |refused| refused.cost.saturating_sub(refused.remaining).max(0))
    };
    let body = |limit: &'a RateLimit| LimitBody {
        name: &limit.name,
        limit: limit.limit.saturating_add(more(limit)),
        duration: limit.duration_ms,
        auto_apply: limit.auto_apply,
    };
    stored.iter().map(body).collect()
}

/// What would have let a root key pass; `None` if it did.
pub(super) fn of_root_key(judged: &RootKeyVerdict<'_>, missing: &[String]) -> Option<Remedy> {
    let (_, refusal) = judged.refused?;
    let Some((root_key, workspace)) = judged.root_key else {
        return Some(words(match judged.looks_like {
            LooksLike::Deleted => "Mint a new root key: a deleted one does not come back.".to_owned(),
            LooksLike::RootKey
            | LooksLike::Unknown
            | LooksLike::PrefixOf
            | LooksLike::Malformed
            | LooksLike::OtherApi
            | LooksLike::NotCovered
            | LooksLike::KeyOfApi => "Send a root key, exactly as it was printed when it was minted.".to_owned(),
        }));
    };
    let (id, name) = (json(&root_key.id), &workspace.id);
    let holding = |missing: &[String]| {
        let all: BTreeSet<_> = root_key.permissions.iter().chain(missing).cloned().collect();
        all.into_iter().collect::<Vec<_>>()
    };
    Some(match refusal {
        Refusal::Unknown => words("Mint a new root key.".to_owned()),
        Refusal::UnknownTooOften => words("Use another root key: this one is disabled or has expired.".to_owned()),
        Refusal::Disabled => request(
            format!("Enable the root key {}.", root_key.id),
            "rootKeys.updateKey",
            &[("keyId", id), ("enabled", json(&true))],
        ),
        Refusal::ExpiredAt(_) => {
            let minted = [("name", json(&root_key.name)), ("permissions", json(&root_key.permissions))];
            let minted: Vec<_> = minted.into_iter().filter(|(_, value)| value != "null").collect();
            let text = "Mint a new root key with the same permissions: an end that has passed is not moved.".to_owned();
            Remedy { cli: Some(minting(root_key, workspace, &[])), ..request(text, "rootKeys.createKey", &minted) }
        }
        Refusal::WorkspaceDisabled => {
            command("Enable the workspace.".to_owned(), format!("keyward workspace enable {name}"))
        }
        Refusal::Allowance(limit) => command(
            "Wait for the next minute, or allow the workspace's root keys more requests.".to_owned(),
            format!("keyward workspace limit {name} --requests-per-minute {}", limit.saturating_add(1)),
        ),
        Refusal::Lacks | Refusal::Exceeds => {
            let change = request(
                format!("Give the root key {} {}.", root_key.id, quoted(missing)),
                "rootKeys.updateKey",
                &[("keyId", id), ("permissions", json(&holding(missing)))],
            );
            Remedy { cli: Some(minting(root_key, workspace, &holding(missing))), ..change }
        }
        Refusal::Outlives { own, .. } => {
            let end = own.map(|at| format!(" ({} or earlier)", shown(at))).unwrap_or_default();
            words(format!("Give the other root key an end that is not later{end}, or use one that lives longer."))
        }
        Refusal::KeysLimit { wanted, .. } => command(
            "Delete keys that are not needed, or let the workspace have more.".to_owned(),
            format!("keyward workspace limit {name} --keys {wanted}"),
        ),
        Refusal::RootKeysLimit { wanted, .. } => command(
            "Delete root keys that are not needed, or let the workspace have more.".to_owned(),
            format!("keyward workspace limit {name} --root-keys {wanted}"),
        ),
    })
}

/// A root key in place of this one, which stays as it is.
fn minting(root_key: &RootKey, workspace: &Workspace, permissions: &[String]) -> String {
    let permissions = if permissions.is_empty() { &root_key.permissions } else { permissions };
    let mut command = format!("keyward root-key create --workspace {}", workspace.id);
    for tuple in permissions {
        command.push_str(" --permission ");
        command.push_str(&shell(tuple));
    }
    if permissions.is_empty() {
        command.push_str(" --permissions ''");
    }
    command
}

fn words(text: String) -> Remedy {
    Remedy { text, curl: None, cli: None }
}

fn command(text: String, cli: String) -> Remedy {
    Remedy { text, curl: None, cli: Some(cli) }
}

pub(super) fn request(text: String, operation: &str, fields: &[(&str, String)]) -> Remedy {
    let fields: Vec<_> = fields.iter().map(|(name, value)| format!("\"{name}\":{value}")).collect();
    let curl = format!(
        "curl -X POST \"$SERVER/v2/{operation}\" -H \"Authorization: Bearer $ROOT_KEY\" \
         -H 'Content-Type: application/json' -d {}",
        shell(&format!("{{{}}}", fields.join(",")))
    );
    Remedy { text, curl: Some(curl), cli: None }
}

/// As JSON. What is written here always serialises.
pub(super) fn json(value: &impl Serialize) -> String {
    serde_json::to_string(value).unwrap_or_default()
}

/// In single quotes, as a shell reads them.
fn shell(text: &str) -> String {
    format!("'{}'", text.replace('\'', "'\\''"))
}
