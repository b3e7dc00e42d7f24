// Who may do what: permissions, roles, owners, and the permission query of verifyKey.
import assert from "node:assert/strict";
import * as errors from "@unkey/api/models/errors";
import { admin, beyondSdk, defined, expectType, readonly, refused, step, verify } from "./support.mjs";

const META = { plan: "pro", seats: [1, 2] };

// What the steps hand on to each other.
const made = { apiId: "", keyId: "", key: "", permissionId: "", roleId: "", identityId: "" };

const insufficient = (data) => assert.deepEqual([data.code, data.valid], ["INSUFFICIENT_PERMISSIONS", false]);
const slugs = (list) => list.map((permission) => permission.slug);
const names = (list) => list.map((role) => role.name);

// All pages of a list.
async function all(first) {
  const rows = [];
  for await (const page of await first) {
    assert.equal(page.result.pagination.hasMore, page.result.pagination.cursor !== undefined);
    rows.push(...page.result.data);
  }
  return rows;
}

// ---- Permissions

await step("createPermission, and getPermission by id and by slug", async () => {
  const { data } = await admin.permissions.createPermission({
    name: "Read invoices",
    slug: "invoices.read",
    description: "See them all.",
  });
  assert.match(data.permissionId, /^perm_[a-zA-Z0-9]+$/);
  made.permissionId = data.permissionId;
  for (const permission of [data.permissionId, "invoices.read"]) {
    assert.deepEqual((await admin.permissions.getPermission({ permission })).data, {
      id: data.permissionId,
      name: "Read invoices",
      slug: "invoices.read",
      description: "See them all.",
    });
  }
});

await step("409 is typed: a permission's slug is taken", async () => {
  const again = () => admin.permissions.createPermission({ name: "Again", slug: "invoices.read" });
  expectType(await refused(again, errors.ConflictErrorResponse, 409), "unkey/data/permission_already_exists");
});

await step("listPermissions goes through all pages, and searches", async () => {
  for (const slug of ["invoices.write", "other"]) await admin.permissions.createPermission({ name: slug, slug });
  const listed = await all(admin.permissions.listPermissions({ limit: 2 }));
  assert.deepEqual(slugs(listed).sort(), ["invoices.read", "invoices.write", "other"]);
  const found = await all(admin.permissions.listPermissions({ limit: 100, search: "invoices" }));
  assert.deepEqual(slugs(found).sort(), ["invoices.read", "invoices.write"]);
});

await step("what updatePermission changed is shown", async () => {
  const changed = await beyondSdk("permissions.updatePermission", { permission: "other", slug: "reports.read", description: null });
  const { data } = await admin.permissions.getPermission({ permission: "reports.read" });
  assert.deepEqual(defined(data), changed);
});

// ---- Roles

await step("createRole with permissions, and getRole by id and by name", async () => {
  const { data } = await admin.permissions.createRole({
    name: "reader",
    description: "Reads.",
    permissions: ["invoices.read"],
  });
  assert.match(data.roleId, /^role_[a-zA-Z0-9]+$/);
  made.roleId = data.roleId;
  for (const role of [data.roleId, "reader"]) {
    const { data: shown } = await admin.permissions.getRole({ role });
    assert.deepEqual([shown.id, shown.name, shown.description], [data.roleId, "reader", "Reads."]);
    assert.deepEqual(slugs(shown.permissions), ["invoices.read"]);
    assert.equal(shown.permissions[0].id, made.permissionId);
  }
});

await step("409 is typed: a role's name is taken", async () => {
  const again = () => admin.permissions.createRole({ name: "reader" });
  expectType(await refused(again, errors.ConflictErrorResponse, 409), "unkey/data/role_already_exists");
});

await step("listRoles goes through all pages", async () => {
  for (const name of ["writer", "old"]) await admin.permissions.createRole({ name });
  const listed = await all(admin.permissions.listRoles({ limit: 2 }));
  assert.deepEqual(names(listed).sort(), ["old", "reader", "writer"]);
  assert.deepEqual(names(await all(admin.permissions.listRoles({ limit: 100, search: "rit" }))), ["writer"]);
});

await step("what updateRole changed is shown", async () => {
  const changed = await beyondSdk("permissions.updateRole", { role: "old", name: "auditor" });
  const { data } = await admin.permissions.getRole({ role: "auditor" });
  assert.deepEqual([data.id, data.name], [changed.id, "auditor"]);
});

await step("setRolePermissions answers all that the role now has", async () => {
  const permissions = ["reports.read", "invoices.read", "made.on.the.way"];
  const { data } = await admin.permissions.setRolePermissions({ roleId: made.roleId, permissions });
  assert.deepEqual(slugs(data), ["invoices.read", "made.on.the.way", "reports.read"]);
  const less = await admin.permissions.setRolePermissions({ roleId: made.roleId, permissions: ["invoices.read"] });
  assert.deepEqual(slugs(less.data), ["invoices.read"]);
});

