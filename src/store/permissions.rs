//! Permissions.

use crate::authz::caller::Permit;
use crate::model::audit::Changed;
use crate::model::change::Change;
use crate::model::id::PermissionId;
use crate::model::id::WorkspaceId;
use crate::model::origin::Event;
use crate::model::origin::Resource;
use crate::model::page::PageRequest;
use crate::model::permission::Permission;
use crate::model::permission::PermissionChanges;
use crate::model::schema::permissions;
use crate::store::apis::literal;
use crate::store::conflict;
use crate::store::links;
use crate::store::links::Held;
use crate::store::links::Holder;
use crate::store::links::Named;
use crate::store::tx::AuditEvent;
use crate::store::tx::Tx;
use diesel::BoolExpressionMethods;
use diesel::ExpressionMethods;
use diesel::OptionalExtension;
use diesel::QueryDsl;
use diesel::QueryResult;
use diesel::RunQueryDsl;
use diesel::SelectableHelper;
use diesel::sql_types::Bool;
use diesel::sql_types::Text;
use std::collections::BTreeSet;

/// The permission with this id, or else with this slug. A macro, since the type of such a query cannot be written down.
macro_rules! named {
    ($workspace:expr, $id_or_slug:expr) => {
        permissions::table
            .filter(permissions::workspace_id.eq($workspace))
            .filter(permissions::id.eq($id_or_slug).or(permissions::slug.eq($id_or_slug)))
            .order(permissions::id.eq($id_or_slug).desc())
            .select(Permission::as_select())
    };
}

/// The permission with this id, or else with this slug.
///
/// # Errors
/// Whatever the database says.
pub fn find(tx: &mut Tx<'_>, workspace: &WorkspaceId, id_or_slug: &str) -> QueryResult<Option<Permission>> {
    named!(workspace, id_or_slug).first(tx.connection).optional()
}

/// [`find`] for a transaction that goes on to change it: nobody gives it to anybody meanwhile.
///
/// # Errors
/// Whatever the database says.
pub fn find_for_update(tx: &mut Tx<'_>, workspace: &WorkspaceId, id_or_slug: &str) -> QueryResult<Option<Permission>> {
    named!(workspace, id_or_slug).for_update().first(tx.connection).optional()
}

/// A page of the permissions of a workspace whose id, slug, name or description holds `search`, in any letter case.
///
/// # Errors
/// Whatever the database says.
pub fn list(
    tx: &mut Tx<'_>,
    workspace: &WorkspaceId,
    search: Option<&str>,
    page: &PageRequest,
) -> QueryResult<Vec<Permission>> {
    let mut query = permissions::table
        .filter(permissions::workspace_id.eq(workspace))
        .order(permissions::id)
        .limit(page.fetch())
        .select(Permission::as_select())
        .into_boxed();
    if let Some(cursor) = &page.cursor {
        query = query.filter(permissions::id.ge(cursor));
    }
    if let Some(search) = search {
        let pattern = format!("%{}%", literal(search));
        query = query.filter(
            diesel::dsl::sql::<Bool>("(permissions.id ILIKE ")
                .bind::<Text, _>(pattern.clone())
                .sql(" OR permissions.slug ILIKE ")
                .bind::<Text, _>(pattern.clone())
                .sql(" OR permissions.name ILIKE ")
                .bind::<Text, _>(pattern.clone())
                .sql(" OR permissions.description ILIKE ")
                .bind::<Text, _>(pattern)
                .sql(")"),
        );
    }
    query.load(tx.connection)
}

/// The permissions with these slugs, as far as there are any.
///
/// # Errors
/// Whatever the database says.
pub fn by_slugs(tx: &mut Tx<'_>, workspace: &WorkspaceId, slugs: &BTreeSet<String>) -> QueryResult<Named> {
    let rows: Vec<(String, String)> = permissions::table
        .filter(permissions::workspace_id.eq(workspace))
        .filter(permissions::slug.eq_any(slugs))
        .select((permissions::slug, permissions::id))
        .load(tx.connection)?;
    Ok(rows.into_iter().collect())
}

