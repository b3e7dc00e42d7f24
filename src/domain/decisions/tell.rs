//! Changes of the past as people read them.

use crate::domain::decisions::history::Fact;
use crate::domain::decisions::history::State;
use crate::model::audit::FieldChange;
use crate::model::audit::FieldValue;
use crate::model::decision::PastActor;
use crate::model::decision::PastChange;
use crate::model::origin::Resource;
use crate::store::history::Row;
use chrono::DateTime;
use chrono::SecondsFormat;

/// A change, told with the names that are known.
#[must_use]
pub fn change(row: &Row, names: &State) -> PastChange {
    let [kind, id, name] = row.actor.clone();
    PastChange {
        time: row.at.timestamp_millis(),
        event: row.event.clone(),
        text: sentence(row, names),
        actor: PastActor { r#type: kind, id, name },
        request_id: row.request_id.clone(),
    }
}

fn sentence(row: &Row, names: &State) -> String {
    let label = |resource: &Resource| label(resource, names);
    let (about, verb) = row.event.split_once('.').unwrap_or_default();
    match (about, row.resources.as_slice()) {
        ("authorization", [holder, held, ..]) => {
            let verb = if verb.starts_with("connect_") { "got" } else { "lost" };
            let held =
                if held.r#type == "permission" { label(held).replacen("permission ", "", 1) } else { label(held) };
            format!("{} {verb} {held}", label(holder))
        }
        ("role", [role, had @ ..]) if verb == "delete" => {
            let had: Vec<_> =
                had.iter().filter_map(|had| had.name.as_deref()).map(|slug| format!("`{slug}`")).collect();
            let had = if had.is_empty() { String::new() } else { format!("; it had {}", had.join(", ")) };
            format!("{} was deleted{had}", label(role))
        }
        (_, [gone, ..]) if verb == "delete" => format!("{} was deleted", label(gone)),
        (_, [of, ..]) if !row.changes.is_empty() => {
            let told: Vec<_> = row.changes.iter().map(field).collect();
            format!("{}: {}", label(of), told.join(", "))
        }
        _ => row.display.clone(),
    }
}

fn label(resource: &Resource, names: &State) -> String {
    let kind = match resource.r#type.as_ref() {
        "identity" => "owner",
        "rootKey" => "root key",
        "ratelimit" => "rate limit",
        kind => kind,
    };
    let known = |field| match names.get(&Fact::field(&resource.id, field)) {
        Some(FieldValue::Text(name)) => Some(name.clone()),
        _ => None,
    };
    let name = resource.name.clone().or_else(|| known("name"));
    match name {
        // Labels of keys are not unique: the id tells which one it was.
        Some(name) if matches!(kind, "key" | "root key") => format!("{kind} `{name}` ({})", resource.id),
        Some(name) => format!("{kind} `{name}`"),
        None => format!("{kind} {}", resource.id),
    }
}

fn field(change: &FieldChange) -> String {
    if let (Some(FieldValue::List(before)), Some(FieldValue::List(after))) = (&change.from, &change.to) {
        let only = |some: &[String], others: &[String]| {
            let only: Vec<_> = some.iter().filter(|one| !others.contains(one)).map(|one| format!("`{one}`")).collect();
            only.join(", ")
        };
        let (got, lost) = (only(after, before), only(before, after));
        let got = if got.is_empty() { got } else { format!(" got {got}") };
        let lost = if lost.is_empty() { lost } else { format!(" lost {lost}") };
        let and = if got.is_empty() || lost.is_empty() { "" } else { " and" };
        return format!("`{}`{got}{and}{lost}", change.field);
    }
    let shown = |value: &Option<FieldValue>| match value {
        Some(FieldValue::Number(ms)) if change.field == "expires" => DateTime::from_timestamp_millis(*ms)
            .map_or_else(|| ms.to_string(), |at| at.to_rfc3339_opts(SecondsFormat::Millis, true)),
        Some(FieldValue::Number(number)) => number.to_string(),
        Some(FieldValue::Flag(flag)) => flag.to_string(),
        Some(FieldValue::Text(text)) => format!("`{text}`"),
        Some(FieldValue::List(texts)) => format!("[{}]", texts.join(", ")),
        None => "null".to_owned(),
    };
    format!("`{}` was {} and became {}", change.field, shown(&change.from), shown(&change.to))
}

#[cfg(test)]
mod tests {
    use super::sentence;
    use crate::domain::decisions::history::Fact;
    use crate::domain::decisions::history::State;
    use crate::model::audit::FieldChange;
    use crate::model::audit::FieldValue;
    use crate::model::clock::Clock;
    use crate::model::origin::Resource;
    use crate::store::history::Row;

    fn row(event: &str, resources: Vec<Resource>, changes: Vec<FieldChange>) -> Row {
        Row {
            at: Clock::system().now(),
            event: event.to_owned(),
            display: "as the log has it".to_owned(),
            actor: ["rootkey", "root_1", "ops"].map(str::to_owned),
            request_id: "req_1".to_owned(),
            resources,
            changes,
        }
    }

    #[test]
    fn changes_are_told_with_names() {
        let mut names = State::default();
        names.set(Fact::field("role_1", "name"), Some(FieldValue::Text("editor".to_owned())));
        let role = |name| Resource::new("role", "role_1", name);
        let write = || Resource::new("permission", "perm_1", Some("documents.write"));
        let key = || Resource::new("key", "key_1", Some("prod"));
        let change = |field: &'static str, from: Option<FieldValue>, to: Option<FieldValue>| {
            vec![FieldChange { field: field.into(), from, resource: "key_1".to_owned(), to }]
        };
        let list = |texts: &[&str]| Some(FieldValue::List(texts.iter().map(ToString::to_string).collect()));
        for (row, told) in [
            (
                row("authorization.disconnect_role_and_permissions", vec![role(None), write()], vec![]),
                "role `editor` lost `documents.write`",
            ),
            (
                row("authorization.connect_permission_and_key", vec![key(), write()], vec![]),
                "key `prod` (key_1) got `documents.write`",
            ),
            (
                row("authorization.connect_role_and_key", vec![key(), role(Some("viewer"))], vec![]),
                "key `prod` (key_1) got role `viewer`",
            ),
            (
                row("role.delete", vec![role(None), write()], vec![]),
                "role `editor` was deleted; it had `documents.write`",
            ),
            (
                row("key.update", vec![key()], change("enabled", Some(true.into()), Some(false.into()))),
                "key `prod` (key_1): `enabled` was true and became false",
            ),
            (
                row("key.update", vec![key()], change("expires", Some(FieldValue::Number(0)), None)),
                "key `prod` (key_1): `expires` was 1970-01-01T00:00:00.000Z and became null",
            ),
            (
                row(
                    "rootKey.update",
                    vec![Resource::new("rootKey", "root_2", None)],
                    change("permissions", list(&["a", "b"]), list(&["b", "c"])),
                ),
                "root key root_2: `permissions` got `c` and lost `a`",
            ),
            (row("key.update", vec![key()], vec![]), "as the log has it"),
        ] {
            assert_eq!(sentence(&row, &names), told);
        }
    }
}
