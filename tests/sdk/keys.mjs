// The life of APIs and keys, and the typed errors.
import assert from "node:assert/strict";
import { setTimeout as sleep } from "node:timers/promises";
import * as errors from "@unkey/api/models/errors";
import { HOUR, REQUEST_ID, admin, beyondSdk, client, expectType, readonly, refused, step, verify } from "./support.mjs";

const EXPIRES = Math.trunc(Date.now() / 1000) * 1000 + 24 * HOUR;
const META = { customer: 42, plan: { name: "pro", seats: [1, 2, 3] }, note: "naïve ✓" };

// What the steps hand on to each other.
const made = { apiId: "", keyId: "", key: "", newKeyId: "", newKey: "", limitedKeyId: "" };

// ---- The life of a key

await step("createApi answers an id", async () => {
  const { meta, data } = await admin.apis.createApi({ name: "sdk test" });
  assert.match(meta.requestId, REQUEST_ID);
  assert.match(data.apiId, /^api_[a-zA-Z0-9]+$/);
  made.apiId = data.apiId;
});

await step("getApi shows it", async () => {
  const { data } = await admin.apis.getApi({ apiId: made.apiId });
  assert.deepEqual(data, { id: made.apiId, name: "sdk test" });
});

await step("createKey answers id and secret, with the fields that the SDK adds by itself", async () => {
  const { data } = await admin.keys.createKey({
    apiId: made.apiId,
    prefix: "sdk_test",
    name: "first",
    meta: META,
    expires: EXPIRES,
  });
  assert.match(data.keyId, /^key_[a-zA-Z0-9]+$/);
  assert.match(data.key, /^sdk_test_[1-9A-HJ-NP-Za-km-z]{16,22}$/);
  made.keyId = data.keyId;
  made.key = data.key;
});

await step("verifyKey says VALID and shows the key", async () => {
  const data = await verify(made.key);
  assert.equal(data.code, "VALID");
  assert.equal(data.valid, true);
  assert.equal(data.keyId, made.keyId);
  assert.equal(data.enabled, true);
  assert.equal(data.name, "first");
  assert.equal(data.expires, EXPIRES);
  assert.deepEqual(data.meta, META);
});

await step("verifyKey says NOT_FOUND, and nothing else, of a key that never was", async () => {
  assert.deepEqual(await verify("sdk_test_neverissued"), { valid: false, code: "NOT_FOUND" });
});

await step("getKey shows it, without its secret", async () => {
  const { data } = await admin.keys.getKey({ keyId: made.keyId });
  assert.equal(data.keyId, made.keyId);
  assert.equal(data.start, made.key.slice(0, "sdk_test_".length + 4));
  assert.equal(data.name, "first");
  assert.equal(data.enabled, true);
  assert.equal(data.expires, EXPIRES);
  assert.deepEqual(data.meta, META);
  assert.ok(Math.abs(Date.now() - data.createdAt) < HOUR, `createdAt ${data.createdAt}`);
  assert.equal(data.plaintext, undefined);
});

await step("whoami shows the same key by its secret", async () => {
  const { data } = await admin.keys.whoami({ key: made.key });
  assert.equal(data.keyId, made.keyId);
  assert.equal(data.name, "first");
  assert.equal(data.plaintext, undefined);
});

await step("updateKey switches it off: the next verification says DISABLED", async () => {
  const { data } = await admin.keys.updateKey({ keyId: made.keyId, enabled: false });
  assert.deepEqual(data, {});
  const verdict = await verify(made.key);
  assert.equal(verdict.code, "DISABLED");
  assert.equal(verdict.valid, false);
  assert.equal(verdict.enabled, false);
});

await step("updateKey switches it on again: the next verification says VALID", async () => {
  await admin.keys.updateKey({ keyId: made.keyId, enabled: true });
  assert.equal((await verify(made.key)).code, "VALID");
});

