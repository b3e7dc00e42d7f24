//! Permissions and roles: what keys and identities may hold (contract/permissions.md).

use crate::model::clock::Timestamp;
use crate::model::id::PermissionId;
use crate::model::id::RoleId;
use crate::model::id::WorkspaceId;
use crate::model::schema::permissions;
use crate::model::schema::roles;
use diesel::deserialize::FromSql;
use diesel::deserialize::FromSqlRow;
use diesel::pg::Pg;
use diesel::pg::PgValue;
use diesel::prelude::AsChangeset;
use diesel::prelude::Insertable;
use diesel::prelude::Queryable;
use diesel::prelude::Selectable;
use diesel::sql_types::Json;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::LazyLock;

/// A permission. Slugs are case-sensitive and unique in their workspace, names are labels.
#[derive(Clone, Debug, PartialEq, Eq, Queryable, Selectable, Insertable)]
#[diesel(table_name = permissions, check_for_backend(diesel::pg::Pg))]
pub struct Permission {
    /// Its id.
    pub id: PermissionId,
    /// The workspace that owns it.
    pub workspace_id: WorkspaceId,
    /// What verifications ask for, 1 to 128 of `[a-zA-Z0-9_:.*-]`.
    pub slug: String,
    /// A label.
    pub name: String,
    /// More words; never empty.
    pub description: Option<String>,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it was last changed.
    pub updated_at: Option<Timestamp>,
}

/// What may be changed of a permission; `None` keeps, `Some(None)` clears.
#[derive(Clone, Debug, Default, AsChangeset)]
#[diesel(table_name = permissions)]
#[expect(missing_docs, reason = "the columns of Permission")]
pub struct PermissionChanges {
    pub slug: Option<String>,
    pub name: Option<String>,
    pub description: Option<Option<String>>,
}

/// A role. Names are case-sensitive and unique in their workspace.
#[derive(Clone, Debug, PartialEq, Eq, Queryable, Selectable, Insertable)]
#[diesel(table_name = roles, check_for_backend(diesel::pg::Pg))]
pub struct Role {
    /// Its id.
    pub id: RoleId,
    /// The workspace that owns it.
    pub workspace_id: WorkspaceId,
    /// Its name, 1 to 128 characters.
    pub name: String,
    /// More words; never empty.
    pub description: Option<String>,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it was last changed.
    pub updated_at: Option<Timestamp>,
}

/// What may be changed of a role; `None` keeps, `Some(None)` clears.
#[derive(Clone, Debug, Default, AsChangeset)]
#[diesel(table_name = roles)]
#[expect(missing_docs, reason = "the columns of Role")]
pub struct RoleChanges {
    pub name: Option<String>,
    pub description: Option<Option<String>>,
}

/// A role with the permissions that it has, sorted by slug.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FullRole {
    /// The role.
    pub role: Role,
    /// Its permissions.
    pub permissions: Vec<Permission>,
}

/// By which route a key holds a permission.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Route {
    /// It was given to the key itself.
    Direct,
    /// A role of the key has it.
    Role(String),
    /// It was given to the key's owner.
    Owner,
    /// A role of the key's owner has it.
    OwnerRole(String),
}

/// Roles by name, each with the slugs that it has.
pub type RoleSlugs = BTreeMap<String, BTreeSet<String>>;

/// Everything that a key holds, with the routes: direct ∪ roles ∪ owner's direct ∪ owner's roles.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, FromSqlRow)]
#[serde(rename_all = "camelCase")]
pub struct Access {
    /// Slugs given to the key.
    pub direct: BTreeSet<String>,
    /// Roles of the key.
    pub roles: RoleSlugs,
    /// Slugs given to its owner.
    pub owner: BTreeSet<String>,
    /// Roles of its owner.
    pub owner_roles: RoleSlugs,
}

impl FromSql<Json, Pg> for Access {
    fn from_sql(bytes: PgValue<'_>) -> diesel::deserialize::Result<Self> {
        Ok(serde_json::from_slice(bytes.as_bytes())?)
    }
}

impl Access {
    /// To be kept with very many others: those that hold nothing are one and the same.
    #[must_use]
    pub fn shared(self) -> Arc<Self> {
        static NOTHING: LazyLock<Arc<Access>> = LazyLock::new(Arc::default);
        if self == Self::default() { Arc::clone(&NOTHING) } else { Arc::new(self) }
    }

    /// Whether a slug is held, by any route.
    #[must_use]
    pub fn holds(&self, slug: &str) -> bool {
        let of_roles = |roles: &RoleSlugs| roles.values().any(|slugs| slugs.contains(slug));
        self.direct.contains(slug) || self.owner.contains(slug) || of_roles(&self.roles) || of_roles(&self.owner_roles)
    }

    /// Every slug that is held, sorted, each once.
    #[must_use]
    pub fn slugs(&self) -> Vec<String> {
        let of_roles = self.roles.values().chain(self.owner_roles.values()).flatten();
        let all: BTreeSet<_> = self.direct.iter().chain(&self.owner).chain(of_roles).cloned().collect();
        all.into_iter().collect()
    }

    /// Every route by which a slug is held.
    #[must_use]
    pub fn routes(&self, slug: &str) -> Vec<Route> {
        let with = |roles: &RoleSlugs, route: fn(String) -> Route| {
            let named = roles.iter().filter(|(_, slugs)| slugs.contains(slug));
            named.map(|(name, _)| route(name.clone())).collect::<Vec<_>>()
        };
        let direct = self.direct.contains(slug).then_some(Route::Direct);
        let owner = self.owner.contains(slug).then_some(Route::Owner);
        let roles = with(&self.roles, Route::Role);
        direct.into_iter().chain(roles).chain(owner).chain(with(&self.owner_roles, Route::OwnerRole)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::Access;
    use super::Route;

    #[test]
    fn every_held_slug_has_a_route_and_no_other_has() {
        let access: Access = serde_json::from_str(
            r#"{"direct":["a","b"],"roles":{"editor":["b","c"],"empty":[]},"owner":["d"],"ownerRoles":{"staff":["a"]}}"#,
        )
        .unwrap();
        assert_eq!(access.slugs(), ["a", "b", "c", "d"]);
        for slug in ["a", "b", "c", "d", "e", "A"] {
            assert_eq!(access.holds(slug), !access.routes(slug).is_empty(), "{slug}");
            assert_eq!(access.holds(slug), access.slugs().iter().any(|held| held == slug));
        }
        assert_eq!(access.routes("b"), [Route::Direct, Route::Role("editor".to_owned())]);
        assert_eq!(access.routes("a"), [Route::Direct, Route::OwnerRole("staff".to_owned())]);
    }
}
