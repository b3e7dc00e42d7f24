// What the parts of drive.mjs share: clients, steps, refusals.
import assert from "node:assert/strict";
import { Unkey } from "@unkey/api";
import * as errors from "@unkey/api/models/errors";

export const serverURL = setting("KEYWARD_URL").replace(/\/+$/, "");
export const rootKey = setting("KEYWARD_ROOT_KEY");
const readonlyRootKey = setting("KEYWARD_READONLY_ROOT_KEY");
delete process.env.UNKEY_ROOT_KEY; // The SDK would take it where a client is meant to have no root key.

// Without retries: a 5xx has to be seen, not repaired.
export const client = (rootKey) => new Unkey({ serverURL, rootKey, retryConfig: { strategy: "none" }, timeoutMs: 10_000 });
export const admin = client(rootKey);
export const readonly = client(readonlyRootKey);

export const REQUEST_ID = /^req_[1-9A-HJ-NP-Za-km-z]{21,22}$/;
export const HOUR = 3_600_000;

// What verifyKey answers, with more fields of the request if need be.
export async function verify(key, more = {}) {
  return defined((await admin.keys.verifyKey({ key, ...more })).data);
}

// An operation or a field that the SDK does not have; `data` of its answer, or `error` where it has to be refused.
export async function beyondSdk(operation, body, status = 200, as = rootKey) {
  const response = await fetch(`${serverURL}/v2/${operation}`, {
    method: "POST",
    headers: { Authorization: `Bearer ${as}`, "Content-Type": "application/json" },
    body: JSON.stringify(body),
  });
  const text = await response.text();
  assert.equal(response.status, status, text);
  return status === 200 ? JSON.parse(text).data : JSON.parse(text).error;
}

// Calls what has to be refused, and hands back the typed error.
export async function refused(call, type, status) {
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
  assert.match(error.contentType, /^application\/(problem\+)?json\b/);
  assert.notEqual(error.error.detail, "");
  return error;
}

export function expectType(error, suffix) {
  assert.ok(error.error.type.endsWith(`/${suffix}`), `${error.error.type} does not end in ${suffix}`);
}

// Without the members that the SDK leaves undefined.
export function defined(object) {
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

export async function step(name, run) {
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

// What went wrong and where in these files, with the body of an answer that the SDK could not use.
function explain(error) {
  const where = /\w+\.mjs:\d+/.exec((error.stack ?? "").replaceAll(/.*support\.mjs.*/g, ""))?.[0];
  const lines = [`${error.name}: ${error.message}${where ? ` (${where})` : ""}`];
  if (error.cause) lines.push(`${error.cause}`);
  if (error.body) lines.push(`${error.statusCode} ${error.contentType} ${error.body}`);
  return lines.join("\n");
}

export function summary() {
  console.log(`${step.count.passed} passed, ${step.count.failed} failed`);
  process.exitCode = step.count.failed === 0 ? 0 : 1;
}
