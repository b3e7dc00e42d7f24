//! `decisions.simulate`.

use crate::authz::caller::On;
use crate::authz::caller::Permit;
use crate::domain::decisions::simulate;
use crate::domain::decisions::simulate::Of;
use crate::domain::decisions::simulate::SimulatedCall;
use crate::domain::decisions::simulate::SimulatedKey;
use crate::domain::decisions::suppose::Suppose;
use crate::http::call::Call;
use crate::http::call::Reply;
use crate::http::keys::CreditsRequest;
use crate::http::keys::LimitRequest;
use crate::http::keys::moment;
use crate::http::operations::OPERATIONS;
use crate::http::operations::Operation;
use crate::http::patch;
use crate::limiter::Limiter;
use crate::model::clock::Timestamp;
use crate::model::decision::Description;
use crate::model::decision::KeyQuestion;
use crate::model::error::Error;
use crate::model::error::Result;
use crate::model::id::KeyId;
use crate::model::id::RootKeyId;
use crate::store::database::Db;
use serde::Deserialize;
use serde::Serialize;
use std::net::IpAddr;

/// What is simulated of a key unless something else is asked for; nothing else can be.
const VERIFICATION: &str = "keys.verifyKey";

/// Request of `decisions.simulate`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SimulateRequest {
    key_id: Option<KeyId>,
    root_key_id: Option<RootKeyId>,
    external_id: Option<String>,
    operation: Option<String>,
    resource: Option<String>,
    permissions: Option<String>,
    credits: Option<CreditsRequest>,
    ratelimits: Option<Vec<LimitRequest>>,
    client_ip: Option<String>,
    time: Option<i64>,
    #[serde(default)]
    r#if: SupposeRequest,
}

/// What is supposed, as it was sent and as it is answered.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct SupposeRequest {
    #[serde(skip_serializing_if = "Option::is_none")]
    grant: Option<Vec<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    revoke: Option<Vec<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    add_roles: Option<Vec<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    remove_roles: Option<Vec<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    enabled: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    owner_enabled: Option<bool>,
    #[serde(default, deserialize_with = "patch::field", skip_serializing_if = "Option::is_none")]
    expires: Option<Option<i64>>,
    #[serde(default, deserialize_with = "patch::field", skip_serializing_if = "Option::is_none")]
    credits: Option<Option<i64>>,
}

/// Answer of `decisions.simulate`.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct SimulateResponse {
    allowed: bool,
    /// The verdict, and why.
    #[serde(flatten)]
    pub description: Description,
    assumed: SupposeRequest,
}

/// `decisions.simulate`.
///
/// # Errors
/// As [`answer`], and `insufficient_permissions`.
pub async fn simulate(call: Call, request: SimulateRequest) -> Result<Reply<SimulateResponse>> {
    let permit = call.caller.permit(On::Any)?;
    let asker = Asker { root_key: call.caller.root_key.clone(), address: call.address };
    Ok(Reply::new(answer(&call.app.db, &call.app.limiter, &permit, asker, request).await?))
}

/// Who asks.
#[derive(Clone, Debug)]
pub struct Asker {
    /// The root key that would verify.
    pub root_key: RootKeyId,
    /// The address that is tested unless another one is sent.
    pub address: Option<IpAddr>,
}

/// The answer to a request, for whoever may ask.
///
/// # Errors
/// As [`simulate::key`] and [`simulate::call`]; `invalid_input` for fields that do not go together.
pub async fn answer(
    db: &Db,
    limiter: &Limiter,
    permit: &Permit,
    asker: Asker,
    request: SimulateRequest,
) -> Result<SimulateResponse> {
    let assumed = request.r#if.clone();
    let description = match (&request.key_id, &request.root_key_id, &request.external_id) {
        (Some(key), None, None) => {
            let of = Of::Key(key.clone());
            simulate::key(db, limiter, permit, request.of_key(of, asker)?).await?
        }
        (None, None, Some(owner)) => {
            let of = Of::Owner(owner.clone());
            simulate::key(db, limiter, permit, request.of_key(of, asker)?).await?
        }
        (None, Some(root_key), None) => {
            let root_key = root_key.clone();
            simulate::call(db, permit, request.of_root_key(root_key)?).await?
        }
        _ => {
            let message = "needs exactly one of keyId, rootKeyId and externalId";
            return Err(Error::invalid("body", message, Some("Say whose request is to be simulated.")));
        }
    };
    Ok(SimulateResponse { allowed: description.allowed(), description, assumed })
}

