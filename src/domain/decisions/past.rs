//! What a verdict depended on: all facts as they are now, with the rows of the audit log by which they became so.

use crate::authz::action::Action;
use crate::authz::expression::Expression;
use crate::authz::grants::Grants;
use crate::domain::decisions::foresee;
use crate::domain::decisions::history::Fact;
use crate::domain::decisions::history::State;
use crate::model::address::AddressList;
use crate::model::audit::FieldValue;
use crate::model::clock::Timestamp;
use crate::model::decision::KeyQuestion;
use crate::model::error::Result;
use crate::model::id::ApiId;
use crate::model::id::KeyId;
use crate::model::id::RootKeyId;
use crate::model::id::WorkspaceId;
use crate::model::identity::Identity;
use crate::model::key::Key;
use crate::model::permission::Access;
use crate::model::permission::RoleSlugs;
use crate::model::rate_limit::Limits;
use crate::model::root_key::RootKey;
use crate::model::verdict::Verdict;
use crate::model::verification::Subject;
use crate::model::workspace::Workspace;
use crate::store;
use crate::store::history;
use crate::store::history::About;
use crate::store::history::Row;
use crate::store::snapshot::Snapshot;
use crate::store::tx::ReadAt;
use crate::store::tx::Tx;
use chrono::DateTime;
use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::OnceLock;

/// Rows of the log that are looked at, at most: what lies before the newest of these is not told.
const MAX_ROWS: i64 = 2000;

/// What is known of a key, now and before.
#[derive(Debug)]
pub struct KeyPast {
    /// What is so now.
    pub state: State,
    /// How it became so, newest first.
    pub rows: Vec<Row>,
    key: Key,
    owners: BTreeMap<String, Identity>,
    question: KeyQuestion,
}

/// What is known of a root key, now and before.
#[derive(Debug)]
pub struct RootKeyPast {
    /// What is so now.
    pub state: State,
    /// How it became so, newest first.
    pub rows: Vec<Row>,
    root_key: RootKey,
    workspace: Workspace,
}

const fn flag(flag: bool) -> Option<FieldValue> {
    Some(FieldValue::Flag(flag))
}

fn moment(at: Option<Timestamp>) -> Option<FieldValue> {
    at.map(FieldValue::from)
}

fn moment_of(state: &State, fact: &Fact) -> Option<Timestamp> {
    match state.get(fact) {
        Some(FieldValue::Number(ms)) => DateTime::from_timestamp_millis(*ms),
        _ => None,
    }
}

fn texts(state: &State, fact: &Fact) -> Vec<String> {
    match state.get(fact) {
        Some(FieldValue::List(texts)) => texts.clone(),
        _ => Vec::new(),
    }
}

fn text<'s>(state: &'s State, fact: &Fact) -> Option<&'s str> {
    match state.get(fact) {
        Some(FieldValue::Text(text)) => Some(text),
        _ => None,
    }
}

impl KeyPast {
    /// Reads all that the verdict on a key depends on, as far as its question goes. `api` is that of a key of which nothing but
    /// the log is left.
    ///
    /// # Errors
    /// The database's.
    pub fn load(
        tx: &mut Tx<'_>,
        workspace: &WorkspaceId,
        id: &KeyId,
        api: Option<&ApiId>,
        question: &KeyQuestion,
    ) -> Result<Self> {
        let known = history::key(tx, workspace, id)?;
        let mut state = State::default();
        state.set(Fact::exists(id), flag(known.as_ref().is_some_and(|known| known.exists)));
        let key = match known {
            Some(known) => {
                state.set(Fact::field(id, "enabled"), flag(known.key.enabled));
                state.set(Fact::field(id, "expires"), moment(known.key.expires_at));
                state.set(Fact::field(id, "owner"), known.key.identity_id.clone().map(FieldValue::from));
                state.set(Fact::exists(&known.key.api_id), flag(known.api_exists));
                state.set(Fact::field(&known.key.api_id, "ipWhitelist"), Some(known.ip_whitelist.into()));
                known.key
            }
            None => {
                let erased = erased(workspace, id, api, tx.now());
                state.set(Fact::exists(&erased.api_id), flag(true));
                erased
            }
        };
        if let Some((root_key, _)) = history::root_key(tx, workspace, &question.root_key)? {
            state.set(Fact::field(&root_key.id, "permissions"), Some(root_key.permissions.into()));
        }
        let mut about = About {
            credentials: [id.to_string(), question.root_key.to_string()].into(),
            owners: key.identity_id.iter().map(ToString::to_string).collect(),
            settings: [key.api_id.to_string()].into(),
            ..About::default()
        };
        let rows = history::rows(tx, workspace, &about, MAX_ROWS)?;
        about.owners.extend(owners_in(&rows, id));
        let query = question.query.as_deref().and_then(|query| Expression::parse(query).ok());
        let slugs: BTreeSet<_> = query.iter().flat_map(Expression::permissions).map(ToOwned::to_owned).collect();
        let rows = if slugs.is_empty() {
            history::rows(tx, workspace, &about, MAX_ROWS)?
        } else {
            access(tx, workspace, id, &slugs, &mut about, &mut state)?
        };
        let mut owners = BTreeMap::new();
        for (owner, exists) in history::owners(tx, workspace, &about.owners)? {
            state.set(Fact::exists(&owner.id), flag(exists));
            state.set(Fact::field(&owner.id, "enabled"), flag(owner.enabled));
            owners.insert(owner.id.to_string(), owner);
        }
        state.complete(&rows);
        Ok(Self { state, rows, key, owners, question: question.clone() })
    }

