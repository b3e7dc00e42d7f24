//! When keys and root keys were last used: gathered in memory, written in batches, off the request's path.

use crate::model::clock::Timestamp;
use crate::model::error::Result;
use crate::model::id::Id;
use crate::model::id::KeyId;
use crate::model::id::KeyKind;
use crate::model::id::Kind;
use crate::model::id::RootKeyId;
use crate::model::id::RootKeyKind;
use crate::model::origin::Actor;
use crate::model::origin::Origin;
use crate::store;
use crate::store::database::Db;
use std::collections::HashMap;
use std::sync::Mutex;
use std::sync::PoisonError;

/// Most ids that wait to be written; the use of a further one is noted when it is used again.
const MAX_WAITING: usize = 100_000;

/// Uses that wait to be written. A crash loses at most what one interval of flushing gathered.
#[derive(Debug, Default)]
pub struct LastUsed {
    keys: Waiting<KeyKind>,
    root_keys: Waiting<RootKeyKind>,
}

#[derive(Debug)]
struct Waiting<K: Kind>(Mutex<HashMap<Id<K>, Timestamp>>);

impl<K: Kind> Default for Waiting<K> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<K: Kind> Waiting<K> {
    fn note(&self, id: &Id<K>, at: Timestamp) {
        let mut waiting = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = waiting.get_mut(id) {
            *known = at.max(*known);
        } else if waiting.len() < MAX_WAITING {
            waiting.insert(id.clone(), at);
        }
    }

    fn take(&self) -> Vec<(Id<K>, Timestamp)> {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner)).into_iter().collect()
    }
}

impl LastUsed {
    /// A key was verified.
    pub fn key(&self, id: &KeyId, at: Timestamp) {
        self.keys.note(id, at);
    }

    /// A root key authenticated a request.
    pub fn root_key(&self, id: &RootKeyId, at: Timestamp) {
        self.root_keys.note(id, at);
    }

    /// Writes what waits. What could not be written waits on.
    ///
    /// # Errors
    /// Whatever the database says.
    pub async fn flush(&self, db: &Db) -> Result<()> {
        let (keys, root_keys) = (self.keys.take(), self.root_keys.take());
        if keys.is_empty() && root_keys.is_empty() {
            return Ok(());
        }
        let (kept_keys, kept_root_keys) = (keys.clone(), root_keys.clone());
        let written = db
            .write(Origin::local(Actor::System), move |tx| {
                store::keys::touch(tx, &keys)?;
                store::root_keys::touch(tx, &root_keys)?;
                Ok(())
            })
            .await;
        if written.is_err() {
            kept_keys.iter().for_each(|(id, at)| self.keys.note(id, *at));
            kept_root_keys.iter().for_each(|(id, at)| self.root_keys.note(id, *at));
        }
        written
    }
}