/// The permissions that somebody holds directly, by slug.
///
/// # Errors
/// Whatever the database says.
pub fn held_by(tx: &mut Tx<'_>, workspace: &WorkspaceId, holder: Holder<'_>) -> QueryResult<Vec<Permission>> {
    let held = links::list(tx, workspace, holder, Held::Permissions)?;
    permissions::table
        .filter(permissions::workspace_id.eq(workspace))
        .filter(permissions::id.eq_any(held.values()))
        .order(permissions::slug)
        .select(Permission::as_select())
        .load(tx.connection)
}

/// Stores permissions whose slugs are free; whoever stores the same one at the same time wins or waits, none fails.
/// Returns those that were stored.
///
/// # Errors
/// Whatever the database says.
pub fn insert_missing(tx: &mut Tx<'_>, permit: &Permit, new: &[Permission]) -> QueryResult<Vec<Permission>> {
    let stored: Vec<Permission> = diesel::insert_into(permissions::table)
        .values(new)
        .on_conflict((permissions::workspace_id, permissions::slug))
        .do_nothing()
        .returning(Permission::as_returning())
        .get_results(tx.connection)?;
    for permission in &stored {
        let display = format!("created permission {}", permission.slug);
        record(
            tx,
            permit,
            Event::PermissionCreate,
            display,
            (&permission.id, &permission.slug),
            Changed::of(&permission.id),
        );
    }
    Ok(stored)
}

/// Changes a permission that was found for it; `None` if its new slug is taken.
///
/// # Errors
/// Whatever the database says.
pub fn update(
    tx: &mut Tx<'_>,
    permit: &Permit,
    permission: &Permission,
    changes: &PermissionChanges,
) -> QueryResult<Option<Permission>> {
    let now = tx.now();
    let updated = diesel::update(
        permissions::table
            .filter(permissions::id.eq(&permission.id))
            .filter(permissions::workspace_id.eq(permit.workspace())),
    )
    .set((changes, permissions::updated_at.eq(now)))
    .returning(Permission::as_returning())
    .get_result(tx.connection);
    let Some(updated): Option<Permission> = conflict::unless_taken(updated, "permissions_workspace_id_slug_key")?
    else {
        return Ok(None);
    };
    let display = if updated.slug == permission.slug {
        format!("updated permission {}", updated.slug)
    } else {
        format!("updated permission {}, which is {} now", permission.slug, updated.slug)
    };
    let changed = Changed::of(&updated.id).field("slug", &permission.slug, Some(&updated.slug));
    record(tx, permit, Event::PermissionUpdate, display, (&updated.id, &updated.slug), changed);
    Ok(Some(updated))
}

/// Deletes a permission that was found for it, and takes it away from everybody who holds it.
///
/// # Errors
/// Whatever the database says.
pub fn delete(tx: &mut Tx<'_>, permit: &Permit, permission: &Permission) -> QueryResult<()> {
    let holders = links::holders(tx, Held::Permissions, permission.id.as_str())?;
    diesel::delete(
        permissions::table
            .filter(permissions::id.eq(&permission.id))
            .filter(permissions::workspace_id.eq(permit.workspace())),
    )
    .execute(tx.connection)?;
    let display = format!("deleted permission {} (taken from {holders})", permission.slug);
    record(
        tx,
        permit,
        Event::PermissionDelete,
        display,
        (&permission.id, &permission.slug),
        Changed::of(&permission.id),
    );
    Ok(())
}

fn record(
    tx: &mut Tx<'_>,
    permit: &Permit,
    event: Event,
    display: String,
    (id, slug): (&PermissionId, &str),
    changed: Changed,
) {
    tx.record(
        // Any key of the workspace may hold it.
        Change::Workspace(permit.workspace().clone()),
        AuditEvent::new(permit.workspace(), event, display, vec![Resource::new("permission", id, Some(slug))])
            .changing(changed),
    );
}
