// Drives a running Keyward with Unkey's official SDK: what it cannot parse, or does not turn into its typed errors, is a fault.
//
//   KEYWARD_URL=http://127.0.0.1:8080 KEYWARD_ROOT_KEY=… KEYWARD_READONLY_ROOT_KEY=… node drive.mjs
//
// Prints a line for each promise and `N passed, N failed` at the end; exits 1 when one failed, 2 when it could not start.
import { summary } from "./support.mjs";

// One after the other.
await import("./keys.mjs");
await import("./access.mjs");
await import("./root_keys.mjs");
await import("./ratelimit.mjs");
summary();