impl SimulateRequest {
    fn of_key(self, of: Of, asker: Asker) -> Result<SimulatedKey> {
        if self.operation.is_some_and(|operation| operation != VERIFICATION) {
            let message = "of keys and owners only keys.verifyKey can be simulated";
            return Err(Error::invalid("body.operation", message, Some("Leave it out, or send `rootKeyId`.")));
        }
        refuse_unless("resource", self.resource.is_none(), "rootKeyId")?;
        if matches!(of, Of::Owner(_)) {
            let of_key = "keyId";
            refuse_unless("if.enabled", self.r#if.enabled.is_none(), of_key)?;
            refuse_unless("if.expires", self.r#if.expires.is_none(), of_key)?;
            refuse_unless("if.credits", self.r#if.credits.is_none(), of_key)?;
        }
        let address = self.client_ip.map(|text| text.parse::<IpAddr>()).transpose();
        let address = address
            .map_err(|_malformed| Error::invalid("body.clientIp", "is neither an IPv4 nor an IPv6 address", None))?;
        Ok(SimulatedKey {
            question: KeyQuestion {
                root_key: asker.root_key,
                key: if let Of::Key(id) = &of { Some(id.clone()) } else { None },
                apis: None,
                query: self.permissions,
                address: address.or(asker.address),
                cost: self.credits.map_or(1, |credits| credits.cost()),
                limits: self.ratelimits.into_iter().flatten().map(Into::into).collect(),
            },
            add_roles: self.r#if.add_roles.clone().unwrap_or_default(),
            suppose: self.r#if.suppose()?,
            time: time(self.time)?,
            of,
        })
    }

    fn of_root_key(self, root_key: RootKeyId) -> Result<SimulatedCall> {
        let Some(name) = self.operation else {
            return Err(Error::invalid("body.operation", "is needed with rootKeyId", Some("Send its wire name.")));
        };
        let Some(Operation { name, needs, .. }) = OPERATIONS.iter().find(|operation| operation.name == name) else {
            let message = format!("there is no operation '{name}'");
            return Err(Error::invalid("body.operation", message, Some("Send its wire name, like keys.createKey.")));
        };
        let of_key = "keyId or externalId";
        refuse_unless("permissions", self.permissions.is_none(), of_key)?;
        refuse_unless("credits", self.credits.is_none(), of_key)?;
        refuse_unless("ratelimits", self.ratelimits.is_none(), of_key)?;
        refuse_unless("clientIp", self.client_ip.is_none(), of_key)?;
        refuse_unless("if.addRoles", self.r#if.add_roles.is_none(), of_key)?;
        refuse_unless("if.removeRoles", self.r#if.remove_roles.is_none(), of_key)?;
        refuse_unless("if.ownerEnabled", self.r#if.owner_enabled.is_none(), of_key)?;
        refuse_unless("if.credits", self.r#if.credits.is_none(), of_key)?;
        Ok(SimulatedCall {
            root_key,
            operation: name,
            needs,
            resource: self.resource,
            suppose: self.r#if.suppose()?,
            time: time(self.time)?,
        })
    }
}

impl SupposeRequest {
    fn suppose(self) -> Result<Suppose> {
        let expires = match self.expires {
            Some(Some(ms)) => Some(Some(moment("body.if.expires", ms)?)),
            Some(None) => Some(None),
            None => None,
        };
        Ok(Suppose {
            grant: self.grant.unwrap_or_default(),
            revoke: self.revoke.unwrap_or_default(),
            add_roles: Default::default(),
            remove_roles: self.remove_roles.unwrap_or_default(),
            enabled: self.enabled,
            owner_enabled: self.owner_enabled,
            expires,
            credits: self.credits,
        })
    }
}

fn time(ms: Option<i64>) -> Result<Option<Timestamp>> {
    ms.map(|ms| moment("body.time", ms)).transpose()
}

fn refuse_unless(field: &str, absent: bool, with: &str) -> Result<()> {
    if absent { Ok(()) } else { Err(Error::invalid(format!("body.{field}"), format!("goes with {with} only"), None)) }
}
