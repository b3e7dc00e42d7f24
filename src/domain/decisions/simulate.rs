//! `decisions.simulate`: what would be decided if something were otherwise (decisions.md "Additions").

use crate::authz::action::Action;
use crate::authz::action::Resource;
use crate::authz::caller::Caller;
use crate::authz::caller::On;
use crate::authz::caller::Permit;
use crate::authz::grants;
use crate::authz::grants::Grants;
use crate::domain::decisions::foresee;
use crate::domain::decisions::foresee::ForeseenCall;
use crate::domain::decisions::remedy;
use crate::domain::decisions::suppose::Suppose;
use crate::domain::identities;
use crate::domain::keys;
use crate::domain::roles;
use crate::domain::root_keys;
use crate::limiter::Limiter;
use crate::model::clock::Timestamp;
use crate::model::code::Code;
use crate::model::decision::Credential;
use crate::model::decision::CredentialType;
use crate::model::decision::DataAge;
use crate::model::decision::Description;
use crate::model::decision::KeyQuestion;
use crate::model::decision::Step;
use crate::model::error::Error;
use crate::model::error::Lack;
use crate::model::error::Refusal;
use crate::model::error::Result;
use crate::model::error::Violation;
use crate::model::id::ApiId;
use crate::model::id::KeyId;
use crate::model::id::RootKeyId;
use crate::model::id::WorkspaceId;
use crate::model::permission::Role;
use crate::model::permission::RoleSlugs;
use crate::model::root_key::RootKey;
use crate::model::workspace::Workspace;
use crate::store;
use crate::store::database::Db;
use crate::store::links::Held;
use crate::store::links::Holder;
use crate::store::snapshot;
use crate::store::snapshot::Snapshot;
use crate::store::tx::Tx;
use std::collections::BTreeSet;
use std::sync::Arc;

/// What stands in for the id of a key that is only supposed.
const ANY_KEY: &str = "(any)";

/// Operations that name a key by its secret: a root key that may for no API at all is refused, all else is not found.
const BY_SECRET: [&str; 2] = ["keys.verifyKey", "keys.whoami"];

/// Whose verification is simulated.
#[derive(Clone, Debug)]
pub enum Of {
    /// A key's.
    Key(KeyId),
    /// That of a key that has nothing of its own, by the external id of its owner.
    Owner(String),
}

/// A verification that does not happen.
#[derive(Clone, Debug)]
pub struct SimulatedKey {
    /// Of which key.
    pub of: Of,
    /// What is asked.
    pub question: KeyQuestion,
    /// What is supposed.
    pub suppose: Suppose,
    /// Names of the roles that the key is supposed to get.
    pub add_roles: Vec<String>,
    /// When; `None` is now.
    pub time: Option<Timestamp>,
}

/// A call with a root key that does not happen.
#[derive(Clone, Debug)]
pub struct SimulatedCall {
    /// The root key.
    pub root_key: RootKeyId,
    /// The operation that it calls.
    pub operation: &'static str,
    /// What the operation always needs.
    pub needs: &'static [Action],
    /// Id of what it is about; of an owner or a namespace also its name.
    pub resource: Option<String>,
    /// What is supposed.
    pub suppose: Suppose,
    /// When; `None` is now.
    pub time: Option<Timestamp>,
}

/// Foretells a verification. Nothing is consumed, nothing is written.
///
/// # Errors
/// `key_not_found`, `identity_not_found`, `role_not_found`; `permissions_query_syntax_error`;
/// `precondition_failed` for a rate limit that there is not; `service_unavailable` when limits cannot be counted.
pub async fn key(db: &Db, limiter: &Limiter, permit: &Permit, wanted: SimulatedKey) -> Result<Description> {
    let (workspace, of, names) = (permit.workspace().clone(), wanted.of.clone(), wanted.add_roles.clone());
    let read = move |tx: &mut Tx<'_>| {
        let found = match &of {
            Of::Key(id) => snapshot::load_by_id(tx, &workspace, id)?.ok_or_else(keys::not_found)?,
            Of::Owner(name) => snapshot::load_owner(tx, &workspace, name)?.ok_or_else(identities::not_found)?,
        };
        let roles = names.iter().map(|name| role(tx, &workspace, name)).collect::<Result<RoleSlugs>>()?;
        Ok((found, roles, tx.now(), DataAge { read_at: tx.now().timestamp_millis(), age_ms: 0 }))
    };
    let (found, add_roles, now, data) = db.read(read).await?;
    let now = wanted.time.unwrap_or(now);
    let mut found = Suppose { add_roles, ..wanted.suppose }.key(found, now);
    if matches!(wanted.of, Of::Owner(_)) {
        found.key.id = KeyId::from_text(ANY_KEY);
    }
    let foreseen = foresee::key(limiter, Some(&found), &wanted.question, &|_| true, now).await?;
    let description = foreseen.describe(permit.workspace(), Some(&found), &wanted.question, data);
    Ok(match wanted.of {
        Of::Key(_) => description,
        Of::Owner(name) => of_owner(description, &found, &name),
    })
}

fn role(tx: &mut Tx<'_>, workspace: &WorkspaceId, name: &str) -> Result<(String, BTreeSet<String>)> {
    let found: Option<Role> = store::roles::find(tx, workspace, name)?.map(|full| full.role);
    let role = found.filter(|role| role.name == name).ok_or_else(roles::not_found)?;
    let slugs = store::links::list(tx, workspace, Holder::Role(&role), Held::Permissions)?;
    Ok((role.name, slugs.into_keys().collect()))
}

