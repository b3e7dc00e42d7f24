//! Rate limits of keys and identities.

use crate::authz::caller::Permit;
use crate::model::audit::Changed;
use crate::model::change::Change;
use crate::model::id::IdentityId;
use crate::model::id::KeyId;
use crate::model::id::RateLimitId;
use crate::model::id::WorkspaceId;
use crate::model::origin::Event;
use crate::model::origin::Resource;
use crate::model::rate_limit::Defined;
use crate::model::rate_limit::RateLimit;
use crate::model::schema::rate_limits;
use crate::store::tx::AuditEvent;
use crate::store::tx::MAX_ROWS;
use crate::store::tx::Tx;
use diesel::ExpressionMethods;
use diesel::QueryDsl;
use diesel::QueryResult;
use diesel::RunQueryDsl;
use diesel::SelectableHelper;
use diesel::sql_types::Array;
use diesel::sql_types::BigInt;
use diesel::sql_types::Bool;
use diesel::sql_types::Nullable;
use diesel::sql_types::Text;

/// Who is limited.
#[derive(Clone, Copy, Debug)]
pub enum Limited<'a> {
    /// A key.
    Key(&'a KeyId),
    /// All keys of an identity together.
    Identity(&'a IdentityId),
}

/// A limit that is about to be stored.
struct New<'a> {
    id: RateLimitId,
    limited: Limited<'a>,
    defined: &'a Defined,
}

impl<'a> Limited<'a> {
    const fn key(self) -> Option<&'a KeyId> {
        match self {
            Self::Key(id) => Some(id),
            Self::Identity(_) => None,
        }
    }

    const fn identity(self) -> Option<&'a IdentityId> {
        match self {
            Self::Key(_) => None,
            Self::Identity(id) => Some(id),
        }
    }

    fn change(self) -> Change {
        match self {
            Self::Key(id) => Change::Key(id.clone()),
            Self::Identity(id) => Change::Identity(id.clone()),
        }
    }

    fn resource(self) -> Resource {
        match self {
            Self::Key(id) => Resource::new("key", id, None),
            Self::Identity(id) => Resource::new("identity", id, None),
        }
    }
}

/// Leaves exactly these limits, no two of one name: the same name keeps its id. Each change is audited. Whoever calls has
/// locked the key or the identity.
///
/// # Errors
/// Whatever the database says.
pub fn set(tx: &mut Tx<'_>, permit: &Permit, limited: Limited<'_>, wanted: &[Defined]) -> QueryResult<()> {
    let before = list(tx, permit.workspace(), limited)?;
    let (mut new, mut changed, mut events) = (Vec::new(), Vec::new(), Vec::new());
    for defined in wanted {
        match before.iter().find(|old| old.name == defined.name) {
            Some(old) if same(old, defined) => {}
            Some(old) => {
                let fields = Changed::of(&old.id)
                    .field("limit", &old.limit, Some(&defined.limit))
                    .field("duration", &old.duration_ms, Some(&defined.duration_ms))
                    .field("autoApply", &old.auto_apply, Some(&defined.auto_apply));
                let event = audit(permit, limited, Event::RateLimitUpdate, "updated", &old.id, &old.name);
                events.push(event.changing(fields));
                changed.push((&old.id, defined));
            }
            None => {
                let row = New { id: RateLimitId::generate(), limited, defined };
                events.push(audit(permit, limited, Event::RateLimitCreate, "created", &row.id, &defined.name));
                new.push(row);
            }
        }
    }
    let surplus: Vec<_> = before.iter().filter(|old| wanted.iter().all(|new| new.name != old.name)).collect();
    for old in &surplus {
        events.push(audit(permit, limited, Event::RateLimitDelete, "deleted", &old.id, &old.name));
    }
    delete(tx, permit, &surplus)?;
    update(tx, permit, &changed)?;
    store(tx, permit, &new)?;
    for event in events {
        tx.record(limited.change(), event);
    }
    Ok(())
}

/// Stores limits of keys and identities that are new themselves: nobody remembers anything of them. No two of one owner
/// have one name. With `audited` each gets a row of its own; an import may bring hundreds of thousands, and its keys' rows
/// say that they came.
///
/// # Errors
/// Whatever the database says.
pub fn insert(tx: &mut Tx<'_>, permit: &Permit, new: &[(Limited<'_>, &Defined)], audited: bool) -> QueryResult<()> {
    for new in new.chunks(MAX_ROWS) {
        let rows = new.iter().map(|(limited, defined)| New { id: RateLimitId::generate(), limited: *limited, defined });
        let rows: Vec<_> = rows.collect();
        store(tx, permit, &rows)?;
        for row in rows.iter().filter(|_| audited) {
            tx.note(audit(permit, row.limited, Event::RateLimitCreate, "created", &row.id, &row.defined.name));
        }
    }
    Ok(())
}

