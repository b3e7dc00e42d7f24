//! APIs (contract/apis.md, decisions.md "Additions").

use crate::authz::caller::Caller;
use crate::authz::caller::On;
use crate::model::address::AddressList;
use crate::model::api::Api;
use crate::model::api::ApiChanges;
use crate::model::code::Code;
use crate::model::error::Error;
use crate::model::error::Result;
use crate::model::id::ApiId;
use crate::model::page::Page;
use crate::model::page::PageRequest;
use crate::store;
use crate::store::tx::Tx;

/// The one answer for an API that is unknown, deleted or of another workspace.
#[must_use]
pub fn not_found() -> Error {
    Error::new(Code::ApiNotFound, "The requested API does not exist or has been deleted.")
}

/// Makes an API.
///
/// # Errors
/// `insufficient_permissions`.
pub fn create(tx: &mut Tx<'_>, caller: &Caller, name: &str) -> Result<ApiId> {
    let permit = caller.permit(On::Any)?;
    let api = Api {
        id: ApiId::generate(),
        workspace_id: permit.workspace().clone(),
        name: name.to_owned(),
        default_prefix: None,
        default_bytes: None,
        recoverable: false,
        delete_protection: false,
        ip_whitelist: Vec::new(),
        created_at: tx.now(),
        updated_at: None,
    };
    store::apis::insert(tx, &permit, &api)?;
    Ok(api.id)
}

/// Reads an API.
///
/// # Errors
/// `insufficient_permissions`, the same whether or not the API exists; then `api_not_found`.
pub fn get(tx: &mut Tx<'_>, caller: &Caller, id: &ApiId) -> Result<Api> {
    let permit = caller.permit(On::Api(id))?;
    store::apis::find(tx, permit.workspace(), id)?.ok_or_else(not_found)
}

/// Lists APIs, oldest first, whose name holds `search` in any letter case; blank text filters nothing.
///
/// # Errors
/// `insufficient_permissions`.
pub fn list(tx: &mut Tx<'_>, caller: &Caller, search: Option<&str>, request: &PageRequest) -> Result<Page<Api>> {
    let permit = caller.permit(On::Any)?;
    let search = search.map(str::trim).filter(|search| !search.is_empty());
    let rows = store::apis::list(tx, permit.workspace(), search, request)?;
    Ok(Page::cut(rows, request, |api| api.id.as_str()))
}

/// Changes an API's settings.
///
/// # Errors
/// In this order: `insufficient_permissions`, `invalid_input` for an allow list that is none, `api_not_found`.
pub fn update(tx: &mut Tx<'_>, caller: &Caller, id: &ApiId, changes: &ApiChanges) -> Result<()> {
    let permit = caller.permit(On::Api(id))?;
    check_ip_whitelist(changes.ip_whitelist.as_deref().unwrap_or_default())?;
    if store::apis::update(tx, &permit, id, changes)? { Ok(()) } else { Err(not_found()) }
}

fn check_ip_whitelist(entries: &[String]) -> Result<()> {
    let malformed = entries.iter().enumerate().filter(|(_, entry)| AddressList::parse(&[entry]).is_err());
    let faults = malformed.map(|(index, _)| {
        Error::invalid(
            format!("body.ipWhitelist[{index}]"),
            "is neither an IP address nor a CIDR range",
            Some("Write it like 192.0.2.7, 10.0.0.0/8 or 2001:db8::/32."),
        )
    });
    // The detail speaks of the first one, the list has them all.
    let all = faults.reduce(|mut first, further| {
        first.violations.extend(further.violations);
        first
    });
    all.map_or(Ok(()), Err)
}

/// Deletes an API and with it, at once, all of its keys for every operation (decisions.md #33).
///
/// # Errors
/// `insufficient_permissions`, `api_not_found`, `protected_resource`.
pub fn delete(tx: &mut Tx<'_>, caller: &Caller, id: &ApiId) -> Result<()> {
    let permit = caller.permit(On::Api(id))?;
    if store::apis::delete(tx, &permit, id)? {
        return Ok(());
    }
    match store::apis::find(tx, permit.workspace(), id)? {
        Some(_) => Err(Error::new(
            Code::ProtectedResource,
            "This API has delete protection, so it was not deleted. Switch it off with apis.updateApi \
             {\"deleteProtection\": false} first.",
        )),
        None => Err(not_found()),
    }
}
