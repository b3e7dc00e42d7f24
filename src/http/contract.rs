//! The contract at run time: request validators compiled from `openapi.yaml`, and violations in plain words.

use crate::http::operations::OPERATIONS;
use crate::model::code::Code;
use crate::model::error::Error;
use crate::model::error::Result;
use crate::model::error::Violation;
use actix_web::http::header;
use actix_web::http::header::HeaderMap;
use jsonschema::Validator;
use jsonschema::error::ValidationErrorKind;
use serde::de::DeserializeOwned;
use serde_json::Value;
use std::collections::HashMap;

/// Most violations in one answer; nothing looks for more.
const MAX_VIOLATIONS: usize = 100;
/// Items of one list in which violations are looked for; more than any list of the contract may have.
const MAX_ITEMS: usize = 2_000;
/// U+0000 as JSON writes it.
const NUL: &[u8] = b"\\u0000";
/// Longest name of a field that an answer shows, characters.
const MAX_NAME: usize = 64;

/// The validators of all operations.
#[derive(Debug)]
pub struct Contract(HashMap<&'static str, Validator>);

impl Contract {
    /// Compiles the validators.
    ///
    /// # Errors
    /// A sentence, if an operation of the table is not in the document or its schema is malformed: a bug.
    pub fn compile(openapi_yaml: &str) -> std::result::Result<Self, String> {
        let document: Value = serde_yaml_ng::from_str(openapi_yaml).map_err(|error| error.to_string())?;
        let components = document.get("components").cloned().unwrap_or_default();
        OPERATIONS
            .iter()
            .map(|operation| {
                let name = operation.name;
                let pointer = format!("/paths/~1v2~1{name}/post/requestBody/content/application~1json/schema");
                let mut schema =
                    document.pointer(&pointer).cloned().ok_or_else(|| format!("{name} is not in openapi.yaml"))?;
                // `#/components/…` in the schema points into the schema's own document, which is this copy.
                if let Some(fields) = schema.as_object_mut() {
                    fields.insert("components".to_owned(), components.clone());
                }
                let validator = jsonschema::draft202012::new(&schema).map_err(|error| format!("{name}: {error}"))?;
                Ok((name, validator))
            })
            .collect::<std::result::Result<_, _>>()
            .map(Self)
    }

    /// Reads a body as the operation's request.
    ///
    /// # Errors
    /// `invalid_input` with every violation found (decisions.md #10).
    pub fn read<Request: DeserializeOwned>(
        &self,
        operation: &'static str,
        headers: &HeaderMap,
        body: &[u8],
    ) -> Result<Request> {
        check_content_type(headers)?;
        let value = parse(body)?;
        let validator = self.0.get(operation).ok_or_else(|| Error::unexpected("an operation without a contract"))?;
        let mut violations = if validator.is_valid(&value) { Vec::new() } else { listed(validator, &value) };
        let mut nul = Vec::new();
        // In JSON it can only be written as this escape.
        if body.contains(&b'\\') && body.windows(NUL.len()).any(|text| text == NUL) {
            find_nul(&value, &mut "body".to_owned(), &mut nul);
        }
        // Of a text with U+0000 a pattern says the same less plainly.
        violations.retain(|violation| !nul.iter().any(|nul| nul.location == violation.location));
        violations.append(&mut nul);
        if !violations.is_empty() {
            return Err(invalid(operation, violations));
        }
        drop(value);
        // Keeping track of the path costs more than reading: only what fails is read again with it.
        if let Ok(request) = serde_json::from_slice(body) {
            return Ok(request);
        }
        let deserializer = &mut serde_json::Deserializer::from_slice(body);
        serde_path_to_error::deserialize(deserializer).map_err(|error| {
            let path = error.path().to_string();
            let location = match path.as_str() {
                "." => "body".to_owned(),
                // A body that is a list.
                path if path.starts_with('[') => format!("body{path}"),
                path => format!("body.{path}"),
            };
            let message = plain(&error.into_inner().to_string());
            invalid(operation, vec![Violation { location, message, fix: None }])
        })
    }
}

fn check_content_type(headers: &HeaderMap) -> Result<()> {
    let given = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    if given == Some("application/json") {
        return Ok(());
    }
    let media_type = given.map(|text| text.split(';').next().unwrap_or(text).trim().to_ascii_lowercase());
    match media_type.as_deref() {
        Some("application/json") => Ok(()),
        Some(_) => Err(Error::invalid(
            "header.Content-Type",
            "the body's media type is not application/json",
            Some("Send `Content-Type: application/json`."),
        )),
        None => Err(Error::invalid(
            "header.Content-Type",
            "the header is missing, so the body's media type is unknown",
            Some("Send `Content-Type: application/json`."),
        )),
    }
}

fn parse(body: &[u8]) -> Result<Value> {
    if body.iter().all(u8::is_ascii_whitespace) {
        let fix = Some("Send JSON: an object, `{}` at least, or the list that the operation takes.");
        return Err(Error::invalid("body", "the body is empty", fix));
    }
    serde_json::from_slice(body).map_err(|error| {
        Error::invalid("body", format!("the body is not JSON: {error}"), Some("Check quotes, commas and brackets."))
    })
}

fn invalid(operation: &str, mut violations: Vec<Violation>) -> Error {
    violations.truncate(MAX_VIOLATIONS);
    let summary: Vec<_> =
        violations.iter().take(3).map(|violation| format!("{} {}", violation.location, violation.message)).collect();
    let more = violations.len().saturating_sub(summary.len());
    let more = if more > 0 { format!("; and {more} more") } else { String::new() };
    let mut error = Error::new(
        Code::InvalidInput,
        format!("POST /v2/{operation}: the request does not match the schema: {}{more}.", summary.join("; ")),
    );
    error.violations = violations;
    error
}

/// What is wrong with a value that is not valid. The validator gathers all errors before it gives the first, so it is
/// shown no more of an endless list than is needed to see that the list is too long.
fn listed(validator: &Validator, value: &Value) -> Vec<Violation> {
    let start = beginning(value);
    let found: Vec<_> =
        validator.iter_errors(&start).flat_map(|error| violations(&error)).take(MAX_VIOLATIONS).collect();
    if !found.is_empty() {
        return found;
    }
    // All that is wrong stands further on.
    validator.validate(value).err().map(|error| violations(&error)).unwrap_or_default()
}

fn beginning(value: &Value) -> Value {
    match value {
        Value::Array(items) => items.iter().take(MAX_ITEMS).map(beginning).collect(),
        Value::Object(fields) => {
            Value::Object(fields.iter().map(|(name, field)| (name.clone(), beginning(field))).collect())
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => value.clone(),
    }
}

/// A schema error as violations; one for each name where the validator lists several.
#[expect(clippy::wildcard_enum_match_arm, reason = "the validator's enum grows with its versions")]
fn violations(error: &jsonschema::ValidationError<'_>) -> Vec<Violation> {
    let place = location(&error.instance_path().to_string());
    let one = |message: String| vec![Violation { location: place.clone(), message, fix: None }];
    match error.kind() {
        ValidationErrorKind::Required { property } => {
            let name = property.as_str().unwrap_or_default();
            vec![Violation {
                location: format!("{place}.{name}"),
                message: "is required and missing".to_owned(),
                fix: Some(format!("Add the field `{name}`.")),
            }]
        }
        ValidationErrorKind::AdditionalProperties { unexpected }
        | ValidationErrorKind::UnevaluatedProperties { unexpected } => unexpected
            .iter()
            .take(MAX_VIOLATIONS)
            .map(|name| shortened(name))
            .map(|name| Violation {
                location: format!("{place}.{name}"),
                message: "is not a field of this request".to_owned(),
                fix: Some(format!("Remove `{name}`, or check its spelling and letter case.")),
            })
            .collect(),
        ValidationErrorKind::MinLength { limit } => one(format!("is shorter than {limit} characters")),
        ValidationErrorKind::MaxLength { limit } => one(format!("is longer than {limit} characters")),
        ValidationErrorKind::Minimum { limit } => one(format!("is less than {limit}")),
        ValidationErrorKind::Maximum { limit } => one(format!("is greater than {limit}")),
        ValidationErrorKind::MinItems { limit } => one(format!("has fewer than {limit} items")),
        ValidationErrorKind::MaxItems { limit } => one(format!("has more than {limit} items")),
        ValidationErrorKind::MaxProperties { limit } => one(format!("has more than {limit} properties")),
        ValidationErrorKind::Pattern { pattern } => one(format!("does not match the pattern {pattern}")),
        ValidationErrorKind::OneOfNotValid { .. } | ValidationErrorKind::OneOfMultipleValid { .. } => {
            vec![Violation {
                location: place,
                message: "must hold exactly one of the fields that stand for one another".to_owned(),
                fix: Some("Send one of them, neither none nor several.".to_owned()),
            }]
        }
        ValidationErrorKind::UniqueItems => one("has an item twice".to_owned()),
        ValidationErrorKind::Type { .. } if error.instance().is_null() => {
            one("is null; leave the field out instead".to_owned())
        }
        // The validator's other messages are plain, but they quote the value, which may be a secret.
        _ => one(plain(&error.masked_with("the value").to_string())),
    }
}

/// A name that the client chose, short enough to be shown.
fn shortened(name: &str) -> String {
    let mut characters = name.chars();
    let mut text: String = characters.by_ref().take(MAX_NAME).collect();
    if characters.next().is_some() {
        text.push('…');
    }
    text
}

/// JSON pointer to `body.<path>`, with `[n]` for items.
fn location(pointer: &str) -> String {
    let mut text = "body".to_owned();
    for part in pointer.split('/').skip(1) {
        let part = part.replace("~1", "/").replace("~0", "~");
        if part.bytes().all(|byte| byte.is_ascii_digit()) {
            text.push_str(&format!("[{part}]"));
        } else {
            text.push_str(&format!(".{part}"));
        }
    }
    text
}

/// Parser messages quote strings of the body; what stands in quotes may be a secret.
fn plain(message: &str) -> String {
    let mut parts = message.split('"');
    let mut text = parts.next().unwrap_or_default().to_owned();
    if message.contains('"') {
        text.push('…');
        text.push_str(message.rsplit('"').next().unwrap_or_default());
    }
    text
}

/// Postgres cannot store U+0000 in text; `meta` is kept as JSON, where it is an escape.
fn find_nul(value: &Value, place: &mut String, found: &mut Vec<Violation>) {
    let length = place.len();
    if found.len() >= MAX_VIOLATIONS {
        return;
    }
    match value {
        Value::String(text) if text.contains('\0') => found.push(Violation {
            location: place.clone(),
            message: "contains the character U+0000".to_owned(),
            fix: Some("Remove it.".to_owned()),
        }),
        Value::Array(items) => {
            for (index, item) in items.iter().enumerate() {
                place.push_str(&format!("[{index}]"));
                find_nul(item, place, found);
                place.truncate(length);
            }
        }
        Value::Object(fields) => {
            for (name, field) in fields.iter().filter(|(name, _)| *name != "meta") {
                place.push_str(&format!(".{name}"));
                find_nul(field, place, found);
                place.truncate(length);
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

#[cfg(test)]
mod tests {
    use super::Contract;
    use actix_web::http::header::CONTENT_TYPE;
    use actix_web::http::header::HeaderMap;
    use actix_web::http::header::HeaderValue;
    use serde::Deserialize;

    #[derive(Debug, Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Probe {
        #[serde(rename = "byteLength")]
        _byte_length: Option<i32>,
    }

    fn locations(body: &str) -> Vec<String> {
        let contract = Contract::compile(include_str!("../../openapi.yaml")).unwrap();
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json; charset=utf-8"));
        match contract.read::<Probe>("keys.createKey", &headers, body.as_bytes()) {
            Ok(_) => Vec::new(),
            Err(error) => error.violations.into_iter().map(|violation| violation.location).collect(),
        }
    }

    #[test]
    fn every_violation_is_located() {
        assert!(locations(r#"{"apiId":"api_1"}"#).is_empty());
        let places = locations(r#"{"apiId":"a","prefix":"!","byteLength":15}"#);
        assert_eq!(places.len(), 3, "{places:?}");
        assert_eq!(locations("{}"), ["body.apiId"]);
        assert_eq!(locations(r#"{"apiId":"api_1","APIID":"x"}"#), ["body.APIID"]);
        assert_eq!(locations(r#"{"apiId":"api_1","byteLength":16.0}"#), ["body.byteLength"]);
        assert_eq!(locations(r#"{"apiId":"api_1","name":"a\u0000b"}"#), ["body.name"]);
        assert_eq!(locations(r#"{"apiId":"api_1","meta":{"a":"a\u0000b"}}"#), [""; 0]);
        for body in ["", "  ", "{", "null", "[]", "\"x\"", "1"] {
            assert_eq!(locations(body), ["body"], "{body}");
        }
    }
}
