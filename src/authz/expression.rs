//! Permission queries of `verifyKey`: `a AND (b OR c)`. Lexer, depth-limited parser, evaluation (keys.md section 7).

use std::collections::BTreeSet;
use std::fmt;

/// Brackets inside brackets at most.
pub const MAX_DEPTH: usize = 64;
/// Longest query, characters (keys.md section 6).
pub const MAX_LENGTH: usize = 1000;

/// A parsed query.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Expression {
    /// Holding this slug, literally and case-sensitively.
    Permission(String),
    /// All of these.
    And(Vec<Expression>),
    /// Any of these.
    Or(Vec<Expression>),
}

/// What is wrong with a query, and where: a byte position from 0.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SyntaxError {
    /// In plain words, with the offending text.
    pub what: String,
    /// Where it begins.
    pub position: usize,
}

impl fmt::Display for SyntaxError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} at position {}", self.what, self.position)
    }
}

impl Expression {
    /// Reads a query.
    ///
    /// # Errors
    /// What is wrong, and where.
    pub fn parse(query: &str) -> Result<Self, SyntaxError> {
        let tokens = lex(query)?;
        let mut parser = Parser { tokens: &tokens, end: query.len() };
        let expression = parser.or(0)?;
        match parser.tokens.first() {
            None => Ok(expression),
            Some(token) => Err(token.unexpected("AND, OR or the end")),
        }
    }

    /// Whether somebody who holds these permissions satisfies the query.
    pub fn holds(&self, held: &impl Fn(&str) -> bool) -> bool {
        match self {
            Self::Permission(slug) => held(slug),
            Self::And(all) => all.iter().all(|one| one.holds(held)),
            Self::Or(any) => any.iter().any(|one| one.holds(held)),
        }
    }

    /// Every permission that it names, sorted, each once.
    #[must_use]
    pub fn permissions(&self) -> BTreeSet<&str> {
        match self {
            Self::Permission(slug) => BTreeSet::from([slug.as_str()]),
            Self::And(parts) | Self::Or(parts) => parts.iter().flat_map(Self::permissions).collect(),
        }
    }

    /// Permissions which, added to what is held, satisfy the query, none of them needless; sorted. Empty if the query is
    /// satisfied.
    pub fn missing(&self, held: &impl Fn(&str) -> bool) -> Vec<String> {
        let mut missing = self.candidates(held);
        missing.sort();
        missing.dedup();
        let mut index = 0;
        while let Some(candidate) = missing.get(index).cloned() {
            let others = |slug: &str| held(slug) || missing.iter().any(|other| other == slug && *other != candidate);
            if self.holds(&others) {
                missing.remove(index);
            } else {
                index += 1;
            }
        }
        missing
    }

    fn candidates(&self, held: &impl Fn(&str) -> bool) -> Vec<String> {
        match self {
            Self::Permission(slug) if held(slug) => Vec::new(),
            Self::Permission(slug) => vec![slug.clone()],
            Self::And(all) => all.iter().flat_map(|one| one.candidates(held)).collect(),
            Self::Or(any) => any.iter().map(|one| one.candidates(held)).min_by_key(Vec::len).unwrap_or_default(),
        }
    }
}

/// Prints with as few brackets as the precedence allows.
impl fmt::Display for Expression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let join = |f: &mut fmt::Formatter<'_>, parts: &[Self], word: &str, bracket: fn(&Self) -> bool| {
            for (index, part) in parts.iter().enumerate() {
                if index > 0 {
                    write!(f, " {word} ")?;
                }
                if bracket(part) { write!(f, "({part})")? } else { write!(f, "{part}")? }
            }
            Ok(())
        };
        match self {
            Self::Permission(slug) => f.write_str(slug),
            Self::And(all) => join(f, all, "AND", |part| !matches!(part, Self::Permission(_))),
            Self::Or(any) => join(f, any, "OR", |part| matches!(part, Self::Or(_))),
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Kind {
    Permission,
    And,
    Or,
    Open,
    Close,
}

#[derive(Clone, Debug)]
struct Token<'q> {
    kind: Kind,
    text: &'q str,
    position: usize,
}