    /// The verdict in a state, at a moment, limits and credits aside.
    #[must_use]
    pub fn judge(&self, state: &State, at: Timestamp) -> Option<Verdict> {
        let api = &self.key.api_id;
        let exists = state.is(&Fact::exists(&self.key.id)) && state.is(&Fact::exists(api));
        let snapshot = exists.then(|| self.snapshot(state));
        let tuples = texts(state, &Fact::field(&self.question.root_key, "permissions"));
        let grants = Grants::of(&tuples);
        let covered = |api: &ApiId| grants.on(Action::VerifyKey, api.as_str());
        foresee::decided(snapshot.as_ref(), &self.question, &covered, at).ok()
    }

    /// When the key's life ends in a state.
    #[must_use]
    pub fn ends(&self, state: &State) -> Option<Timestamp> {
        moment_of(state, &Fact::field(&self.key.id, "expires"))
    }

    /// What the key holds in a state, of what was asked for.
    #[must_use]
    pub fn access(&self, state: &State) -> Access {
        let slug = |id: &str| text(state, &Fact::field(id, "slug")).map(ToOwned::to_owned);
        let direct = |holder: &str| state.held(holder).filter_map(slug).collect::<BTreeSet<_>>();
        let roles = |holder: &str| {
            let named = |id| Some((text(state, &Fact::field(id, "name"))?.to_owned(), direct(id)));
            state.held(holder).filter_map(named).collect::<RoleSlugs>()
        };
        let owner = self.owner(state).map(|owner| owner.id.as_str()).unwrap_or_default();
        let key = self.key.id.as_str();
        Access { direct: direct(key), roles: roles(key), owner: direct(owner), owner_roles: roles(owner) }
    }

    fn owner(&self, state: &State) -> Option<&Identity> {
        let id = text(state, &Fact::field(&self.key.id, "owner"))?;
        self.owners.get(id).filter(|_| state.is(&Fact::exists(id)))
    }

    fn snapshot(&self, state: &State) -> Snapshot {
        let field = |id: &str, name: &str| state.get(&Fact::field(id, name)) != flag(false).as_ref();
        let key =
            Key { enabled: field(self.key.id.as_str(), "enabled"), expires_at: self.ends(state), ..self.key.clone() };
        let owner = self.owner(state);
        let identity = owner.map(|owner| Identity { enabled: field(owner.id.as_str(), "enabled"), ..owner.clone() });
        let list = texts(state, &Fact::field(&key.api_id, "ipWhitelist"));
        let list = AddressList::parse(&list).ok().filter(|list| !list.is_empty()).map(Box::new);
        Snapshot {
            subject: Arc::new(Subject::of(&key, identity.as_ref())),
            access: self.access(state).shared(),
            slugs: Box::default(),
            credits: None,
            limits: Limits::default(),
            planned: OnceLock::new(),
            ip_whitelist: list,
            read: ReadAt::default(),
            identity: identity.map(Box::new),
            key,
        }
    }
}

