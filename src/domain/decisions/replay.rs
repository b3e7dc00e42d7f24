//! The request of a record, asked again: would it pass now, since when, and through which changes.

use crate::authz::action::Action;
use crate::authz::grants::Grants;
use crate::domain::decisions::describe;
use crate::domain::decisions::foresee;
use crate::domain::decisions::history;
use crate::domain::decisions::history::Fact;
use crate::domain::decisions::history::State;
use crate::domain::decisions::history::Turn;
use crate::domain::decisions::past::KeyPast;
use crate::domain::decisions::past::RootKeyPast;
use crate::domain::decisions::tell;
use crate::limiter::Limiter;
use crate::model::audit::FieldValue;
use crate::model::clock::Timestamp;
use crate::model::code::Code;
use crate::model::credits::Due;
use crate::model::decision::DataAge;
use crate::model::decision::Decision;
use crate::model::decision::Description;
use crate::model::decision::KeyQuestion;
use crate::model::decision::PastChange;
use crate::model::decision::Question;
use crate::model::decision::Replayed;
use crate::model::decision::RootKeyQuestion;
use crate::model::decision::Step;
use crate::model::error::Error;
use crate::model::error::Refusal;
use crate::model::error::Result;
use crate::model::id::ApiId;
use crate::model::id::KeyId;
use crate::model::id::WorkspaceId;
use crate::model::verdict::Outcome;
use crate::model::workspace::Workspace;
use crate::store;
use crate::store::database::Db;
use crate::store::history::Row;
use crate::store::snapshot;
use crate::store::snapshot::Snapshot;
use crate::store::tx::Tx;
use chrono::DateTime;

/// Changes before a denial that are told at most.
const MOST_BEFORE: usize = 10;

/// What a record is shown with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Today {
    /// What the same request would be told now.
    pub now: Replayed,
    /// The latest changes before the denial that bear on it, newest first.
    pub before: Vec<PastChange>,
}

/// Asks again. Nothing is consumed, nothing is written.
///
/// # Errors
/// The database's and the limiter's.
pub async fn today(db: &Db, limiter: &Limiter, workspace: &WorkspaceId, decision: &Decision) -> Result<Today> {
    let (workspace, record) = (workspace.clone(), decision.clone());
    match &decision.question {
        Question::Key(KeyQuestion { key: Some(key), .. }) => {
            let key = key.clone();
            let read = db.read(move |tx| KeyToday::load(tx, &workspace, &key, &record)).await?;
            read.tell(limiter, decision).await
        }
        Question::RootKey(RootKeyQuestion { root_key: Some(_), .. }) => {
            db.read(move |tx| root_key_today(tx, &workspace, &record)).await
        }
        Question::Key(_) | Question::RootKey(_) => Ok(Today { now: unchanged(decision), before: Vec::new() }),
    }
}

/// A credential that nobody knew: the log says nothing of it.
fn unchanged(decision: &Decision) -> Replayed {
    Replayed {
        allowed: false,
        code: decision.description.code.clone(),
        step: decision.description.step,
        missing: decision.description.missing.clone(),
        since: None,
        because: Vec::new(),
        text: "The same credential would be refused for the same reason now, unless it was made known meanwhile."
            .to_owned(),
    }
}

/// All that is read for the question of a key.
struct KeyToday {
    workspace: WorkspaceId,
    snapshot: Option<Snapshot>,
    grants: Grants,
    past: KeyPast,
    question: KeyQuestion,
    now: Timestamp,
}

impl KeyToday {
    fn load(tx: &mut Tx<'_>, workspace: &WorkspaceId, key: &KeyId, record: &Decision) -> Result<Self> {
        let Question::Key(question) = &record.question else {
            return Err(Error::unexpected("a record of a key asks about no key"));
        };
        let api = record.description.credential.api_id.as_ref();
        let caller = store::history::root_key(tx, workspace, &question.root_key)?;
        Ok(Self {
            workspace: workspace.clone(),
            snapshot: snapshot::load_by_id(tx, workspace, key)?,
            grants: Grants::of(&caller.map(|(root_key, _)| root_key.permissions).unwrap_or_default()),
            past: KeyPast::load(tx, workspace, key, api, question)?,
            question: question.clone(),
            now: tx.now(),
        })
    }

