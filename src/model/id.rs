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
use std::sync::Arc;

/// Longest prefix.
const MAX_PREFIX: usize = 16;
/// Characters of an id after its prefix.
const DIGITS: usize = 22;
/// The digits of base58, as Bitcoin has them.
const BASE58: &[u8; 58] = b"123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz";

/// What an id names.
pub trait Kind: fmt::Debug + Clone + Copy + PartialEq + Eq + std::hash::Hash + PartialOrd + Ord + 'static {
    /// First part of the id, before the underscore.
    const PREFIX: &'static str;
}

/// The id of one `K`. Ids of different kinds cannot be mixed up. One that came from a caller may be any text. Its text is
/// shared by all its clones: a verification hands ids on about ten times.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, AsExpression, FromSqlRow)]
#[diesel(sql_type = Text)]
#[serde(transparent)]
pub struct Id<K: Kind>(Arc<str>, #[serde(skip)] PhantomData<K>);

impl<K: Kind> Id<K> {
    /// A new id, later in order than every id made before by this process.
    #[must_use]
    pub fn generate() -> Self {
        Self(prefixed_uuid(K::PREFIX), PhantomData)
    }

    /// An id as a caller or the database wrote it.
    #[must_use]
    pub fn from_text(text: impl AsRef<str>) -> Self {
        Self(text.as_ref().into(), PhantomData)
    }

    /// Whether a text has the form of an id that was issued.
    #[must_use]
    pub fn has_form(text: &str) -> bool {
        let rest = text.strip_prefix(K::PREFIX).and_then(|rest| rest.strip_prefix('_')).unwrap_or_default();
        rest.len() == DIGITS && rest.bytes().all(|byte| byte.is_ascii_alphanumeric())
    }

    /// When it was made, Unix milliseconds; `None` for a text that has not the form of an id that was issued.
    #[must_use]
    pub fn made_ms(&self) -> Option<i64> {
        let digits = self.0.strip_prefix(K::PREFIX)?.strip_prefix('_').filter(|_| Self::has_form(&self.0))?;
        let number = digits.bytes().try_fold(0_u128, |number, digit| {
            let value = u128::try_from(BASE58.iter().position(|known| *known == digit)?).ok()?;
            number.checked_mul(58)?.checked_add(value)
        })?;
        // The first 48 bits of a UUIDv7 (RFC 9562, section 5.7).
        i64::try_from(number >> 80).ok()
    }

    /// The id as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Base58 of a fresh UUIDv7 after a prefix, padded: equal lengths keep the order of the bytes. A third of what the general
/// encoder takes, which matters since every request has an id.
fn prefixed_uuid(prefix: &str) -> Arc<str> {
    /// 58^10: numbers of ten digits fit into 64 bits, where division is fast.
    const TEN: u128 = 430_804_206_899_405_824;
    let number = uuid::Uuid::now_v7().as_u128();
    // One division of 128 bits gives quotient and remainder.
    let split = |number: u128| {
        let high = number / TEN;
        (high, number.wrapping_sub(high.wrapping_mul(TEN)))
    };
    let (high, low) = split(number);
    let (top, middle) = split(high);
    let mut digits = [b'1'; DIGITS];
    let (first, rest) = digits.split_at_mut(DIGITS - 20);
    let (second, third) = rest.split_at_mut(10);
    for (part, number) in [(first, top), (second, middle), (third, low)] {
        let mut number = u64::try_from(number).unwrap_or(0);
        for digit in part.iter_mut().rev() {
            let index = usize::try_from(number % 58).unwrap_or(0);
            *digit = BASE58.get(index).copied().unwrap_or(b'1');
            number /= 58;
        }
    }
    // On the stack: the shared text is allocated once.
    let mut text = [0; MAX_PREFIX + 1 + DIGITS];
    let parts = prefix.bytes().chain(std::iter::once(b'_')).chain(digits);
    let length = text.iter_mut().zip(parts).map(|(to, from)| *to = from).count();
    text.get(..length).and_then(|text| std::str::from_utf8(text).ok()).unwrap_or_default().into()
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
    /// A process that writes events.
    WriterKind, WriterId, "writer";
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
    fn an_id_is_the_base58_of_its_uuid() {
        for _ in 0..100 {
            let id = KeyId::generate();
            let digits = id.as_str().strip_prefix("key_").unwrap();
            let bytes = bs58::decode(digits.trim_start_matches('1')).into_vec().unwrap();
            assert_eq!(bytes.len(), 16, "{id}");
            assert_eq!(bytes[6] >> 4, 7, "{id}: not of version 7");
            assert_eq!(format!("{:1>22}", bs58::encode(&bytes).into_string()), digits);
        }
    }

    #[test]
    fn an_id_tells_when_it_was_made_and_other_texts_do_not() {
        let now = crate::model::clock::Clock::system().now().timestamp_millis();
        let made = RequestId::generate().made_ms().unwrap();
        assert!((now - 1000..now + 60_000).contains(&made), "{made}");
        for text in [
            "",
            "req_",
            "req_1",
            "key_1111111111111111111111",
            "req_zzzzzzzzzzzzzzzzzzzzzz",
            "req_000000000000000000000l",
        ] {
            assert_eq!(RequestId::from_text(text).made_ms(), None, "{text}");
        }
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
