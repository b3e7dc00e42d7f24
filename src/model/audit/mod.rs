//! The audit log: which fields of a resource became what, and rows that are bound to each other.

pub mod row;

use crate::model::clock::Timestamp;
use crate::model::id::Id;
use crate::model::id::Kind;
use serde::Deserialize;
use serde::Serialize;
use std::borrow::Cow;

/// One field that an event changed, in the words of the API. Only fields that decide on something, and never a secret.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FieldChange {
    /// `enabled`, `expires`, `owner`, …
    pub field: Cow<'static, str>,
    /// What it was; `None` is the API's `null`.
    pub from: Option<FieldValue>,
    /// Id of the resource whose field it is: an event can be about several.
    pub resource: String,
    /// What it is now.
    pub to: Option<FieldValue>,
}

/// The value of a field, as the API shows it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum FieldValue {
    /// Yes or no.
    Flag(bool),
    /// A number; moments are milliseconds since 1970.
    Number(i64),
    /// A text, ids included.
    Text(String),
    /// Texts, in the order in which they are kept.
    List(Vec<String>),
}

impl From<bool> for FieldValue {
    fn from(flag: bool) -> Self {
        Self::Flag(flag)
    }
}

impl From<i32> for FieldValue {
    fn from(number: i32) -> Self {
        Self::Number(number.into())
    }
}

impl From<i64> for FieldValue {
    fn from(number: i64) -> Self {
        Self::Number(number)
    }
}

impl From<Timestamp> for FieldValue {
    fn from(at: Timestamp) -> Self {
        Self::Number(at.timestamp_millis())
    }
}

impl From<String> for FieldValue {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

impl<K: Kind> From<Id<K>> for FieldValue {
    fn from(id: Id<K>) -> Self {
        Self::Text(id.to_string())
    }
}

impl From<Vec<String>> for FieldValue {
    fn from(texts: Vec<String>) -> Self {
        Self::List(texts)
    }
}

/// Gathers the changed fields of one resource.
#[derive(Debug)]
pub struct Changed {
    resource: String,
    fields: Vec<FieldChange>,
}

impl Changed {
    /// Of the resource with this id, nothing yet.
    #[must_use]
    pub fn of(resource: impl ToString) -> Self {
        Self { resource: resource.to_string(), fields: Vec::new() }
    }

    /// A field that was `from` and was told to be `to`, if it was told anything and that is something else.
    #[must_use]
    pub fn field<V: Clone + PartialEq + Into<FieldValue>>(self, field: &'static str, from: &V, to: Option<&V>) -> Self {
        self.nullable(field, &Some(from.clone()), to.map(|to| Some(to.clone())).as_ref())
    }

    /// The same for a field that may be `null`.
    #[must_use]
    pub fn nullable<V: Clone + PartialEq + Into<FieldValue>>(
        mut self,
        field: &'static str,
        from: &Option<V>,
        to: Option<&Option<V>>,
    ) -> Self {
        if let Some(to) = to.filter(|to| *to != from) {
            let value = |value: &Option<V>| value.clone().map(Into::into);
            let resource = self.resource.clone();
            self.fields.push(FieldChange { field: field.into(), from: value(from), resource, to: value(to) });
        }
        self
    }

    /// All of them.
    #[must_use]
    pub fn fields(self) -> Vec<FieldChange> {
        self.fields
    }
}

#[cfg(test)]
mod tests {
    use super::Changed;
    use super::FieldChange;

    #[test]
    fn only_what_became_something_else_is_a_change() {
        let changes = Changed::of("key_1")
            .field("enabled", &true, Some(&true))
            .field("deleteProtection", &false, None)
            .nullable("expires", &Some(5_i64), Some(&None))
            .field("ipWhitelist", &Vec::new(), Some(&vec!["::1".to_owned()]))
            .nullable("owner", &None::<String>, Some(&None))
            .fields();
        let text = serde_json::to_string(&changes).unwrap();
        assert_eq!(
            text,
            r#"[{"field":"expires","from":5,"resource":"key_1","to":null},{"field":"ipWhitelist","from":[],"resource":"key_1","to":["::1"]}]"#
        );
        assert_eq!(serde_json::from_str::<Vec<FieldChange>>(&text).unwrap(), changes);
    }
}