await step("updateKey clears with null and keeps what it is not told", async () => {
  await admin.keys.updateKey({ keyId: made.keyId, meta: null, expires: null });
  const { data } = await admin.keys.getKey({ keyId: made.keyId });
  assert.equal(data.meta, undefined);
  assert.equal(data.expires, undefined);
  assert.equal(data.name, "first");
  assert.ok(data.updatedAt >= data.createdAt, `updatedAt ${data.updatedAt}`);
});

await step("updateKey with an expiry in the past: EXPIRED", async () => {
  await admin.keys.updateKey({ keyId: made.keyId, expires: 1 });
  assert.equal((await verify(made.key)).code, "EXPIRED");
  await admin.keys.updateKey({ keyId: made.keyId, expires: null });
  assert.equal((await verify(made.key)).code, "VALID");
});

await step("listKeys goes through all pages, each key once, by id", async () => {
  const others = [];
  for (const name of ["second", "third"]) {
    others.push((await admin.keys.createKey({ apiId: made.apiId, name })).data.keyId);
  }
  const sizes = [];
  const seen = [];
  for await (const page of await admin.apis.listKeys({ apiId: made.apiId, limit: 2 })) {
    sizes.push(page.result.data.length);
    seen.push(...page.result.data.map((key) => key.keyId));
    assert.equal(page.result.pagination.hasMore, page.result.pagination.cursor !== undefined);
  }
  assert.deepEqual(sizes, [2, 1]);
  assert.deepEqual(seen, [...seen].sort());
  assert.deepEqual(new Set(seen), new Set([made.keyId, ...others]));
});

await step("rerollKey with a grace period: both keys are valid", async () => {
  const { data } = await admin.keys.rerollKey({ keyId: made.keyId, expiration: HOUR });
  assert.notEqual(data.keyId, made.keyId);
  assert.match(data.key, /^sdk_test_[1-9A-HJ-NP-Za-km-z]{16,22}$/);
  assert.notEqual(data.key, made.key);
  made.newKeyId = data.keyId;
  made.newKey = data.key;
  const old = await verify(made.key);
  assert.equal(old.code, "VALID");
  assert.ok(Math.abs(old.expires - Date.now() - HOUR) < 60_000, `expires ${old.expires}`);
  const fresh = await verify(made.newKey);
  assert.equal(fresh.code, "VALID");
  assert.equal(fresh.keyId, made.newKeyId);
  assert.equal(fresh.name, "first");
  assert.equal(fresh.expires, undefined);
});

await step("rerollKey with a short grace period ends the old key when it is over", async () => {
  const short = (await admin.keys.createKey({ apiId: made.apiId })).data;
  await admin.keys.rerollKey({ keyId: short.keyId, expiration: 300 });
  await sleep(400);
  assert.equal((await verify(short.key)).code, "EXPIRED");
});

await step("rerollKey with expiration 0 ends the old key at once", async () => {
  const { data } = await admin.keys.rerollKey({ keyId: made.newKeyId, expiration: 0 });
  assert.equal((await verify(made.newKey)).code, "EXPIRED");
  assert.equal((await verify(data.key)).code, "VALID");
  made.newKeyId = data.keyId;
  made.newKey = data.key;
});

await step("deleteKey: NOT_FOUND at once, and 404 by id and by secret", async () => {
  assert.deepEqual((await admin.keys.deleteKey({ keyId: made.newKeyId })).data, {});
  assert.deepEqual(await verify(made.newKey), { valid: false, code: "NOT_FOUND" });
  for (const call of [
    () => admin.keys.getKey({ keyId: made.newKeyId }),
    () => admin.keys.whoami({ key: made.newKey }),
    () => admin.keys.deleteKey({ keyId: made.newKeyId, permanent: true }),
  ]) {
    expectType(await refused(call, errors.NotFoundErrorResponse, 404), "unkey/data/key_not_found");
  }
});

// ---- Credits and rate limits

