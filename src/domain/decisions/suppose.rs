//! What if: the changes that a simulation supposes, made to what was read of a key, an owner or a root key. Pure.

use crate::model::clock::Timestamp;
use crate::model::credits::Credits;
use crate::model::permission::RoleSlugs;
use crate::model::root_key::RootKey;
use crate::store::snapshot::Snapshot;
use std::collections::BTreeSet;
use std::sync::Arc;

/// Changes that are supposed. What is taken away goes first, so that what is given wins.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Suppose {
    /// Permissions that are held directly: slugs of a key, tuples of a root key.
    pub grant: Vec<String>,
    /// Permissions that are held by no route any more.
    pub revoke: Vec<String>,
    /// Roles that the key gets, with what they have.
    pub add_roles: RoleSlugs,
    /// Names of roles that neither the key nor its owner has any more.
    pub remove_roles: Vec<String>,
    /// Whether the key or root key is enabled.
    pub enabled: Option<bool>,
    /// Whether the key's owner is enabled.
    pub owner_enabled: Option<bool>,
    /// Its end; `Some(None)` is none.
    pub expires: Option<Option<Timestamp>>,
    /// Its balance; `Some(None)` is unlimited.
    pub credits: Option<Option<i64>>,
}

impl Suppose {
    /// A key as it would be, at the moment that it is judged at.
    #[must_use]
    pub fn key(&self, mut snapshot: Snapshot, now: Timestamp) -> Snapshot {
        let access = Arc::make_mut(&mut snapshot.access);
        for name in &self.remove_roles {
            access.roles.remove(name);
            access.owner_roles.remove(name);
        }
        access.roles.extend(self.add_roles.clone());
        let revoked: BTreeSet<_> = self.revoke.iter().collect();
        let of_roles = access.roles.values_mut().chain(access.owner_roles.values_mut());
        for slugs in of_roles.chain([&mut access.direct, &mut access.owner]) {
            slugs.retain(|slug| !revoked.contains(slug));
        }
        access.direct.extend(self.grant.iter().cloned());
        snapshot.slugs = snapshot.access.slugs().into();
        if let Some(enabled) = self.enabled {
            snapshot.key.enabled = enabled;
        }
        if let Some(expires) = self.expires {
            snapshot.key.expires_at = expires;
        }
        if let (Some(owner), Some(enabled)) = (&mut snapshot.identity, self.owner_enabled) {
            owner.enabled = enabled;
        }
        match self.credits {
            Some(Some(remaining)) => {
                let settled = snapshot.credits.take().map(|credits| credits.settled(now));
                let (key_id, workspace_id) = (snapshot.key.id.clone(), snapshot.key.workspace_id.clone());
                let none = Credits {
                    key_id,
                    workspace_id,
                    remaining,
                    refill_amount: None,
                    refill_day: None,
                    refilled_at: now,
                };
                snapshot.credits = Some(Box::new(Credits { remaining, ..settled.unwrap_or(none) }));
            }
            Some(None) => snapshot.credits = None,
            None => {}
        }
        snapshot
    }

    /// A root key as it would be.
    #[must_use]
    pub fn root_key(&self, mut root_key: RootKey) -> RootKey {
        root_key.permissions.retain(|tuple| !self.revoke.contains(tuple));
        root_key.permissions.extend(self.grant.iter().cloned());
        root_key.permissions.sort();
        root_key.permissions.dedup();
        if let Some(enabled) = self.enabled {
            root_key.enabled = enabled;
        }
        if let Some(expires) = self.expires {
            root_key.expires_at = expires;
        }
        root_key
    }
}

#[cfg(test)]
mod tests {
    use super::Suppose;
    use crate::model::clock::Clock;
    use crate::model::credits::Credits;
    use crate::model::id::ApiId;
    use crate::model::id::IdentityId;
    use crate::model::id::KeyId;
    use crate::model::id::RootKeyId;
    use crate::model::id::WorkspaceId;
    use crate::model::identity::Identity;
    use crate::model::key::Key;
    use crate::model::permission::Access;
    use crate::model::permission::Route;
    use crate::model::rate_limit::Limits;
    use crate::model::root_key::RootKey;
    use crate::model::verification::Subject;
    use crate::store::snapshot::Snapshot;
    use crate::store::tx::ReadAt;
    use chrono::Duration;
    use std::sync::Arc;
    use std::sync::OnceLock;

    fn snapshot(access: &str) -> Snapshot {
        let now = Clock::system().now();
        let owner = Identity {
            id: IdentityId::generate(),
            workspace_id: WorkspaceId::generate(),
            external_id: "owner".to_owned(),
            meta: None,
            enabled: true,
            created_at: now,
            updated_at: None,
        };
        let key = Key::bare(KeyId::generate(), owner.workspace_id.clone(), ApiId::generate(), now);
        let key = Key { identity_id: Some(owner.id.clone()), ..key };
        let access: Access = serde_json::from_str(access).unwrap();
        Snapshot {
            subject: Arc::new(Subject::of(&key, None)),
            identity: Some(Box::new(owner)),
            slugs: access.slugs().into(),
            access: access.shared(),
            credits: None,
            limits: Limits::default(),
            planned: OnceLock::new(),
            ip_whitelist: None,
            read: ReadAt::default(),
            key,
        }
    }