await step("deletePermission and deleteRole: 404 from then on", async () => {
  assert.deepEqual((await admin.permissions.deletePermission({ permission: "made.on.the.way" })).data, {});
  assert.deepEqual((await admin.permissions.deleteRole({ role: "auditor" })).data, {});
  const permission = () => admin.permissions.getPermission({ permission: "made.on.the.way" });
  expectType(await refused(permission, errors.NotFoundErrorResponse, 404), "unkey/data/permission_not_found");
  const role = () => admin.permissions.getRole({ role: "auditor" });
  expectType(await refused(role, errors.NotFoundErrorResponse, 404), "unkey/data/role_not_found");
  // The SDK has no type for the 404 of deleteRole, and throws its general error.
  await assert.rejects(() => admin.permissions.deleteRole({ role: "auditor" }), (error) => error.statusCode === 404);
});

// ---- Keys

await step("createKey with owner, permissions and roles: verifyKey, getKey and whoami show them", async () => {
  made.apiId = (await admin.apis.createApi({ name: "access" })).data.apiId;
  const { data } = await admin.keys.createKey({
    apiId: made.apiId,
    externalId: "user_1",
    permissions: ["direct"],
    roles: ["reader"],
  });
  made.keyId = data.keyId;
  made.key = data.key;
  const shown = [
    await verify(made.key),
    (await admin.keys.getKey({ keyId: made.keyId })).data,
    (await admin.keys.whoami({ key: made.key })).data,
  ];
  for (const { permissions, roles, identity } of shown) {
    assert.deepEqual([permissions, roles, identity.externalId], [["direct", "invoices.read"], ["reader"], "user_1"]);
    made.identityId = identity.id;
  }
});

await step("createKey with an unknown role is a typed 404", async () => {
  const call = () => admin.keys.createKey({ apiId: made.apiId, roles: ["nobody"] });
  const error = await refused(call, errors.NotFoundErrorResponse, 404);
  expectType(error, "unkey/data/role_not_found");
  assert.match(error.error.detail, /'nobody'/);
});

await step("a permission query decides: VALID, or INSUFFICIENT_PERMISSIONS with all that is held", async () => {
  for (const permissions of ["direct", "direct AND invoices.read", "(nothing OR direct) AND invoices.read"]) {
    assert.equal((await verify(made.key, { permissions })).code, "VALID", permissions);
  }
  const denied = await verify(made.key, { permissions: "direct AND invoices.write" });
  insufficient(denied);
  assert.deepEqual([denied.permissions, denied.roles], [["direct", "invoices.read"], ["reader"]]);
  assert.equal(denied.identity.externalId, "user_1");
});

await step("400 is typed: a permission query that cannot be read", async () => {
  const call = () => admin.keys.verifyKey({ key: made.key, permissions: "direct AND" });
  const error = await refused(call, errors.BadRequestErrorResponse, 400);
  expectType(error, "user/bad_request/permissions_query_syntax_error");
});

await step("addPermissions, setPermissions, removePermissions answer what the key itself holds, and count at once", async () => {
  const { keyId } = made;
  const added = await admin.keys.addPermissions({ keyId, permissions: ["invoices.write"] });
  assert.deepEqual(slugs(added.data), ["direct", "invoices.write"]);
  assert.equal((await verify(made.key, { permissions: "invoices.write" })).code, "VALID");
  const set = await admin.keys.setPermissions({ keyId, permissions: ["direct", "x"] });
  assert.deepEqual(slugs(set.data), ["direct", "x"]);
  insufficient(await verify(made.key, { permissions: "invoices.write" }));
  const removed = await admin.keys.removePermissions({ keyId, permissions: ["x"] });
  assert.deepEqual(slugs(removed.data), ["direct"]);
  insufficient(await verify(made.key, { permissions: "x" }));
});

await step("addRoles, setRoles, removeRoles answer the key's roles, and count at once", async () => {
  const { keyId } = made;
  assert.deepEqual(names((await admin.keys.addRoles({ keyId, roles: ["writer"] })).data), ["reader", "writer"]);
  assert.deepEqual(names((await admin.keys.setRoles({ keyId, roles: ["writer"] })).data), ["writer"]);
  insufficient(await verify(made.key, { permissions: "invoices.read" }));
  assert.deepEqual((await admin.keys.removeRoles({ keyId, roles: ["writer"] })).data, []);
  assert.equal((await verify(made.key)).roles, undefined);
});

