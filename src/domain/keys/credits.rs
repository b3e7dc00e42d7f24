//! `keys.updateCredits`, and the rules on credits in requests (keys.md sections 4, 9 and 11, decisions.md #28, #29).

use crate::authz::caller::Caller;
use crate::authz::caller::Permit;
use crate::domain::keys;
use crate::model::audit::Changed;
use crate::model::audit::FieldChange;
use crate::model::clock::Timestamp;
use crate::model::credits::Credits;
use crate::model::credits::Refill;
use crate::model::error::Error;
use crate::model::error::Result;
use crate::model::id::KeyId;
use crate::model::id::WorkspaceId;
use crate::model::key::FullKey;
use crate::model::key::KeyChanges;
use crate::store;
use crate::store::tx::Tx;

/// Credits that a new key is given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NewCredits {
    /// The balance, 0 or more; `None` is unlimited.
    pub remaining: Option<i64>,
    /// Its refills.
    pub refill: Option<Refill>,
}

/// What shall change of a key's credits: `None` keeps, `Some(None)` clears.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CreditsChanges {
    /// The balance, 0 or more. Cleared, the key is unlimited and has no refills.
    pub remaining: Option<Option<i64>>,
    /// Its refills. A new schedule starts now.
    pub refill: Option<Option<Refill>>,
}

/// What `keys.updateCredits` does with the balance.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operation {
    /// Makes it the value, or the key unlimited where there is none. Refills that were due before are over.
    Set,
    /// Adds the value.
    Increment,
    /// Takes the value away, down to 0.
    Decrement,
}

/// Changes the balance of a key; answers what it has then, `None` if it is unlimited.
///
/// # Errors
/// `insufficient_permissions` or `key_not_found` by the rules of "Who may know what"; then `invalid_input` without a
/// number to add or take away, for an unlimited key, and for a balance beyond 2^63 - 1. Nothing is changed then.
pub fn update(
    tx: &mut Tx<'_>,
    caller: &Caller,
    id: &KeyId,
    operation: Operation,
    value: Option<i64>,
) -> Result<Option<Credits>> {
    let (FullKey { key, .. }, permit) = keys::lock(tx, caller, id)?;
    let before = store::credits::find_for_update(tx, &permit, &key.id)?;
    let settled = before.clone().map(|credits| credits.settled(tx.now()));
    let after = operation.applied(value, settled.clone(), || empty(&key.id, permit.workspace(), tx.now()))?;
    save(tx, &permit, &key.id, before, after.as_ref())?;
    let balance = told(&key.id, settled.as_ref(), after.as_ref());
    store::keys::update(tx, &permit, &key, &KeyChanges::default(), balance)?;
    Ok(after)
}

/// Makes the changes of `keys.updateKey` to a key that is locked. Whoever calls has [`CreditsChanges::check`]ed them, and
/// moves the key's `updatedAt` with an audit row that tells of what is answered.
///
/// # Errors
/// `invalid_input` for a refill on an unlimited key.
pub(super) fn change(
    tx: &mut Tx<'_>,
    permit: &Permit,
    key: &KeyId,
    changes: CreditsChanges,
) -> Result<Vec<FieldChange>> {
    if changes == CreditsChanges::default() {
        return Ok(Vec::new());
    }
    let before = store::credits::find_for_update(tx, permit, key)?;
    let settled = before.clone().map(|credits| credits.settled(tx.now()));
    let after = changes.applied(settled.clone(), || empty(key, permit.workspace(), tx.now()))?;
    save(tx, permit, key, before, after.as_ref())?;
    Ok(told(key, settled.as_ref(), after.as_ref()))
}

/// What the audit log tells of a balance: `null` is unlimited.
fn told(key: &KeyId, before: Option<&Credits>, after: Option<&Credits>) -> Vec<FieldChange> {
    let remaining = |credits: Option<&Credits>| credits.map(|credits| credits.remaining);
    let refill = |credits: Option<&Credits>| credits.and_then(Credits::refill);
    let amount = |credits: Option<&Credits>| refill(credits).map(|refill| refill.amount);
    let day = |credits: Option<&Credits>| refill(credits).and_then(|refill| refill.day);
    Changed::of(key)
        .nullable("credits", &remaining(before), Some(&remaining(after)))
        .nullable("refillAmount", &amount(before), Some(&amount(after)))
        .nullable("refillDay", &day(before), Some(&day(after)))
        .fields()
}

fn save(tx: &mut Tx<'_>, permit: &Permit, key: &KeyId, before: Option<Credits>, after: Option<&Credits>) -> Result<()> {
    match after {
        Some(after) => store::credits::set(tx, permit, after)?,
        None if before.is_some() => store::credits::clear(tx, permit, key)?,
        None => {}
    }
    Ok(())
}