await step("createKey gives credits and rate limits, and getKey and whoami show them", async () => {
  const credits = { remaining: 1000, refill: { interval: "monthly", amount: 1000, refillDay: 31 } };
  const { data } = await admin.keys.createKey({
    apiId: made.apiId,
    credits,
    ratelimits: [
      { name: "tokens", limit: 5000, duration: HOUR },
      { name: "requests", limit: 100, duration: 60_000, autoApply: true },
    ],
  });
  made.limitedKeyId = data.keyId;
  const shown = (await admin.keys.getKey({ keyId: data.keyId })).data;
  assert.deepEqual(shown.credits, credits);
  assert.deepEqual(withoutIds(shown.ratelimits), [
    { name: "requests", limit: 100, duration: 60_000, autoApply: true },
    { name: "tokens", limit: 5000, duration: HOUR, autoApply: false },
  ]);
  assert.deepEqual((await admin.keys.whoami({ key: data.key })).data, shown);
});

await step("updateCredits sets, adds, takes away down to 0, and makes unlimited", async () => {
  const update = async (operation, value) =>
    (await admin.keys.updateCredits({ keyId: made.limitedKeyId, operation, value })).data;
  const refill = { interval: "monthly", amount: 1000, refillDay: 31 };
  assert.deepEqual(await update("set", 10), { remaining: 10, refill });
  assert.deepEqual(await update("increment", 5), { remaining: 15, refill });
  assert.deepEqual(await update("decrement", 20), { remaining: 0, refill });
  assert.deepEqual(await update("set", null), { remaining: null });
  assert.equal((await admin.keys.getKey({ keyId: made.limitedKeyId })).data.credits, undefined);
  const error = await refused(() => update("increment", 1), errors.BadRequestErrorResponse, 400);
  expectType(error, "unkey/application/invalid_input");
  assert.deepEqual(error.error.errors.map((fault) => fault.location), ["body.operation"]);
});

await step("updateKey changes credits and replaces rate limits; a name that stays keeps its id", async () => {
  const before = (await admin.keys.getKey({ keyId: made.limitedKeyId })).data.ratelimits;
  await admin.keys.updateKey({
    keyId: made.limitedKeyId,
    credits: { remaining: 5, refill: { interval: "daily", amount: 50 } },
    ratelimits: [{ name: "requests", limit: 200, duration: 60_000 }],
  });
  const after = (await admin.keys.getKey({ keyId: made.limitedKeyId })).data;
  assert.deepEqual(after.credits, { remaining: 5, refill: { interval: "daily", amount: 50 } });
  assert.deepEqual(withoutIds(after.ratelimits), [{ name: "requests", limit: 200, duration: 60_000, autoApply: false }]);
  assert.equal(after.ratelimits[0].id, before[0].id);
  await admin.keys.updateKey({ keyId: made.limitedKeyId, credits: { refill: null }, ratelimits: [] });
  const cleared = (await admin.keys.getKey({ keyId: made.limitedKeyId })).data;
  assert.deepEqual(cleared.credits, { remaining: 5 });
  assert.equal(cleared.ratelimits, undefined);
});

await step("rerollKey copies the balance", async () => {
  const { data } = await admin.keys.rerollKey({ keyId: made.limitedKeyId, expiration: 0 });
  assert.deepEqual((await admin.keys.getKey({ keyId: data.keyId })).data.credits, { remaining: 5 });
});

await step("identities have rate limits that their keys show", async () => {
  const externalId = "sdk_limited";
  const ratelimits = [{ name: "requests", limit: 100, duration: 60_000, autoApply: true }];
  await admin.identities.createIdentity({ externalId, ratelimits });
  const identity = (await admin.identities.getIdentity({ identity: externalId })).data;
  assert.deepEqual(withoutIds(identity.ratelimits), ratelimits);
  const { keyId } = (await admin.keys.createKey({ apiId: made.apiId, externalId })).data;
  assert.deepEqual((await admin.keys.getKey({ keyId })).data.identity.ratelimits, identity.ratelimits);
  const updated = (
    await admin.identities.updateIdentity({ identity: externalId, ratelimits: [{ ...ratelimits[0], limit: 7 }] })
  ).data;
  assert.deepEqual(updated.ratelimits, [{ ...identity.ratelimits[0], limit: 7 }]);
  await admin.identities.deleteIdentity({ identity: externalId });
});

