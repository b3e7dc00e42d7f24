//! Migrations: where keys are imported from, and how their hashes were made there (contract/keys.md section 13).

use crate::model::clock::Timestamp;
use crate::model::id::MigrationId;
use crate::model::id::WorkspaceId;
use crate::model::schema::migrations;
use diesel::deserialize::FromSql;
use diesel::deserialize::FromSqlRow;
use diesel::expression::AsExpression;
use diesel::pg::Pg;
use diesel::pg::PgValue;
use diesel::prelude::Insertable;
use diesel::prelude::Queryable;
use diesel::prelude::Selectable;
use diesel::serialize::Output;
use diesel::serialize::ToSql;
use diesel::sql_types::Text;

/// One migration.
#[derive(Clone, Debug, PartialEq, Eq, Queryable, Selectable, Insertable)]
#[diesel(table_name = migrations, check_for_backend(diesel::pg::Pg))]
pub struct Migration {
    /// Its id.
    pub id: MigrationId,
    /// The workspace that owns it.
    pub workspace_id: WorkspaceId,
    /// A label, not unique.
    pub name: String,
    /// What the imported hashes are hashes of.
    pub algorithm: Algorithm,
    /// When it was made.
    pub created_at: Timestamp,
}

/// What a foreign system hashed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, AsExpression, FromSqlRow)]
#[diesel(sql_type = Text)]
pub enum Algorithm {
    /// SHA-256 of the whole key, as Keyward itself does.
    Sha256,
    /// SHA-256 of the long token of `<prefix>_<short token>_<long token>`.
    PrefixedApiKey,
}

impl Algorithm {
    /// All of them.
    pub const ALL: &'static [Self] = &[Self::Sha256, Self::PrefixedApiKey];

    /// The word on the wire and in the database.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Sha256 => "sha256",
            Self::PrefixedApiKey => "github.com/seamapi/prefixed-api-key",
        }
    }

    /// The algorithm of this name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|algorithm| algorithm.name() == name)
    }
}

impl ToSql<Text, Pg> for Algorithm {
    fn to_sql<'b>(&'b self, out: &mut Output<'b, '_, Pg>) -> diesel::serialize::Result {
        <str as ToSql<Text, Pg>>::to_sql(self.name(), out)
    }
}

impl FromSql<Text, Pg> for Algorithm {
    fn from_sql(bytes: PgValue<'_>) -> diesel::deserialize::Result<Self> {
        let name = <String as FromSql<Text, Pg>>::from_sql(bytes)?;
        Self::from_name(&name).ok_or_else(|| format!("unknown algorithm {name}").into())
    }
}

/// Longest visible beginning of a key, characters (`Key.start` of the contract).
const MAX_START: usize = 50;
/// Longest prefix that Keyward makes keys with itself.
const MAX_PREFIX: usize = 16;

/// A presented key of the form `<prefix>_<short token>_<long token>`; the prefix may hold underscores.
#[derive(Clone, Copy)]
#[expect(missing_debug_implementations, reason = "holds a secret")]
pub struct PrefixedKey<'a> {
    prefix: &'a str,
    short_and_long: &'a str,
    long_token: &'a str,
}

impl<'a> PrefixedKey<'a> {
    /// Takes a key apart; `None` if it has fewer than three parts.
    #[must_use]
    pub fn split(key: &'a str) -> Option<Self> {
        let (before, long_token) = key.rsplit_once('_')?;
        let (prefix, _short_token) = before.rsplit_once('_')?;
        let short_and_long = key.strip_prefix(prefix)?.strip_prefix('_')?;
        Some(Self { prefix, short_and_long, long_token })
    }

    /// What the foreign system hashed.
    #[must_use]
    pub fn long_token(&self) -> &'a str {
        self.long_token
    }

    /// The prefix, unless Keyward could not make a key with it (a reroll will).
    #[must_use]
    pub fn prefix(&self) -> Option<&'a str> {
        let usual = |c: char| c.is_ascii_alphanumeric() || c == '_';
        let known = (1..=MAX_PREFIX).contains(&self.prefix.len()) && self.prefix.chars().all(usual);
        known.then_some(self.prefix)
    }

    /// What may be shown of it: the prefix and the first four characters of the rest.
    #[must_use]
    pub fn start(&self) -> String {
        let shown = self.short_and_long.chars().take(4);
        self.prefix.chars().chain(['_']).chain(shown).take(MAX_START).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::Algorithm;
    use super::PrefixedKey;

    #[test]
    fn a_key_is_split_at_its_last_two_underscores() {
        for (key, prefix, long_token, start) in [
            ("acme_BRTRKFsL_51FwqftsmMDHHbJAMEXXHCgG", Some("acme"), "51FwqftsmMDHHbJAMEXXHCgG", "acme_BRTR"),
            ("my_app_ab_cdef", Some("my_app"), "cdef", "my_app_ab_c"),
            ("_a_b", None, "b", "_a_b"),
            ("__", None, "", "__"),
            ("a-b_c_d", None, "d", "a-b_c_d"),
            ("ä_öü_ß", None, "ß", "ä_öü_ß"),
        ] {
            let parts = PrefixedKey::split(key).unwrap();
            assert_eq!(
                (parts.prefix(), parts.long_token(), parts.start().as_str()),
                (prefix, long_token, start),
                "{key}"
            );
        }
        for key in ["", "a", "a_b", "_", "acme_"] {
            assert!(PrefixedKey::split(key).is_none(), "{key}");
        }
    }

    #[test]
    fn of_a_long_prefix_only_the_beginning_is_shown() {
        let key = format!("{}_short_long", "p".repeat(300));
        let parts = PrefixedKey::split(&key).unwrap();
        assert_eq!((parts.start().len(), parts.prefix()), (50, None));
    }

    #[test]
    fn algorithms_are_found_by_their_names() {
        for algorithm in Algorithm::ALL {
            assert_eq!(Algorithm::from_name(algorithm.name()), Some(*algorithm));
        }
        assert_eq!(Algorithm::from_name("SHA256"), None);
    }
}
