//! The operations that a script calls: a curl script, a program with an SDK, or a list of names. Pure.

use crate::cli::permissions::needed::find;
use crate::http::operations::OPERATIONS;
use crate::http::operations::Operation;

/// The operations in a text, in its order.
///
/// # Errors
/// The line of one that does not exist, or that there is none at all.
pub(super) fn operations(text: &str) -> Result<Vec<&'static Operation>, String> {
    let mut found = Vec::new();
    for (number, line) in text.lines().enumerate().map(|(index, line)| (index.saturating_add(1), line.trim())) {
        if line.starts_with('#') {
            continue;
        }
        for word in line.split(|c: char| !c.is_ascii_alphanumeric() && !"_./".contains(c)) {
            let word = word.trim_end_matches('.');
            let named = named(word).or_else(|| is_a_name(word).then_some(word).filter(|word| *word == line));
            match named {
                Some(name) => found.push(find(name).map_err(|fault| format!("line {number}: {fault}"))?),
                None => found.extend(known(word)),
            }
        }
    }
    if found.is_empty() {
        return Err("no operation was found: neither a path like /v2/keys.verifyKey nor a name like it".to_owned());
    }
    Ok(found)
}

/// What stands where an operation's name does in a path: `/v2/keys.verifyKey`.
fn named(word: &str) -> Option<&str> {
    let mut parts = word.split('/');
    parts.find(|part| ["v1", "v2"].contains(part))?;
    parts.next().filter(|part| is_a_name(part))
}

fn is_a_name(word: &str) -> bool {
    let is_part = |part: &str| {
        part.starts_with(|c: char| c.is_ascii_lowercase()) && part.chars().all(|c| c.is_ascii_alphanumeric())
    };
    word.split_once('.').is_some_and(|(group, method)| is_part(group) && is_part(method))
}

/// The operation that a word ends with, as in `unkey.keys.verifyKey`.
fn known(word: &str) -> Option<&'static Operation> {
    let ends = |operation: &&Operation| {
        word.strip_suffix(operation.name).is_some_and(|before| before.is_empty() || before.ends_with('.'))
    };
    OPERATIONS.iter().find(ends)
}

#[cfg(test)]
mod tests {
    use super::operations;

    fn names(text: &str) -> Vec<&'static str> {
        operations(text).unwrap().into_iter().map(|operation| operation.name).collect()
    }

    #[test]
    fn paths_names_and_lists_are_found() {
        let script = r#"
            # keys.deleteKey is what we do not want, and neither is /v2/keys.nothing
            curl -sS "$URL/v2/apis.createApi" -d '{"name":"x"}' && curl http://h:1/v1/keys.createKey?x=1 -d "{}"
            curl "$URL/v2/$operation"; curl $URL/v2/liveness; call keys.verifyKey '{"key":"k"}' # in words: keys.whoami.
            const { data } = await unkey.keys.getKey({ keyId });
            notkeys.rerollKey keys.updateKeyring
        "#;
        assert_eq!(names(script), ["apis.createApi", "keys.createKey", "keys.verifyKey", "keys.whoami", "keys.getKey"]);
        assert_eq!(names("keys.createKey\n\n  keys.verifyKey \r\n"), ["keys.createKey", "keys.verifyKey"]);
        assert_eq!(names("https://keyward.example.com/v2/ratelimit.limit"), ["ratelimit.limit"]);
    }

    #[test]
    fn what_does_not_exist_is_refused_with_its_line() {
        for (text, line) in
            [("keys.createKey\nkeys.createkey", "line 2: "), ("x\ny\ncurl h/v2/keys.getkey", "line 3: ")]
        {
            let said = operations(text).unwrap_err();
            assert!(said.starts_with(line) && said.contains("did you mean keys."), "{said}");
        }
        assert!(operations("nothing to see").unwrap_err().starts_with("no operation"));
        assert!(operations("").is_err());
    }
}
