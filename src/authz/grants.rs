//! What a root key holds: literal tuples `resource.id.action` (decisions.md #22).

use crate::authz::action::Action;
use crate::model::error::Need;
use std::collections::BTreeSet;
use std::collections::HashMap;
use std::collections::HashSet;

/// Longest id in a tuple.
const MAX_ID_LENGTH: usize = 255;
/// Tuples that a record shows of an action and that do not count, at most.
const MAX_OTHERS: usize = 10;
/// Most tuples of one root key.
pub const MAX_GRANTS: usize = 1000;

/// A set of tuples, ready to be asked.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Grants {
    everywhere: HashSet<Action>,
    somewhere: HashMap<Action, HashSet<String>>,
}

impl Grants {
    /// Reads tuples that were checked when they were minted. What this version does not know grants nothing.
    #[must_use]
    pub fn of(tuples: &[String]) -> Self {
        let mut grants = Self::default();
        for (action, id) in tuples.iter().filter_map(|tuple| parse(tuple).ok()) {
            if id == "*" {
                grants.everywhere.insert(action);
            } else {
                grants.somewhere.entry(action).or_default().insert(id.to_owned());
            }
        }
        grants
    }

    /// Whether an action is held for every resource.
    #[must_use]
    pub fn everywhere(&self, action: Action) -> bool {
        self.everywhere.contains(&action)
    }

    /// Whether an action is held for this resource, by `*` or by its id.
    #[must_use]
    pub fn on(&self, action: Action, id: &str) -> bool {
        self.everywhere(action) || self.somewhere.get(&action).is_some_and(|ids| ids.contains(id))
    }

    /// The ids that an action is held for one by one, in order.
    #[must_use]
    pub fn ids(&self, action: Action) -> BTreeSet<&str> {
        self.somewhere.get(&action).into_iter().flatten().map(String::as_str).collect()
    }

    /// Whether what a tuple names is held.
    #[must_use]
    pub fn hold(&self, tuple: &str) -> bool {
        parse(tuple).is_ok_and(|(action, id)| if id == "*" { self.everywhere(action) } else { self.on(action, id) })
    }

    /// What is needed of an action, with the tuples of it that are held: those that count first, of the others some.
    #[must_use]
    pub fn need(&self, action: Action, concrete: Vec<String>) -> Need {
        let everywhere = action.on("*");
        let of_ids: Vec<_> = self.ids(action).into_iter().map(|id| action.on(id)).collect();
        let counting = of_ids.iter().filter(|tuple| concrete.contains(tuple));
        let others = of_ids.iter().filter(|tuple| !concrete.contains(tuple)).take(MAX_OTHERS);
        let all = self.everywhere(action).then_some(&everywhere);
        let held = all.into_iter().chain(counting).chain(others).cloned().collect();
        Need { everywhere, concrete, any: false, held }
    }

    /// Whether an action is held for any resource at all.
    #[must_use]
    pub fn anywhere(&self, action: Action) -> bool {
        self.everywhere(action) || self.somewhere.contains_key(&action)
    }
}

/// What is wrong with tuples that were to be minted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// Which of them, from 0; `None` for all together.
    pub index: Option<usize>,
    /// A sentence that names it.
    pub message: String,
}

/// Checks tuples that are about to be minted; the result is sorted and without repeats.
///
/// # Errors
/// A fault for each tuple that means nothing.
pub fn check(tuples: &[String]) -> Result<Vec<String>, Vec<Fault>> {
    let fault =
        |(index, tuple): (usize, &String)| parse(tuple).err().map(|message| Fault { index: Some(index), message });
    let faults: Vec<_> = tuples.iter().enumerate().filter_map(fault).collect();
    if !faults.is_empty() {
        return Err(faults);
    }
    let sorted: BTreeSet<_> = tuples.iter().cloned().collect();
    if sorted.len() > MAX_GRANTS {
        let message = format!("{} permissions are given, {MAX_GRANTS} are the most", sorted.len());
        return Err(vec![Fault { index: None, message }]);
    }
    Ok(sorted.into_iter().collect())
}