/// The description of a key that is only supposed, in words about its owner.
fn of_owner(described: Description, found: &Snapshot, name: &str) -> Description {
    let change = match (&found.identity, described.step) {
        (Some(owner), Some(Step::Permissions)) => {
            let mut all = found.access.owner.clone();
            all.extend(described.missing.iter().cloned());
            Some(remedy::request(
                format!("Give the owner `{name}` what is missing, by itself or by a role."),
                "identities.setPermissions",
                &[("identity", remedy::json(&owner.id)), ("permissions", remedy::json(&all))],
            ))
        }
        _ => described.change,
    };
    let summary = described
        .summary
        .replace(&format!("The key {ANY_KEY} of `{name}`"), &format!("A key of `{name}`"))
        .replace(&format!("of the key {ANY_KEY}"), "of the key")
        .replace(&format!("The key {ANY_KEY}"), &format!("A key of `{name}`"))
        .replace(&format!("key {ANY_KEY}"), &format!("a key of `{name}`"));
    let credential =
        Credential { r#type: CredentialType::Key, id: None, name: None, start: None, api_id: None, looks_like: None };
    Description { change, summary, credential, ..described }
}

/// Foretells whether a root key may call an operation. Without a resource it is asked for all that there are.
///
/// # Errors
/// `key_not_found`; `invalid_input` for supposed permissions that mean nothing and for a resource
/// that the operation is not about.
pub async fn call(db: &Db, permit: &Permit, wanted: SimulatedCall) -> Result<Description> {
    check(&wanted.suppose)?;
    let kind = wanted.needs.iter().find(|action| action.takes_id()).map(|action| action.resource());
    if wanted.resource.is_some() && kind.is_none() {
        let message = format!("{} is about no single resource", wanted.operation);
        return Err(Error::invalid("body.resource", message, Some("Leave it out.")));
    }
    let (workspace, id, sent) = (permit.workspace().clone(), wanted.root_key.clone(), wanted.resource.clone());
    let read = move |tx: &mut Tx<'_>| {
        let root_key = store::root_keys::find(tx, &workspace, &id)?.ok_or_else(root_keys::not_found)?;
        let known = match (&sent, kind) {
            (Some(sent), Some(Resource::Identity)) => {
                store::identities::named(tx, &workspace, sent)?.map(|full| full.identity.id.to_string())
            }
            (Some(sent), Some(Resource::Ratelimit)) => {
                store::namespaces::named(tx, &workspace, sent)?.map(|namespace| namespace.id.to_string())
            }
            _ => None,
        };
        let data = DataAge { read_at: tx.now().timestamp_millis(), age_ms: 0 };
        Ok((root_key, store::workspaces::get(tx, &workspace)?, known, tx.now(), data))
    };
    let (root_key, workspace, known, now, data) = db.read(read).await?;
    let root_key = wanted.suppose.root_key(root_key);
    let foreseen = judged(&wanted, (&root_key, &workspace), kind, known.as_deref(), wanted.time.unwrap_or(now));
    Ok(foreseen.describe(wanted.operation, Some((&root_key, &workspace)), data))
}

fn judged(
    wanted: &SimulatedCall,
    (root_key, workspace): (&RootKey, &Workspace),
    kind: Option<Resource>,
    known: Option<&str>,
    now: Timestamp,
) -> ForeseenCall {
    let caller = Caller {
        root_key: root_key.id.clone(),
        workspace: workspace.id.clone(),
        grants: Arc::new(Grants::of(&root_key.permissions)),
        operation: wanted.operation,
        needs: wanted.needs,
        also: &[],
    };
    let sent = wanted.resource.as_deref();
    let (api, other) = (ApiId::from_text(sent.unwrap_or_default()), RootKeyId::from_text(sent.unwrap_or_default()));
    let on = match (sent, kind) {
        (Some(sent), Some(Resource::Identity)) => On::Identity { id: known.unwrap_or(sent), sent },
        (Some(sent), Some(Resource::Ratelimit)) => On::Namespace { id: known.unwrap_or(sent), sent },
        (Some(_), Some(Resource::RootKey)) => On::RootKey(&other),
        (Some(_), Some(Resource::Api)) => On::Api(&api),
        _ => On::Any,
    };
    let somewhere = sent.is_none() && BY_SECRET.contains(&wanted.operation);
    let needs = if somewhere { caller.needed_somewhere(&[]) } else { caller.needed(&[on], &[]) };
    let lack = Lack { needs, ..Lack::default() };
    let allowed = root_keys::admit(root_key, workspace, now)
        .and_then(|()| if somewhere { caller.somewhere(&[]) } else { caller.permit(on).map(drop) });
    let refused = allowed.err().map(|error| (error.code, error.refusal.map_or(Refusal::Lacks, |refusal| *refusal)));
    ForeseenCall { refused, lack }
}

/// Refuses supposed tuples that could not be minted.
fn check(suppose: &Suppose) -> Result<()> {
    let faults = |tuples: &[String], field: &str| {
        let faults = grants::check(tuples).err().unwrap_or_default();
        let violation = |fault: grants::Fault| {
            let index = fault.index.map(|index| format!("[{index}]")).unwrap_or_default();
            Violation {
                location: format!("body.if.{field}{index}"),
                message: fault.message,
                fix: Some("`keyward permissions list` prints every permission that there is.".to_owned()),
            }
        };
        faults.into_iter().map(violation).collect::<Vec<_>>()
    };
    let faults: Vec<_> = faults(&suppose.grant, "grant").into_iter().chain(faults(&suppose.revoke, "revoke")).collect();
    let Some(first) = faults.first() else { return Ok(()) };
    let error = Error::new(Code::InvalidInput, first.message.clone());
    Err(faults.into_iter().fold(error, Error::violating))
}
