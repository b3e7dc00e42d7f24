//! Who holds what: permissions and roles of keys and identities, permissions of roles. One table each, one set of queries.

use crate::authz::caller::Permit;
use crate::model::change::Change;
use crate::model::id::IdentityId;
use crate::model::id::KeyId;
use crate::model::id::WorkspaceId;
use crate::model::origin::Event;
use crate::model::origin::Resource;
use crate::model::permission::Role;
use crate::store::tx::AuditEvent;
use crate::store::tx::MAX_ROWS;
use crate::store::tx::Tx;
use diesel::QueryResult;
use diesel::QueryableByName;
use diesel::RunQueryDsl;
use diesel::sql_types::Array;
use diesel::sql_types::BigInt;
use diesel::sql_types::Text;
use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::fmt;

/// Who holds.
#[derive(Clone, Copy, Debug)]
pub enum Holder<'a> {
    /// A key.
    Key(&'a KeyId),
    /// An identity.
    Identity(&'a IdentityId),
    /// A role, which holds permissions only.
    Role(&'a Role),
}

/// What is held.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Held {
    /// Permissions, shown by their slugs.
    Permissions,
    /// Roles, shown by their names. A role holds none.
    Roles,
}

/// Things that are or shall be held: slug or name to id, sorted.
pub type Named = BTreeMap<String, String>;

#[derive(QueryableByName)]
struct Row {
    #[diesel(sql_type = Text)]
    id: String,
    #[diesel(sql_type = Text)]
    label: String,
}

#[derive(QueryableByName)]
struct Touched {
    #[diesel(sql_type = Text)]
    id: String,
}

/// How many hold something.
#[derive(Clone, Copy, Debug, PartialEq, Eq, QueryableByName)]
pub struct Holders {
    /// Live keys of live APIs.
    #[diesel(sql_type = BigInt)]
    pub keys: i64,
    /// Roles.
    #[diesel(sql_type = BigInt)]
    pub roles: i64,
    /// Live identities.
    #[diesel(sql_type = BigInt)]
    pub identities: i64,
}

impl fmt::Display for Holders {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "keys: {}, roles: {}, identities: {}", self.keys, self.roles, self.identities)
    }
}

impl Holder<'_> {
    fn id(&self) -> &str {
        match self {
            Self::Key(id) => id.as_str(),
            Self::Identity(id) => id.as_str(),
            Self::Role(role) => role.id.as_str(),
        }
    }

    /// For the audit log, which knows of what is deleted only what it says itself.
    fn name(&self) -> Option<&str> {
        match self {
            Self::Key(_) | Self::Identity(_) => None,
            Self::Role(role) => Some(&role.name),
        }
    }

    const fn kind(&self) -> &'static str {
        match self {
            Self::Key(_) => "key",
            Self::Identity(_) => "identity",
            Self::Role(_) => "role",
        }
    }

    fn change(&self, permit: &Permit) -> Change {
        match self {
            Self::Key(id) => Change::Key((*id).clone()),
            Self::Identity(id) => Change::Identity((*id).clone()),
            // Any key of the workspace may have the role.
            Self::Role(_) => Change::Workspace(permit.workspace().clone()),
        }
    }

    const fn events(&self, held: Held) -> (Event, Event) {
        match (self, held) {
            (Self::Key(_), Held::Permissions) => (Event::ConnectPermissionAndKey, Event::DisconnectPermissionAndKey),
            (Self::Key(_), Held::Roles) => (Event::ConnectRoleAndKey, Event::DisconnectRoleAndKey),
            (Self::Identity(_), Held::Permissions) => {
                (Event::ConnectPermissionAndIdentity, Event::DisconnectPermissionAndIdentity)
            }
            (Self::Identity(_), Held::Roles) => (Event::ConnectRoleAndIdentity, Event::DisconnectRoleAndIdentity),
            (Self::Role(_), _) => (Event::ConnectRoleAndPermission, Event::DisconnectRoleAndPermissions),
        }
    }
}

