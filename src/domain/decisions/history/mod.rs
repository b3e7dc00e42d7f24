//! What the audit log tells of a verdict: since when it is what it is, which change made it so, and what came before. Pure: the
//! log is walked backwards from what is known now, each row undone in turn, and the verdict asked again.

use crate::model::audit::FieldValue;
use crate::model::clock::Timestamp;
use crate::store::history::Row;
use chrono::Duration;
use std::collections::BTreeMap;
use std::collections::BTreeSet;

/// Something that verdicts depend on.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fact {
    /// Whether this is there: a key, an owner, a role, a permission, a root key, an API.
    Exists(String),
    /// Whether the first holds the second.
    Link(String, String),
    /// A field of the first.
    Field(String, String),
}

/// What facts were before an event and after it.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Effect {
    fact: Fact,
    before: Option<FieldValue>,
    after: Option<FieldValue>,
}

/// All facts at one moment. What is not in it is not known of, which is `false` and `null`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct State(BTreeMap<Fact, Option<FieldValue>>);

impl Fact {
    /// That this is there.
    pub fn exists(id: impl ToString) -> Self {
        Self::Exists(id.to_string())
    }

    /// That the first holds the second.
    pub fn link(holder: impl ToString, held: impl ToString) -> Self {
        Self::Link(holder.to_string(), held.to_string())
    }

    /// A field.
    pub fn field(id: impl ToString, field: &str) -> Self {
        Self::Field(id.to_string(), field.to_owned())
    }
}

impl State {
    /// Notes a fact.
    pub fn set(&mut self, fact: Fact, value: Option<FieldValue>) {
        self.0.insert(fact, value);
    }

    /// Whether something is so.
    #[must_use]
    pub fn is(&self, fact: &Fact) -> bool {
        self.get(fact) == Some(&FieldValue::Flag(true))
    }

    /// What something is.
    #[must_use]
    pub fn get(&self, fact: &Fact) -> Option<&FieldValue> {
        self.0.get(fact)?.as_ref()
    }

    /// What is held by this, as far as it is still there.
    pub fn held<'s>(&'s self, holder: &'s str) -> impl Iterator<Item = &'s str> {
        let from = Fact::Link(holder.to_owned(), String::new());
        let links = self.0.range(from..).map_while(move |(fact, value)| match fact {
            Fact::Link(of, held) if of == holder => Some((held.as_str(), value)),
            Fact::Exists(_) | Fact::Link(..) | Fact::Field(..) => None,
        });
        let so = links.filter(|(_, value)| **value == Some(FieldValue::Flag(true))).map(|(held, _)| held);
        so.filter(|held| self.is(&Fact::exists(held)))
    }

    /// Completes what is known now by what only the log still knows: names of what is gone, and who held it in the end. Rows
    /// newest first.
    pub fn complete(&mut self, rows: &[Row]) {
        for row in rows {
            for effect in effects(row) {
                let gone = match &effect.fact {
                    Fact::Link(holder, held) => [holder, held].into_iter().any(|id| !self.is(&Fact::exists(id))),
                    Fact::Field(id, _) => !self.is(&Fact::exists(id)),
                    Fact::Exists(_) => true,
                };
                if gone {
                    self.0.entry(effect.fact).or_insert(effect.after);
                }
            }
            for resource in &row.resources {
                let field = match resource.r#type.as_ref() {
                    "permission" => "slug",
                    "role" => "name",
                    _ => continue,
                };
                let name = resource.name.clone().map(FieldValue::Text);
                self.0.entry(Fact::field(&resource.id, field)).or_insert(name);
            }
        }
    }

    /// Makes it what it was before this row, but for facts that are held fast. Says whether that changed anything.
    fn undo(&mut self, row: &Row, fast: &BTreeSet<Fact>) -> bool {
        let mut changed = false;
        for Effect { fact, before, .. } in effects(row).into_iter().rev() {
            if fast.contains(&fact) || self.0.get(&fact).is_some_and(|value| *value == before) {
                continue;
            }
            changed = true;
            self.0.insert(fact, before);
        }
        changed
    }
}

/// What a row changed.
fn effects(row: &Row) -> Vec<Effect> {
    let flag = |fact, after: bool| Effect {
        fact,
        before: Some(FieldValue::Flag(!after)),
        after: Some(FieldValue::Flag(after)),
    };
    let (about, verb) = row.event.split_once('.').unwrap_or_default();
    let mut effects = Vec::new();
    match (about, verb, row.resources.as_slice()) {
        ("authorization", verb, [holder, held, ..]) if verb.starts_with("connect_") => {
            effects.push(flag(Fact::link(&holder.id, &held.id), true));
        }
        ("authorization", verb, [holder, held, ..]) if verb.starts_with("disconnect_") => {
            effects.push(flag(Fact::link(&holder.id, &held.id), false));
        }
        ("key" | "rootKey" | "identity" | "role" | "permission" | "api", "create", [made, ..]) => {
            effects.push(flag(Fact::exists(&made.id), true));
        }
        ("key" | "rootKey" | "identity" | "permission" | "api", "delete", [gone, ..]) => {
            effects.push(flag(Fact::exists(&gone.id), false));
        }
        ("role", "delete", [gone, had @ ..]) => {
            effects.push(flag(Fact::exists(&gone.id), false));
            effects.extend(had.iter().map(|had| flag(Fact::link(&gone.id, &had.id), false)));
        }
        _ => {}
    }
    effects.extend(row.changes.iter().map(|change| Effect {
        fact: Fact::field(&change.resource, &change.field),
        before: change.from.clone(),
        after: change.to.clone(),
    }));
    effects
}

