// Rate limits of any identifiers: @unkey/ratelimit as programs use it, and what of it @unkey/api has.
import assert from "node:assert/strict";
import * as errors from "@unkey/api/models/errors";
import { Overrides, Ratelimit } from "@unkey/ratelimit";
import { admin, beyondSdk, expectType, readonly, refused, rootKey, serverURL, step } from "./support.mjs";

const NAMESPACE = "sdk emails";
const MONTH = 30 * 24 * 3_600_000;

// The package keeps denials in a cache of its own, which would answer in the server's place.
const ratelimit = (more = {}) =>
  new Ratelimit({ baseUrl: serverURL, rootKey, namespace: NAMESPACE, limit: 3, duration: "30d", cache: new Forgetful(), ...more });
class Forgetful extends Map {
  set() {
    return this;
  }
}
const overrides = new Overrides({ baseUrl: serverURL, rootKey });

await step("limit: three of three pass, and no more; the namespace is made on the way", async () => {
  const limiter = ratelimit();
  const answers = [];
  for (let i = 0; i < 5; i++) answers.push(await limiter.limit("customer"));
  assert.deepEqual(answers.map(({ success, limit, remaining }) => [success, limit, remaining]), [
    [true, 3, 2],
    [true, 3, 1],
    [true, 3, 0],
    [false, 3, 0],
    [false, 3, 0],
  ]);
  for (const { reset } of answers) assert.ok(reset % MONTH === 0 && reset > Date.now() && reset <= Date.now() + MONTH, `${reset}`);
  assert.equal((await limiter.limit("another")).success, true);
});

await step("limit: a denial is kept by the package until its reset", async () => {
  const limiter = ratelimit({ cache: new Map() });
  const denied = await limiter.limit("customer");
  assert.equal(denied.success, false);
  assert.deepEqual(await limiter.limit("customer"), denied);
});

await step("limit: a cost takes several tokens, and 0 only asks", async () => {
  const limiter = ratelimit({ limit: 10 });
  assert.equal((await limiter.limit("costly", { cost: 8 })).remaining, 2);
  assert.equal((await limiter.limit("costly", { cost: 3 })).success, false);
  assert.equal((await limiter.limit("costly", { cost: 0 })).remaining, 2);
  assert.equal((await limiter.limit("costly", { cost: 2 })).remaining, 0);
});

await step("limit: a call may bring a limit of its own", async () => {
  const { limit, remaining } = await ratelimit().limit("own", { limit: { limit: 50, duration: "1h" } });
  assert.deepEqual([limit, remaining], [50, 49]);
});

await step("setOverride, getOverride, listOverrides: they apply at once", async () => {
  const duration = MONTH;
  const { data: set } = await overrides.setOverride({ namespace: NAMESPACE, identifier: "vip_*", limit: 100, duration });
  assert.match(set.overrideId, /^rlor_[a-zA-Z0-9]+$/);
  const answer = await ratelimit().limit("vip_1");
  assert.deepEqual([answer.success, answer.limit, answer.remaining, answer.overrideId], [true, 100, 99, set.overrideId]);

  const expected = { overrideId: set.overrideId, identifier: "vip_*", limit: 100, duration };
  const { data: got } = await overrides.getOverride({ namespace: NAMESPACE, identifier: "vip_*" });
  assert.deepEqual(got, expected);
  const listed = await overrides.listOverrides({ namespace: NAMESPACE });
  assert.deepEqual([listed.data, listed.pagination.hasMore], [[expected], false]);
});

await step("an override of 0 denies, and is an answer like any other", async () => {
  const { data } = await overrides.setOverride({ namespace: NAMESPACE, identifier: "banned", limit: 0, duration: 60_000 });
  const onError = () => assert.fail("it was an error");
  const { success, limit, overrideId } = await ratelimit({ onError }).limit("banned");
  assert.deepEqual([success, limit, overrideId], [false, 0, data.overrideId]);
});

await step("deleteOverride: at once, and it can be set again", async () => {
  const one = { namespace: NAMESPACE, identifier: "vip_*" };
  assert.deepEqual((await overrides.deleteOverride(one)).data, {});
  assert.equal((await ratelimit().limit("vip_1")).limit, 3);
  await overrides.setOverride({ ...one, limit: 7, duration: MONTH });
  assert.equal((await ratelimit().limit("vip_1")).limit, 7);
});

await step("listOverrides goes through all pages", async () => {
  const seen = [];
  for await (const { result } of await admin.ratelimit.listOverrides({ namespace: NAMESPACE, limit: 1 })) {
    seen.push(...result.data.map((one) => one.identifier));
  }
  assert.deepEqual(seen, ["banned", "vip_*"]);
});

await step("multiLimit: all or none", async () => {
  const ask = (identifier, limit) => ({ namespace: NAMESPACE, identifier, limit, duration: MONTH });
  const first = (await admin.ratelimit.multiLimit([ask("m1", 5), ask("m2", 1)])).data;
  assert.deepEqual([first.passed, first.limits.map((one) => [one.identifier, one.passed, one.remaining])], [
    true,
    [["m1", true, 4], ["m2", true, 0]],
  ]);
  const second = (await admin.ratelimit.multiLimit([ask("m1", 5), ask("m2", 1)])).data;
  assert.deepEqual([second.passed, second.limits.map((one) => [one.passed, one.remaining])], [false, [[true, 4], [false, 0]]]);
  assert.equal((await admin.ratelimit.limit(ask("m1", 5))).data.remaining, 3);
});

await step("400, 403, 404 and 410 are typed", async () => {
  const ask = { namespace: NAMESPACE, identifier: "a", limit: 1, duration: 1000 };
  const invalid = await refused(() => admin.ratelimit.multiLimit([{ ...ask, limit: 0 }]), errors.BadRequestErrorResponse, 400);
  assert.equal(invalid.error.errors[0].location, "body[0].limit");
  expectType(await refused(() => readonly.ratelimit.limit(ask), errors.ForbiddenErrorResponse, 403), "unkey/authorization/insufficient_permissions");
  const unknown = () => admin.ratelimit.setOverride({ ...ask, namespace: "never" });
  expectType(await refused(unknown, errors.NotFoundErrorResponse, 404), "unkey/data/ratelimit_namespace_not_found");
  const missing = () => admin.ratelimit.getOverride({ namespace: NAMESPACE, identifier: "nobody" });
  expectType(await refused(missing, errors.NotFoundErrorResponse, 404), "unkey/data/ratelimit_override_not_found");

  await admin.ratelimit.limit({ ...ask, namespace: "sdk gone" });
  await beyondSdk("ratelimit.deleteNamespace", { namespace: "sdk gone" });
  const gone = () => admin.ratelimit.limit({ ...ask, namespace: "sdk gone" });
  expectType(await refused(gone, errors.GoneErrorResponse, 410), "unkey/data/ratelimit_namespace_gone");
});
