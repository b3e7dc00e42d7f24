// Root keys by API, limits and the import of hashes. SDK 2.5.1 has no methods for root keys and limits: those are asked for
// by plain HTTP, and the SDK works with the root keys that come of it.
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import * as errors from "@unkey/api/models/errors";
import { HOUR, admin, beyondSdk, client, expectType, refused, step, verify } from "./support.mjs";

const hash = (text) => createHash("sha256").update(text).digest("hex");
const { apiId } = (await admin.apis.createApi({ name: "root keys" })).data;
const made = { keyId: "", key: "" };

await step("a root key of rootKeys.createKey may do what it was given, for that API only", async () => {
  const permissions = [`api.${apiId}.create_key`, `api.${apiId}.verify_key`];
  const data = await beyondSdk("rootKeys.createKey", { permissions, name: "limited", expires: null });
  assert.deepEqual(Object.keys(data).sort(), ["key", "keyId"]);
  Object.assign(made, data);
  const limited = client(made.key);
  const { data: key } = await limited.keys.createKey({ apiId });
  assert.equal((await limited.keys.verifyKey({ key: key.key })).data.code, "VALID");
  const error = await refused(() => limited.keys.createKey({ apiId: "api_other" }), errors.ForbiddenErrorResponse, 403);
  assert.deepEqual(JSON.parse(error.body).error.missing, ["api.api_other.create_key"]);
});

await step("rootKeys.listKeys shows what the newest SDK expects", async () => {
  const rows = await beyondSdk("rootKeys.listKeys", { limit: 100 });
  const { createdAt, start, end, lastUsedAt, permissions, ...rest } = rows.find((row) => row.keyId === made.keyId);
  assert.deepEqual(rest, { keyId: made.keyId, name: "limited", enabled: true, expires: null });
  assert.ok(made.key.startsWith(start) && made.key.endsWith(end) && end.length === 4, `${start} ${end}`);
  assert.ok(Math.abs(Date.now() - createdAt) < HOUR && typeof lastUsedAt === "number");
  assert.deepEqual(permissions, [`api.${apiId}.create_key`, `api.${apiId}.verify_key`]);
});

await step("403 names what a root key would give away and does not hold", async () => {
  const minter = await beyondSdk("rootKeys.createKey", { permissions: ["root_key.*.create_root_key"] });
  const asked = { permissions: ["api.*.delete_key"] };
  const error = await beyondSdk("rootKeys.createKey", asked, 403, minter.key);
  assert.ok(error.type.endsWith("/unkey/authorization/insufficient_permissions"), error.type);
  assert.deepEqual(error.missing, ["api.*.delete_key"]);
});

await step("rootKeys.updateKey: a disabled root key is a typed 403, one with less may less", async () => {
  assert.deepEqual(await beyondSdk("rootKeys.updateKey", { keyId: made.keyId, name: null, enabled: false }), {});
  const disabled = await refused(() => client(made.key).keys.createKey({ apiId }), errors.ForbiddenErrorResponse, 403);
  expectType(disabled, "unkey/authorization/key_disabled");
  const permissions = [`api.${apiId}.verify_key`];
  await beyondSdk("rootKeys.updateKey", { keyId: made.keyId, enabled: true, permissions });
  const less = await refused(() => client(made.key).keys.createKey({ apiId }), errors.ForbiddenErrorResponse, 403);
  expectType(less, "unkey/authorization/insufficient_permissions");
});

await step("rootKeys.rerollKey and deleteKey: the old secret is a typed 403, the new one works until it is deleted: 401", async () => {
  const next = await beyondSdk("rootKeys.rerollKey", { keyId: made.keyId, expiration: 0 });
  assert.equal((await client(next.key).keys.verifyKey({ key: "x" })).data.code, "NOT_FOUND");
  const old = () => client(made.key).keys.verifyKey({ key: "x" });
  expectType(await refused(old, errors.ForbiddenErrorResponse, 403), "unkey/authorization/forbidden");
  assert.deepEqual(await beyondSdk("rootKeys.deleteKey", { keyId: next.keyId }), {});
  const gone = () => client(next.key).keys.verifyKey({ key: "x" });
  expectType(await refused(gone, errors.UnauthorizedErrorResponse, 401), "unkey/authentication/key_not_found");
});

await step("workspace.getLimits shows what the newest SDK expects", async () => {
  const limits = await beyondSdk("workspace.getLimits", {});
  assert.deepEqual(Object.keys(limits).sort(), [
    "apiBillableOperationsCountMaxPerMonth",
    "apiRequestsCountMaxPerMinute",
    "keysMax",
    "logdrainsMax",
    "logsAuditRetentionDaysMax",
    "logsRetentionDaysMax",
    "rootKeysMax",
  ]);
  for (const { limit } of Object.values(limits)) assert.equal(limit, null);
});

await step("migrateKeys imports hashes with owner, roles and permissions: the keys are VALID", async () => {
  const { migrationId } = await beyondSdk("migrations.createMigration", { name: "old keys", algorithm: "sha256" });
  const keys = [
    { hash: hash("old_1"), name: "first", externalId: "imported", permissions: ["a"], roles: ["imported role"] },
    { hash: hash("old_2"), meta: { n: 2 }, expires: Date.now() + HOUR, enabled: false },
  ];
  const { data } = await admin.keys.migrateKeys({ migrationId, apiId, keys });
  assert.deepEqual(data.failed, []);
  assert.deepEqual(data.migrated.map((key) => key.hash), keys.map((key) => key.hash));
  const first = await verify("old_1", { permissions: "a" });
  assert.deepEqual(
    [first.code, first.keyId, first.name, first.identity.externalId, first.permissions, first.roles],
    ["VALID", data.migrated[0].keyId, "first", "imported", ["a"], ["imported role"]],
  );
  assert.equal((await verify("old_2")).code, "DISABLED");
  assert.equal((await admin.keys.getKey({ keyId: data.migrated[0].keyId })).data.start, "");
  const again = (await admin.keys.migrateKeys({ migrationId, apiId, keys })).data;
  assert.deepEqual(again, { migrated: [], failed: keys.map((key) => key.hash) });
});

await step("404 is typed: migrateKeys with an unknown migration", async () => {
  const call = () => admin.keys.migrateKeys({ migrationId: "mig_neverissued", apiId, keys: [{ hash: hash("x") }] });
  expectType(await refused(call, errors.NotFoundErrorResponse, 404), "unkey/data/migration_not_found");
});
