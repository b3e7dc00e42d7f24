//! The history of verdicts, on lists of rows as the store writes them.

use super::Fact;
use super::State;
use super::at;
use super::turn;
use super::turns;
use crate::model::audit::FieldChange;
use crate::model::audit::FieldValue;
use crate::model::clock::Timestamp;
use crate::model::origin::Resource;
use crate::store::history::Row;
use chrono::DateTime;
use chrono::Duration;

/// A moment, minutes after the beginning.
fn minute(minute: i64) -> Timestamp {
    DateTime::UNIX_EPOCH + Duration::minutes(minute)
}

fn row(at: i64, event: &str, resources: &[(&'static str, &str, Option<&str>)]) -> Row {
    Row {
        at: minute(at),
        event: event.to_owned(),
        display: String::new(),
        actor: ["rootkey", "root_1", "ops"].map(str::to_owned),
        request_id: format!("req_{at}"),
        resources: resources.iter().map(|(kind, id, name)| Resource::new(kind, id, *name)).collect(),
        changes: Vec::new(),
    }
}

fn change(
    at: i64,
    event: &str,
    id: &str,
    field: &'static str,
    from: Option<FieldValue>,
    to: Option<FieldValue>,
) -> Row {
    let changes = vec![FieldChange { field: field.into(), from, resource: id.to_owned(), to }];
    Row { changes, ..row(at, event, &[("key", id, None)]) }
}

fn link(at: i64, verb: &str, holder: (&'static str, &str), held: (&'static str, &str, &str)) -> Row {
    let event = format!("authorization.{verb}_something");
    row(at, &event, &[(holder.0, holder.1, None), (held.0, held.1, Some(held.2))])
}

const READ: (&str, &str, &str) = ("permission", "perm_read", "read");
const WRITE: (&str, &str, &str) = ("permission", "perm_write", "write");
const EDITOR: (&str, &str, &str) = ("role", "role_editor", "editor");
const KEY: (&str, &str) = ("key", "key_1");
const ROLE: (&str, &str) = ("role", "role_editor");

/// A state of a key that holds what is listed: pairs of holder and held.
fn state(exist: &[&str], links: &[(&str, &str)]) -> State {
    let mut state = State::default();
    for id in exist {
        state.set(Fact::exists(id), Some(FieldValue::Flag(true)));
    }
    for (id, slug) in [("perm_read", "read"), ("perm_write", "write")] {
        if exist.contains(&id) {
            state.set(Fact::field(id, "slug"), Some(FieldValue::Text(slug.to_owned())));
        }
    }
    for (holder, held) in links {
        state.set(Fact::link(holder, held), Some(FieldValue::Flag(true)));
    }
    state
}

/// Whether the key holds a slug, directly or by a role.
fn holds(state: &State, slug: &str) -> bool {
    let named = |id: &str| state.get(&Fact::field(id, "slug")) == Some(&FieldValue::Text(slug.to_owned()));
    let direct = state.held("key_1").any(named);
    direct || state.held("key_1").any(|role| state.held(role).any(named))
}

fn since(rows: &[Row], now: &State, slugs: &[&str]) -> (Option<Timestamp>, Vec<usize>) {
    let judge = |state: &State, _: Timestamp| slugs.iter().all(|slug| holds(state, slug));
    let found = turn(rows, (now, minute(1000)), minute(0), judge, |_| None);
    (found.since, found.because)
}

const ALL: &[&str] = &["key_1", "perm_read", "perm_write", "role_editor"];

#[test]
fn what_was_given_is_held_since_then() {
    let rows = [link(5, "connect", KEY, WRITE), row(1, "key.create", &[("key", "key_1", None)])];
    let now = state(ALL, &[("key_1", "perm_write")]);
    assert_eq!(since(&rows, &now, &["write"]), (Some(minute(5)), vec![0]));
}

#[test]
fn the_first_of_two_routes_counts_while_it_lasts() {
    // Given directly, then by a role too: held since the first.
    let both = [link(9, "connect", KEY, EDITOR), link(5, "connect", KEY, WRITE), link(3, "connect", ROLE, WRITE)];
    let now = state(ALL, &[("key_1", "perm_write"), ("key_1", "role_editor"), ("role_editor", "perm_write")]);
    assert_eq!(since(&both, &now, &["write"]), (Some(minute(5)), vec![1]));
    // Taken away directly while the role has it: still since the first, for there was no moment without.
    let mut handed_over = vec![link(11, "disconnect", KEY, WRITE)];
    handed_over.extend(both.clone());
    let now = state(ALL, &[("key_1", "role_editor"), ("role_editor", "perm_write")]);
    assert_eq!(since(&handed_over, &now, &["write"]).0, Some(minute(5)));
}

#[test]
fn a_gap_starts_it_anew() {
    let rows = [
        link(8, "connect", ROLE, WRITE),
        link(6, "disconnect", ROLE, WRITE),
        link(4, "connect", ROLE, WRITE),
        link(2, "connect", KEY, EDITOR),
    ];
    let now = state(ALL, &[("key_1", "role_editor"), ("role_editor", "perm_write")]);
    let judge = |state: &State, _: Timestamp| holds(state, "write");
    let found = turn(&rows, (&now, minute(1000)), minute(7), judge, |_| None);
    assert_eq!((found.since, found.because), (Some(minute(8)), vec![0]));
}

#[test]
fn all_that_it_took_since_the_denial_is_named() {
    let rows = [
        link(9, "connect", KEY, READ),
        link(7, "connect", KEY, WRITE),
        link(6, "disconnect", KEY, WRITE),
        link(5, "connect", KEY, WRITE),
        row(1, "key.create", &[("key", "key_1", None)]),
    ];
    let now = state(ALL, &[("key_1", "perm_read"), ("key_1", "perm_write")]);
    let judge = |state: &State, _: Timestamp| holds(state, "read") && holds(state, "write");
    let found = turn(&rows, (&now, minute(1000)), minute(4), judge, |_| None);
    assert_eq!((found.since, found.because), (Some(minute(9)), vec![0, 1]));
}

#[test]
fn changes_of_one_request_count_together() {
    let one = |row: Row| Row { request_id: "req_one".to_owned(), ..row };
    let rows =
        [one(link(5, "connect", KEY, WRITE)), one(link(5, "connect", KEY, READ)), one(row(5, "key.update", &[]))];
    let now = state(ALL, &[("key_1", "perm_read"), ("key_1", "perm_write")]);
    assert_eq!(since(&rows, &now, &["read", "write"]), (Some(minute(5)), vec![0, 1]));
    assert_eq!(since(&rows, &now, &["read"]), (Some(minute(5)), vec![1]));
    // Either of two routes would have done.
    let rows = [one(link(5, "connect", KEY, EDITOR)), one(link(5, "connect", KEY, WRITE))];
    let now = state(ALL, &[("key_1", "perm_write"), ("key_1", "role_editor"), ("role_editor", "perm_write")]);
    assert_eq!(since(&rows, &now, &["write"]), (Some(minute(5)), vec![0, 1]));
}

#[test]
fn a_deleted_role_took_with_it_what_it_had() {
    let deleted =
        row(8, "role.delete", &[("role", "role_editor", Some("editor")), ("permission", "perm_write", Some("write"))]);
    let rows = [deleted, link(2, "connect", KEY, EDITOR)];
    let mut now = state(&["key_1", "perm_read", "perm_write"], &[]);
    now.complete(&rows);
    let (then, earlier) = at(&rows, &now, minute(5));
    assert!(!holds(&now, "write") && holds(&then, "write"));
    assert_eq!(earlier.len(), 1);
    assert_eq!(since(&rows, &now, &["write"]), (Some(minute(8)), vec![0]));
    // It had gone from the key before.
    let mut rows = rows.to_vec();
    rows.insert(1, link(4, "disconnect", KEY, EDITOR));
    let mut now = state(&["key_1", "perm_read", "perm_write"], &[]);
    now.complete(&rows);
    assert_eq!(since(&rows, &now, &["write"]), (Some(minute(4)), vec![1]));
}

#[test]
fn a_deleted_permission_is_held_by_nobody_whatever_the_route() {
    let rows =
        [row(8, "permission.delete", &[("permission", "perm_write", Some("write"))]), link(2, "connect", KEY, WRITE)];
    let mut now = state(&["key_1", "perm_read"], &[]);
    now.complete(&rows);
    let changes = turns(&rows, now.clone(), 10, |state| holds(state, "write"));
    assert_eq!(changes, [&rows[0], &rows[1]]);
}

#[test]
fn a_new_slug_is_held_since_it_is_the_slug() {
    let text = |slug: &str| Some(FieldValue::Text(slug.to_owned()));
    let rows =
        [change(7, "permission.update", "perm_read", "slug", text("see"), text("read")), link(2, "connect", KEY, READ)];
    let now = state(ALL, &[("key_1", "perm_read")]);
    assert_eq!(since(&rows, &now, &["read"]), (Some(minute(7)), vec![0, 1]));
}

#[test]
fn fields_and_time_turn_verdicts() {
    let flag = |flag| Some(FieldValue::Flag(flag));
    let number = |at: i64| Some(FieldValue::Number(minute(at).timestamp_millis()));
    let expires = |state: &State| match state.get(&Fact::field("key_1", "expires")) {
        Some(FieldValue::Number(ms)) => DateTime::from_timestamp_millis(*ms),
        _ => None,
    };
    let judge = |state: &State, moment: Timestamp| match expires(state) {
        _ if !state.is(&Fact::field("key_1", "enabled")) => "disabled",
        Some(end) if end <= moment => "expired",
        _ => "valid",
    };
    let mut now = state(ALL, &[]);
    now.set(Fact::field("key_1", "enabled"), flag(true));
    now.set(Fact::field("key_1", "expires"), number(50));
    let rows = [
        change(20, "key.update", "key_1", "expires", number(15), number(50)),
        change(10, "key.update", "key_1", "enabled", flag(false), flag(true)),
    ];
    let turned = |now_is: i64| {
        let found = turn(&rows, (&now, minute(now_is)), minute(12), judge, expires);
        (found.since, found.because)
    };
    // Valid since its end was moved, expired since that end, and no row is to blame for the passing of time.
    assert_eq!(turned(40), (Some(minute(20)), vec![0]));
    assert_eq!(turned(60), (Some(minute(50)), Vec::new()));
    assert_eq!(turn(&rows[1..], (&now, minute(40)), minute(0), judge, expires).since, Some(minute(10)));
    // What was disabled after its end is disabled, not expired.
    now.set(Fact::field("key_1", "enabled"), flag(false));
    let disabled = [change(55, "key.update", "key_1", "enabled", flag(true), flag(false))];
    let found = turn(&disabled, (&now, minute(60)), minute(0), judge, expires);
    assert_eq!((found.since, found.because), (Some(minute(55)), vec![0]));
}

#[test]
fn what_the_log_does_not_know_is_not_told() {
    let now = state(ALL, &[("key_1", "perm_write")]);
    assert_eq!(since(&[], &now, &["write"]), (None, Vec::new()));
    assert_eq!(since(&[link(5, "connect", KEY, READ)], &now, &["write"]), (None, Vec::new()));
}

#[test]
fn only_changes_that_bear_on_it_are_named() {
    let rows = [
        link(9, "disconnect", ROLE, WRITE),
        link(8, "connect", KEY, READ),
        link(7, "connect", ROLE, READ),
        link(6, "connect", KEY, EDITOR),
        link(5, "connect", ROLE, WRITE),
    ];
    let now = state(ALL, &[("key_1", "role_editor"), ("role_editor", "perm_read"), ("key_1", "perm_read")]);
    let found = turns(&rows, now.clone(), 10, |state| holds(state, "write"));
    assert_eq!(found, [&rows[0], &rows[3]]);
    assert_eq!(turns(&rows, now, 1, |state| holds(state, "write")), [&rows[0]]);
}
