//! The caller of an operation, the judgement on its rights, and the permit without which nothing is written.

use crate::authz::action::Action;
use crate::authz::action::Resource;
use crate::authz::grants;
use crate::authz::grants::Grants;
use crate::model::code::Code;
use crate::model::error::Error;
use crate::model::error::Lack;
use crate::model::error::Need;
use crate::model::error::Refusal;
use crate::model::error::Result;
use crate::model::id::ApiId;
use crate::model::id::IdentityId;
use crate::model::id::NamespaceId;
use crate::model::id::RootKeyId;
use crate::model::id::WorkspaceId;
use std::collections::BTreeSet;
use std::sync::Arc;

/// A root key that was authenticated, about to perform one operation.
#[derive(Clone, Debug)]
pub struct Caller {
    /// The root key.
    pub root_key: RootKeyId,
    /// The workspace that it acts in.
    pub workspace: WorkspaceId,
    /// What it holds.
    pub grants: Arc<Grants>,
    /// Wire name of the operation.
    pub operation: &'static str,
    /// What the operation always needs.
    pub needs: &'static [Action],
    /// What it may need beside.
    pub also: &'static [Action],
}

/// What a request is about, for the question whether it may.
#[derive(Clone, Copy, Debug)]
pub enum On<'a> {
    /// No single resource: only grants with `*` count.
    Any,
    /// The API that the request names.
    Api(&'a ApiId),
    /// The API of something that the request names: its id counts and is not printed (decisions.md, rule 6).
    ApiOf(&'a ApiId),
    /// The identity that the request names by its id or by its external id.
    Identity {
        /// Its id as far as there is one that the caller reaches, else what was sent: this counts.
        id: &'a str,
        /// What was sent: this is printed, if it has the form of an id.
        sent: &'a str,
    },
    /// The namespace of rate limits that the request names by its id or by its name.
    Namespace {
        /// Its id as far as there is one that the caller reaches, else what was sent: this counts.
        id: &'a str,
        /// What was sent: this is printed, if it has the form of an id.
        sent: &'a str,
    },
    /// The root key that the request names.
    RootKey(&'a RootKeyId),
}

impl On<'_> {
    fn id_for(&self, action: Action) -> Option<&str> {
        match self {
            Self::Api(id) | Self::ApiOf(id) if action.resource() == Resource::Api => Some(id.as_str()),
            Self::Identity { id, .. } if action.resource() == Resource::Identity => Some(id),
            Self::Namespace { id, .. } if action.resource() == Resource::Ratelimit => Some(id),
            Self::RootKey(id) if action.resource() == Resource::RootKey => Some(id.as_str()),
            Self::Any
            | Self::Api(_)
            | Self::ApiOf(_)
            | Self::Identity { .. }
            | Self::Namespace { .. }
            | Self::RootKey(_) => None,
        }
    }

    fn counted_id_for(&self, action: Action) -> Option<&str> {
        let id = self.id_for(action).filter(|id| grants::is_id(id))?;
        let exists = match self {
            // What was sent may be no id.
            Self::Identity { .. } => IdentityId::has_form(id),
            Self::Namespace { .. } => NamespaceId::has_form(id),
            Self::Any | Self::Api(_) | Self::ApiOf(_) | Self::RootKey(_) => true,
        };
        exists.then_some(id)
    }

    fn printed_id_for(&self, action: Action) -> Option<&str> {
        match self {
            // What no tuple can name is no alternative, and may be anything of any length.
            Self::Api(_) | Self::RootKey(_) => self.id_for(action).filter(|id| grants::is_id(id)),
            // No grant names an external id.
            Self::Identity { sent, .. } => {
                self.id_for(action).and(Some(*sent)).filter(|sent| IdentityId::has_form(sent))
            }
            // Nor the name of a namespace.
            Self::Namespace { sent, .. } => {
                self.id_for(action).and(Some(*sent)).filter(|sent| NamespaceId::has_form(sent))
            }
            Self::Any | Self::ApiOf(_) => None,
        }
    }
}

/// Leave to write in one workspace. Only [`Caller`] and the operator's command line make one.
#[derive(Debug)]
pub struct Permit {
    workspace: WorkspaceId,
}

impl Permit {
    /// The workspace that may be written.
    #[must_use]
    pub fn workspace(&self) -> &WorkspaceId {
        &self.workspace
    }

    /// The operator's: whoever holds the database's password may do anything (`cli` and bootstrap only).
    #[must_use]
    pub fn of_operator(workspace: WorkspaceId) -> Self {
        Self { workspace }
    }
}

impl Caller {
    /// Leave for the operation on something (rules 1 and 2 of "Who may know what").
    ///
    /// # Errors
    /// `insufficient_permissions`, naming everything that is missing.
    pub fn permit(&self, on: On<'_>) -> Result<Permit> {
        self.permit_also(on, &[])
    }

    /// Leave for the operation and for further actions that its row lists under `also`.
    ///
    /// # Errors
    /// `insufficient_permissions`, naming everything that is missing.
    pub fn permit_also(&self, on: On<'_>, also: &[Action]) -> Result<Permit> {
        self.permit_each(&[on], also)
    }

    /// Leave for the operation on each of several things, and for further actions that its row lists under `also`.
    ///
    /// # Errors
    /// `insufficient_permissions`, naming everything that is missing.
    pub fn permit_each(&self, on: &[On<'_>], also: &[Action]) -> Result<Permit> {
        self.listed(also)?;
        self.judge(also, |_, action| on.iter().all(|on| self.holds(action, *on)))
            .map_err(|unheld| self.denied(also, &unheld, on))?;
        Ok(Permit { workspace: self.workspace.clone() })
    }

    fn holds(&self, action: Action, on: On<'_>) -> bool {
        match on.id_for(action) {
            Some(id) => self.grants.on(action, id),
            None => self.grants.everywhere(action),
        }
    }

    /// Refuses a caller who holds a needed action for no resource at all, before anything is looked up (rule 1).
    ///
    /// # Errors
    /// `insufficient_permissions`, naming everything that is missing.
    pub fn somewhere(&self, also: &[Action]) -> Result<()> {
        self.listed(also)?;
        let held = |grants: &Grants, action: Action| match action.resource() {
            // There is no single one of these: an id in a grant means nothing.
            Resource::Rbac | Resource::Decision | Resource::AuditLog => grants.everywhere(action),
            Resource::Api | Resource::Identity | Resource::Ratelimit | Resource::Portal | Resource::RootKey => {
                grants.anywhere(action)
            }
        };
        self.judge(also, held).map_err(|unheld| {
            let mut error = self.denied(also, &unheld, &[On::Any]);
            if let Some(lack) = &mut error.lack {
                lack.needs = self.needed_somewhere(also);
            }
            error
        })
    }

    /// All that [`Self::permit_each`] needs, with what of it is held.
    #[must_use]
    pub fn needed(&self, on: &[On<'_>], also: &[Action]) -> Vec<Need> {
        self.needs.iter().chain(also).map(|action| self.need(*action, on)).collect()
    }

    /// All that [`Self::somewhere`] needs, with what of it is held.
    #[must_use]
    pub fn needed_somewhere(&self, also: &[Action]) -> Vec<Need> {
        let single = |need: &Need| {
            let resource = need.everywhere.split('.').next().unwrap_or_default();
            ![Resource::Rbac, Resource::Decision, Resource::AuditLog].iter().any(|none| none.name() == resource)
        };
        let needs = self.needed(&[On::Any], also);
        needs.into_iter().map(|need| Need { any: single(&need), ..need }).collect()
    }

    /// Leave for the operation on something *inside* an API that the request did not name (rule 3): what the caller may
    /// neither act on nor read does not exist for it.
    ///
    /// # Errors
    /// `hidden` when it may not even be read, `insufficient_permissions` when it may be read.
    pub fn permit_inside(
        &self,
        api: &ApiId,
        also: &[Action],
        read: Action,
        hidden: impl Fn() -> Error,
    ) -> Result<Permit> {
        // What is about no single API tells nothing of this one.
        let acts =
            self.needs.iter().any(|action| action.resource() == Resource::Api && self.grants.on(*action, api.as_str()));
        if !acts && !self.grants.on(read, api.as_str()) {
            return Err(hidden());
        }
        self.permit_also(On::ApiOf(api), also)
    }

    /// Leave for the operation on something that the request names and that is itself the resource (rule 3): what the
    /// caller may neither act on nor read does not exist for it.
    ///
    /// # Errors
    /// `hidden` when it may not even be read, `insufficient_permissions` when it may be read.
    pub fn permit_visible(&self, on: On<'_>, read: Action, hidden: impl Fn() -> Error) -> Result<Permit> {
        if !self.needs.iter().any(|action| self.holds(*action, on)) && !self.holds(read, on) {
            return Err(hidden());
        }
        self.permit(on)
    }

    /// Whether one action is held for one API.
    #[must_use]
    pub fn covers(&self, action: Action, api: &ApiId) -> bool {
        self.grants.on(action, api.as_str())
    }

    /// The APIs that one action is held for; `None` is all of them.
    #[must_use]
    pub fn covered(&self, action: Action) -> Option<Vec<ApiId>> {
        let ids = || self.grants.ids(action).into_iter().map(ApiId::from_text).collect();
        (!self.grants.everywhere(action)).then(ids)
    }

    /// Whether everything that the operation needs of identities is held for this one.
    #[must_use]
    pub fn reaches(&self, identity: &IdentityId) -> bool {
        self.holds_needed(Resource::Identity, identity.as_str())
    }

    /// Whether everything that the operation needs of namespaces is held for this one.
    #[must_use]
    pub fn reaches_namespace(&self, namespace: &NamespaceId) -> bool {
        self.holds_needed(Resource::Ratelimit, namespace.as_str())
    }

    fn holds_needed(&self, resource: Resource, id: &str) -> bool {
        let needed = self.needs.iter().filter(|action| action.resource() == resource);
        needed.into_iter().all(|action| self.grants.on(*action, id))
    }

    /// The row of an operation lists whatever it may ever ask for, so that the table tells the whole truth.
    fn listed(&self, also: &[Action]) -> Result<()> {
        match also.iter().find(|action| !self.also.contains(action)) {
            Some(action) => {
                Err(Error::unexpected(format!("{} asks for {action:?}, which its row does not list", self.operation)))
            }
            None => Ok(()),
        }
    }

    fn judge(&self, also: &[Action], held: impl Fn(&Grants, Action) -> bool) -> Result<(), Vec<Action>> {
        let unheld: Vec<_> =
            self.needs.iter().chain(also).copied().filter(|action| !held(&self.grants, *action)).collect();
        if unheld.is_empty() { Ok(()) } else { Err(unheld) }
    }

    /// What counts for one action: for the record, so every id that a tuple can name.
    fn need(&self, action: Action, on: &[On<'_>]) -> Need {
        let tuples = on.iter().map(|on| on.counted_id_for(action).map(|id| action.on(id)));
        let concrete = tuples.collect::<Option<BTreeSet<_>>>().unwrap_or_default();
        self.grants.need(action, concrete.into_iter().collect())
    }

    fn denied(&self, also: &[Action], unheld: &[Action], on: &[On<'_>]) -> Error {
        // An action for every resource, or for each of those that were sent, if their ids may be printed.
        let alternatives = |action: Action, of: &[On<'_>]| {
            let concrete: Option<BTreeSet<_>> =
                of.iter().map(|on| on.printed_id_for(action).map(|id| action.on(id))).collect();
            let concrete = concrete.filter(|tuples| !tuples.is_empty()).map(Vec::from_iter);
            std::iter::once(vec![action.on("*")]).chain(concrete).collect::<Vec<_>>()
        };
        let mut required = vec![Vec::new()];
        for action in self.needs.iter().chain(also) {
            required = required
                .iter()
                .flat_map(|set: &Vec<String>| {
                    alternatives(*action, on).into_iter().map(|tuples| set.iter().cloned().chain(tuples).collect())
                })
                .collect();
        }
        let lacking: Vec<_> = unheld
            .iter()
            .map(|action| {
                let without: Vec<_> = on.iter().copied().filter(|on| !self.holds(*action, *on)).collect();
                alternatives(*action, &without)
            })
            .collect();
        let missing = lacking.iter().flat_map(|sets| sets.last().cloned().unwrap_or_default()).collect();
        let lacking: Vec<_> = lacking.iter().map(|sets| either(sets)).collect();
        let lacking = match lacking.as_slice() {
            [one] => one.clone(),
            several => several.iter().map(|one| format!("({one})")).collect::<Vec<_>>().join(" and "),
        };
        let mut error = Error::new(
            Code::InsufficientPermissions,
            format!(
                "The authenticated API key does not have permission to perform this operation ({}): it lacks {lacking}.",
                self.operation
            ),
        );
        let needs = self.needed(on, also);
        error.lack = Some(Box::new(Lack { required, missing, needs }));
        error.refusing(Refusal::Lacks)
    }
}

/// Alternative sets of tuples as a sentence says them.
fn either(sets: &[Vec<String>]) -> String {
    let all = |set: &Vec<String>| {
        let quoted: Vec<_> = set.iter().map(|tuple| format!("'{tuple}'")).collect();
        if let [one] = quoted.as_slice() { one.clone() } else { format!("({})", quoted.join(" and ")) }
    };
    sets.iter().map(all).collect::<Vec<_>>().join(" or ")
}

#[cfg(test)]
mod tests {
    use super::Caller;
    use super::On;
    use crate::authz::action::Action;
    use crate::authz::grants::Grants;
    use crate::model::code::Code;
    use crate::model::error::Error;
    use crate::model::id::ApiId;
    use crate::model::id::IdentityId;
    use crate::model::id::NamespaceId;
    use crate::model::id::RootKeyId;
    use crate::model::id::WorkspaceId;
    use std::sync::Arc;

    fn caller(tuples: &[&str]) -> Caller {
        Caller {
            root_key: RootKeyId::generate(),
            workspace: WorkspaceId::generate(),
            grants: Arc::new(Grants::of(&tuples.iter().map(ToString::to_string).collect::<Vec<_>>())),
            operation: "keys.createKey",
            needs: &[Action::CreateKey],
            also: &[Action::EncryptKey],
        }
    }

    #[test]
    fn a_denial_names_everything_that_is_missing() {
        let api = ApiId::from_text("api_123");
        let error = caller(&["api.*.read_key"]).permit_also(On::Api(&api), &[Action::EncryptKey]).unwrap_err();
        assert_eq!(error.code, Code::InsufficientPermissions);
        assert!(
            error.detail.starts_with("The authenticated API key does not have permission to perform this operation")
        );
        let lack = error.lack.unwrap();
        assert_eq!(lack.missing, ["api.api_123.create_key", "api.api_123.encrypt_key"]);
        assert_eq!(lack.required.len(), 4);
        for tuple in lack.required.iter().flatten() {
            assert!(error.detail.contains(tuple), "{tuple}");
        }
    }

    #[test]
    fn what_is_held_plus_missing_suffices() {
        let api = ApiId::from_text("api_1");
        let mut held = vec!["api.api_1.encrypt_key".to_owned()];
        let error = caller(&["api.api_1.encrypt_key"]).permit_also(On::Api(&api), &[Action::EncryptKey]).unwrap_err();
        held.extend(error.lack.unwrap().missing);
        let held: Vec<_> = held.iter().map(String::as_str).collect();
        assert!(caller(&held).permit_also(On::Api(&api), &[Action::EncryptKey]).is_ok());
    }

    #[test]
    fn what_may_not_be_read_does_not_exist() {
        let (own, foreign) = (ApiId::from_text("api_1"), ApiId::from_text("api_2"));
        let hidden = || Error::new(Code::KeyNotFound, "");
        let code = |tuples: &[&str], api: &ApiId| {
            caller(tuples).permit_inside(api, &[], Action::ReadKey, hidden).map_err(|error| error.code).err()
        };
        assert_eq!(code(&["api.api_1.create_key"], &own), None);
        assert_eq!(code(&["api.api_1.create_key"], &foreign), Some(Code::KeyNotFound));
        assert_eq!(
            code(&["api.api_1.create_key", "api.api_2.read_key"], &foreign),
            Some(Code::InsufficientPermissions)
        );
    }

    #[test]
    fn what_is_about_no_api_reveals_none() {
        let of_key = |tuples: &[&str]| Caller {
            operation: "keys.addRoles",
            needs: &[Action::UpdateKey, Action::AddRoleToKey],
            ..caller(tuples)
        };
        let api = ApiId::from_text("api_2");
        let hidden = || Error::new(Code::KeyNotFound, "");
        let code = |tuples: &[&str]| {
            let caller = of_key(tuples);
            let somewhere = caller.somewhere(&[]);
            somewhere.and_then(|()| caller.permit_inside(&api, &[], Action::ReadKey, hidden)).map_err(|e| e.code).err()
        };
        assert_eq!(code(&["api.api_1.update_key", "rbac.*.add_role_to_key"]), Some(Code::KeyNotFound));
        assert_eq!(code(&["api.api_2.update_key", "rbac.*.add_role_to_key"]), None);
        assert_eq!(code(&["api.api_2.update_key", "rbac.api_2.add_role_to_key"]), Some(Code::InsufficientPermissions));
        assert_eq!(code(&["api.api_1.update_key", "rbac.api_1.add_role_to_key"]), Some(Code::InsufficientPermissions));
    }

    #[test]
    fn ids_that_the_caller_did_not_send_are_not_printed() {
        let api = ApiId::from_text("api_secret");
        let error = caller(&["api.*.read_key"]).permit(On::ApiOf(&api)).unwrap_err();
        let lack = error.lack.unwrap();
        assert!(!format!("{} {:?} {:?}", error.detail, lack.required, lack.missing).contains("api_secret"));
        assert_eq!(lack.needs[0].missing(), ["api.api_secret.create_key"], "the record knows it");
    }

    #[test]
    fn what_no_permission_can_name_is_not_printed() {
        for text in ["a b", "api.1", "s3cret/", &"a".repeat(256)] {
            let error = caller(&[]).permit(On::Api(&ApiId::from_text(text))).unwrap_err();
            assert_eq!(error.lack.unwrap().required, [["api.*.create_key"]], "{text}");
            assert!(!error.detail.contains(text), "{}", error.detail);
        }
    }

    #[test]
    fn an_identity_is_printed_only_by_an_id_that_was_sent() {
        let id = IdentityId::generate();
        let mut caller = caller(&[]);
        caller.needs = &[Action::UpdateIdentity, Action::AddPermissionToKey];
        let lack = |sent: &str| caller.permit(On::Identity { id: id.as_str(), sent }).unwrap_err().lack.unwrap();
        let everywhere = ["identity.*.update_identity", "rbac.*.add_permission_to_key"];
        assert_eq!(lack("customer.42").required, [everywhere]);
        let by_id = lack(id.as_str());
        assert_eq!(by_id.required.len(), 2);
        assert_eq!(by_id.missing, [Action::UpdateIdentity.on(id.as_str()), everywhere[1].to_owned()]);
    }

    #[test]
    fn of_several_namespaces_each_that_is_not_covered_is_named() {
        let [covered, sent, other] = [(); 3].map(|()| NamespaceId::generate());
        let caller = Caller {
            operation: "ratelimit.multiLimit",
            needs: &[Action::Limit],
            also: &[],
            ..caller(&[Action::Limit.on(covered.as_str()).as_str()])
        };
        fn on<'a>(id: &'a NamespaceId, sent: &'a str) -> On<'a> {
            On::Namespace { id: id.as_str(), sent }
        }
        let denied = |on: &[On<'_>]| caller.permit_each(on, &[]).map_err(|error| *error.lack.unwrap()).err();
        assert_eq!(denied(&[on(&covered, "by name"), on(&covered, covered.as_str())]), None);

        let ids = [on(&covered, covered.as_str()), on(&other, other.as_str()), on(&sent, sent.as_str())];
        let all = [&covered, &sent, &other].map(|id| Action::Limit.on(id.as_str())).to_vec();
        let lack = denied(&ids).unwrap();
        assert_eq!(lack.required, [vec!["ratelimit.*.limit".to_owned()], all.clone()]);
        assert_eq!(lack.missing, all[1..]);

        // What was sent by name has no tuple that could be told.
        let lack = denied(&[on(&sent, sent.as_str()), on(&other, "name")]).unwrap();
        assert_eq!(
            (lack.required, lack.missing),
            (vec![vec!["ratelimit.*.limit".to_owned()]], vec!["ratelimit.*.limit".to_owned()])
        );
    }

    #[test]
    fn an_action_outside_the_row_is_a_bug() {
        let error = caller(&[]).permit_also(On::Any, &[Action::DeleteKey]).unwrap_err();
        assert_eq!(error.code, Code::UnexpectedError);
    }
}
