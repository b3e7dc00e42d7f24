//! One row of the audit log, its canonical form, and the hash that binds it to the row before (docs/audit.md).

use crate::model::audit::FieldChange;
use crate::model::clock::Timestamp;
use crate::model::id::AuditId;
use crate::model::id::RequestId;
use crate::model::id::WorkspaceId;
use crate::model::origin::Resource;
use ring::digest;
use serde::Deserialize;
use serde::Deserializer;
use serde::Serialize;
use serde::Serializer;
use serde::de::Error as _;
use std::fmt;

/// One row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuditRow {
    /// Its id.
    pub id: AuditId,
    /// Whose log it is in.
    pub workspace: WorkspaceId,
    /// When it happened.
    pub at: Timestamp,
    /// What happened: `key.update`.
    pub event: String,
    /// Who did it.
    pub actor: RowActor,
    /// One sentence for people.
    pub description: String,
    /// The client's address.
    pub address: Option<String>,
    /// The client's `User-Agent`.
    pub user_agent: Option<String>,
    /// The request that it happened in.
    pub request_id: RequestId,
    /// What it happened to.
    pub resources: Vec<Resource>,
    /// Which fields became what.
    pub changes: Vec<FieldChange>,
}

/// Who did what a row tells of. The order of the fields is that of the canonical form.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct RowActor {
    /// Its id.
    pub id: String,
    /// Its name.
    pub name: String,
    /// `rootkey`, `operator` or `system`.
    pub r#type: String,
}

/// A row in its place in the chain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SealedRow {
    /// The row.
    pub row: AuditRow,
    /// Its place, from 1 on.
    pub sequence: i64,
    /// Binds it to everything before.
    pub hash: ChainHash,
}

/// The canonical form: the fields stand in the order of their names' bytes.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Canonical<'a> {
    actor: &'a RowActor,
    #[serde(skip_serializing_if = "Option::is_none")]
    address: Option<&'a str>,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    changes: &'a [FieldChange],
    description: &'a str,
    event: &'a str,
    id: &'a AuditId,
    request_id: &'a RequestId,
    resources: Vec<CanonicalResource<'a>>,
    sequence: i64,
    time: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    user_agent: Option<&'a str>,
    workspace_id: &'a WorkspaceId,
}

#[derive(Serialize)]
struct CanonicalResource<'a> {
    id: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<&'a str>,
    r#type: &'a str,
}

impl<'a> From<&'a Resource> for CanonicalResource<'a> {
    fn from(resource: &'a Resource) -> Self {
        Self { id: &resource.id, name: resource.name.as_deref(), r#type: &resource.r#type }
    }
}

impl AuditRow {
    /// The hash of this row in a place of the chain.
    ///
    /// # Errors
    /// None that can happen: the form has no map and no float.
    pub fn hash(&self, sequence: i64, previous: &ChainHash) -> serde_json::Result<ChainHash> {
        let mut context = digest::Context::new(&digest::SHA256);
        context.update(&previous.0);
        context.update(&self.canonical(sequence)?);
        let mut hash = [0; 32];
        hash.copy_from_slice(context.finish().as_ref());
        Ok(ChainHash(hash))
    }

    fn canonical(&self, sequence: i64) -> serde_json::Result<Vec<u8>> {
        serde_json::to_vec(&Canonical {
            actor: &self.actor,
            address: self.address.as_deref(),
            changes: &self.changes,
            description: &self.description,
            event: &self.event,
            id: &self.id,
            request_id: &self.request_id,
            resources: self.resources.iter().map(CanonicalResource::from).collect(),
            sequence,
            time: self.at.timestamp_millis(),
            user_agent: self.user_agent.as_deref(),
            workspace_id: &self.workspace,
        })
    }
}

/// SHA-256 of the hash before and a row; 64 lower-case hexadecimal digits in text.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub struct ChainHash([u8; 32]);

impl ChainHash {
    /// What stands before the first row of a chain.
    pub const START: Self = Self([0; 32]);

