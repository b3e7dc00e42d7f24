//! THE TABLE of operations: wire name, permissions, handler. Routing, authorization, the tests and the README come from it.

use crate::authz::action::Action;
use crate::authz::action::Action::CreateApi;
use crate::authz::action::Action::CreateKey;
use crate::authz::action::Action::DecryptKey;
use crate::authz::action::Action::DeleteApi;
use crate::authz::action::Action::DeleteKey;
use crate::authz::action::Action::EncryptKey;
use crate::authz::action::Action::ReadApi;
use crate::authz::action::Action::ReadKey;
use crate::authz::action::Action::UpdateApi;
use crate::authz::action::Action::UpdateKey;
use crate::authz::action::Action::VerifyKey;
use crate::http::apis;
use crate::http::keys;
use crate::http::migrations;
use crate::http::rpc::rpc;
use actix_web::Route;

/// One operation.
#[derive(Clone, Copy, Debug)]
pub struct Operation {
    /// `keys.createKey`: served as `POST /v2/keys.createKey` and `POST /v1/keys.createKey`.
    pub name: &'static str,
    /// All of these are needed, each for every resource or for the one that the request is about.
    pub needs: &'static [Action],
    /// What may be needed beside, depending on the request.
    pub also: &'static [Action],
    /// How many times as long as any other operation it may stay in the store.
    pub patience: u32,
    /// Makes its route.
    pub serve: fn() -> Route,
}

/// Every operation.
#[rustfmt::skip]
pub static OPERATIONS: &[Operation] = &[
    op("apis.createApi",  &[CreateApi],        || rpc(apis::create_api)),
    op("apis.getApi",     &[ReadApi],          || rpc(apis::get_api)),
    op("apis.listApis",   &[ReadApi],          || rpc(apis::list_apis)),
    op("apis.updateApi",  &[UpdateApi],        || rpc(apis::update_api)),
    op("apis.deleteApi",  &[DeleteApi],        || rpc(apis::delete_api)),
    op("apis.listKeys",   &[ReadKey, ReadApi], || rpc(apis::list_keys)).also(&[DecryptKey]),
    op("keys.createKey",  &[CreateKey],        || rpc(keys::create_key)).also(&[EncryptKey]),
    op("keys.verifyKey",  &[VerifyKey],        || rpc(keys::verify_key)),
    op("keys.getKey",     &[ReadKey],          || rpc(keys::get_key)).also(&[DecryptKey]),
    op("keys.whoami",     &[ReadKey],          || rpc(keys::whoami)),
    op("keys.updateKey",  &[UpdateKey],        || rpc(keys::update_key)),
    op("keys.rerollKey",  &[CreateKey],        || rpc(keys::reroll_key)).also(&[EncryptKey]),
    op("keys.deleteKey",  &[DeleteKey],        || rpc(keys::delete_key)),
    op("keys.migrateKeys", &[CreateKey],       || rpc(keys::migrate_keys)).patient(10),
    op("migrations.createMigration", &[CreateKey], || rpc(migrations::create_migration)),
];

const fn op(name: &'static str, needs: &'static [Action], serve: fn() -> Route) -> Operation {
    Operation { name, needs, also: &[], patience: 1, serve }
}

impl Operation {
    const fn also(mut self, also: &'static [Action]) -> Self {
        self.also = also;
        self
    }

    /// For what handles thousands of rows at once.
    const fn patient(mut self, times: u32) -> Self {
        self.patience = times;
        self
    }
}