impl Token<'_> {
    fn unexpected(&self, expected: &str) -> SyntaxError {
        SyntaxError { what: format!("found `{}` where {expected} was expected", self.text), position: self.position }
    }
}

fn lex(query: &str) -> Result<Vec<Token<'_>>, SyntaxError> {
    let of_permission = |c: char| c.is_ascii_alphanumeric() || "._-:*/".contains(c);
    let mut tokens = Vec::new();
    let mut rest = query;
    while let Some(first) = rest.chars().next() {
        let position = query.len() - rest.len();
        let length = if of_permission(first) {
            rest.find(|c| !of_permission(c)).unwrap_or(rest.len())
        } else {
            first.len_utf8()
        };
        let (text, after) = rest.split_at(length);
        rest = after;
        let kind = match first {
            ' ' | '\t' | '\r' | '\n' => continue,
            '(' => Kind::Open,
            ')' => Kind::Close,
            c if !of_permission(c) => {
                let what = format!("found the character `{}`, which no permission has,", c.escape_debug());
                return Err(SyntaxError { what, position });
            }
            _ if text.eq_ignore_ascii_case("and") => Kind::And,
            _ if text.eq_ignore_ascii_case("or") => Kind::Or,
            _ => Kind::Permission,
        };
        tokens.push(Token { kind, text, position });
    }
    Ok(tokens)
}

struct Parser<'t, 'q> {
    tokens: &'t [Token<'q>],
    end: usize,
}

impl Parser<'_, '_> {
    fn or(&mut self, depth: usize) -> Result<Expression, SyntaxError> {
        let mut any = vec![self.and(depth)?];
        while self.take(&Kind::Or) {
            any.push(self.and(depth)?);
        }
        Ok(single_or(any, Expression::Or))
    }

    fn and(&mut self, depth: usize) -> Result<Expression, SyntaxError> {
        let mut all = vec![self.primary(depth)?];
        while self.take(&Kind::And) {
            all.push(self.primary(depth)?);
        }
        Ok(single_or(all, Expression::And))
    }

    fn primary(&mut self, depth: usize) -> Result<Expression, SyntaxError> {
        const EXPECTED: &str = "a permission or `(`";
        let Some((token, rest)) = self.tokens.split_first() else {
            return Err(SyntaxError {
                what: format!("the query ends where {EXPECTED} was expected"),
                position: self.end,
            });
        };
        match token.kind {
            Kind::Permission => {
                self.tokens = rest;
                Ok(Expression::Permission(token.text.to_owned()))
            }
            Kind::Open if depth >= MAX_DEPTH => Err(SyntaxError {
                what: format!("more than {MAX_DEPTH} brackets inside each other"),
                position: token.position,
            }),
            Kind::Open => {
                self.tokens = rest;
                let inner = self.or(depth + 1)?;
                match self.tokens.first() {
                    _ if self.take(&Kind::Close) => Ok(inner),
                    Some(other) => Err(other.unexpected("AND, OR or `)`")),
                    None => {
                        Err(SyntaxError { what: "this bracket is not closed".to_owned(), position: token.position })
                    }
                }
            }
            Kind::And | Kind::Or | Kind::Close => Err(token.unexpected(EXPECTED)),
        }
    }

    fn take(&mut self, kind: &Kind) -> bool {
        match self.tokens.split_first() {
            Some((token, rest)) if token.kind == *kind => {
                self.tokens = rest;
                true
            }
            _ => false,
        }
    }
}

