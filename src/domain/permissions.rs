//! Permissions (contract/permissions.md).

use crate::authz::caller::Permit;
use crate::model::code::Code;
use crate::model::error::Error;
use crate::model::error::Result;
use crate::model::id::PermissionId;
use crate::model::permission::Permission;
use crate::store;
use crate::store::links::Named;
use crate::store::tx::Tx;
use std::collections::BTreeSet;

/// Longest slug, and its alphabet beside letters and digits (permissions.md).
const MAX_SLUG: usize = 128;
const MARKS: &str = "_:-.*";

/// The permissions with these slugs; those that there are not yet are made, with the slug as their name. Repeats are one.
///
/// # Errors
/// `invalid_input` for a slug that cannot be one.
pub fn ensure(tx: &mut Tx<'_>, permit: &Permit, slugs: &[String]) -> Result<Named> {
    let wanted: BTreeSet<String> = slugs.iter().cloned().collect();
    let mut known = store::permissions::by_slugs(tx, permit.workspace(), &wanted)?;
    let missing: Vec<_> = wanted.iter().filter(|slug| !known.contains_key(*slug)).cloned().collect();
    if missing.is_empty() {
        return Ok(known);
    }
    let new = missing.iter().map(|slug| named_by_slug(tx, permit, slug)).collect::<Result<Vec<_>>>()?;
    for rows in new.chunks(store::permissions::MAX_ROWS) {
        store::permissions::insert_missing(tx, permit, rows)?;
    }
    // Also those that another transaction stored between the two statements.
    known.extend(store::permissions::by_slugs(tx, permit.workspace(), &missing.into_iter().collect())?);
    Ok(known)
}

/// Slugs of a list that are no permission yet, sorted.
///
/// # Errors
/// Only the database's.
pub fn missing(tx: &mut Tx<'_>, permit: &Permit, slugs: &[String]) -> Result<Vec<String>> {
    let wanted: BTreeSet<String> = slugs.iter().cloned().collect();
    let known = store::permissions::by_slugs(tx, permit.workspace(), &wanted)?;
    Ok(wanted.into_iter().filter(|slug| !known.contains_key(slug)).collect())
}

fn named_by_slug(tx: &Tx<'_>, permit: &Permit, slug: &str) -> Result<Permission> {
    let of_slug = |c: char| c.is_ascii_alphanumeric() || MARKS.contains(c);
    if !(1..=MAX_SLUG).contains(&slug.chars().count()) || !slug.chars().all(of_slug) {
        return Err(Error::new(
            Code::InvalidInput,
            format!("'{slug}' cannot be the slug of a permission: 1 to {MAX_SLUG} letters, digits and {MARKS}"),
        ));
    }
    Ok(Permission {
        id: PermissionId::generate(),
        workspace_id: permit.workspace().clone(),
        slug: slug.to_owned(),
        name: slug.to_owned(),
        description: None,
        created_at: tx.now(),
        updated_at: None,
    })
}