    async fn tell(self, limiter: &Limiter, record: &Decision) -> Result<Today> {
        let (past, now) = (&self.past, self.now);
        let covered = |api: &ApiId| self.grants.on(Action::VerifyKey, api.as_str());
        let snapshot = self.snapshot.as_ref();
        let foreseen = foresee::key(limiter, snapshot, &self.question, &covered, now).await;
        let foreseen = match foreseen {
            Ok(foreseen) => foreseen,
            Err(error) if error.code == Code::PreconditionFailed => {
                return Ok(Today { now: impossible(&error), before: self.before(record) });
            }
            Err(error) => return Err(error),
        };
        let data = DataAge { read_at: now.timestamp_millis(), age_ms: 0 };
        let described = foreseen.describe(&self.workspace, snapshot, &self.question, data);
        let denied = time(record.last_time);
        let ends = |state: &State| past.ends(state);
        let turned = match foreseen.verdict.outcome {
            _ if same(&described, record) => Turn::default(),
            Outcome::Valid if record.description.step == Some(Step::Credits) => self.refilled(snapshot, denied),
            Outcome::Valid if record.description.step == Some(Step::RateLimits) => self.limits_raised(record, denied),
            // What was taken since is not in the log.
            Outcome::RateLimited | Outcome::UsageExceeded => Turn::default(),
            Outcome::Valid
            | Outcome::NotFound
            | Outcome::Forbidden
            | Outcome::Disabled
            | Outcome::Expired
            | Outcome::InsufficientPermissions => {
                history::turn(&past.rows, (&past.state, now), denied, |state, at| past.judge(state, at), ends)
            }
        };
        Ok(Today { now: replayed(&described, record, &turned, (&past.rows, &past.state)), before: self.before(record) })
    }

    fn before(&self, record: &Decision) -> Vec<PastChange> {
        let (past, at) = (&self.past, time(record.time));
        let (state, earlier) = history::at(&past.rows, &past.state, at);
        let missing = &record.description.missing;
        let credits = Fact::field(self.question.key.as_ref().map_or("", |key| key.as_str()), "credits");
        let credits = (record.description.step == Some(Step::Credits)).then_some(credits);
        let look = |state: &State| {
            let access = past.access(state);
            let routes: Vec<_> = missing.iter().map(|slug| access.routes(slug)).collect();
            let credits = credits.as_ref().map(|fact| state.get(fact).cloned());
            (past.judge(state, at), routes, credits)
        };
        let names = limit_names(record);
        let mut rows = history::turns(earlier, state, MOST_BEFORE, look);
        rows.extend(earlier.iter().filter(|row| is_about(row, &names)));
        rows.sort_by_key(|row| std::cmp::Reverse(row.at));
        rows.truncate(MOST_BEFORE);
        rows.into_iter().map(|row| tell::change(row, &past.state)).collect()
    }

    /// Since when there are credits enough: since they were given, or since the last refill.
    fn refilled(&self, snapshot: Option<&Snapshot>, denied: Timestamp) -> Turn {
        let (cost, rows) = (self.question.cost, &self.past.rows);
        let enough = |value: &Option<FieldValue>| match value {
            Some(FieldValue::Number(credits)) => *credits >= cost,
            // Unlimited.
            _ => true,
        };
        let given = rows.iter().enumerate().take_while(|(_, row)| row.at >= denied).find(|(_, row)| {
            let mut balances = row.changes.iter().filter(|change| change.field == "credits");
            balances.any(|change| !enough(&change.from) && enough(&change.to))
        });
        let refill = snapshot.and_then(|snapshot| snapshot.credits.as_ref()).and_then(|credits| credits.refill());
        let due = refill.filter(|refill| refill.amount >= cost).map(|refill| Due::at(self.now).last(refill.day));
        let due = due.filter(|due| *due > denied && given.is_none_or(|(_, row)| *due > row.at));
        match (due, given) {
            (Some(due), _) => Turn { since: Some(due), because: Vec::new() },
            (None, Some((index, row))) => Turn { since: Some(row.at), because: vec![index] },
            (None, None) => Turn::default(),
        }
    }

