//! `keyward simulate`.

use crate::authz::caller::Permit;
use crate::cli::database::Reach;
use crate::cli::decisions::ask;
use crate::cli::decisions::story;
use crate::cli::duration;
use crate::cli::output::Failure;
use crate::cli::output::Out;
use crate::cli::permissions;
use crate::config::RedisSettings;
use crate::domain::keys;
use crate::domain::root_keys;
use crate::domain::workspaces;
use crate::http::decisions::Asker;
use crate::http::decisions::SimulateRequest;
use crate::http::decisions::answer;
use crate::model::clock::Clock;
use crate::model::error::Result as StoreResult;
use crate::model::id::KeyId;
use crate::model::id::RootKeyId;
use crate::model::id::WorkspaceId;
use crate::store;
use crate::store::tx::Tx;
use clap::Args;
use serde_json::Map;
use serde_json::Value;
use std::net::IpAddr;

/// What keys are asked for.
const VERIFICATION: &str = "keys.verifyKey";

/// Say what would be decided, now or if something were otherwise; exit code 0 if it is allowed, 3 if denied
///
/// Nothing is consumed and nothing is written. --json prints what decisions.simulate answers.
#[derive(Args, Debug)]
pub struct Simulate {
    #[command(flatten)]
    of: Of,
    #[command(flatten)]
    asked: Asked,
    #[command(flatten)]
    suppose: Suppose,
    #[command(flatten)]
    redis: RedisSettings,
}

/// Whose request.
#[derive(Args, Debug)]
#[command(group = clap::ArgGroup::new("whose").required(true).multiple(false).args(["key", "root_key", "external_id"]))]
struct Of {
    /// Whose verification: the id of a key
    #[arg(long, value_name = "ID")]
    key: Option<String>,
    /// Whose call: the id of a root key
    #[arg(long, value_name = "ID", requires = "operation")]
    root_key: Option<String>,
    /// Whose verification: a key of this owner that has nothing of its own
    #[arg(long, value_name = "NAME", requires = "workspace")]
    external_id: Option<String>,
    /// The owner's workspace
    #[arg(long, value_name = "NAME-OR-ID", conflicts_with_all = ["key", "root_key"])]
    workspace: Option<String>,
}

/// What is asked.
#[derive(Args, Debug)]
struct Asked {
    /// What the root key would call, like keys.createKey
    #[arg(long, conflicts_with_all = ["key", "external_id"])]
    operation: Option<String>,
    /// Id of what the call would be about: an API, a namespace, an owner, a root key
    #[arg(long, value_name = "ID", conflicts_with_all = ["key", "external_id"])]
    resource: Option<String>,
    /// The permission query, like 'documents.read AND documents.write'
    #[arg(long, value_name = "QUERY", conflicts_with = "root_key")]
    permissions: Option<String>,
    /// Credits that it would cost [default: 1]
    #[arg(long, value_name = "NUMBER", conflicts_with = "root_key", value_parser = clap::value_parser!(i64).range(0..=store::ledger::MAX_COST))]
    cost: Option<i64>,
    /// A rate limit that it would name, with its cost if that is not 1; repeat for several
    #[arg(long, value_name = "NAME[=COST]", conflicts_with = "root_key")]
    ratelimit: Vec<String>,
    /// Who would present the key
    #[arg(long, value_name = "ADDRESS", conflicts_with = "root_key")]
    client_ip: Option<IpAddr>,
    /// When: a span from now like 30d, a date, or RFC 3339 [default: now]
    #[arg(long, value_name = "WHEN")]
    at: Option<String>,
}

/// What is supposed to be otherwise.
#[derive(Args, Debug)]
struct Suppose {
    /// If it held this permission; repeat for several
    #[arg(long, value_name = "PERMISSION")]
    if_grant: Vec<String>,
    /// If it held this permission by no route; repeat for several
    #[arg(long, value_name = "PERMISSION")]
    if_revoke: Vec<String>,
    /// If the key had this role; repeat for several
    #[arg(long, value_name = "NAME", conflicts_with = "root_key")]
    if_role: Vec<String>,
    /// If neither the key nor its owner had this role; repeat for several
    #[arg(long, value_name = "NAME", conflicts_with = "root_key")]
    if_without_role: Vec<String>,
    /// If the key or root key were enabled, or not
    #[arg(long, value_name = "true|false", conflicts_with = "external_id")]
    if_enabled: Option<bool>,
    /// If the owner were enabled, or not
    #[arg(long, value_name = "true|false", conflicts_with = "root_key")]
    if_owner_enabled: Option<bool>,
    /// If its life ended then: a span from now, a date, RFC 3339, or `never`
    #[arg(long, value_name = "WHEN", conflicts_with = "external_id")]
    if_expires: Option<String>,
    /// If the key had this balance: a number, or `unlimited`
    #[arg(long, value_name = "NUMBER", conflicts_with_all = ["root_key", "external_id"])]
    if_credits: Option<String>,
}

