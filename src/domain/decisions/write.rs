//! Writing gathered denials: what is known of strangers is looked up, verdicts are put into words, attempts are audited.

use crate::authz::caller::Caller;
use crate::domain::decisions::describe;
use crate::domain::decisions::describe::KeyVerdict;
use crate::domain::decisions::describe::RootKeyVerdict;
use crate::domain::decisions::explain;
use crate::domain::decisions::record::Kept;
use crate::domain::decisions::record::KeptKey;
use crate::domain::decisions::record::KeptRootKey;
use crate::domain::decisions::record::Stranger;
use crate::domain::decisions::record::Taken;
use crate::model::decision::CallingKey;
use crate::model::decision::Credential;
use crate::model::decision::CredentialType;
use crate::model::decision::Decision;
use crate::model::decision::Description;
use crate::model::decision::LooksLike;
use crate::model::decision::Question;
use crate::model::decision::RootKeyQuestion;
use crate::model::decision::Told;
use crate::model::error::Error;
use crate::model::error::Result;
use crate::model::id::ApiId;
use crate::model::id::RootKeyId;
use crate::model::id::WorkspaceId;
use crate::model::origin::Actor;
use crate::model::origin::Event;
use crate::model::origin::Origin;
use crate::model::origin::Resource;
use crate::model::secret::Hash;
use crate::store;
use crate::store::database::Db;
use crate::store::decisions::Repeated;
use crate::store::strangers;
use crate::store::strangers::NamedKey;
use crate::store::strangers::NamedRootKey;
use crate::store::tx::AuditEvent;
use crate::store::tx::Tx;
use std::collections::HashMap;

/// Unknown credentials of a batch that are looked for among the keys of all workspaces, at most.
const MAX_LOOKS: usize = 16;

/// Writes a batch, all of it or nothing. Writing it twice is writing it once.
///
/// # Errors
/// Whatever the database says.
pub(super) fn write(tx: &mut Tx<'_>, batch: &[Taken]) -> Result<()> {
    let known = Known::look_up(tx, batch.iter().filter_map(|taken| taken.kept.as_ref()))?;
    let records: Vec<_> = batch.iter().filter_map(|taken| record(taken, &known)).collect();
    let inserted = store::decisions::insert(tx, &records)?;
    let repeated = batch.iter().filter(|taken| taken.count > 1).map(|taken| Repeated {
        decision: taken.first.clone(),
        at: taken.at,
        last_at: taken.last_at,
        count: taken.count,
        requests: taken.requests.clone(),
    });
    store::decisions::repeat(tx, &repeated.collect::<Vec<_>>())?;
    let kept = batch.iter().filter(|taken| inserted.contains(&taken.first));
    for (taken, denied) in kept.filter_map(|taken| Some((taken, audited(taken)?))) {
        let record = records.iter().find(|record| record.request_id == taken.first);
        if let Some(record) = record {
            audit(tx, taken, denied, record);
        }
    }
    Ok(())
}

/// What the record of a verification says, also of a valid one, for the answer itself.
///
/// # Errors
/// The database's, which is asked only of what is no key.
pub(in crate::domain) async fn explained(db: &Db, caller: &Caller, decided: KeptKey) -> Result<Box<Description>> {
    let (decided, known) = if decided.stranger.is_some() {
        db.ask(move |tx| {
            let decided = Kept::Key(Box::new(decided));
            let known = Known::look_up(tx, std::iter::once(&decided))?;
            Ok((decided, known))
        })
        .await?
    } else {
        (Kept::Key(Box::new(decided)), Known::default())
    };
    let Kept::Key(decided) = decided else { return Err(Error::unexpected("a key became a root key")) };
    let (mut description, ..) = key(&decided, &known);
    explain::hide(&mut description, caller);
    Ok(Box::new(description))
}

fn audited(taken: &Taken) -> Option<&KeptRootKey> {
    match &taken.kept {
        Some(Kept::RootKey(denied)) if denied.audited => Some(denied),
        Some(Kept::RootKey(_) | Kept::Key(_)) | None => None,
    }
}

