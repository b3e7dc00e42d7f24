//! Decisions: why a call or a verification was refused, as it is recorded, simulated and explained. Its words are stored and shown.

use crate::model::error::Need;
use crate::model::id::ApiId;
use crate::model::id::IdentityId;
use crate::model::id::KeyId;
use crate::model::id::RequestId;
use crate::model::id::RootKeyId;
use crate::model::id::WorkspaceId;
use crate::model::permission::Route;
use crate::model::rate_limit::AskedLimit;
use diesel::deserialize::FromSql;
use diesel::deserialize::FromSqlRow;
use diesel::pg::Pg;
use diesel::pg::PgValue;
use diesel::sql_types::Json;
use serde::Deserialize;
use serde::Serialize;
use std::net::IpAddr;

/// The check that refused. First those on root keys, in their order, then those on verified keys, in theirs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[expect(missing_docs, reason = "the words of the contract")]
pub enum Step {
    RootKey,
    RootKeyEnabled,
    RootKeyExpiry,
    WorkspaceEnabled,
    RequestAllowance,
    RootKeyPermissions,
    Ceiling,
    KeysLimit,
    RootKeysLimit,
    Lookup,
    Enabled,
    Expiry,
    Owner,
    Address,
    Permissions,
    RateLimits,
    Credits,
}

/// What kind of credential was judged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[expect(missing_docs, reason = "the words of the contract")]
pub enum CredentialType {
    Key,
    RootKey,
    Unknown,
}

/// What can be said of a credential that was not found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum LooksLike {
    /// Nothing.
    Unknown,
    /// It begins like a root key.
    RootKey,
    /// Its prefix is that of an API's keys.
    PrefixOf,
    /// No key has such a text.
    Malformed,
    /// It was a key, or a root key, until it or its API was deleted.
    Deleted,
    /// It is a key of an API that the request leaves out.
    OtherApi,
    /// It is a key of an API whose keys the root key may not verify.
    NotCovered,
    /// It is a key of an API where a root key is expected.
    KeyOfApi,
}

/// The credential that was judged.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Credential {
    /// What it is.
    pub r#type: CredentialType,
    /// Its id.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// Its label.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Its visible first characters.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub start: Option<String>,
    /// The API of a key, or the one whose prefix it has.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub api_id: Option<ApiId>,
    /// What it looks like, if it was not found.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub looks_like: Option<LooksLike>,
}

impl Credential {
    /// One of which only this is known.
    #[must_use]
    pub fn unknown(looks_like: LooksLike) -> Self {
        Self {
            r#type: CredentialType::Unknown,
            id: None,
            name: None,
            start: None,
            api_id: None,
            looks_like: Some(looks_like),
        }
    }
}

/// The owner of a key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Owner {
    /// Its id.
    pub id: IdentityId,
    /// The customer's own name for it.
    pub external_id: String,
}

/// Whom a credential resolved to.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Principal {
    /// The workspace; none for a credential that nobody knows.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub workspace_id: Option<WorkspaceId>,
    /// The owner of the key.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub owner: Option<Owner>,
}

/// The root key that made the request, where it is not the credential that was judged.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CallingKey {
    /// Its id.
    pub id: RootKeyId,
    /// Its label.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Its visible first characters.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub start: Option<String>,
}

/// What one rate limit asked for and had.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RequiredLimit {
    /// Its name.
    pub name: String,
    /// Tokens per window.
    pub limit: i64,
    /// Length of a window, milliseconds.
    pub duration: i64,
    /// Tokens that there were before the call.
    pub remaining: i64,
    /// End of the current window, Unix milliseconds.
    pub reset: i64,
    /// Tokens that the call asked for.
    pub cost: i64,
}

/// A balance and what was to be taken from it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RequiredCredits {
    /// Credits that the call asked for.
    pub cost: i64,
    /// Credits that there were.
    pub remaining: i64,
}

/// What the request had to satisfy, as far as it was asked for or looked at.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Required {
    /// Alternative sets of permissions of a root key; all of any one set suffice.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub permissions: Option<Vec<Vec<String>>>,
    /// The permission query on a key.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub query: Option<String>,
    /// End of the credential's life, Unix milliseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expires: Option<i64>,
    /// The allow list of the API.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub addresses: Option<Vec<String>>,
    /// The address that was tested.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub address: Option<IpAddr>,
    /// The limits that refused; of a verification that passed all that were counted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ratelimits: Option<Vec<RequiredLimit>>,
    /// The balance of a limited key.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub credits: Option<RequiredCredits>,
    /// Requests per minute that the workspace allows each root key.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub requests_per_minute: Option<u32>,
    /// Live keys that the workspace may have.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub keys_max: Option<i64>,
    /// Live root keys that the workspace may have.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub root_keys_max: Option<i64>,
}

/// A route as it is written down.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", content = "role", rename_all = "camelCase")]
#[expect(missing_docs, reason = "the variants of Route")]
pub enum HeldRoute {
    Direct,
    Role(String),
    Owner,
    OwnerRole(String),
}

impl From<Route> for HeldRoute {
    fn from(route: Route) -> Self {
        match route {
            Route::Direct => Self::Direct,
            Route::Role(name) => Self::Role(name),
            Route::Owner => Self::Owner,
            Route::OwnerRole(name) => Self::OwnerRole(name),
        }
    }
}

