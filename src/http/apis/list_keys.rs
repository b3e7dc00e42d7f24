//! `apis.listKeys`.

use crate::app::App;
use crate::authz::caller::Caller;
use crate::domain::keys::read;
use crate::http::call::Call;
use crate::http::call::Reply;
use crate::http::keys::KeyResponse;
use crate::model::error::Result;
use crate::model::id::ApiId;
use crate::model::page::PageRequest;
use crate::store::tx::Tx;
use serde::Deserialize;

/// Request of `apis.listKeys`. The contract also takes `revalidateKeysCache`, which asks for what is done anyway: the
/// list comes from the database.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ListKeysRequest {
    api_id: ApiId,
    limit: Option<i64>,
    cursor: Option<String>,
    external_id: Option<String>,
    #[serde(default)]
    decrypt: bool,
}

/// `apis.listKeys`.
///
/// # Errors
/// As [`read::list`].
pub async fn list_keys(call: Call, request: ListKeysRequest) -> Result<Reply<Vec<KeyResponse>>> {
    let page = PageRequest::new(request.limit, request.cursor);
    let decrypt = request.decrypt;
    let list = move |tx: &mut Tx<'_>, caller: &Caller, app: &App| {
        read::list(tx, caller, &app.master_keys, &request.api_id, request.external_id.as_deref(), decrypt, &page)
    };
    let page = if decrypt { call.write(list).await? } else { call.read(list).await? };
    Ok(Reply::page(page.map(KeyResponse::from)))
}
