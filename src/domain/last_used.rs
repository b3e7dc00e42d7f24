//! When root keys were last used: gathered in memory, written in batches, off the request's path. Of keys their events tell.

use crate::model::clock::Timestamp;
use crate::model::error::Result;
use crate::model::id::RootKeyId;
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
pub struct LastUsed(Mutex<HashMap<RootKeyId, Timestamp>>);

impl LastUsed {
    /// A root key authenticated a request.
    pub fn root_key(&self, id: &RootKeyId, at: Timestamp) {
        let mut waiting = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = waiting.get_mut(id) {
            *known = at.max(*known);
        } else if waiting.len() < MAX_WAITING {
            waiting.insert(id.clone(), at);
        }
    }

    /// Writes what waits. What could not be written waits on.
    ///
    /// # Errors
    /// Whatever the database says.
    pub async fn flush(&self, db: &Db) -> Result<()> {
        let waiting = std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner));
        if waiting.is_empty() {
            return Ok(());
        }
        let used: Vec<_> = waiting.into_iter().collect();
        let kept = used.clone();
        let touch = move |tx: &mut store::tx::Tx<'_>| Ok(store::root_keys::touch(tx, &used)?);
        let written = db.write(Origin::local(Actor::System), touch).await;
        if written.is_err() {
            kept.iter().for_each(|(id, at)| self.root_key(id, *at));
        }
        written.map(drop)
    }
}
