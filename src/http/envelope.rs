//! The envelope of a success: `meta`, `data` (all operations but one), and `pagination` for lists.

use crate::http::call::Reply;
use crate::model::id::RequestId;
use serde::Serialize;

/// Room for the body of most answers, so that it need not grow while it is written.
const USUAL_BYTES: usize = 768;

/// `{}` as `data`.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Empty {}

/// `meta`.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Meta<'a> {
    /// Names this request.
    pub request_id: &'a RequestId,
}

#[derive(Debug, Serialize)]
struct Success<'a, T: Serialize> {
    meta: Meta<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    data: Option<&'a T>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pagination: Option<Pagination<'a>>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Pagination<'a> {
    has_more: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    cursor: Option<&'a str>,
}

/// The body of a success.
///
/// # Errors
/// Only a value that is no JSON: a bug.
pub fn success<T: Serialize>(request_id: &RequestId, reply: &Reply<T>) -> serde_json::Result<Vec<u8>> {
    let mut body = Vec::with_capacity(USUAL_BYTES);
    serde_json::to_writer(
        &mut body,
        &Success {
            meta: Meta { request_id },
            data: reply.data.as_ref(),
            pagination: reply
                .next
                .as_ref()
                .map(|cursor| Pagination { has_more: cursor.is_some(), cursor: cursor.as_deref() }),
        },
    )?;
    Ok(body)
}