/// Since when a verdict is what it is, as far back as the log goes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Turn {
    /// The moment.
    pub since: Option<Timestamp>,
    /// Rows without which it would be another one, newest first. Empty where time alone made it so.
    pub because: Vec<usize>,
}

/// Rows of one request, as a range of `rows`.
fn groups(rows: &[Row]) -> impl Iterator<Item = (usize, &[Row])> {
    let same = |a: &Row, b: &Row| a.request_id == b.request_id && a.at == b.at;
    let mut start = 0_usize;
    rows.chunk_by(same).map(move |group| {
        let first = start;
        start = start.saturating_add(group.len());
        (first, group)
    })
}

/// Finds when the verdict became what it is `now`, and why. `rows` newest first; `judge` is the verdict on a state at a
/// moment; `ends` are the moments at which time alone may have changed it. Of changes since `from` all that it takes are
/// named, not only the last one.
pub fn turn<V: PartialEq>(
    rows: &[Row],
    now_is: (&State, Timestamp),
    from: Timestamp,
    judge: impl Fn(&State, Timestamp) -> V,
    ends: impl Fn(&State) -> Option<Timestamp>,
) -> Turn {
    let (state, now) = now_is;
    let (mut state, mut until) = (state.clone(), now);
    let verdict = judge(&state, now);
    let (mut found, mut fast) = (Turn::default(), BTreeSet::new());
    let by_time = |state: &State, since: Option<Timestamp>, until: Timestamp| {
        let end = ends(state).filter(|end| since.is_none_or(|since| *end > since) && *end <= until)?;
        let before = end.checked_sub_signed(Duration::milliseconds(1)).unwrap_or(end);
        (judge(state, before) != verdict).then_some(end)
    };
    for (first, group) in groups(rows) {
        let Some(at) = group.first().map(|row| row.at) else { continue };
        if found.since.is_none() {
            if let Some(end) = by_time(&state, Some(at), until) {
                return Turn { since: Some(end), because: Vec::new() };
            }
        } else if at < from {
            return found;
        }
        let mut before = state.clone();
        for row in group {
            before.undo(row, &fast);
        }
        if judge(&before, at) == verdict {
            (state, until) = (before, at);
            continue;
        }
        found.since.get_or_insert(at);
        let needed = needed(group, &state, &fast, |state| judge(state, at) == verdict);
        for index in &needed {
            found.because.push(first.saturating_add(*index));
            fast.extend(group.get(*index).into_iter().flat_map(effects).map(|effect| effect.fact));
        }
        let rest = group.iter().enumerate().filter(|(index, _)| !needed.contains(index));
        let mut kept = state.clone();
        rest.for_each(|(_, row)| {
            kept.undo(row, &fast);
        });
        if judge(&kept, at) != verdict {
            // They do it together only.
            return found;
        }
        (state, until) = (kept, at);
    }
    if found.since.is_none()
        && let Some(end) = by_time(&state, None, until)
    {
        found.since = Some(end);
    }
    found
}

/// Those rows of a request without which the verdict would be another one; if it takes no single one of them, all that
/// changed anything.
fn needed(group: &[Row], after: &State, fast: &BTreeSet<Fact>, stands: impl Fn(&State) -> bool) -> Vec<usize> {
    let (mut single, mut any) = (Vec::new(), Vec::new());
    for (index, row) in group.iter().enumerate() {
        let mut without = after.clone();
        if without.undo(row, fast) {
            any.push(index);
            if !stands(&without) {
                single.push(index);
            }
        }
    }
    if single.is_empty() { any } else { single }
}

/// The state at a moment, and the rows from then on backwards.
#[must_use]
pub fn at<'r>(rows: &'r [Row], now: &State, moment: Timestamp) -> (State, &'r [Row]) {
    let later = rows.iter().take_while(|row| row.at > moment).count();
    let (later, earlier) = rows.split_at_checked(later).unwrap_or_default();
    let mut state = now.clone();
    for row in later {
        state.undo(row, &BTreeSet::new());
    }
    (state, earlier)
}

/// The rows, newest first, at which what is looked at changed: `most` of them at most.
pub fn turns<V: PartialEq>(rows: &[Row], mut state: State, most: usize, look: impl Fn(&State) -> V) -> Vec<&Row> {
    let mut seen = look(&state);
    let mut turns = Vec::new();
    for row in rows {
        if turns.len() >= most {
            break;
        }
        if state.undo(row, &BTreeSet::new()) {
            let before = look(&state);
            if before != seen {
                turns.push(row);
                seen = before;
            }
        }
    }
    turns
}

#[cfg(test)]
mod tests;