fn single_or(mut parts: Vec<Expression>, many: fn(Vec<Expression>) -> Expression) -> Expression {
    match parts.pop() {
        Some(only) if parts.is_empty() => only,
        last => {
            parts.extend(last);
            many(parts)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Expression;
    use super::MAX_DEPTH;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    fn holds(query: &str, held: &[&str]) -> bool {
        Expression::parse(query).unwrap().holds(&|slug| held.contains(&slug))
    }

    #[test]
    fn and_binds_tighter_than_or() {
        for (query, held, expected) in [
            ("a", &["a"][..], true),
            ("a OR b AND c", &["a"], true),
            ("a OR b AND c", &["b"], false),
            ("(a OR b) AND c", &["a"], false),
            ("(a)AND(b)", &["a", "b"], true),
            ("a and b", &["a", "b"], true),
            ("a\tOr\n b", &["b"], true),
            ("ANDROID.read", &["ANDROID.read"], true),
            ("or_x", &["or_x"], true),
            ("documents.*", &["documents.read"], false),
            ("documents.read", &["documents.*"], false),
            ("Docs.read", &["docs.read"], false),
            ("a/b", &["a/b"], true),
        ] {
            assert_eq!(holds(query, held), expected, "{query}");
        }
    }

    #[test]
    fn errors_say_what_and_where() {
        for (query, position, word) in [
            ("", 0, "ends"),
            ("   ", 3, "ends"),
            ("a AND", 5, "ends"),
            ("AND a", 0, "`AND`"),
            ("a OR OR b", 5, "`OR`"),
            ("()", 1, "`)`"),
            ("(a", 0, "not closed"),
            ("a)", 1, "`)`"),
            ("a b", 2, "`b`"),
            ("(a b)", 3, "`b`"),
            ("a & b", 2, "`&`"),
            ("é", 0, "`é`"),
            ("a,b", 1, "`,`"),
        ] {
            let error = Expression::parse(query).unwrap_err();
            assert_eq!(error.position, position, "{query}: {error}");
            assert!(error.what.contains(word), "{query}: {error}");
        }
    }

    #[test]
    fn depth_is_limited() {
        let nested = |depth: usize| format!("{}a{}", "(".repeat(depth), ")".repeat(depth));
        assert!(Expression::parse(&nested(MAX_DEPTH)).is_ok());
        assert_eq!(Expression::parse(&nested(MAX_DEPTH + 1)).unwrap_err().position, MAX_DEPTH);
    }

    fn expressions() -> impl Strategy<Value = Expression> {
        let leaf = "[a-e]{1,2}".prop_map(Expression::Permission);
        leaf.prop_recursive(4, 24, 4, |inner| {
            let parts = prop::collection::vec(inner, 2..4);
            prop_oneof![parts.clone().prop_map(Expression::And), parts.prop_map(Expression::Or)]
        })
    }

    /// Evaluates by definition, on the printed text's own structure.
    fn naive(expression: &Expression, held: &BTreeSet<String>) -> bool {
        match expression {
            Expression::Permission(slug) => held.contains(slug),
            Expression::And(all) => all.iter().filter(|one| !naive(one, held)).count() == 0,
            Expression::Or(any) => any.iter().filter(|one| naive(one, held)).count() > 0,
        }
    }

    proptest! {
        #[test]
        fn parsing_never_panics(query in any::<String>()) {
            let _ = Expression::parse(&query);
        }

        #[test]
        fn words_and_brackets_never_panic(query in "[ab()ANDOR ]{0,40}") {
            let _ = Expression::parse(&query);
        }

        #[test]
        fn print_and_parse_agree(expression in expressions(), held in prop::collection::btree_set("[a-e]{1,2}", 0..8)) {
            let again = Expression::parse(&expression.to_string()).unwrap();
            prop_assert_eq!(again.to_string(), expression.to_string());
            let expected = naive(&expression, &held);
            prop_assert_eq!(expression.holds(&|slug| held.contains(slug)), expected);
            prop_assert_eq!(again.holds(&|slug| held.contains(slug)), expected);
        }

        #[test]
        fn what_is_missing_suffices_and_nothing_of_it_is_needless(
            expression in expressions(), held in prop::collection::btree_set("[a-e]{1,2}", 0..8)
        ) {
            let missing = expression.missing(&|slug| held.contains(slug));
            let with = |leave_out: Option<&String>| {
                let more: BTreeSet<_> = missing.iter().filter(|slug| Some(*slug) != leave_out).cloned().collect();
                expression.holds(&|slug| held.contains(slug) || more.contains(slug))
            };
            prop_assert!(with(None));
            for slug in &missing {
                prop_assert!(!with(Some(slug)), "{} is needless", slug);
            }
            prop_assert_eq!(missing.is_empty(), naive(&expression, &held));
        }
    }
}