impl RootKeyPast {
    /// Reads all that the verdict on a root key depends on; `None` if there never was one.
    ///
    /// # Errors
    /// The database's.
    pub fn load(tx: &mut Tx<'_>, workspace: &WorkspaceId, id: &RootKeyId) -> Result<Option<Self>> {
        let Some((root_key, exists)) = history::root_key(tx, workspace, id)? else { return Ok(None) };
        let workspace = store::workspaces::get(tx, workspace)?;
        let about = About {
            credentials: [id.to_string()].into(),
            settings: [workspace.id.to_string()].into(),
            ..About::default()
        };
        let rows = history::rows(tx, &workspace.id, &about, MAX_ROWS)?;
        let mut state = State::default();
        state.set(Fact::exists(id), flag(exists));
        state.set(Fact::field(id, "enabled"), flag(root_key.enabled));
        state.set(Fact::field(id, "expires"), moment(root_key.expires_at));
        state.set(Fact::field(id, "permissions"), Some(root_key.permissions.clone().into()));
        state.set(Fact::field(&workspace.id, "enabled"), flag(workspace.enabled));
        Ok(Some(Self { state, rows, root_key, workspace }))
    }

    /// The root key and its workspace in a state; `None` if it is not there then.
    #[must_use]
    pub fn at(&self, state: &State) -> Option<(RootKey, Workspace)> {
        let id = &self.root_key.id;
        let enabled = |id: &str| state.is(&Fact::field(id, "enabled"));
        let root_key = RootKey {
            enabled: enabled(id.as_str()),
            expires_at: self.ends(state),
            permissions: texts(state, &Fact::field(id, "permissions")),
            ..self.root_key.clone()
        };
        let workspace = Workspace { enabled: enabled(self.workspace.id.as_str()), ..self.workspace.clone() };
        state.is(&Fact::exists(id)).then_some((root_key, workspace))
    }

    /// When the root key's life ends in a state.
    #[must_use]
    pub fn ends(&self, state: &State) -> Option<Timestamp> {
        moment_of(state, &Fact::field(&self.root_key.id, "expires"))
    }
}

/// A key of which only the log is left.
fn erased(workspace: &WorkspaceId, id: &KeyId, api: Option<&ApiId>, now: Timestamp) -> Key {
    let api = api.cloned().unwrap_or_else(|| ApiId::from_text(""));
    Key::bare(id.clone(), workspace.clone(), api, now)
}

/// Owners that a key ever had, as far as rows tell.
fn owners_in(rows: &[Row], key: &KeyId) -> BTreeSet<String> {
    let changes = rows.iter().flat_map(|row| &row.changes);
    let of_key = changes.filter(|change| change.resource == key.as_str() && change.field == "owner");
    let ids = of_key.flat_map(|change| [change.from.clone(), change.to.clone()]).flatten();
    ids.filter_map(|value| if let FieldValue::Text(id) = value { Some(id) } else { None }).collect()
}

/// Adds to the state who holds these slugs, or could: the key, its owners, their roles. Answers all rows about them.
fn access(
    tx: &mut Tx<'_>,
    workspace: &WorkspaceId,
    key: &KeyId,
    slugs: &BTreeSet<String>,
    about: &mut About,
    state: &mut State,
) -> Result<Vec<Row>> {
    about.permissions = history::permissions_called(tx, workspace, slugs)?;
    let mut holders = about.owners.clone();
    holders.insert(key.to_string());
    let held = history::roles_of(tx, workspace, &holders)?;
    let rows = history::rows(tx, workspace, about, MAX_ROWS)?;
    about.roles = held.iter().map(|(_, role)| role.clone()).collect();
    let named = rows.iter().flat_map(|row| &row.resources).filter(|resource| resource.r#type == "role");
    about.roles.extend(named.map(|resource| resource.id.clone()));
    for (id, label) in history::labels(tx, workspace, &about.roles, &about.permissions)? {
        let field = if about.roles.contains(&id) { "name" } else { "slug" };
        state.set(Fact::exists(&id), flag(true));
        state.set(Fact::field(&id, field), Some(FieldValue::Text(label)));
    }
    holders.extend(about.roles.iter().cloned());
    let links = history::permissions_of(tx, workspace, &holders, &about.permissions)?;
    for (holder, held) in held.into_iter().chain(links) {
        state.set(Fact::link(holder, held), flag(true));
    }
    Ok(history::rows(tx, workspace, about, MAX_ROWS)?)
}
