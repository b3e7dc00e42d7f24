//! `ratelimit.getNamespace`.

use crate::domain::ratelimit::namespaces;
use crate::http::call::Call;
use crate::http::call::Reply;
use crate::http::ratelimit::NamespaceResponse;
use crate::model::error::Result;
use serde::Deserialize;

/// Request of `ratelimit.getNamespace`.
#[derive(Debug, Deserialize)]
pub struct GetNamespaceRequest {
    namespace: String,
}

/// `ratelimit.getNamespace`.
///
/// # Errors
/// As [`namespaces::get`].
pub async fn get_namespace(call: Call, request: GetNamespaceRequest) -> Result<Reply<NamespaceResponse>> {
    let found = call.read(move |tx, caller, _| namespaces::get(tx, caller, &request.namespace)).await?;
    Ok(Reply::new(NamespaceResponse::from(found)))
}