    fn strings(texts: &[&str]) -> Vec<String> {
        texts.iter().map(ToString::to_string).collect()
    }

    const ALL_ROUTES: &str =
        r#"{"direct":["a"],"roles":{"r":["a","b"]},"owner":["a"],"ownerRoles":{"r":["a"],"s":["a","c"]}}"#;

    #[test]
    fn nothing_supposed_changes_nothing() {
        let now = Clock::system().now();
        let before = snapshot(ALL_ROUTES);
        let after = Suppose::default().key(before.clone(), now);
        assert_eq!((&after.access, &after.slugs, after.key.enabled), (&before.access, &before.slugs, true));
        assert_eq!((after.key.expires_at, after.credits), (None, None));
    }

    #[test]
    fn what_is_revoked_is_held_by_no_route() {
        let now = Clock::system().now();
        let suppose = Suppose { revoke: strings(&["a"]), ..Suppose::default() };
        let after = suppose.key(snapshot(ALL_ROUTES), now);
        assert_eq!(after.access.routes("a"), []);
        assert_eq!(*after.slugs, ["b", "c"]);
        let both = Suppose { grant: strings(&["a"]), ..suppose };
        assert_eq!(both.key(snapshot(ALL_ROUTES), now).access.routes("a"), [Route::Direct]);
    }

    #[test]
    fn roles_come_with_what_they_have_and_go_from_key_and_owner() {
        let now = Clock::system().now();
        let suppose = Suppose {
            add_roles: serde_json::from_str(r#"{"t":["d"]}"#).unwrap(),
            remove_roles: strings(&["r"]),
            ..Suppose::default()
        };
        let after = suppose.key(snapshot(ALL_ROUTES), now);
        assert_eq!(*after.slugs, ["a", "c", "d"]);
        assert_eq!(after.access.routes("a"), [Route::Direct, Route::Owner, Route::OwnerRole("s".to_owned())]);
        assert_eq!(after.access.routes("d"), [Route::Role("t".to_owned())]);
    }

    #[test]
    fn states_and_balances_are_set() {
        let now = Clock::system().now();
        let end = now + Duration::hours(1);
        let suppose = Suppose {
            enabled: Some(false),
            owner_enabled: Some(false),
            expires: Some(Some(end)),
            credits: Some(Some(3)),
            ..Suppose::default()
        };
        let after = suppose.key(snapshot("{\"direct\":[],\"roles\":{},\"owner\":[],\"ownerRoles\":{}}"), now);
        assert!(!after.key.enabled && !after.identity.as_ref().unwrap().enabled);
        assert_eq!(after.key.expires_at, Some(end));
        assert_eq!(after.credits.as_ref().unwrap().at(now), 3);
        let unlimited = Suppose { credits: Some(None), expires: Some(None), ..Suppose::default() };
        let after = unlimited.key(after, now);
        assert_eq!((after.credits, after.key.expires_at), (None, None));
    }

    /// A refill that is due belongs to the balance that is replaced.
    #[test]
    fn a_supposed_balance_is_not_refilled_by_what_was_due_before() {
        let now = Clock::system().now();
        let mut refilled = snapshot("{\"direct\":[],\"roles\":{},\"owner\":[],\"ownerRoles\":{}}");
        refilled.credits = Some(Box::new(Credits {
            key_id: refilled.key.id.clone(),
            workspace_id: refilled.key.workspace_id.clone(),
            remaining: 0,
            refill_amount: Some(100),
            refill_day: None,
            refilled_at: now - Duration::days(3),
        }));
        assert_eq!(refilled.credits.as_ref().unwrap().at(now), 100);
        let suppose = Suppose { credits: Some(Some(1)), ..Suppose::default() };
        assert_eq!(suppose.key(refilled, now).credits.unwrap().at(now), 1);
    }

    #[test]
    fn tuples_of_a_root_key_are_taken_and_given() {
        let now = Clock::system().now();
        let root_key = RootKey {
            id: RootKeyId::generate(),
            workspace_id: WorkspaceId::generate(),
            start: "keyward_root_ab".to_owned(),
            last_characters: "wxyz".to_owned(),
            name: None,
            enabled: false,
            permissions: strings(&["api.*.read_api", "api.*.read_key"]),
            expires_at: Some(now),
            created_at: now,
            last_used_at: None,
        };
        let suppose = Suppose {
            grant: strings(&["api.*.create_key", "api.*.read_api"]),
            revoke: strings(&["api.*.read_key"]),
            enabled: Some(true),
            expires: Some(None),
            ..Suppose::default()
        };
        let after = suppose.root_key(root_key);
        assert_eq!(after.permissions, ["api.*.create_key", "api.*.read_api"]);
        assert_eq!((after.enabled, after.expires_at), (true, None));
    }
}