await step("updateKey replaces owner, permissions and roles, and null takes the owner away", async () => {
  const { keyId } = made;
  await admin.keys.updateKey({ keyId, externalId: "user_2", permissions: ["y"], roles: ["reader"] });
  const { data } = await admin.keys.getKey({ keyId });
  assert.deepEqual([data.identity.externalId, data.permissions, data.roles], ["user_2", ["invoices.read", "y"], ["reader"]]);
  await admin.keys.updateKey({ keyId, externalId: null });
  assert.equal((await admin.keys.getKey({ keyId })).data.identity, undefined);
});

await step("403 is typed: without rbac rights nothing is given", async () => {
  const call = () => readonly.keys.addPermissions({ keyId: made.keyId, permissions: ["direct"] });
  const error = await refused(call, errors.ForbiddenErrorResponse, 403);
  expectType(error, "unkey/authorization/insufficient_permissions");
  assert.ok(JSON.parse(error.body).error.missing.includes("rbac.*.add_permission_to_key"), error.body);
});

// ---- Owners

await step("createIdentity, and getIdentity by id and by external id", async () => {
  const { data } = await admin.identities.createIdentity({ externalId: "acme", meta: META });
  assert.match(data.identityId, /^id_[a-zA-Z0-9]+$/);
  for (const identity of [data.identityId, "acme"]) {
    const { data: shown } = await admin.identities.getIdentity({ identity });
    assert.deepEqual([shown.id, shown.externalId, shown.meta], [data.identityId, "acme", META]);
  }
});

await step("409 is typed: an owner is there already, also one that createKey made", async () => {
  for (const externalId of ["acme", "user_1"]) {
    const error = await refused(() => admin.identities.createIdentity({ externalId }), errors.ConflictErrorResponse, 409);
    expectType(error, "unkey/data/identity_already_exists");
  }
});

await step("listIdentities goes through all pages", async () => {
  const listed = await all(admin.identities.listIdentities({ limit: 2 }));
  assert.deepEqual(listed.map((identity) => identity.externalId).sort(), ["acme", "user_1", "user_2"]);
});

await step("updateIdentity answers the owner as it now is", async () => {
  const { data } = await admin.identities.updateIdentity({ identity: "acme", meta: { plan: "free" } });
  assert.deepEqual([data.externalId, data.meta], ["acme", { plan: "free" }]);
  assert.deepEqual((await admin.identities.getIdentity({ identity: data.id })).data.meta, { plan: "free" });
});

await step("verifyKey and listKeys show the owner with its metadata; listKeys finds the owner's keys", async () => {
  const { data } = await admin.keys.createKey({ apiId: made.apiId, externalId: "acme" });
  assert.deepEqual((await verify(data.key)).identity.meta, { plan: "free" });
  const [owned, ...more] = await all(admin.apis.listKeys({ apiId: made.apiId, limit: 100, externalId: "acme" }));
  assert.deepEqual([owned.keyId, owned.identity.externalId, more], [data.keyId, "acme", []]);
});

await step("the permissions and roles of an owner are its keys' too", async () => {
  const { data } = await admin.keys.createKey({ apiId: made.apiId, externalId: "acme" });
  await beyondSdk("identities.setPermissions", { identity: "acme", permissions: ["reports.read"] });
  await beyondSdk("identities.setRoles", { identity: "acme", roles: ["reader"] });
  const verdict = await verify(data.key, { permissions: "reports.read AND invoices.read" });
  assert.deepEqual([verdict.code, verdict.permissions], ["VALID", ["invoices.read", "reports.read"]]);
});

await step("the keys of a disabled owner are FORBIDDEN, at once", async () => {
  const { data } = await admin.keys.createKey({ apiId: made.apiId, externalId: "acme" });
  await beyondSdk("identities.updateIdentity", { identity: "acme", enabled: false });
  assert.equal((await verify(data.key)).code, "FORBIDDEN");
});

await step("deleteIdentity answers no data, and the owner's keys go on without it; 404 from then on", async () => {
  const { data: key } = await admin.keys.createKey({ apiId: made.apiId, externalId: "acme" });
  const answer = await admin.identities.deleteIdentity({ identity: "acme" });
  assert.deepEqual(Object.keys(answer), ["meta"]);
  const verdict = await verify(key.key);
  assert.deepEqual([verdict.code, verdict.identity], ["VALID", undefined]);
  for (const call of [
    () => admin.identities.getIdentity({ identity: "acme" }),
    () => admin.identities.updateIdentity({ identity: "acme", meta: {} }),
    () => admin.identities.deleteIdentity({ identity: "acme" }),
  ]) {
    expectType(await refused(call, errors.NotFoundErrorResponse, 404), "unkey/data/identity_not_found");
  }
});
