//! Rules on the rate limits that requests define (keys.md section 4, identities.md).

use crate::model::code::Code;
use crate::model::error::Error;
use crate::model::error::Result;
use crate::model::error::Violation;
use crate::model::rate_limit::Defined;
use std::collections::BTreeMap;
use std::collections::HashMap;

/// The definitions that count, sorted by name: of a name that comes more than once the last.
#[must_use]
pub fn last_of_each(defined: Vec<Defined>) -> Vec<Defined> {
    let by_name: BTreeMap<_, _> = defined.into_iter().map(|defined| (defined.name.clone(), defined)).collect();
    by_name.into_values().collect()
}

/// Refuses names that come more than once in `body.ratelimits`.
///
/// # Errors
/// `invalid_input`, each repetition at its place.
pub fn check_distinct(defined: &[Defined]) -> Result<()> {
    let mut first = HashMap::new();
    let mut repeated = Vec::new();
    for (index, defined) in defined.iter().enumerate() {
        let earlier = *first.entry(&defined.name).or_insert(index);
        if earlier != index {
            repeated.push(Violation {
                location: format!("body.ratelimits[{index}].name"),
                message: format!("repeats the name '{}' of body.ratelimits[{earlier}]", defined.name),
                fix: Some("Send each name once.".to_owned()),
            });
        }
    }
    let Some(one) = repeated.first() else { return Ok(()) };
    let mut error = Error::new(Code::InvalidInput, format!("{} {}. Nothing was changed.", one.location, one.message));
    error.violations = repeated;
    Err(error)
}

#[cfg(test)]
mod tests {
    use super::check_distinct;
    use super::last_of_each;
    use crate::model::rate_limit::Defined;

    fn defined(names: &[&str]) -> Vec<Defined> {
        let one = |(limit, name): (i64, &&str)| Defined {
            name: (*name).to_owned(),
            limit,
            duration_ms: 1000,
            auto_apply: false,
        };
        (1..).zip(names).map(one).collect()
    }

    #[test]
    fn of_each_name_the_last_definition_counts() {
        for (names, expected) in [
            (&[][..], &[][..]),
            (&["b", "a"], &[("a", 2), ("b", 1)]),
            (&["a", "b", "a"], &[("a", 3), ("b", 2)]),
            (&["a", "a", "a", "A"], &[("A", 4), ("a", 3)]),
        ] {
            let kept = last_of_each(defined(names));
            let kept: Vec<_> = kept.iter().map(|limit| (limit.name.as_str(), limit.limit)).collect();
            assert_eq!(kept, expected, "{names:?}");
        }
    }

    #[test]
    fn each_repetition_is_found_at_its_place() {
        for (names, expected) in [
            (&[][..], &[][..]),
            (&["a", "b", "A"], &[]),
            (&["a", "b", "a"], &["body.ratelimits[2].name"]),
            (
                &["a", "b", "a", "b", "a"],
                &["body.ratelimits[2].name", "body.ratelimits[3].name", "body.ratelimits[4].name"],
            ),
        ] {
            let places = check_distinct(&defined(names)).map_or_else(|error| error.violations, |()| Vec::new());
            let places: Vec<_> = places.iter().map(|violation| violation.location.as_str()).collect();
            assert_eq!(places, expected, "{names:?}");
        }
        let error = check_distinct(&defined(&["a", "b", "b"])).unwrap_err();
        assert!(error.detail.starts_with("body.ratelimits[2].name repeats the name 'b' of body.ratelimits[1]"));
    }
}