impl Held {
    const fn kind(self) -> &'static str {
        match self {
            Self::Permissions => "permission",
            Self::Roles => "role",
        }
    }

    const fn label(self) -> &'static str {
        match self {
            Self::Permissions => "slug",
            Self::Roles => "name",
        }
    }
}

/// What somebody holds directly.
///
/// # Errors
/// Whatever the database says.
pub fn list(tx: &mut Tx<'_>, workspace: &WorkspaceId, holder: Holder<'_>, held: Held) -> QueryResult<Named> {
    let (h, t, label) = (holder.kind(), held.kind(), held.label());
    let rows: Vec<Row> = diesel::sql_query(format!(
        "SELECT t.id, t.{label} AS label FROM {h}_{t}s l JOIN {t}s t ON t.id = l.{t}_id \
         WHERE l.{h}_id = $1 AND l.workspace_id = $2"
    ))
    .bind::<Text, _>(holder.id())
    .bind::<Text, _>(workspace)
    .load(tx.connection)?;
    Ok(rows.into_iter().map(|row| (row.label, row.id)).collect())
}

/// Gives; returns the slugs or names that were not held before. Each is audited.
///
/// # Errors
/// Whatever the database says.
pub fn connect(
    tx: &mut Tx<'_>,
    permit: &Permit,
    holder: Holder<'_>,
    held: Held,
    targets: &Named,
) -> QueryResult<Vec<String>> {
    let (h, t) = (holder.kind(), held.kind());
    let touched: Vec<Touched> = diesel::sql_query(format!(
        "INSERT INTO {h}_{t}s ({h}_id, {t}_id, workspace_id) SELECT $1, id, $2 FROM unnest($3) AS id ORDER BY id \
         ON CONFLICT DO NOTHING RETURNING {t}_id AS id"
    ))
    .bind::<Text, _>(holder.id())
    .bind::<Text, _>(permit.workspace())
    .bind::<Array<Text>, _>(targets.values().collect::<Vec<_>>())
    .load(tx.connection)?;
    Ok(record(tx, permit, holder, held, targets, &touched, holder.events(held).0, "connected"))
}

/// Takes away; returns the slugs or names that were held before. Each is audited.
///
/// # Errors
/// Whatever the database says.
pub fn disconnect(
    tx: &mut Tx<'_>,
    permit: &Permit,
    holder: Holder<'_>,
    held: Held,
    targets: &Named,
) -> QueryResult<Vec<String>> {
    let (h, t) = (holder.kind(), held.kind());
    let touched: Vec<Touched> = diesel::sql_query(format!(
        "DELETE FROM {h}_{t}s WHERE {h}_id = $1 AND workspace_id = $2 AND {t}_id = ANY($3) RETURNING {t}_id AS id"
    ))
    .bind::<Text, _>(holder.id())
    .bind::<Text, _>(permit.workspace())
    .bind::<Array<Text>, _>(targets.values().collect::<Vec<_>>())
    .load(tx.connection)?;
    Ok(record(tx, permit, holder, held, targets, &touched, holder.events(held).1, "disconnected"))
}

/// Gives and takes away until exactly these are held; says whether anything changed. Whoever calls has locked the holder.
///
/// # Errors
/// Whatever the database says.
pub fn set(tx: &mut Tx<'_>, permit: &Permit, holder: Holder<'_>, held: Held, targets: &Named) -> QueryResult<bool> {
    let before = list(tx, permit.workspace(), holder, held)?;
    // By id: a slug or a name may belong to another one than it did when `targets` were looked up.
    let wanted: BTreeSet<_> = targets.values().collect();
    let surplus: Named = before.into_iter().filter(|(_, id)| !wanted.contains(id)).collect();
    let taken = if surplus.is_empty() { Vec::new() } else { disconnect(tx, permit, holder, held, &surplus)? };
    let given = if targets.is_empty() { Vec::new() } else { connect(tx, permit, holder, held, targets)? };
    Ok(!taken.is_empty() || !given.is_empty())
}