impl Simulate {
    /// Runs the command.
    ///
    /// # Errors
    /// It is denied; there is no such key, root key, owner or role; the database's.
    pub fn run(self, reach: &Reach, out: Out) -> Result<(), Failure> {
        let request = self.request()?;
        let supposed = self.suppose.flags();
        let operation = self.asked.operation.as_deref().unwrap_or(VERIFICATION);
        let opened = reach.open_migrated()?;
        let workspace = opened.read(|tx| self.of.workspace(tx))?;
        let permit = Permit::of_operator(workspace);
        let asker = Asker { root_key: RootKeyId::from_text(""), address: None };
        let answer =
            ask(&opened, &self.redis, async move |db, limiter| answer(db, limiter, &permit, asker, request).await)?;
        out.data(&answer, || story::of_simulation(operation, &answer.description, &supposed))?;
        if answer.description.allowed() { Ok(()) } else { Err(Failure::denied()) }
    }

    /// The same request as over HTTP.
    fn request(&self) -> Result<SimulateRequest, Failure> {
        let (of, asked, now) = (&self.of, &self.asked, Clock::system().now());
        if let Some(operation) = &asked.operation {
            permissions::find(operation).map_err(Failure::usage)?;
        }
        let moment = |text: &str| duration::moment(text, now).map(|at| Value::from(at.timestamp_millis()));
        let mut fields = Fields::default();
        fields.set("keyId", of.key.as_deref());
        fields.set("rootKeyId", of.root_key.as_deref());
        fields.set("externalId", of.external_id.as_deref());
        fields.set("operation", asked.operation.as_deref());
        fields.set("resource", asked.resource.as_deref());
        fields.set("permissions", asked.permissions.as_deref());
        fields.set("credits", asked.cost.map(|cost| Fields::default().with("cost", cost)));
        let limits: Vec<_> = asked.ratelimit.iter().map(|text| limit(text)).collect::<Result<_, _>>()?;
        fields.set("ratelimits", (!limits.is_empty()).then_some(limits));
        fields.set("clientIp", asked.client_ip.map(|address| address.to_string()));
        fields.set("time", asked.at.as_deref().map(moment).transpose().map_err(Failure::usage)?);
        let suppose = &self.suppose;
        let list = |of: &[String]| (!of.is_empty()).then(|| of.to_vec());
        let mut supposed = Fields::default();
        supposed.set("grant", list(&suppose.if_grant));
        supposed.set("revoke", list(&suppose.if_revoke));
        supposed.set("addRoles", list(&suppose.if_role));
        supposed.set("removeRoles", list(&suppose.if_without_role));
        supposed.set("enabled", suppose.if_enabled);
        supposed.set("ownerEnabled", suppose.if_owner_enabled);
        let expires = suppose.if_expires.as_deref().map(|text| match text {
            "never" => Ok(Value::Null),
            text => moment(text),
        });
        supposed.set("expires", expires.transpose().map_err(Failure::usage)?);
        supposed.set("credits", suppose.if_credits.as_deref().map(balance).transpose()?);
        fields.set("if", Some(supposed.0));
        serde_json::from_value(Value::Object(fields.0)).map_err(Failure::usage)
    }
}

impl Of {
    fn workspace(&self, tx: &mut Tx<'_>) -> StoreResult<WorkspaceId> {
        if let Some(id) = &self.key {
            return store::keys::workspace_of(tx, &KeyId::from_text(id))?.ok_or_else(keys::not_found);
        }
        if let Some(id) = &self.root_key {
            return store::root_keys::workspace_of(tx, &RootKeyId::from_text(id))?.ok_or_else(root_keys::not_found);
        }
        Ok(workspaces::find(tx, self.workspace.as_deref().unwrap_or_default())?.id)
    }
}

impl Suppose {
    /// As they were given.
    fn flags(&self) -> Vec<String> {
        let mut flags = Vec::new();
        let mut list =
            |name: &str, values: &[String]| flags.extend(values.iter().map(|value| format!("{name} {value}")));
        list("it holds", &self.if_grant);
        list("it does not hold", &self.if_revoke);
        list("it has the role", &self.if_role);
        list("it does not have the role", &self.if_without_role);
        let mut flag = |name: &str, value: Option<String>| flags.extend(value.map(|value| format!("{name} {value}")));
        flag("enabled is", self.if_enabled.map(|enabled| enabled.to_string()));
        flag("enabled of its owner is", self.if_owner_enabled.map(|enabled| enabled.to_string()));
        flag("it ends", self.if_expires.clone());
        flag("its credits are", self.if_credits.clone());
        flags
    }
}

#[derive(Default)]
struct Fields(Map<String, Value>);

impl Fields {
    fn set(&mut self, name: &str, value: Option<impl Into<Value>>) {
        if let Some(value) = value {
            self.0.insert(name.to_owned(), value.into());
        }
    }

    fn with(mut self, name: &str, value: impl Into<Value>) -> Value {
        self.set(name, Some(value));
        Value::Object(self.0)
    }
}

fn limit(text: &str) -> Result<Value, Failure> {
    let mut fields = Fields::default();
    let (name, cost) = text.split_once('=').map_or((text, None), |(name, cost)| (name, Some(cost)));
    let malformed = |_error| Failure::usage(format!("--ratelimit {text}: the cost is no number"));
    fields.set("cost", cost.map(str::parse::<i64>).transpose().map_err(malformed)?);
    Ok(fields.with("name", name))
}

fn balance(text: &str) -> Result<Value, Failure> {
    match (text, text.parse::<i64>()) {
        ("unlimited", _) => Ok(Value::Null),
        (_, Ok(number)) if number >= 0 => Ok(Value::from(number)),
        _ => Err(Failure::usage(format!("--if-credits {text}: expected a number from 0, or `unlimited`"))),
    }
}