// ---- The typed errors

await step("403 is typed: a read-only root key may read but not create, and learns what it lacks", async () => {
  await readonly.apis.getApi({ apiId: made.apiId });
  const before = await countKeys();
  const error = await refused(() => readonly.keys.createKey({ apiId: made.apiId }), errors.ForbiddenErrorResponse, 403);
  expectType(error, "unkey/authorization/insufficient_permissions");
  assert.equal(error.error.title, "Forbidden");
  // The SDK drops members that it does not know; the body has them.
  const { required, missing } = JSON.parse(error.body).error;
  const enough = ["api.*.create_key", `api.${made.apiId}.create_key`];
  assert.ok(missing.length === 1 && enough.includes(missing[0]), JSON.stringify(missing));
  for (const set of required) assert.ok(set.length === 1 && enough.includes(set[0]), JSON.stringify(required));
  assert.equal(await countKeys(), before);
});

await step("400 is typed: every fault with its place", async () => {
  const error = await refused(
    () => admin.keys.createKey({ apiId: made.apiId, prefix: "no blanks", byteLength: 15 }),
    errors.BadRequestErrorResponse,
    400,
  );
  expectType(error, "unkey/application/invalid_input");
  assert.deepEqual(error.error.errors.map((fault) => fault.location).sort(), ["body.byteLength", "body.prefix"]);
  for (const fault of error.error.errors) assert.notEqual(fault.message, "");
});

await step("401 is typed: an unknown root key", async () => {
  const error = await refused(
    () => client("unkey_neverissued").apis.getApi({ apiId: made.apiId }),
    errors.UnauthorizedErrorResponse,
    401,
  );
  expectType(error, "unkey/authentication/key_not_found");
  assert.match(error.headers.get("www-authenticate") ?? "", /^Bearer .*error="invalid_token"/);
});

await step("401 is typed: no root key", async () => {
  const error = await refused(
    () => client(undefined).apis.getApi({ apiId: made.apiId }),
    errors.UnauthorizedErrorResponse,
    401,
  );
  expectType(error, "unkey/authentication/missing");
  assert.match(error.headers.get("www-authenticate") ?? "", /^Bearer realm=/);
});

await step("404 is typed: an API and a key that never were", async () => {
  const api = await refused(() => admin.apis.getApi({ apiId: "api_neverissued" }), errors.NotFoundErrorResponse, 404);
  expectType(api, "unkey/data/api_not_found");
  const key = await refused(() => admin.keys.getKey({ keyId: "key_neverissued" }), errors.NotFoundErrorResponse, 404);
  expectType(key, "unkey/data/key_not_found");
});

await step("412 is typed: deleteApi of a protected API", async () => {
  await beyondSdk("apis.updateApi", { apiId: made.apiId, deleteProtection: true });
  const error = await refused(
    () => admin.apis.deleteApi({ apiId: made.apiId }),
    errors.PreconditionFailedErrorResponse,
    412,
  );
  expectType(error, "unkey/application/protected_resource");
  await beyondSdk("apis.updateApi", { apiId: made.apiId, deleteProtection: false });
});

// ---- The end

await step("deleteApi takes its keys with it, at once", async () => {
  const { data } = await admin.keys.createKey({ apiId: made.apiId });
  assert.equal((await verify(data.key)).code, "VALID");
  assert.deepEqual((await admin.apis.deleteApi({ apiId: made.apiId })).data, {});
  assert.deepEqual(await verify(data.key), { valid: false, code: "NOT_FOUND" });
  const error = await refused(() => admin.apis.getApi({ apiId: made.apiId }), errors.NotFoundErrorResponse, 404);
  expectType(error, "unkey/data/api_not_found");
});

async function countKeys() {
  return (await admin.apis.listKeys({ apiId: made.apiId })).result.data.length;
}

// Checks the ids of rate limits and leaves them out.
function withoutIds(limits) {
  return limits.map(({ id, ...limit }) => {
    assert.match(id, /^rl_[1-9A-HJ-NP-Za-km-z]{21,22}$/);
    return limit;
  });
}
