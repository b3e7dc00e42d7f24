//! `migrations.*` and what was imported.

mod create_migration;
mod first_verification;

use crate::harness::World;
use keyward::model::secret::Hash;
use serde_json::Value;
use serde_json::json;

pub const PREFIXED: &str = "github.com/seamapi/prefixed-api-key";

/// A new migration; returns its id.
pub fn migration(world: &World<'_>, algorithm: &str) -> String {
    let data = world.admin.ok("migrations.createMigration", json!({"name": "old system", "algorithm": algorithm}));
    data["migrationId"].as_str().unwrap().to_owned()
}

/// SHA-256 in hexadecimal digits, as most systems store it.
pub fn sha256(secret: &str) -> String {
    Hash::of(secret).as_bytes().iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Imports keys as the admin; all of them must be new. Returns their ids.
pub fn import(world: &World<'_>, migration: &str, api: &str, keys: Value) -> Vec<String> {
    let data = world.admin.ok("keys.migrateKeys", json!({"migrationId": migration, "apiId": api, "keys": keys}));
    assert_eq!(data["failed"], json!([]));
    let migrated = data["migrated"].as_array().unwrap();
    migrated.iter().map(|key| key["keyId"].as_str().unwrap().to_owned()).collect()
}
