//! Workspaces.

use crate::authz::caller::Permit;
use crate::model::audit::Changed;
use crate::model::change::Change;
use crate::model::clock::Timestamp;
use crate::model::id::WorkspaceId;
use crate::model::origin::Event;
use crate::model::origin::Resource;
use crate::model::schema::workspaces;
use crate::model::workspace::LimitChanges;
use crate::model::workspace::Workspace;
use crate::store::tx::AuditEvent;
use crate::store::tx::Tx;
use diesel::BoolExpressionMethods;
use diesel::ExpressionMethods;
use diesel::OptionalExtension;
use diesel::QueryDsl;
use diesel::QueryResult;
use diesel::RunQueryDsl;
use diesel::SelectableHelper;

/// Stores a workspace unless its name is taken; says whether it did.
///
/// # Errors
/// Whatever the database says.
pub fn insert(tx: &mut Tx<'_>, permit: &Permit, name: &str) -> QueryResult<Option<Workspace>> {
    let new = Workspace {
        id: permit.workspace().clone(),
        name: name.to_owned(),
        enabled: true,
        requests_per_minute: None,
        created_at: tx.now(),
        updated_at: None,
        keys_max: None,
        root_keys_max: None,
    };
    let inserted = diesel::insert_into(workspaces::table)
        .values(&new)
        .on_conflict(workspaces::name)
        .do_nothing()
        .execute(tx.connection)?;
    if inserted == 0 {
        return Ok(None);
    }
    let display = format!("created workspace {name}");
    record(tx, permit, Event::WorkspaceCreate, display, name, Changed::of(permit.workspace()));
    Ok(Some(new))
}

/// All workspaces, oldest first.
///
/// # Errors
/// Whatever the database says.
pub fn list(tx: &mut Tx<'_>) -> QueryResult<Vec<Workspace>> {
    workspaces::table.select(Workspace::as_select()).order(workspaces::id).load(tx.connection)
}

/// The workspace of this id or name.
///
/// # Errors
/// Whatever the database says.
pub fn find(tx: &mut Tx<'_>, id_or_name: &str) -> QueryResult<Option<Workspace>> {
    workspaces::table
        .filter(workspaces::id.eq(id_or_name).or(workspaces::name.eq(id_or_name)))
        // An id wins over a name that looks like one.
        .order(workspaces::id.eq(id_or_name).desc())
        .select(Workspace::as_select())
        .first(tx.connection)
        .optional()
}

/// Enables or disables a workspace; says whether that changed anything.
///
/// # Errors
/// Whatever the database says.
pub fn set_enabled(tx: &mut Tx<'_>, permit: &Permit, enabled: bool) -> QueryResult<bool> {
    let now: Timestamp = tx.now();
    let id: WorkspaceId = permit.workspace().clone();
    let name = diesel::update(workspaces::table.filter(workspaces::id.eq(&id)).filter(workspaces::enabled.ne(enabled)))
        .set((workspaces::enabled.eq(enabled), workspaces::updated_at.eq(now)))
        .returning(workspaces::name)
        .get_result::<String>(tx.connection)
        .optional()?;
    let Some(name) = name else { return Ok(false) };
    let verb = if enabled { "enabled" } else { "disabled" };
    let changed = Changed::of(&id).field("enabled", &!enabled, Some(&enabled));
    record(tx, permit, Event::WorkspaceUpdate, format!("{verb} workspace {name}"), &name, changed);
    Ok(true)
}

/// Sets limits of a workspace, at least one; answers the workspace as it is then.
///
/// # Errors
/// Whatever the database says.
pub fn set_limits(tx: &mut Tx<'_>, permit: &Permit, limits: &LimitChanges) -> QueryResult<Workspace> {
    let now = tx.now();
    let old = lock(tx, permit.workspace())?;
    let workspace = diesel::update(workspaces::table.find(permit.workspace()))
        .set((limits, workspaces::updated_at.eq(now)))
        .returning(Workspace::as_returning())
        .get_result::<Workspace>(tx.connection)?;
    let words = |name: &str, limit: Option<Option<i64>>| {
        limit.map(|limit| {
            format!("{name} to {}", limit.map_or_else(|| "unlimited".to_owned(), |limit| limit.to_string()))
        })
    };
    let set: Vec<_> = [
        words("requests per minute", limits.requests_per_minute.map(|limit| limit.map(i64::from))),
        words("keys", limits.keys_max),
        words("root keys", limits.root_keys_max),
    ]
    .into_iter()
    .flatten()
    .collect();
    let display = format!("set limits of workspace {}: {}", workspace.name, set.join(", "));
    let changed = Changed::of(&workspace.id)
        .nullable("requestsPerMinute", &old.requests_per_minute, limits.requests_per_minute.as_ref())
        .nullable("keysMax", &old.keys_max, limits.keys_max.as_ref())
        .nullable("rootKeysMax", &old.root_keys_max, limits.root_keys_max.as_ref());
    record(tx, permit, Event::WorkspaceUpdate, display, &workspace.name, changed);
    Ok(workspace)
}

/// How many keys a workspace may have. If that is limited, transactions that make keys in it go one after the other from
/// here on: two that count at the same time would both find room for the last one.
///
/// # Errors
/// Whatever the database says.
pub fn lock_keys_max(tx: &mut Tx<'_>, permit: &Permit) -> QueryResult<Option<i64>> {
    let row = workspaces::table.find(permit.workspace());
    let limited: Option<i64> = row.select(workspaces::keys_max).first(tx.connection)?;
    if limited.is_none() {
        return Ok(None);
    }
    row.select(workspaces::keys_max).for_no_key_update().first(tx.connection)
}

/// A workspace, for a transaction that changes its root keys: such transactions go one after the other from here on, so
/// that counting root keys, asking who is left to mint them and looking at what the caller holds are never out of date.
///
/// # Errors
/// Whatever the database says.
pub fn lock(tx: &mut Tx<'_>, id: &WorkspaceId) -> QueryResult<Workspace> {
    workspaces::table.find(id).select(Workspace::as_select()).for_no_key_update().first(tx.connection)
}

/// The workspace of this id.
///
/// # Errors
/// Whatever the database says.
pub fn get(tx: &mut Tx<'_>, id: &WorkspaceId) -> QueryResult<Workspace> {
    workspaces::table.find(id).select(Workspace::as_select()).first(tx.connection)
}

fn record(tx: &mut Tx<'_>, permit: &Permit, event: Event, display: String, name: &str, changed: Changed) {
    tx.record(
        Change::Workspace(permit.workspace().clone()),
        AuditEvent::new(
            permit.workspace(),
            event,
            display,
            vec![Resource::new("workspace", permit.workspace(), Some(name))],
        )
        .changing(changed),
    );
}