impl NewCredits {
    /// Refuses refills without a balance.
    ///
    /// # Errors
    /// `invalid_input` at `<location>.refill`.
    pub(super) fn check(&self, location: &str) -> Result<()> {
        if self.remaining.is_none() && self.refill.is_some() { Err(nothing_to_refill(location)) } else { Ok(()) }
    }

    /// What is stored of them, which is nothing for an unlimited key.
    pub(super) fn of(self, key: &KeyId, workspace: &WorkspaceId, now: Timestamp) -> Option<Credits> {
        let remaining = self.remaining?;
        Some(with_refill(Credits { remaining, ..empty(key, workspace, now) }, self.refill))
    }
}

impl CreditsChanges {
    /// Refuses what contradicts itself, whatever the key has.
    ///
    /// # Errors
    /// `invalid_input` at `body.credits.refill`.
    pub(super) fn check(&self) -> Result<()> {
        match (self.remaining, self.refill) {
            (Some(None), Some(Some(_))) => Err(nothing_to_refill("body.credits")),
            _ => Ok(()),
        }
    }

    /// The credits after the changes: of `settled`, where all refills that are due are in the balance, or of a key that
    /// was unlimited and starts with none.
    fn applied(self, settled: Option<Credits>, none: impl Fn() -> Credits) -> Result<Option<Credits>> {
        let credits = match (self.remaining, settled) {
            (Some(None), _) => return Ok(None),
            (Some(Some(remaining)), settled) => Credits { remaining, ..settled.unwrap_or_else(none) },
            (None, Some(settled)) => settled,
            (None, None) if self.refill.flatten().is_some() => return Err(nothing_to_refill("body.credits")),
            (None, None) => return Ok(None),
        };
        Ok(Some(match self.refill {
            Some(refill) => with_refill(credits, refill),
            None => credits,
        }))
    }
}

impl Operation {
    /// The credits after the operation, as [`CreditsChanges::applied`].
    fn applied(
        self,
        value: Option<i64>,
        settled: Option<Credits>,
        none: impl Fn() -> Credits,
    ) -> Result<Option<Credits>> {
        let verb = match self {
            Self::Set => return CreditsChanges { remaining: Some(value), refill: None }.applied(settled, none),
            Self::Increment => "increment",
            Self::Decrement => "decrement",
        };
        let value = value.ok_or_else(|| {
            let message = format!("is needed for the operation `{verb}`");
            Error::invalid("body.value", message, Some("Send a number, 0 or more."))
        })?;
        let credits = settled.ok_or_else(|| {
            let fix = "Send the operation `set` with a value first, which makes the key limited.";
            Error::invalid("body.operation", format!("cannot {verb} the credits of an unlimited key"), Some(fix))
        })?;
        let remaining = match self {
            Self::Decrement => credits.remaining.saturating_sub(value).max(0),
            Self::Set | Self::Increment => credits.remaining.checked_add(value).ok_or_else(|| {
                let message = format!("takes the balance beyond {}", i64::MAX);
                Error::invalid("body.value", message, Some("Send less, or `set` the balance."))
            })?,
        };
        Ok(Some(Credits { remaining, ..credits }))
    }
}

/// No credits and no refills.
fn empty(key: &KeyId, workspace: &WorkspaceId, now: Timestamp) -> Credits {
    Credits {
        key_id: key.clone(),
        workspace_id: workspace.clone(),
        remaining: 0,
        refill_amount: None,
        refill_day: None,
        refilled_at: now,
    }
}

fn with_refill(credits: Credits, refill: Option<Refill>) -> Credits {
    Credits {
        refill_amount: refill.map(|refill| refill.amount),
        refill_day: refill.and_then(|refill| refill.day),
        ..credits
    }
}

fn nothing_to_refill(location: &str) -> Error {
    Error::invalid(
        format!("{location}.refill"),
        "is for a limited key, and this one is unlimited",
        Some("Set `credits.remaining` to a number too, or leave the refill out."),
    )
}

#[cfg(test)]
mod tests {
    use super::CreditsChanges;
    use super::Operation;
    use super::empty;
    use super::with_refill;
    use crate::model::credits::Credits;
    use crate::model::credits::Refill;
    use crate::model::error::Result;
    use crate::model::id::KeyId;
    use crate::model::id::WorkspaceId;
    use chrono::DateTime;
    use chrono::Duration;
    use proptest::prelude::Just;
    use proptest::prelude::Strategy;
    use proptest::prelude::any;
    use proptest::prop_assert;
    use proptest::prop_assert_eq;
    use proptest::prop_oneof;
    use proptest::proptest;

    fn none() -> Credits {
        empty(&KeyId::from_text("key_1"), &WorkspaceId::from_text("ws_1"), DateTime::UNIX_EPOCH)
    }

