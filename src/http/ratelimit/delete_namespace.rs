//! `ratelimit.deleteNamespace`.

use crate::domain::ratelimit::namespaces;
use crate::http::call::Call;
use crate::http::call::Reply;
use crate::http::envelope::Empty;
use crate::model::error::Result;
use serde::Deserialize;

/// Request of `ratelimit.deleteNamespace`.
#[derive(Debug, Deserialize)]
pub struct DeleteNamespaceRequest {
    namespace: String,
}

/// `ratelimit.deleteNamespace`.
///
/// # Errors
/// As [`namespaces::delete`].
pub async fn delete_namespace(call: Call, request: DeleteNamespaceRequest) -> Result<Reply<Empty>> {
    call.write(move |tx, caller, _| namespaces::delete(tx, caller, &request.namespace)).await?;
    Ok(Reply::new(Empty {}))
}