/// How many live keys, roles and live identities hold a permission or have a role.
///
/// # Errors
/// Whatever the database says.
pub fn holders(tx: &mut Tx<'_>, held: Held, id: &str) -> QueryResult<Holders> {
    let t = held.kind();
    let roles = match held {
        Held::Permissions => "(SELECT count(*) FROM role_permissions WHERE permission_id = $1)",
        Held::Roles => "0::bigint",
    };
    diesel::sql_query(format!(
        "SELECT (SELECT count(*) FROM key_{t}s l JOIN keys k ON k.id = l.key_id JOIN apis a ON a.id = k.api_id \
         WHERE l.{t}_id = $1 AND k.deleted_at IS NULL AND a.deleted_at IS NULL) AS keys, {roles} AS roles, \
         (SELECT count(*) FROM identity_{t}s l JOIN identities i ON i.id = l.identity_id \
         WHERE l.{t}_id = $1 AND i.deleted_at IS NULL) AS identities"
    ))
    .bind::<Text, _>(id)
    .get_result(tx.connection)
}

/// One thing for a new key to hold: slug or name, and id.
#[derive(Clone, Copy, Debug)]
pub struct Link<'a> {
    /// The key.
    pub key: &'a KeyId,
    /// Slug or name.
    pub label: &'a str,
    /// Id of the permission or role.
    pub target: &'a str,
}

/// [`connect`] for many keys at once, all of them new: nobody remembers anything of them. Each link is audited.
///
/// # Errors
/// Whatever the database says.
pub fn connect_keys(tx: &mut Tx<'_>, permit: &Permit, held: Held, links: &[Link<'_>]) -> QueryResult<()> {
    let t = held.kind();
    for links in links.chunks(MAX_ROWS) {
        diesel::sql_query(format!(
            "INSERT INTO key_{t}s (key_id, {t}_id, workspace_id) \
             SELECT key_id, target_id, $1 FROM unnest($2, $3) AS link (key_id, target_id) ON CONFLICT DO NOTHING"
        ))
        .bind::<Text, _>(permit.workspace())
        .bind::<Array<Text>, _>(links.iter().map(|link| link.key.as_str()).collect::<Vec<_>>())
        .bind::<Array<Text>, _>(links.iter().map(|link| link.target).collect::<Vec<_>>())
        .execute(tx.connection)?;
    }
    for link in links {
        let holder = Holder::Key(link.key);
        let event = holder.events(held).0;
        tx.note(audit(permit, holder, held, (link.label, link.target), event, "connected"));
    }
    Ok(())
}

fn audit(
    permit: &Permit,
    holder: Holder<'_>,
    held: Held,
    (label, id): (&str, &str),
    event: Event,
    verb: &str,
) -> AuditEvent {
    AuditEvent::new(
        permit.workspace(),
        event,
        format!("{verb} {} {label} and {} {}", held.kind(), holder.kind(), holder.name().unwrap_or(holder.id())),
        vec![Resource::new(holder.kind(), holder.id(), holder.name()), Resource::new(held.kind(), id, Some(label))],
    )
}

#[expect(clippy::too_many_arguments, reason = "what an audit row says of a link")]
fn record(
    tx: &mut Tx<'_>,
    permit: &Permit,
    holder: Holder<'_>,
    held: Held,
    targets: &Named,
    touched: &[Touched],
    event: Event,
    verb: &str,
) -> Vec<String> {
    let mut labels = Vec::new();
    for (label, id) in targets.iter().filter(|(_, id)| touched.iter().any(|touched| touched.id == **id)) {
        tx.record(holder.change(permit), audit(permit, holder, held, (label, id), event, verb));
        labels.push(label.clone());
    }
    labels
}
