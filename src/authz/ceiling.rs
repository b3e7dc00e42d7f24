//! The ceiling of minting: a root key gives away only what it holds itself, and for no longer than it lives itself.

use crate::authz::action::Action;
use crate::authz::grants;
use crate::authz::grants::Grants;
use crate::model::clock::Timestamp;
use crate::model::code::Code;
use crate::model::error::Error;
use crate::model::error::Lack;
use crate::model::error::Need;
use crate::model::error::Refusal;
use crate::model::error::Result;
use chrono::SecondsFormat;
use std::collections::BTreeSet;
use std::collections::HashSet;

/// What a root key may give away at most.
#[derive(Clone, Copy, Debug)]
pub struct Ceiling<'a> {
    /// The tuples that it holds.
    pub held: &'a [String],
    /// Its end.
    pub ends: Option<Timestamp>,
    /// The operation that is about to give something away.
    pub operation: &'static str,
    /// What that operation needs by itself.
    pub needs: &'static [Action],
}

/// What is about to be given away.
#[derive(Clone, Copy, Debug)]
pub struct Gift<'a> {
    /// Tuples that the other root key does not have yet.
    pub permissions: &'a [String],
    /// The end of the other root key.
    pub ends: Option<Timestamp>,
    /// Whether the caller knows the ids in the tuples: it sent them, or may read the root key that holds them. Otherwise
    /// a refusal prints `*` for them (decisions.md, rule 6).
    pub known: bool,
}

impl Ceiling<'_> {
    /// Refuses a gift beyond the ceiling.
    ///
    /// # Errors
    /// `insufficient_permissions`, missing exactly the tuples that exceed; then `forbidden` for a life that is too long.
    pub fn check(&self, gift: &Gift<'_>) -> Result<()> {
        let exceeding = exceeding(self.held, gift.permissions);
        if !exceeding.is_empty() {
            return Err(self.exceeded(gift, &exceeding));
        }
        if outlives(gift.ends, self.ends) {
            return Err(self.outlived(gift.ends));
        }
        Ok(())
    }

    fn exceeded(&self, gift: &Gift<'_>, exceeding: &[&str]) -> Error {
        let printed = |tuple: &str| if gift.known { tuple.to_owned() } else { everywhere(tuple) };
        let missing: BTreeSet<_> = exceeding.iter().map(|tuple| printed(tuple)).collect();
        let with_needs = |tuples: BTreeSet<String>| {
            let needs = self.needs.iter().map(|action| action.on("*"));
            needs.chain(tuples).collect::<BTreeSet<_>>().into_iter().collect::<Vec<_>>()
        };
        let as_given = with_needs(gift.permissions.iter().map(|tuple| printed(tuple)).collect());
        let by_star = with_needs(gift.permissions.iter().map(|tuple| everywhere(tuple)).collect());
        let mut required = vec![by_star];
        if !required.contains(&as_given) {
            required.push(as_given);
        }
        let named: Vec<_> = missing.iter().map(|tuple| format!("'{tuple}'")).collect();
        let mut error = Error::new(
            Code::InsufficientPermissions,
            format!(
                "The authenticated API key does not have permission to perform this operation ({}): a root key gives \
                 away only what it holds itself, and this one lacks {}.",
                self.operation,
                named.join(" and ")
            ),
        );
        let grants = Grants::of(self.held);
        // Those were found before: for what, nobody knows here.
        let own = self.needs.iter().map(|action| Need { any: true, ..grants.need(*action, Vec::new()) });
        let needs = own.chain(gift.permissions.iter().map(|tuple| need(&grants, tuple))).collect();
        error.lack = Some(Box::new(Lack { required, missing: missing.into_iter().collect(), needs }));
        error.refusing(Refusal::Exceeds)
    }

    fn outlived(&self, ends: Option<Timestamp>) -> Error {
        Error::new(
            Code::Forbidden,
            format!(
                "A root key gives no rights to one that outlives it: the root key of this request ends {}, the other \
                 one {}. Give the other one an earlier end, or use a root key that lives longer.",
                end(self.ends),
                end(ends)
            ),
        )
        .refusing(Refusal::Outlives { own: self.ends, other: ends })
    }
}

/// Of the tuples that are to be given away, those that are not covered by what is held: a concrete id is covered by
/// itself or `*`, and `*` only by `*`. A tuple that this version does not know is covered by itself alone.
#[must_use]
pub fn exceeding<'g>(held: &[String], given: &'g [String]) -> Vec<&'g str> {
    let literally: HashSet<_> = held.iter().collect();
    let grants = Grants::of(held);
    let covered = |tuple: &String| {
        literally.contains(tuple)
            || grants::parse(tuple).is_ok_and(|(action, id)| match id {
                "*" => grants.everywhere(action),
                id => grants.on(action, id),
            })
    };
    given.iter().filter(|tuple| !covered(tuple)).map(String::as_str).collect()
}

fn need(held: &Grants, tuple: &str) -> Need {
    match grants::parse(tuple) {
        Ok((action, "*")) => held.need(action, Vec::new()),
        Ok((action, _)) => held.need(action, vec![tuple.to_owned()]),
        // Only itself covers it.
        Err(_) => Need { everywhere: tuple.to_owned(), concrete: Vec::new(), any: false, held: Vec::new() },
    }
}

/// Whether a life with this end goes on after another one; `None` never ends.
#[must_use]
pub fn outlives(ends: Option<Timestamp>, other: Option<Timestamp>) -> bool {
    match (ends, other) {
        (_, None) => false,
        (None, Some(_)) => true,
        (Some(ends), Some(other)) => ends > other,
    }
}

/// The tuple for every resource.
fn everywhere(tuple: &str) -> String {
    grants::parse(tuple).map_or_else(|_| tuple.to_owned(), |(action, _)| action.on("*"))
}

