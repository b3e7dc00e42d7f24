//! APIs.

use crate::authz::caller::Permit;
use crate::model::api::Api;
use crate::model::api::ApiChanges;
use crate::model::audit::Changed;
use crate::model::change::Change;
use crate::model::id::ApiId;
use crate::model::id::WorkspaceId;
use crate::model::origin::Event;
use crate::model::origin::Resource;
use crate::model::page::PageRequest;
use crate::model::schema::apis;
use crate::model::schema::keys;
use crate::model::schema::sealed_keys;
use crate::store::tx::AuditEvent;
use crate::store::tx::Tx;
use diesel::ExpressionMethods;
use diesel::OptionalExtension;
use diesel::PgTextExpressionMethods;
use diesel::QueryDsl;
use diesel::QueryResult;
use diesel::RunQueryDsl;
use diesel::SelectableHelper;

/// Stores an API.
///
/// # Errors
/// Whatever the database says.
pub fn insert(tx: &mut Tx<'_>, permit: &Permit, new: &Api) -> QueryResult<()> {
    debug_assert_eq!(permit.workspace(), &new.workspace_id);
    diesel::insert_into(apis::table).values(new).execute(tx.connection)?;
    record(tx, permit, Event::ApiCreate, "created", (&new.id, &new.name), Changed::of(&new.id));
    Ok(())
}

/// A live API of a workspace.
///
/// # Errors
/// Whatever the database says.
pub fn find(tx: &mut Tx<'_>, workspace: &WorkspaceId, id: &ApiId) -> QueryResult<Option<Api>> {
    apis::table
        .filter(apis::id.eq(id))
        .filter(apis::workspace_id.eq(workspace))
        .filter(apis::deleted_at.is_null())
        .select(Api::as_select())
        .first(tx.connection)
        .optional()
}

/// [`find`] for a transaction that goes on to change what depends on it: the API cannot be deleted meanwhile.
///
/// # Errors
/// Whatever the database says.
pub fn find_for_share(tx: &mut Tx<'_>, workspace: &WorkspaceId, id: &ApiId) -> QueryResult<Option<Api>> {
    apis::table
        .filter(apis::id.eq(id))
        .filter(apis::workspace_id.eq(workspace))
        .filter(apis::deleted_at.is_null())
        .select(Api::as_select())
        .for_share()
        .first(tx.connection)
        .optional()
}

/// A page of the live APIs of a workspace whose name holds `search`, in any letter case.
///
/// # Errors
/// Whatever the database says.
pub fn list(
    tx: &mut Tx<'_>,
    workspace: &WorkspaceId,
    search: Option<&str>,
    page: &PageRequest,
) -> QueryResult<Vec<Api>> {
    let mut query = apis::table
        .filter(apis::workspace_id.eq(workspace))
        .filter(apis::deleted_at.is_null())
        .order(apis::id)
        .limit(page.fetch())
        .select(Api::as_select())
        .into_boxed();
    if let Some(cursor) = &page.cursor {
        query = query.filter(apis::id.ge(cursor));
    }
    if let Some(search) = search {
        query = query.filter(apis::name.ilike(format!("%{}%", literal(search))));
    }
    query.load(tx.connection)
}

/// Changes a live API; says whether there was one.
///
/// # Errors
/// Whatever the database says.
pub fn update(tx: &mut Tx<'_>, permit: &Permit, id: &ApiId, changes: &ApiChanges) -> QueryResult<bool> {
    let now = tx.now();
    let old: Option<Api> = apis::table
        .filter(apis::id.eq(id))
        .filter(apis::workspace_id.eq(permit.workspace()))
        .filter(apis::deleted_at.is_null())
        .select(Api::as_select())
        .for_no_key_update()
        .first(tx.connection)
        .optional()?;
    let Some(old) = old else { return Ok(false) };
    diesel::update(apis::table.find(id)).set((changes, apis::updated_at.eq(now))).execute(tx.connection)?;
    let name = changes.name.as_ref().unwrap_or(&old.name);
    record(tx, permit, Event::ApiUpdate, "updated", (id, name), changed(&old, changes));
    Ok(true)
}

/// What decides on an API's keys, now or when they are made.
fn changed(old: &Api, changes: &ApiChanges) -> Changed {
    Changed::of(&old.id)
        .field("name", &old.name, changes.name.as_ref())
        .nullable("defaultPrefix", &old.default_prefix, changes.default_prefix.as_ref())
        .nullable("defaultBytes", &old.default_bytes, changes.default_bytes.as_ref())
        .field("recoverable", &old.recoverable, changes.recoverable.as_ref())
        .field("deleteProtection", &old.delete_protection, changes.delete_protection.as_ref())
        .field("ipWhitelist", &old.ip_whitelist, changes.ip_whitelist.as_ref())
}

/// Deletes a live API that is not protected, and with it the sealed copies of its keys; says whether it did.
/// The keys' own rows stay: whoever asks for a key asks for its API.
///
/// # Errors
/// Whatever the database says.
pub fn delete(tx: &mut Tx<'_>, permit: &Permit, id: &ApiId) -> QueryResult<bool> {
    let now = tx.now();
    let name = diesel::update(
        apis::table
            .filter(apis::id.eq(id))
            .filter(apis::workspace_id.eq(permit.workspace()))
            .filter(apis::deleted_at.is_null())
            .filter(apis::delete_protection.eq(false)),
    )
    .set(apis::deleted_at.eq(now))
    .returning(apis::name)
    .get_result::<String>(tx.connection)
    .optional()?;
    let Some(name) = name else { return Ok(false) };
    let of_api = keys::table.filter(keys::api_id.eq(id)).select(keys::id);
    diesel::delete(sealed_keys::table.filter(sealed_keys::key_id.eq_any(of_api))).execute(tx.connection)?;
    record(tx, permit, Event::ApiDelete, "deleted", (id, &name), Changed::of(id));
    Ok(true)
}

/// Text that `ILIKE` takes as it stands.
pub(in crate::store) fn literal(text: &str) -> String {
    text.replace('\\', "\\\\").replace('%', "\\%").replace('_', "\\_")
}

fn record(tx: &mut Tx<'_>, permit: &Permit, event: Event, verb: &str, (id, name): (&ApiId, &str), changed: Changed) {
    tx.record(
        Change::Api(id.clone()),
        AuditEvent::new(
            permit.workspace(),
            event,
            format!("{verb} api {id}"),
            vec![Resource::new("api", id, Some(name))],
        )
        .changing(changed),
    );
}