/// An attempt that was refused, in the log of the workspace that it was made in.
fn audit(tx: &mut Tx<'_>, taken: &Taken, denied: &KeptRootKey, record: &Decision) {
    let description = &record.description;
    let (Some(workspace), Some(id)) = (&description.principal.workspace_id, &description.credential.id) else { return };
    if description.credential.r#type != CredentialType::RootKey {
        return;
    }
    let name = description.credential.name.clone();
    let origin = Origin {
        actor: Actor::RootKey { id: RootKeyId::from_text(id), name: name.as_deref().unwrap_or("root key").into() },
        address: denied.address,
        user_agent: denied.user_agent.clone(),
        request_id: taken.first.clone(),
        ignored: denied.ignored,
    };
    let missing = if description.missing.is_empty() {
        String::new()
    } else {
        format!("; missing {}", description.missing.join(", "))
    };
    let display = format!("refused {}: {}{missing}", denied.operation, denied.code.row().path);
    let resources = vec![Resource::new("rootKey", id, name.as_deref())];
    tx.note_as(origin, taken.at, AuditEvent::new(workspace, Event::Denied, display, resources));
}

/// What the database knows beside the verdicts.
#[derive(Default)]
struct Known {
    gone_keys: HashMap<(WorkspaceId, Hash), NamedKey>,
    prefixes: HashMap<(WorkspaceId, String), ApiId>,
    gone_root_keys: HashMap<Hash, NamedRootKey>,
    keys: HashMap<Hash, NamedKey>,
    callers: HashMap<RootKeyId, NamedRootKey>,
}

impl Known {
    fn look_up<'a>(tx: &mut Tx<'_>, all: impl Iterator<Item = &'a Kept>) -> Result<Self> {
        let mut known = Self::default();
        let mut strangers: HashMap<&WorkspaceId, Vec<&Stranger>> = HashMap::new();
        let (mut callers, mut bearers) = (Vec::new(), Vec::new());
        for kept in all {
            match kept {
                Kept::Key(denied) => {
                    callers.push(denied.question.root_key.clone());
                    if let Some(stranger) = &denied.stranger {
                        strangers.entry(&denied.workspace).or_default().push(stranger);
                    }
                }
                Kept::RootKey(denied) => {
                    let stranger = denied.stranger.as_ref();
                    bearers.extend(stranger.and_then(|stranger| Some((stranger.hash?, stranger.looks_like))));
                }
            }
        }
        for (workspace, strangers) in strangers {
            let hashes: Vec<_> = strangers.iter().filter_map(|stranger| stranger.hash).collect();
            let gone = strangers::gone_keys(tx, workspace, &hashes)?;
            known.gone_keys.extend(gone.into_iter().map(|(hash, key)| ((workspace.clone(), hash), key)));
            let prefixes: Vec<_> = strangers.iter().filter_map(|stranger| stranger.prefix.as_deref()).collect();
            let found = strangers::prefixes(tx, workspace, &prefixes)?;
            known.prefixes.extend(found.into_iter().map(|(prefix, api)| ((workspace.clone(), prefix), api)));
        }
        if !bearers.is_empty() {
            let hashes: Vec<_> = bearers.iter().map(|(hash, _)| *hash).collect();
            known.gone_root_keys = strangers::gone_root_keys(tx, &hashes)?;
            // What looks like a root key was no key; and each look costs as much as there are workspaces.
            let may_be_keys = bearers.iter().filter(|(_, looks_like)| *looks_like == LooksLike::Unknown);
            let hashes: Vec<_> = may_be_keys.map(|(hash, _)| *hash).take(MAX_LOOKS).collect();
            known.keys = strangers::keys_anywhere(tx, &hashes)?;
        }
        if !callers.is_empty() {
            known.callers = strangers::root_keys(tx, &callers)?;
        }
        Ok(known)
    }
}

fn record(taken: &Taken, known: &Known) -> Option<Decision> {
    let (operation, ignored, (description, caller, question, told)) = match taken.kept.as_ref()? {
        Kept::Key(denied) => (denied.operation, denied.caller.ignored, key(denied, known)),
        Kept::RootKey(denied) => (denied.operation, denied.ignored, root_key(denied, known)),
    };
    Some(Decision {
        request_id: taken.first.clone(),
        time: taken.at.timestamp_millis(),
        last_time: taken.last_at.timestamp_millis(),
        count: taken.count,
        operation: operation.to_owned(),
        description,
        caller,
        ignored: ignored.names(),
        question,
        told,
    })
}