    fn credits(remaining: i64, refill: Option<Refill>) -> Credits {
        with_refill(Credits { remaining, refilled_at: DateTime::UNIX_EPOCH + Duration::days(9), ..none() }, refill)
    }

    /// Balance and schedule afterwards, or where the request is wrong.
    fn outcome(result: Result<Option<Credits>>) -> Result<Option<(i64, Option<Refill>)>, String> {
        let place = |error: crate::model::error::Error| error.violations.into_iter().next().unwrap().location;
        result.map(|credits| credits.map(|credits| (credits.remaining, credits.refill()))).map_err(place)
    }

    #[test]
    fn operations_hold_their_bounds() {
        use Operation::Decrement;
        use Operation::Increment;
        use Operation::Set;
        const MOST: i64 = i64::MAX;
        for (operation, before, value, after) in [
            (Set, None, None, Ok(None)),
            (Set, None, Some(0), Ok(Some(0))),
            (Set, Some(5), None, Ok(None)),
            (Set, Some(5), Some(MOST), Ok(Some(MOST))),
            (Increment, Some(5), Some(MOST - 5), Ok(Some(MOST))),
            (Increment, Some(5), Some(MOST - 4), Err("body.value")),
            (Increment, Some(5), None, Err("body.value")),
            (Increment, None, Some(0), Err("body.operation")),
            (Increment, None, None, Err("body.value")),
            (Decrement, Some(5), Some(4), Ok(Some(1))),
            (Decrement, Some(5), Some(5), Ok(Some(0))),
            (Decrement, Some(0), Some(MOST), Ok(Some(0))),
            (Decrement, Some(5), None, Err("body.value")),
            (Decrement, None, Some(1), Err("body.operation")),
        ] {
            let refill = Some(Refill { amount: 7, day: Some(31) });
            let kept = before.and(refill);
            let found = outcome(operation.applied(value, before.map(|remaining| credits(remaining, refill)), none));
            let after = after.map(|after| after.map(|remaining| (remaining, kept))).map_err(str::to_owned);
            assert_eq!(found, after, "{operation:?} {before:?} {value:?}");
        }
    }

    fn refills() -> impl Strategy<Value = Refill> {
        (1..=i64::MAX, prop_oneof![Just(None), (1..=31).prop_map(Some)])
            .prop_map(|(amount, day)| Refill { amount, day })
    }

    fn maybe<T: Clone + std::fmt::Debug + 'static>(
        some: impl Strategy<Value = T> + 'static,
    ) -> impl Strategy<Value = Option<T>> {
        prop_oneof![Just(None), some.prop_map(Some)]
    }

    proptest! {
        #[test]
        fn a_change_is_what_was_asked_for_and_an_unlimited_key_has_no_refills(
            before in maybe((0..=i64::MAX, maybe(refills()))),
            remaining in maybe(maybe(0..=i64::MAX)),
            refill in maybe(maybe(refills())),
        ) {
            let settled = before.map(|(remaining, refill)| credits(remaining, refill));
            let changes = CreditsChanges { remaining, refill };
            if changes.check().is_err() {
                prop_assert_eq!(remaining, Some(None));
                prop_assert!(refill.flatten().is_some());
                return Ok(());
            }
            let expected_remaining = remaining.unwrap_or(before.map(|(remaining, _)| remaining));
            let expected_refill = refill.unwrap_or(before.and_then(|(_, refill)| refill));
            match changes.applied(settled, none) {
                Ok(Some(after)) => {
                    prop_assert_eq!(Some(after.remaining), expected_remaining);
                    prop_assert_eq!(after.refill(), expected_refill);
                    // What was settled stays settled: no refill of before comes again.
                    let days = if before.is_some() { 9 } else { 0 };
                    prop_assert_eq!(after.refilled_at, DateTime::UNIX_EPOCH + Duration::days(days));
                }
                Ok(None) => prop_assert_eq!(expected_remaining, None),
                Err(error) => {
                    prop_assert_eq!(&error.violations[0].location, "body.credits.refill");
                    prop_assert!(expected_remaining.is_none() && refill.flatten().is_some());
                }
            }
        }

        #[test]
        fn no_operation_leaves_the_range_of_balances(
            before in 0..=i64::MAX,
            value in 0..=i64::MAX,
            up in any::<bool>(),
        ) {
            let operation = if up { Operation::Increment } else { Operation::Decrement };
            let exact = if up { i128::from(before) + i128::from(value) } else { i128::from(before) - i128::from(value) };
            match operation.applied(Some(value), Some(credits(before, None)), none) {
                Ok(after) => prop_assert_eq!(i128::from(after.unwrap().remaining), exact.max(0)),
                Err(_) => prop_assert!(exact > i128::from(i64::MAX)),
            }
        }
    }
}
