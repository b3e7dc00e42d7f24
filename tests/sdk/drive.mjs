// Drives a running Keyward with Unkey's official SDK: what it cannot parse, or does not turn into its typed errors, is a fault.
//
//   KEYWARD_URL=http://127.0.0.1:8080 KEYWARD_ROOT_KEY=… KEYWARD_READONLY_ROOT_KEY=… node drive.mjs
//
// Prints a line for each promise and `N passed, N failed` at the end; exits 1 when one failed, 2 when it could not start.
import assert from "node:assert/strict";
import { setTimeout as sleep } from "node:timers/promises";
import { Unkey } from "@unkey/api";
import * as errors from "@unkey/api/models/errors";

const serverURL = setting("KEYWARD_URL").replace(/\/+$/, "");
const rootKey = setting("KEYWARD_ROOT_KEY");
const readonlyRootKey = setting("KEYWARD_READONLY_ROOT_KEY");
delete process.env.UNKEY_ROOT_KEY; // The SDK would take it where a client is meant to have no root key.

// Without retries: a 5xx has to be seen, not repaired.
const client = (rootKey) => new Unkey({ serverURL, rootKey, retryConfig: { strategy: "none" }, timeoutMs: 10_000 });
const admin = client(rootKey);
const readonly = client(readonlyRootKey);

const REQUEST_ID = /^req_[1-9A-HJ-NP-Za-km-z]{21,22}$/;
const HOUR = 3_600_000;
const EXPIRES = Math.trunc(Date.now() / 1000) * 1000 + 24 * HOUR;
const META = { customer: 42, plan: { name: "pro", seats: [1, 2, 3] }, note: "naïve ✓" };

// What the steps hand on to each other.
const made = { apiId: "", keyId: "", key: "", newKeyId: "", newKey: "" };

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
  await updateApi({ deleteProtection: true });
  const error = await refused(
    () => admin.apis.deleteApi({ apiId: made.apiId }),
    errors.PreconditionFailedErrorResponse,
    412,
  );
  expectType(error, "unkey/application/protected_resource");
  await updateApi({ deleteProtection: false });
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

summary();

// ---- Helpers

async function verify(key) {
  return defined((await admin.keys.verifyKey({ key })).data);
}

async function countKeys() {
  return (await admin.apis.listKeys({ apiId: made.apiId })).result.data.length;
}

// Keyward's own addition, so the SDK has no method for it.
async function updateApi(changes) {
  const response = await fetch(`${serverURL}/v2/apis.updateApi`, {
    method: "POST",
    headers: { Authorization: `Bearer ${rootKey}`, "Content-Type": "application/json" },
    body: JSON.stringify({ apiId: made.apiId, ...changes }),
  });
  assert.equal(response.status, 200, await response.text());
}

// Calls what has to be refused, and hands back the typed error.
async function refused(call, type, status) {
  let error;
  try {
    await call();
  } catch (caught) {
    error = caught;
  }
  assert.ok(error, `answered 200 in place of ${status}`);
  assert.ok(error instanceof type, `${error.name} in place of ${type.name}: ${error.statusCode ?? ""} ${error.body ?? error.message}`);
  assert.ok(error instanceof errors.UnkeyError);
  assert.equal(error.statusCode, status);
  assert.equal(error.error.status, status);
  assert.match(error.meta.requestId, REQUEST_ID);
  assert.equal(error.headers.get("x-request-id"), error.meta.requestId);
  assert.match(error.contentType, /^application\/json\b/);
  assert.notEqual(error.error.detail, "");
  return error;
}

function expectType(error, suffix) {
  assert.ok(error.error.type.endsWith(`/${suffix}`), `${error.error.type} does not end in ${suffix}`);
}

// Without the members that the SDK leaves undefined.
function defined(object) {
  return Object.fromEntries(Object.entries(object).filter(([, value]) => value !== undefined));
}

function setting(name) {
  const value = process.env[name];
  if (!value) {
    console.error(`${name} is not set`);
    process.exit(2);
  }
  return value;
}

async function step(name, run) {
  step.count ??= { passed: 0, failed: 0 };
  try {
    await run();
    step.count.passed += 1;
    console.log(`ok    ${name}`);
  } catch (error) {
    step.count.failed += 1;
    console.log(`FAIL  ${name}\n      ${explain(error).replaceAll("\n", "\n      ")}`);
  }
}

// What went wrong and where in this file, with the body of an answer that the SDK could not use.
function explain(error) {
  const where = /drive\.mjs:(\d+)/.exec(error.stack ?? "")?.[1];
  const lines = [`${error.name}: ${error.message}${where ? ` (line ${where})` : ""}`];
  if (error.cause) lines.push(`${error.cause}`);
  if (error.body) lines.push(`${error.statusCode} ${error.contentType} ${error.body}`);
  return lines.join("\n");
}

function summary() {
  console.log(`${step.count.passed} passed, ${step.count.failed} failed`);
  process.exitCode = step.count.failed === 0 ? 0 : 1;
}
