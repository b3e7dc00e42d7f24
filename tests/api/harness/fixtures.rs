//! Worlds: a workspace of its own on some server, with root keys, APIs and keys in it.

use crate::harness::Client;
use crate::harness::Server;
use crate::harness::postgres;
use keyward::authz::caller::Permit;
use keyward::authz::preset::Preset;
use keyward::domain::root_keys;
use keyward::domain::root_keys::Mint;
use keyward::domain::workspaces;
use keyward::model::clock::Timestamp;
use keyward::model::id::RootKeyId;
use keyward::model::id::WorkspaceId;
use keyward::model::origin::Actor;
use keyward::model::origin::Origin;
use serde_json::Value;
use serde_json::json;
use std::sync::atomic::AtomicU32;
use std::sync::atomic::Ordering;

/// A workspace on a server.
pub struct World<'s> {
    /// The server.
    pub server: &'s Server,
    /// The workspace's id.
    pub workspace: WorkspaceId,
    /// Its name.
    pub name: String,
    /// A client that may do everything.
    pub admin: Client,
}

/// A key that was made.
#[derive(Clone, Debug)]
pub struct MadeKey {
    /// Its id.
    pub id: String,
    /// Its plaintext.
    pub plaintext: String,
}

impl World<'static> {
    /// A workspace on the shared server.
    pub fn new() -> Self {
        Self::on(Server::shared())
    }
}

impl<'s> World<'s> {
    /// A workspace on a server.
    pub fn on(server: &'s Server) -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let name = format!("test {} {}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let workspace = operate(server, |tx| workspaces::create(tx, &name)).id;
        let admin = Client::new(server.url());
        let mut world = Self { server, workspace, name, admin };
        world.admin = world.root_key(&Preset::Admin.tuples());
        world
    }

    /// A client with a new root key that holds exactly these permissions.
    pub fn root_key<S: AsRef<str>>(&self, permissions: &[S]) -> Client {
        self.root_key_until(permissions, None).1
    }

    /// The same with an end, and with its id.
    pub fn root_key_until<S: AsRef<str>>(
        &self,
        permissions: &[S],
        expires_at: Option<Timestamp>,
    ) -> (RootKeyId, Client) {
        let permissions = permissions.iter().map(|permission| permission.as_ref().to_owned()).collect();
        let mint = Mint { name: Some("test".to_owned()), permissions, expires_at };
        let workspace = self.workspace.clone();
        let (id, plaintext) =
            operate(self.server, |tx| root_keys::mint(tx, &Permit::of_operator(workspace.clone()), &mint));
        (id, Client::new(self.server.url()).bearer(plaintext.reveal()))
    }

    /// A client of this server without a root key.
    pub fn anonymous(&self) -> Client {
        Client::new(self.server.url())
    }

    /// A new API; returns its id.
    pub fn api(&self) -> String {
        self.api_with(json!({}))
    }

    /// A new API with these settings of `updateApi`.
    pub fn api_with(&self, mut settings: Value) -> String {
        let id = self.admin.ok("apis.createApi", json!({"name": "test api"}))["apiId"].as_str().unwrap().to_owned();
        if settings.as_object().is_some_and(|settings| !settings.is_empty()) {
            settings["apiId"] = json!(id);
            self.admin.ok("apis.updateApi", settings);
        }
        id
    }

    /// A new key of an API with these fields of `createKey`.
    pub fn key(&self, api: &str, mut fields: Value) -> MadeKey {
        fields["apiId"] = json!(api);
        let data = self.admin.ok("keys.createKey", fields);
        let text = |name: &str| data[name].as_str().unwrap().to_owned();
        MadeKey { id: text("keyId"), plaintext: text("key") }
    }

    /// `data` of a verification by the admin.
    pub fn verify(&self, key: &str) -> Value {
        self.admin.ok("keys.verifyKey", json!({"key": key}))
    }

    /// `code` of a verification by the admin.
    pub fn verdict(&self, key: &str) -> String {
        self.verify(key)["code"].as_str().unwrap().to_owned()
    }

    /// `data` of `getKey`.
    pub fn get_key(&self, id: &str) -> Value {
        self.admin.ok("keys.getKey", json!({"keyId": id}))
    }

    /// Rows of a query as JSON objects; `$ws` stands for this workspace's id as a literal.
    pub fn rows(&self, query: &str) -> Vec<Value> {
        postgres::rows(&self.server.database, &query.replace("$ws", &format!("'{}'", self.workspace)))
    }

    /// Runs a statement; `$ws` as in [`World::rows`].
    pub fn execute(&self, statement: &str) {
        postgres::execute(&self.server.database, &statement.replace("$ws", &format!("'{}'", self.workspace)));
    }

    /// Names of the workspace's audit events, oldest first, without those that made the world.
    pub fn audit(&self) -> Vec<String> {
        self.rows(
            "SELECT event FROM audit_log WHERE workspace_id = $ws AND actor_type = 'rootkey' \
             AND event <> 'authorization.denied' ORDER BY id",
        )
        .iter()
        .map(|row| row["event"].as_str().unwrap().to_owned())
        .collect()
    }

    /// Everything that is stored of this workspace, to show that something changed nothing.
    pub fn everything(&self) -> Value {
        let of = |table: &str, order: &str| {
            self.rows(&format!("SELECT * FROM {table} WHERE workspace_id = $ws ORDER BY {order}"))
        };
        // When something was last used is no change.
        let strip = |mut rows: Vec<Value>| {
            rows.iter_mut().for_each(|row| row["last_used_at"] = Value::Null);
            rows
        };
        // Rows are sealed a moment later, whatever happens meanwhile.
        let unsealed = |mut rows: Vec<Value>| {
            for row in &mut rows {
                (row["sequence"], row["hash"]) = (Value::Null, Value::Null);
            }
            rows
        };
        json!({
            "workspace": self.rows("SELECT * FROM workspaces WHERE id = $ws"),
            "root_keys": strip(of("root_keys", "id")),
            "apis": of("apis", "id"),
            "keys": strip(of("keys", "id")),
            "sealed_keys": of("sealed_keys", "key_id"),
            "identities": of("identities", "id"),
            "permissions": of("permissions", "id"),
            "roles": of("roles", "id"),
            "role_permissions": of("role_permissions", "role_id, permission_id"),
            "key_permissions": of("key_permissions", "key_id, permission_id"),
            "key_roles": of("key_roles", "key_id, role_id"),
            "identity_permissions": of("identity_permissions", "identity_id, permission_id"),
            "identity_roles": of("identity_roles", "identity_id, role_id"),
            "migrations": of("migrations", "id"),
            "credits": of("credits", "key_id"),
            "rate_limits": of("rate_limits", "id"),
            "namespaces": of("namespaces", "id"),
            "overrides": of("overrides", "id"),
            // A refusal is written a moment later.
            "audit_log": unsealed(self.rows(
                "SELECT * FROM audit_log WHERE workspace_id = $ws AND event <> 'authorization.denied' ORDER BY id"
            )),
        })
    }
}

/// Does what only the operator can do.
pub fn operate<T>(
    server: &Server,
    change: impl FnMut(&mut keyward::store::tx::Tx<'_>) -> keyward::model::error::Result<T>,
) -> T {
    server
        .app
        .db
        .write_now(&Origin::local(Actor::CommandLine), change)
        .unwrap_or_else(|error| panic!("{error:?} {:?}", error.source))
}