/// Something that was asked for and is held.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Held {
    /// The slug, or the tuple of a root key.
    pub permission: String,
    /// By which routes, all of them.
    pub routes: Vec<HeldRoute>,
}

/// The smallest change that would have let the request through.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Remedy {
    /// In words.
    pub text: String,
    /// As a request.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub curl: Option<String>,
    /// As a command of whoever runs the server.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cli: Option<String>,
}

/// How old the data was that the verdict was made on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DataAge {
    /// When it was read, Unix milliseconds.
    pub read_at: i64,
    /// Milliseconds since the moment up to which every change is known to have been seen.
    pub age_ms: i64,
}

/// A verdict in words: the same for a record, a simulation and an explained verification.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Description {
    /// The outcome of a verification (`INSUFFICIENT_PERMISSIONS`), or the path of the error's code; `VALID` if all passed.
    pub code: String,
    /// The check that refused; none if all passed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub step: Option<Step>,
    /// One to three sentences for people.
    pub summary: String,
    /// What was judged.
    pub credential: Credential,
    /// Whom it resolved to.
    pub principal: Principal,
    /// What was asked for.
    pub required: Required,
    /// What of it is held, sorted.
    pub held: Vec<Held>,
    /// What is missing: complete, and nothing of it needless. Sorted.
    pub missing: Vec<String>,
    /// What would have let it through.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub change: Option<Remedy>,
    /// How old the data was.
    pub data: DataAge,
}

impl Description {
    /// Whether every check passed.
    #[must_use]
    pub fn allowed(&self) -> bool {
        self.step.is_none()
    }
}

/// What was asked of a key: enough to ask it again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct KeyQuestion {
    /// The root key that asked.
    pub root_key: RootKeyId,
    /// The key, if it is one.
    pub key: Option<KeyId>,
    /// The only APIs whose keys counted.
    pub apis: Option<Vec<ApiId>>,
    /// The permission query as it was sent; it can be parsed.
    pub query: Option<String>,
    /// Who presented the key.
    pub address: Option<IpAddr>,
    /// Credits that the call cost.
    pub cost: i64,
    /// Rate limits that it asked for.
    pub limits: Vec<AskedLimit>,
}

/// What was asked of a root key: enough to ask it again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RootKeyQuestion {
    /// The root key, if it is one.
    pub root_key: Option<RootKeyId>,
    /// What was needed, in full; empty if it was refused before anything was asked for.
    pub needs: Vec<Need>,
    /// The end, Unix milliseconds, of the other root key that was to be given rights; the inner `None` never ends.
    pub gives_until: Option<Option<i64>>,
}

/// What was asked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "of", rename_all = "camelCase")]
pub enum Question {
    /// To verify a key.
    Key(KeyQuestion),
    /// To let a root key perform an operation.
    RootKey(RootKeyQuestion),
}

/// What the denied root key itself was told: no id in it that it did not send.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Told {
    /// One to three sentences.
    pub summary: String,
    /// Sets of permissions.
    pub required: Vec<Vec<String>>,
    /// The smallest set that would do.
    pub missing: Vec<String>,
    /// What would have let it through.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub change: Option<Remedy>,
}

/// One record: a denial, or several identical ones within a minute.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, FromSqlRow)]
#[serde(rename_all = "camelCase")]
pub struct Decision {
    /// The first request.
    pub request_id: RequestId,
    /// When the first one was decided, Unix milliseconds.
    pub time: i64,
    /// When the last one was.
    pub last_time: i64,
    /// How many there were.
    pub count: i64,
    /// The operation.
    pub operation: String,
    /// The verdict.
    #[serde(flatten)]
    pub description: Description,
    /// Who asked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub caller: Option<CallingKey>,
    /// Credentials that the request carried beside the one that was judged; they never count.
    pub ignored: Vec<String>,
    /// What was asked.
    pub question: Question,
    /// What the denied root key itself was told, if permissions were lacking.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub told: Option<Told>,
}

impl FromSql<Json, Pg> for Decision {
    fn from_sql(bytes: PgValue<'_>) -> diesel::deserialize::Result<Self> {
        Ok(serde_json::from_slice(bytes.as_bytes())?)
    }
}

/// A change that bears on a decision, as the audit log tells of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct PastChange {
    /// When, Unix milliseconds.
    pub time: i64,
    /// Name of the event.
    pub event: String,
    /// One sentence.
    pub text: String,
    /// Who made it.
    pub actor: PastActor,
    /// In which request.
    pub request_id: String,
}

/// Who made a change.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
#[expect(missing_docs, reason = "the columns of the audit log")]
pub struct PastActor {
    pub r#type: String,
    pub id: String,
    pub name: String,
}

/// What the same request would be told now.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Replayed {
    /// Whether it would pass.
    pub allowed: bool,
    /// As [`Description::code`].
    pub code: String,
    /// The check that would refuse.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub step: Option<Step>,
    /// What is missing now.
    pub missing: Vec<String>,
    /// Since when it would pass, Unix milliseconds, as far as that is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub since: Option<i64>,
    /// The changes that made the difference, newest first.
    pub because: Vec<PastChange>,
    /// All of it in one or two sentences.
    pub text: String,
}
