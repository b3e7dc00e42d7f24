//! Overrides of a namespace: which one applies to an identifier (ratelimit.md "Overrides", decisions.md #42). Pure.

use std::cmp::Reverse;

/// Stands for any run of characters of one line, also for none. Everything else in a pattern is literal.
pub const WILDCARD: char = '*';

/// The override that applies to an identifier: the one of exactly this text, or else of the patterns that match the one
/// with the most literal characters, of several such the first in the order of the bytes. It is the same on every node,
/// in whatever order the overrides come.
pub fn applying<'a, T>(overrides: &'a [T], text: impl Fn(&T) -> &str, identifier: &str) -> Option<&'a T> {
    let exact = overrides.iter().find(|one| text(one) == identifier);
    exact.or_else(|| {
        let patterns = overrides.iter().filter(|one| text(one).contains(WILDCARD) && matches(text(one), identifier));
        patterns.min_by(|a, b| rank(text(a)).cmp(&rank(text(b))))
    })
}

/// Whether a whole identifier is what a pattern describes. Takes time in proportion to both lengths.
#[must_use]
pub fn matches(pattern: &str, identifier: &str) -> bool {
    let mut literals = pattern.split(WILDCARD);
    let Some(mut rest) = literals.next().and_then(|first| identifier.strip_prefix(first)) else { return false };
    let Some(last) = literals.next_back() else { return rest.is_empty() };
    for literal in literals {
        // The first place is as good as any later one: what a later place leaves over is the end of what this one does,
        // and a line break between the two places would have to be in the literal itself, which then fits one place only.
        match rest.split_once(literal) {
            Some((gap, after)) if is_of_one_line(gap) => rest = after,
            Some(_) | None => return false,
        }
    }
    rest.strip_suffix(last).is_some_and(is_of_one_line)
}

fn is_of_one_line(gap: &str) -> bool {
    !gap.contains('\n')
}

fn rank(pattern: &str) -> (Reverse<usize>, &str) {
    (Reverse(pattern.chars().filter(|c| *c != WILDCARD).count()), pattern)
}

#[cfg(test)]
mod tests {
    use super::applying;
    use super::matches;
    use proptest::prelude::*;
    use std::time::Duration;
    use std::time::Instant;

    #[test]
    fn a_pattern_describes_the_whole_identifier() {
        for (pattern, identifier, expected) in [
            ("*", "", true),
            ("*", "anything at all 🔑", true),
            ("*", "two\nlines", false),
            ("**", "", true),
            ("***", "a", true),
            ("a*", "a", true),
            ("a*", "ab", true),
            ("a*", "ba", false),
            ("*a", "ba", true),
            ("*a", "ab", false),
            ("*@acme.com", "jane@acme.com", true),
            ("*@acme.com", "jane@acme.com.evil", false),
            ("*@acme.com", "jane@ACME.com", false),
            ("premium_*_eu", "premium__eu", true),
            ("premium_*_eu", "premium_1_eu", true),
            ("premium_*_eu", "premium_eu", false),
            ("a*b*c", "abc", true),
            ("a*b*c", "a-b-b-c", true),
            ("a*b*c", "a-c-b", false),
            ("a*bc*c", "abcbc", true),
            ("a*bc*c", "abc", false),
            ("*ab*ab*", "aba", false),
            ("*ab*ab*", "abab", true),
            // All that means something elsewhere is literal.
            ("a.c*", "abc", false),
            ("a.c*", "a.cd", true),
            ("a?*", "ab", false),
            ("[ab]*", "a", false),
            ("%*", "x", false),
            ("_*", "x", false),
            ("\\*", "\\x", true),
            ("a\\*", "a*", false),
            // A line break is only matched by a line break.
            ("a*b", "a\nb", false),
            ("a\n*b", "a\nb", true),
            ("*\n*", "x\ny", true),
            ("*\n*", "x\ny\nz", false),
            ("*a\na*", "a\na\na", false),
            ("*a*b", "a\na b", false),
            ("ä*ö", "äüö", true),
            ("no star", "no star", true),
            ("no star", "no stars", false),
            ("", "", true),
            ("", "a", false),
        ] {
            assert_eq!(matches(pattern, identifier), expected, "{pattern:?} and {identifier:?}");
        }
    }

    #[test]
    fn the_most_literal_pattern_applies_and_then_the_first_by_its_bytes() {
        let of = |overrides: &[&str], identifier: &str| {
            applying(overrides, |text| *text, identifier).map(ToString::to_string)
        };
        for (overrides, identifier, expected) in [
            (&["*", "user_1", "user_*"][..], "user_1", Some("user_1")),
            (&["*", "user_1", "user_*"], "user_2", Some("user_*")),
            (&["*", "user_1", "user_*"], "x", Some("*")),
            // The text of a pattern is an identifier like any other.
            (&["*", "user_*"], "user_*", Some("user_*")),
            (&["user_*", "*"], "*", Some("*")),
            (&["ab*", "a*b"], "ab", Some("a*b")),
            (&["*b", "a*"], "ab", Some("*b")),
            (&["a**", "a*"], "a", Some("a*")),
            // Characters count, not bytes.
            (&["ä*", "*bc"], "äbc", Some("*bc")),
            (&["other"], "x", None),
            (&["no\nmatch*"], "x", None),
            (&[], "x", None),
        ] {
            assert_eq!(of(overrides, identifier).as_deref(), expected, "{overrides:?} and {identifier:?}");
            let turned: Vec<_> = overrides.iter().rev().copied().collect();
            assert_eq!(of(&turned, identifier).as_deref(), expected, "{turned:?} and {identifier:?}");
        }
    }

    /// Tries every length of every gap.
    fn naive(pattern: &[char], text: &[char]) -> bool {
        match (pattern, text) {
            ([], text) => text.is_empty(),
            (['*', rest @ ..], text) => {
                naive(rest, text) || matches!(text, [first, after @ ..] if *first != '\n' && naive(pattern, after))
            }
            ([first, rest @ ..], [other, after @ ..]) => first == other && naive(rest, after),
            (_, []) => false,
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(20_000))]

        #[test]
        fn it_is_what_trying_everything_finds(pattern in "[ab*\n]{0,8}", text in "[ab\n]{0,10}") {
            let (p, t): (Vec<_>, Vec<_>) = (pattern.chars().collect(), text.chars().collect());
            prop_assert_eq!(matches(&pattern, &text), naive(&p, &t));
        }

        #[test]
        fn the_order_in_which_overrides_come_does_not_matter(
            mut overrides in prop::collection::hash_set("[ab*]{1,5}", 0..8).prop_map(Vec::from_iter).prop_shuffle(),
            text in "[ab]{0,6}",
        ) {
            let first = applying(&overrides, String::as_str, &text).cloned();
            overrides.sort();
            prop_assert_eq!(first.as_ref(), applying(&overrides, String::as_str, &text));
            let any = overrides.iter().any(|one| matches(one, &text));
            prop_assert_eq!(first.is_some(), any);
        }
    }

    #[test]
    fn no_pattern_makes_it_slow() {
        let begun = Instant::now();
        for _ in 0..100 {
            assert!(!matches(&"*a".repeat(256), &format!("{}b", "a".repeat(511))));
            assert!(!matches(&format!("*{}b*", "a".repeat(254)), &"a".repeat(512)));
        }
        // Backtracking would take longer than the world is old.
        assert!(begun.elapsed() < Duration::from_secs(5));
    }
}
