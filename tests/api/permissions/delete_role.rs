//! `permissions.deleteRole`.

use crate::harness::World;
use crate::permissions::events_of;
use crate::permissions::last_display;
use crate::permissions::role;
use serde_json::json;

#[test]
fn it_is_taken_from_everybody_and_its_permissions_stay() {
    let world = World::new();
    let id = role(&world, "editor", &["docs.read"]);
    let key = world.key(&world.api(), json!({"roles": ["editor"], "externalId": "owner"}));
    world.execute(
        "INSERT INTO identity_roles (identity_id, role_id, workspace_id) SELECT i.id, r.id, $ws \
         FROM identities i, roles r WHERE i.workspace_id = $ws AND r.workspace_id = $ws",
    );
    let answer = world.admin.call("permissions.deleteRole", json!({"role": "editor"}));
    assert_eq!(answer.data(), &json!({}));
    assert_eq!(events_of(&world, &answer), ["role.delete"]);
    assert_eq!(last_display(&world), "deleted role editor (taken from keys: 1, roles: 0, identities: 1)");
    let shown = world.get_key(&key.id);
    assert!(shown.get("roles").is_none() && shown.get("permissions").is_none(), "{shown}");
    world.admin.ok("permissions.getPermission", json!({"permission": "docs.read"}));
    for named in ["editor", &id] {
        let answer = world.admin.call("permissions.deleteRole", json!({"role": named}));
        answer.refused(404, "unkey/data/role_not_found");
    }
    assert_ne!(id, role(&world, "editor", &[]));
    assert!(world.get_key(&key.id).get("roles").is_none());
}