type Told4 = (Description, Option<CallingKey>, Question, Option<Told>);

fn key(denied: &KeptKey, known: &Known) -> Told4 {
    let stranger = denied.stranger.as_ref();
    let gone = stranger.and_then(|stranger| known.gone_keys.get(&(denied.workspace.clone(), stranger.hash?)));
    let api = stranger.and_then(|stranger| known.prefixes.get(&(denied.workspace.clone(), stranger.prefix.clone()?)));
    let looks_like = match (gone, api) {
        (Some(_), _) => LooksLike::Deleted,
        (None, Some(_)) => LooksLike::PrefixOf,
        (None, None) => stranger.map_or(LooksLike::Unknown, |stranger| stranger.looks_like),
    };
    let mut question = denied.question.clone();
    let mut description = describe::key(&KeyVerdict {
        workspace: &denied.workspace,
        verdict: &denied.verdict,
        snapshot: denied.snapshot.as_deref(),
        credits: denied.credits,
        limits: &denied.limits,
        question: &denied.question,
        looks_like,
        data: denied.data,
    });
    if let Some(gone) = gone {
        description.credential = named_key(gone);
        question.key = Some(gone.id.clone());
    } else if looks_like == LooksLike::PrefixOf {
        description.credential.api_id = api.cloned();
    }
    let id = &denied.question.root_key;
    let named = known.callers.get(id);
    let caller = CallingKey {
        id: id.clone(),
        name: named.and_then(|named| named.name.clone()),
        start: named.map(|named| named.start.clone()),
    };
    (description, Some(caller), Question::Key(question), None)
}

fn named_key(key: &NamedKey) -> Credential {
    Credential {
        r#type: CredentialType::Key,
        id: Some(key.id.to_string()),
        name: key.name.clone(),
        start: Some(key.start.clone()),
        api_id: Some(key.api_id.clone()),
        looks_like: Some(LooksLike::Deleted),
    }
}

fn root_key(denied: &KeptRootKey, known: &Known) -> Told4 {
    let hash = denied.stranger.as_ref().and_then(|stranger| stranger.hash);
    let (gone, key) =
        (hash.and_then(|hash| known.gone_root_keys.get(&hash)), hash.and_then(|hash| known.keys.get(&hash)));
    let looks_like = match (gone, key) {
        (Some(_), _) => LooksLike::Deleted,
        (None, Some(_)) => LooksLike::KeyOfApi,
        (None, None) => denied.stranger.as_ref().map_or(LooksLike::Unknown, |stranger| stranger.looks_like),
    };
    let judged = RootKeyVerdict {
        operation: denied.operation,
        refused: Some((denied.code, denied.refusal)),
        lack: denied.lack.as_ref(),
        root_key: denied.root_key.as_ref().map(|known| (&known.root_key, &known.workspace)),
        looks_like,
        data: denied.data,
    };
    let mut description = describe::root_key(&judged);
    if let Some(gone) = gone {
        description.principal.workspace_id = Some(gone.workspace_id.clone());
        description.credential = Credential {
            r#type: CredentialType::RootKey,
            id: Some(gone.id.to_string()),
            name: gone.name.clone(),
            start: Some(gone.start.clone()),
            ..description.credential
        };
    } else if let Some(key) = key {
        // No more than its id: whoever sent it need not be its owner.
        description.principal.workspace_id = Some(key.workspace_id.clone());
        description.credential.r#type = CredentialType::Key;
        description.credential.id = Some(key.id.to_string());
    }
    let question = RootKeyQuestion {
        root_key: description.credential.id.as_deref().filter(|_| key.is_none()).map(RootKeyId::from_text),
        needs: denied.lack.as_ref().map(|lack| lack.needs.clone()).unwrap_or_default(),
        gives_until: denied.refusal.other_end().map(|other| other.map(|at| at.timestamp_millis())),
    };
    (description, None, Question::RootKey(question), describe::told(&judged))
}