fn end(at: Option<Timestamp>) -> String {
    at.map_or_else(|| "never".to_owned(), |at| format!("at {}", at.to_rfc3339_opts(SecondsFormat::Millis, true)))
}

#[cfg(test)]
mod tests {
    use super::Ceiling;
    use super::Gift;
    use super::exceeding;
    use super::outlives;
    use crate::authz::action::Action;
    use crate::authz::grants::Grants;
    use crate::model::clock::Timestamp;
    use crate::model::code::Code;
    use chrono::DateTime;
    use proptest::prelude::*;

    fn texts(tuples: &[&str]) -> Vec<String> {
        tuples.iter().map(ToString::to_string).collect()
    }

    fn at(ms: i64) -> Option<Timestamp> {
        DateTime::from_timestamp_millis(ms)
    }

    fn ceiling(held: &[String]) -> Ceiling<'_> {
        Ceiling { held, ends: at(1000), operation: "rootKeys.createKey", needs: &[Action::CreateRootKey] }
    }

    #[test]
    fn a_concrete_id_is_covered_by_itself_or_all_and_all_only_by_all() {
        let cases: &[(&[&str], &[&str], &[&str])] = &[
            (&[], &[], &[]),
            (&["api.*.read_key"], &["api.*.read_key", "api.api_1.read_key"], &[]),
            (
                &["api.api_1.read_key"],
                &["api.api_1.read_key", "api.api_2.read_key", "api.*.read_key"],
                &["api.api_2.read_key", "api.*.read_key"],
            ),
            (&["api.*.read_key"], &["api.*.update_key"], &["api.*.update_key"]),
            // The same word is another action in another resource.
            (&["api.*.read_analytics"], &["ratelimit.*.read_analytics"], &["ratelimit.*.read_analytics"]),
            // What looks like a wildcard and is none covers nothing but itself.
            (&["*", "api.*", "api.*.*"], &["api.*.read_key", "api.*.*"], &["api.*.read_key"]),
        ];
        for (held, given, exceed) in cases {
            assert_eq!(exceeding(&texts(held), &texts(given)), *exceed, "{held:?} gives {given:?}");
        }
    }

    #[test]
    fn a_life_may_end_with_the_callers_and_not_after() {
        assert!(!outlives(at(1000), at(1000)) && outlives(at(1001), at(1000)) && outlives(None, at(1000)));
        assert!(!outlives(None, None) && !outlives(at(1), None));
        let error = ceiling(&[]).check(&Gift { permissions: &[], ends: None, known: true }).unwrap_err();
        assert_eq!(error.code, Code::Forbidden);
        assert!(error.detail.contains("ends at 1970-01-01T00:00:01.000Z") && error.detail.contains("one never"));
    }

    #[test]
    fn ids_that_the_caller_does_not_know_are_not_printed() {
        let (held, given) = (texts(&["api.api_1.read_key"]), texts(&["api.api_2.read_key", "api.api_1.read_key"]));
        let lack = |known| {
            let error = ceiling(&held).check(&Gift { permissions: &given, ends: at(1), known }).unwrap_err();
            assert!(known || !error.detail.contains("api_2"), "{}", error.detail);
            *error.lack.unwrap()
        };
        assert_eq!(lack(true).missing, ["api.api_2.read_key"]);
        assert_eq!(
            lack(true).required,
            [
                texts(&["api.*.read_key", "root_key.*.create_root_key"]),
                texts(&["api.api_1.read_key", "api.api_2.read_key", "root_key.*.create_root_key"]),
            ]
        );
        assert_eq!(lack(false).missing, ["api.*.read_key"]);
        assert_eq!(lack(false).required.len(), 1);
    }

    const ACTIONS: [Action; 3] = [Action::ReadKey, Action::UpdateKey, Action::CreateRootKey];
    const IDS: [&str; 4] = ["*", "a", "b", "c"];

    fn tuples() -> impl Strategy<Value = Vec<String>> {
        let tuple = (0..ACTIONS.len(), 0..IDS.len()).prop_map(|(action, id)| ACTIONS[action].on(IDS[id]));
        proptest::collection::vec(tuple, 0..8)
    }

    proptest! {
        #[test]
        fn covered_means_that_the_caller_passes_every_check_that_the_new_key_passes(held in tuples(), given in tuples()) {
            let (caller, new) = (Grants::of(&held), Grants::of(&given));
            // `d` is a resource that no tuple names.
            let passes_all = ACTIONS.iter().all(|action| {
                let on = ["a", "b", "c", "d"].iter().all(|id| !new.on(*action, id) || caller.on(*action, id));
                let everywhere = !new.everywhere(*action) || caller.everywhere(*action);
                on && everywhere && (!new.anywhere(*action) || caller.anywhere(*action))
            });
            prop_assert_eq!(exceeding(&held, &given).is_empty(), passes_all);
        }

        #[test]
        fn with_what_is_missing_the_gift_is_allowed(held in tuples(), given in tuples(), known: bool) {
            let gift = Gift { permissions: &given, ends: at(1), known };
            if let Err(error) = ceiling(&held).check(&gift) {
                let lack = error.lack.unwrap();
                let more: Vec<_> = held.iter().chain(&lack.missing).cloned().collect();
                prop_assert!(ceiling(&more).check(&gift).is_ok());
                for set in &lack.required {
                    prop_assert!(ceiling(set).check(&gift).is_ok());
                }
            }
        }

        #[test]
        fn gifts_of_gifts_stay_below_the_first_ceiling(held in tuples(), given in tuples(), further in tuples()) {
            if exceeding(&held, &given).is_empty() && exceeding(&given, &further).is_empty() {
                prop_assert!(exceeding(&held, &further).is_empty());
            }
        }
    }
}
