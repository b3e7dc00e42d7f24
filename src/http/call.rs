//! What a handler gets beside the request's fields, and what it gives back.

use crate::app::App;
use crate::authz::caller::Caller;
use crate::http::envelope::Empty;
use crate::model::error::Result;
use crate::model::origin::Origin;
use crate::model::page::Page;
use crate::store::tx::Tx;
use std::net::IpAddr;
use std::sync::Arc;

/// One authenticated call.
#[derive(Clone, Debug)]
pub struct Call {
    /// The process.
    pub app: Arc<App>,
    /// Who calls, and for which operation.
    pub caller: Arc<Caller>,
    /// For the audit log.
    pub origin: Origin,
    /// The client's address, through trusted proxies.
    pub address: Option<IpAddr>,
    /// How many times as long as usual a write may take.
    pub patience: u32,
}

impl Call {
    /// Asks the database on the caller's behalf.
    ///
    /// # Errors
    /// The database's and those of `ask`.
    pub async fn read<T: Send + 'static>(
        &self,
        ask: impl FnOnce(&mut Tx<'_>, &Caller, &App) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let (caller, app) = (Arc::clone(&self.caller), Arc::clone(&self.app));
        self.app.db.read(move |tx| ask(tx, &caller, &app)).await
    }

    /// Changes the database on the caller's behalf; `change` may run several times.
    ///
    /// # Errors
    /// The database's and those of `change`.
    pub async fn write<T: Send + 'static>(
        &self,
        mut change: impl FnMut(&mut Tx<'_>, &Caller, &App) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let (caller, app) = (Arc::clone(&self.caller), Arc::clone(&self.app));
        self.app.db.patient(self.patience).write(self.origin.clone(), move |tx| change(tx, &caller, &app)).await
    }
}

/// The `data` of an answer, if it has any, with the cursor of the next page for lists.
#[derive(Debug)]
pub struct Reply<T> {
    /// `data`.
    pub data: Option<T>,
    /// `pagination.cursor`; the outer `None` is no list.
    pub next: Option<Option<String>>,
    /// Whether it is one of very many of its kind, which metrics count and the log need not name.
    pub routine: bool,
}

impl<T> Reply<T> {
    /// An answer that is no list.
    #[must_use]
    pub fn new(data: T) -> Self {
        Self { data: Some(data), next: None, routine: false }
    }
}

impl<T> Reply<T> {
    /// Says that it is one of very many of its kind.
    #[must_use]
    pub fn routine(self, routine: bool) -> Self {
        Self { routine, ..self }
    }
}

impl Reply<Empty> {
    /// An answer of `meta` alone.
    #[must_use]
    pub fn bare() -> Self {
        Self { data: None, next: None, routine: false }
    }
}

impl<T> Reply<Vec<T>> {
    /// One page of a list.
    #[must_use]
    pub fn page(page: Page<T>) -> Self {
        Self { data: Some(page.rows), next: Some(page.next), routine: false }
    }
}
