//! Ids: a prefix and the base58 of a UUIDv7, so that they sort by the time of their making (decisions.md #11).

use diesel::deserialize::FromSql;
use diesel::deserialize::FromSqlRow;
use diesel::expression::AsExpression;
use diesel::pg::Pg;
use diesel::pg::PgValue;
use diesel::serialize::Output;
use diesel::serialize::ToSql;
use diesel::sql_types::Text;
use serde::Deserialize;
use serde::Serialize;
use std::fmt;
use std::marker::PhantomData;

/// Characters of an id after its prefix.
const DIGITS: usize = 22;

/// What an id names.
pub trait Kind: fmt::Debug + Clone + Copy + PartialEq + Eq + std::hash::Hash + PartialOrd + Ord + 'static {
    /// First part of the id, before the underscore.
    const PREFIX: &'static str;
}

/// The id of one `K`. Ids of different kinds cannot be mixed up. One that came from a caller may be any text.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, AsExpression, FromSqlRow)]
#[diesel(sql_type = Text)]
#[serde(transparent)]
pub struct Id<K: Kind>(String, #[serde(skip)] PhantomData<K>);

impl<K: Kind> Id<K> {
    /// A new id, later in order than every id made before by this process.
    #[must_use]
    pub fn generate() -> Self {
        Self(format!("{}_{}", K::PREFIX, base58_uuid()), PhantomData)
    }

    /// An id as a caller or the database wrote it.
    #[must_use]
    pub fn from_text(text: impl Into<String>) -> Self {
        Self(text.into(), PhantomData)
    }

    /// Whether a text has the form of an id that was issued.
    #[must_use]
    pub fn has_form(text: &str) -> bool {
        let rest = text.strip_prefix(K::PREFIX).and_then(|rest| rest.strip_prefix('_')).unwrap_or_default();
        rest.len() == DIGITS && rest.bytes().all(|byte| byte.is_ascii_alphanumeric())
    }

    /// The id as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Base58 of a fresh UUIDv7, padded: equal lengths keep the order of the bytes.
fn base58_uuid() -> String {
    let digits = bs58::encode(uuid::Uuid::now_v7().as_bytes()).into_string();
    format!("{digits:1>DIGITS$}")
}

impl<K: Kind> fmt::Debug for Id<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl<K: Kind> fmt::Display for Id<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl<K: Kind> ToSql<Text, Pg> for Id<K> {
    fn to_sql<'b>(&'b self, out: &mut Output<'b, '_, Pg>) -> diesel::serialize::Result {
        <str as ToSql<Text, Pg>>::to_sql(&self.0, out)
    }
}

impl<K: Kind> FromSql<Text, Pg> for Id<K> {
    fn from_sql(bytes: PgValue<'_>) -> diesel::deserialize::Result<Self> {
        <String as FromSql<Text, Pg>>::from_sql(bytes).map(Self::from_text)
    }
}

macro_rules! kinds {
    ($($(#[$doc:meta])* $kind:ident, $id:ident, $prefix:literal;)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum $kind {}
        impl Kind for $kind {
            const PREFIX: &'static str = $prefix;
        }
        $(#[$doc])*
        pub type $id = Id<$kind>;
    )*};
}

kinds! {
    /// A workspace: the tenant that everything belongs to.
    WorkspaceKind, WorkspaceId, "ws";
    /// A root key, which may call Keyward's operations.
    RootKeyKind, RootKeyId, "root";
    /// An API, which owns keys.
    ApiKind, ApiId, "api";
    /// A key of an API.
    KeyKind, KeyId, "key";
    /// A permission of keys.
    PermissionKind, PermissionId, "perm";
    /// A role: a named set of permissions.
    RoleKind, RoleId, "role";
    /// The owner of keys.
    IdentityKind, IdentityId, "id";
    /// Where keys were imported from.
    MigrationKind, MigrationId, "migration";
    /// A named rate limit of a key or an identity.
    RateLimitKind, RateLimitId, "rl";
    /// A namespace of `ratelimit.limit`.
    NamespaceKind, NamespaceId, "rlns";
    /// An override of the limit that a namespace's callers send.
    OverrideKind, OverrideId, "rlor";
    /// One server on a database.
    NodeKind, NodeId, "node";
    /// One request (`meta.requestId`).
    RequestKind, RequestId, "req";
    /// One row of the audit log.
    AuditKind, AuditId, "audit";
}

#[cfg(test)]
mod tests {
    use super::KeyId;
    use super::RequestId;

    #[test]
    fn ids_sort_by_the_time_of_their_making() {
        let ids: Vec<_> = (0..2000).map(|_| KeyId::generate()).collect();
        assert!(ids.is_sorted());
        assert!(ids.windows(2).all(|pair| pair[0] != pair[1]));
    }

    #[test]
    fn ids_have_prefix_and_alphabet_of_the_contract() {
        let id = RequestId::generate();
        let rest = id.as_str().strip_prefix("req_").unwrap();
        assert!(RequestId::has_form(id.as_str()) && !KeyId::has_form(id.as_str()));
        assert_eq!(rest.len(), 22);
        assert!(rest.chars().all(|c| c.is_ascii_alphanumeric()));
    }
}