/// One array a column, so that the statement is as short for a thousand rows as for one.
fn store(tx: &mut Tx<'_>, permit: &Permit, new: &[New<'_>]) -> QueryResult<()> {
    if new.is_empty() {
        return Ok(());
    }
    let keys: Vec<_> = new.iter().map(|new| new.limited.key()).collect();
    let identities: Vec<_> = new.iter().map(|new| new.limited.identity()).collect();
    diesel::sql_query(
        "INSERT INTO rate_limits (id, workspace_id, key_id, identity_id, name, \"limit\", duration_ms, auto_apply) \
         SELECT id, $1, key_id, identity_id, name, \"limit\", duration_ms, auto_apply \
         FROM unnest($2, $3, $4, $5, $6, $7, $8) \
         AS new (id, key_id, identity_id, name, \"limit\", duration_ms, auto_apply)",
    )
    .bind::<Text, _>(permit.workspace())
    .bind::<Array<Text>, _>(new.iter().map(|new| new.id.as_str()).collect::<Vec<_>>())
    .bind::<Array<Nullable<Text>>, _>(keys)
    .bind::<Array<Nullable<Text>>, _>(identities)
    .bind::<Array<Text>, _>(new.iter().map(|new| new.defined.name.as_str()).collect::<Vec<_>>())
    .bind::<Array<BigInt>, _>(new.iter().map(|new| new.defined.limit).collect::<Vec<_>>())
    .bind::<Array<BigInt>, _>(new.iter().map(|new| new.defined.duration_ms).collect::<Vec<_>>())
    .bind::<Array<Bool>, _>(new.iter().map(|new| new.defined.auto_apply).collect::<Vec<_>>())
    .execute(tx.connection)?;
    Ok(())
}

fn list(tx: &mut Tx<'_>, workspace: &WorkspaceId, limited: Limited<'_>) -> QueryResult<Vec<RateLimit>> {
    let query = rate_limits::table
        .filter(rate_limits::workspace_id.eq(workspace))
        .order(rate_limits::name)
        .select(RateLimit::as_select())
        .into_boxed();
    match limited {
        Limited::Key(id) => query.filter(rate_limits::key_id.eq(id)).load(tx.connection),
        Limited::Identity(id) => query.filter(rate_limits::identity_id.eq(id)).load(tx.connection),
    }
}

fn delete(tx: &mut Tx<'_>, permit: &Permit, surplus: &[&RateLimit]) -> QueryResult<()> {
    if surplus.is_empty() {
        return Ok(());
    }
    let ids = surplus.iter().map(|limit| &limit.id);
    let rows = rate_limits::table.filter(rate_limits::id.eq_any(ids));
    diesel::delete(rows.filter(rate_limits::workspace_id.eq(permit.workspace()))).execute(tx.connection)?;
    Ok(())
}

fn update(tx: &mut Tx<'_>, permit: &Permit, changed: &[(&RateLimitId, &Defined)]) -> QueryResult<()> {
    if changed.is_empty() {
        return Ok(());
    }
    diesel::sql_query(
        "UPDATE rate_limits SET \"limit\" = new.\"limit\", duration_ms = new.duration_ms, auto_apply = new.auto_apply \
         FROM unnest($1, $2, $3, $4) AS new (id, \"limit\", duration_ms, auto_apply) \
         WHERE rate_limits.id = new.id AND rate_limits.workspace_id = $5",
    )
    .bind::<Array<Text>, _>(changed.iter().map(|(id, _)| id.as_str()).collect::<Vec<_>>())
    .bind::<Array<BigInt>, _>(changed.iter().map(|(_, new)| new.limit).collect::<Vec<_>>())
    .bind::<Array<BigInt>, _>(changed.iter().map(|(_, new)| new.duration_ms).collect::<Vec<_>>())
    .bind::<Array<Bool>, _>(changed.iter().map(|(_, new)| new.auto_apply).collect::<Vec<_>>())
    .bind::<Text, _>(permit.workspace())
    .execute(tx.connection)?;
    Ok(())
}

fn same(old: &RateLimit, new: &Defined) -> bool {
    (old.limit, old.duration_ms, old.auto_apply) == (new.limit, new.duration_ms, new.auto_apply)
}

fn audit(permit: &Permit, limited: Limited<'_>, event: Event, verb: &str, id: &RateLimitId, name: &str) -> AuditEvent {
    let owner = limited.resource();
    let display = format!("{verb} rate limit {name} of {} {}", owner.r#type, owner.id);
    AuditEvent::new(permit.workspace(), event, display, vec![owner, Resource::new("ratelimit", id, Some(name))])
}
