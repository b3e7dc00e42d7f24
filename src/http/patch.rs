//! Fields of three states: absent keeps, `null` clears, a value sets.

use serde::Deserialize;
use serde::Deserializer;

/// For `#[serde(default, deserialize_with = "patch::field")]`: absent is `None`, `null` is `Some(None)`.
///
/// # Errors
/// Those of the value.
pub fn field<'de, T: Deserialize<'de>, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Option<T>>, D::Error> {
    Option::deserialize(deserializer).map(Some)
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    #[derive(Deserialize)]
    struct Patch {
        #[serde(default, deserialize_with = "super::field")]
        name: Option<Option<String>>,
    }

    #[test]
    fn three_states_are_told_apart() {
        let name = |text: &str| serde_json::from_str::<Patch>(text).unwrap().name;
        assert_eq!(name("{}"), None);
        assert_eq!(name(r#"{"name":null}"#), Some(None));
        assert_eq!(name(r#"{"name":"x"}"#), Some(Some("x".to_owned())));
    }
}