/// The action and the id of a tuple.
///
/// # Errors
/// A sentence about a tuple that means nothing.
pub(in crate::authz) fn parse(tuple: &str) -> Result<(Action, &str), String> {
    let mut parts = tuple.split('.');
    let (Some(resource), Some(id), Some(name), None) = (parts.next(), parts.next(), parts.next(), parts.next()) else {
        return Err(format!("'{tuple}' is not of the form resource.id.action, like api.*.create_key"));
    };
    let action = Action::find(resource, name).ok_or_else(|| unknown(tuple, resource, name))?;
    if id == "*" || is_id(id) {
        Ok((action, id))
    } else {
        Err(format!("'{tuple}' has '{id}' where * or an id belongs"))
    }
}

/// Whether a tuple can name this id.
pub(in crate::authz) fn is_id(text: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-';
    (1..=MAX_ID_LENGTH).contains(&text.len()) && text.bytes().all(plain)
}

fn unknown(tuple: &str, resource: &str, name: &str) -> String {
    let actions: Vec<_> =
        Action::ALL.iter().filter(|action| action.resource().name() == resource).map(|action| action.name()).collect();
    if actions.is_empty() {
        let resources: BTreeSet<_> = Action::ALL.iter().map(|action| action.resource().name()).collect();
        let resources = resources.into_iter().collect::<Vec<_>>().join(", ");
        format!("'{tuple}' names the unknown resource '{resource}'; there are {resources}")
    } else {
        format!("'{tuple}' names the unknown action '{name}'; {resource} has {}", actions.join(", "))
    }
}

#[cfg(test)]
mod tests {
    use super::Grants;
    use super::check;
    use crate::authz::action::Action;
    use proptest::prelude::*;

    fn grants(tuples: &[&str]) -> Grants {
        Grants::of(&tuples.iter().map(ToString::to_string).collect::<Vec<_>>())
    }

    #[test]
    fn only_literal_tuples_grant() {
        let held = grants(&[
            "api.*.create_key",
            "api.api_1.read_key",
            "*",
            "api.*",
            "api.*.*",
            "API.*.delete_key",
            "nonsense",
        ]);
        assert!(held.on(Action::CreateKey, "api_9") && held.everywhere(Action::CreateKey));
        assert!(held.on(Action::ReadKey, "api_1") && held.anywhere(Action::ReadKey));
        assert!(!held.on(Action::ReadKey, "api_2") && !held.everywhere(Action::ReadKey));
        assert!(!held.anywhere(Action::DeleteKey) && !held.anywhere(Action::VerifyKey));
    }

    #[test]
    fn every_documented_tuple_can_be_minted() {
        for action in Action::ALL {
            assert!(check(&[action.on("*"), action.on("api_123")]).is_ok());
        }
    }

    #[test]
    fn meaningless_tuples_are_refused_by_name() {
        for tuple in [
            "",
            "*",
            "api.*",
            "api.*.*",
            "api.*.fly",
            "boat.*.read_api",
            "api..read_api",
            "api.a b.read_api",
            "api.*.read_api.x",
        ] {
            let faults = check(&[tuple.to_owned()]).unwrap_err();
            assert!(
                faults.len() == 1 && faults[0].index == Some(0) && faults[0].message.contains(tuple),
                "{tuple}: {faults:?}"
            );
        }
    }

    proptest! {
        #[test]
        fn a_concrete_grant_never_reaches_another_resource(own in "[a-z0-9_]{1,12}", other in "[a-z0-9_]{1,12}", index in 0..Action::ALL.len()) {
            let action = Action::ALL[index];
            let held = Grants::of(&[action.on(&own)]);
            prop_assert_eq!(held.on(action, &other), own == other);
            for another in Action::ALL.iter().filter(|another| **another != action) {
                prop_assert!(!held.anywhere(*another));
            }
        }
    }
}
