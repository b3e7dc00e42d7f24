//! Free-form metadata, kept exactly as it was sent: integers above 2^53 and their order survive.

use diesel::deserialize::FromSql;
use diesel::deserialize::FromSqlRow;
use diesel::expression::AsExpression;
use diesel::pg::Pg;
use diesel::pg::PgValue;
use diesel::serialize::IsNull;
use diesel::serialize::Output;
use diesel::serialize::ToSql;
use diesel::sql_types::Json;
use serde::Deserialize;
use serde::Serialize;
use serde_json::value::RawValue;
use std::io::Write;

/// The text of a JSON object.
#[derive(Clone, Debug, Serialize, Deserialize, AsExpression, FromSqlRow)]
#[diesel(sql_type = Json)]
#[serde(transparent)]
pub struct Meta(Box<RawValue>);

impl Meta {
    /// Largest metadata, bytes.
    pub const MAX_BYTES: usize = 1 << 20;

    /// The JSON text.
    #[must_use]
    pub fn as_json(&self) -> &str {
        self.0.get()
    }

    /// Whether it is `{}`, which answers leave out (common.md section 1).
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.get().chars().filter(|c| !c.is_whitespace()).eq("{}".chars())
    }
}

impl ToSql<Json, Pg> for Meta {
    fn to_sql<'b>(&'b self, out: &mut Output<'b, '_, Pg>) -> diesel::serialize::Result {
        out.write_all(self.0.get().as_bytes())?;
        Ok(IsNull::No)
    }
}

impl FromSql<Json, Pg> for Meta {
    fn from_sql(bytes: PgValue<'_>) -> diesel::deserialize::Result<Self> {
        let text = std::str::from_utf8(bytes.as_bytes())?;
        Ok(Self(RawValue::from_string(text.to_owned())?))
    }
}