    /// Reads stored bytes.
    #[must_use]
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        bytes.try_into().ok().map(Self)
    }

    /// Reads hexadecimal digits.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let digits = text.as_bytes();
        if digits.len() != 64 || !digits.iter().all(u8::is_ascii_hexdigit) {
            return None;
        }
        let pair = |pair| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok();
        Self::from_bytes(&digits.chunks(2).map(pair).collect::<Option<Vec<u8>>>()?)
    }

    /// The 32 bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Display for ChainHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for ChainHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Serialize for ChainHash {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for ChainHash {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse(&text).ok_or_else(|| D::Error::custom("a hash has 64 hexadecimal digits"))
    }
}

#[cfg(test)]
mod tests {
    use super::AuditRow;
    use super::ChainHash;
    use super::RowActor;
    use crate::model::audit::Changed;
    use crate::model::id::AuditId;
    use crate::model::id::RequestId;
    use crate::model::id::WorkspaceId;
    use crate::model::origin::Resource;
    use chrono::DateTime;

    fn row() -> AuditRow {
        AuditRow {
            id: AuditId::from_text("log_1"),
            workspace: WorkspaceId::from_text("ws_1"),
            at: DateTime::from_timestamp_millis(1_764_400_000_123).unwrap(),
            event: "key.update".to_owned(),
            actor: RowActor {
                id: "root_1".into(), name: "a \"name\" ü\u{1}\u{7f}\n".into(), r#type: "rootkey".into()
            },
            description: "updated key key_1".to_owned(),
            address: None,
            user_agent: Some("curl/8".to_owned()),
            request_id: RequestId::from_text("req_1"),
            resources: vec![Resource::new("key", "key_1", Some("mine")), Resource::new("api", "api_1", None)],
            changes: Changed::of("key_1").field("enabled", &true, Some(&false)).fields(),
        }
    }

    /// Whoever changes this form makes every sealed log unverifiable.
    #[test]
    fn the_canonical_form_is_this() {
        let text = String::from_utf8(row().canonical(7).unwrap()).unwrap();
        let expected = "{\"actor\":{\"id\":\"root_1\",\"name\":\"a \\\"name\\\" ü\\u0001\u{7f}\\n\",\"type\":\"rootkey\"},\
            \"changes\":[{\"field\":\"enabled\",\"from\":true,\"resource\":\"key_1\",\"to\":false}],\
            \"description\":\"updated key key_1\",\"event\":\"key.update\",\"id\":\"log_1\",\"requestId\":\"req_1\",\
            \"resources\":[{\"id\":\"key_1\",\"name\":\"mine\",\"type\":\"key\"},{\"id\":\"api_1\",\"type\":\"api\"}],\
            \"sequence\":7,\"time\":1764400000123,\"userAgent\":\"curl/8\",\"workspaceId\":\"ws_1\"}";
        assert_eq!(text, expected);
        let bare = AuditRow { user_agent: None, address: Some(String::new()), changes: Vec::new(), ..row() };
        let text = String::from_utf8(bare.canonical(1).unwrap()).unwrap();
        assert!(text.contains("\"address\":\"\",\"description\"") && !text.contains("userAgent"), "{text}");
    }

    #[test]
    fn a_hash_binds_the_row_its_place_and_everything_before() {
        let hash = row().hash(7, &ChainHash::START).unwrap();
        let written = hash.to_string();
        assert_eq!(written, "ea6823df98513d9dcf54c290a7d2303f4bbde21dd76dedbfc17081c904612829");
        assert_eq!(ChainHash::parse(&written), Some(hash));
        assert_ne!(row().hash(8, &ChainHash::START).unwrap(), hash);
        assert_ne!(row().hash(7, &hash).unwrap(), hash);
        let elsewhere = AuditRow { workspace: WorkspaceId::from_text("ws_2"), ..row() };
        assert_ne!(elsewhere.hash(7, &ChainHash::START).unwrap(), hash);
        for malformed in ["", "0", &"g".repeat(64), &"é".repeat(32)] {
            assert!(ChainHash::parse(malformed).is_none());
        }
    }
}