    /// Changes of the limits that refused. Since when a window has room is not in the log.
    fn limits_raised(&self, record: &Decision, denied: Timestamp) -> Turn {
        let names = limit_names(record);
        let later = self.past.rows.iter().enumerate().take_while(|(_, row)| row.at >= denied);
        Turn { since: None, because: later.filter(|(_, row)| is_about(row, &names)).map(|(index, _)| index).collect() }
    }
}

fn limit_names(record: &Decision) -> Vec<&str> {
    let limits = record.description.required.ratelimits.iter().flatten();
    limits.map(|limit| limit.name.as_str()).collect()
}

fn is_about(row: &Row, limits: &[&str]) -> bool {
    let named = |name: &Option<String>| name.as_deref().is_some_and(|name| limits.contains(&name));
    row.event.starts_with("ratelimit.") && row.resources.iter().any(|of| of.r#type == "ratelimit" && named(&of.name))
}

/// The question of a root key.
fn root_key_today(tx: &mut Tx<'_>, workspace: &WorkspaceId, record: &Decision) -> Result<Today> {
    let Question::RootKey(RootKeyQuestion { root_key: Some(id), needs, gives_until }) = &record.question else {
        return Ok(Today { now: unchanged(record), before: Vec::new() });
    };
    let Some(past) = RootKeyPast::load(tx, workspace, id)? else {
        return Ok(Today { now: unchanged(record), before: Vec::new() });
    };
    let now = tx.now();
    let gives_until = gives_until.map(|until| until.and_then(DateTime::from_timestamp_millis));
    let asked = |state: &State, at: Timestamp| {
        let there = past.at(state);
        foresee::call(there.as_ref().map(|(root_key, workspace)| (root_key, workspace)), needs, gives_until, at)
    };
    let judge = |state: &State, at: Timestamp| {
        let foreseen = asked(state, at);
        let missing: Vec<_> = foreseen.lack.needs.iter().flat_map(|need| need.missing()).collect();
        (foreseen.refused, missing)
    };
    let mut foreseen = asked(&past.state, now);
    let there = past.at(&past.state);
    if foreseen.refused.is_none()
        && let Some((_, workspace)) = &there
    {
        foreseen.refused = limited(tx, workspace, record, now)?;
    }
    let data = DataAge { read_at: now.timestamp_millis(), age_ms: 0 };
    let there = there.as_ref().map(|(root_key, workspace)| (root_key, workspace));
    let described = foreseen.describe(&record.operation, there, data);
    let by_log =
        !matches!(record.description.step, Some(Step::RequestAllowance | Step::KeysLimit | Step::RootKeysLimit));
    let turned = if same(&described, record) || (foreseen.refused.is_none() && !by_log) {
        Turn::default()
    } else {
        history::turn(&past.rows, (&past.state, now), time(record.last_time), judge, |state| past.ends(state))
    };
    let (then, earlier) = history::at(&past.rows, &past.state, time(record.time));
    let rows = history::turns(earlier, then, MOST_BEFORE, |state| judge(state, time(record.time)));
    let mut now = replayed(&described, record, &turned, (&past.rows, &past.state));
    if now.allowed && needs.iter().any(|need| need.any) {
        now.text.push_str(
            " What it is about was not looked up when it was refused: it may be refused for that, or not be found.",
        );
    }
    Ok(Today { now, before: rows.into_iter().map(|row| tell::change(row, &past.state)).collect() })
}

/// Limits of the workspace, which refuse only what asks for more of what is limited.
fn limited(
    tx: &mut Tx<'_>,
    workspace: &Workspace,
    record: &Decision,
    now: Timestamp,
) -> Result<Option<(Code, Refusal)>> {
    let full = |most: Option<i64>, count: i64| most.filter(|most| count >= *most);
    Ok(match record.description.step {
        Some(Step::KeysLimit) => {
            let count = store::keys::count(tx, &workspace.id)?;
            let most = full(workspace.keys_max, count);
            most.map(|most| (Code::KeysLimitExceeded, Refusal::KeysLimit { most, wanted: count.saturating_add(1) }))
        }
        Some(Step::RootKeysLimit) => {
            let count = store::root_keys::count(tx, &workspace.id)?;
            let most = full(workspace.root_keys_max, count);
            let refusal = |most| Refusal::RootKeysLimit { most, wanted: count.saturating_add(1) };
            most.map(|most| (Code::RootKeysLimitExceeded, refusal(most)))
        }
        // Whoever was refused may try again when a minute has passed, and has not asked since as far as anybody knows.
        Some(Step::RequestAllowance) if now < time(record.last_time.saturating_add(60_000)) => {
            let most = workspace.requests_per_minute.and_then(|most| u32::try_from(most).ok());
            most.map(|most| (Code::WorkspaceRateLimited, Refusal::Allowance(most)))
        }
        _ => None,
    })
}

/// A request that makes no sense any more.
fn impossible(error: &Error) -> Replayed {
    Replayed {
        allowed: false,
        code: error.code.row().path.to_owned(),
        step: None,
        missing: Vec::new(),
        since: None,
        because: Vec::new(),
        text: format!("The same request would be answered with an error now: {}", error.detail),
    }
}

/// Whether it would be refused for the reason of the record.
fn same(described: &Description, record: &Decision) -> bool {
    let then = &record.description;
    (described.step, &described.code, &described.missing) == (then.step, &then.code, &then.missing)
}

fn replayed(described: &Description, record: &Decision, turned: &Turn, (rows, names): (&[Row], &State)) -> Replayed {
    let because: Vec<_> = turned
        .because
        .iter()
        .filter_map(|index| rows.get(*index))
        .take(MOST_BEFORE)
        .map(|row| tell::change(row, names))
        .collect();
    Replayed {
        allowed: described.allowed(),
        code: described.code.clone(),
        step: described.step,
        missing: described.missing.clone(),
        since: turned.since.map(|since| since.timestamp_millis()),
        text: in_words(described, record, turned.since, &because),
        because,
    }
}

fn in_words(described: &Description, record: &Decision, since: Option<Timestamp>, because: &[PastChange]) -> String {
    let told: Vec<_> = because.iter().map(|change| change.text.as_str()).collect();
    let told = if told.is_empty() { String::new() } else { format!(", because {}", told.join("; ")) };
    let since = since.map(|since| format!(" since {}", describe::shown(since))).unwrap_or_default();
    match (described.allowed(), record.description.step) {
        (true, Some(Step::RateLimits)) => {
            let resets = record.description.required.ratelimits.iter().flatten().map(|limit| limit.reset);
            let end = resets.max().and_then(DateTime::from_timestamp_millis);
            let end = end.map(|end| format!(" The window that was full ended at {}.", describe::shown(end)));
            format!("The same request would pass now{told}: its rate limits have room.{}", end.unwrap_or_default())
        }
        (true, Some(Step::RequestAllowance)) => {
            "The same request would pass now: the minute that had seen too many requests is over.".to_owned()
        }
        (true, _) => format!("The same request would pass{}{told}.", if since.is_empty() { " now" } else { &since }),
        (false, _) if same(described, record) => {
            format!("The same request would be refused now for the same reason. {}", described.summary)
        }
        (false, _) => {
            format!("The same request would be refused now for another reason{since}{told}. {}", described.summary)
        }
    }
}

fn time(ms: i64) -> Timestamp {
    DateTime::from_timestamp_millis(ms).unwrap_or_default()
}
