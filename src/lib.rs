//! Keyward: an API-key service. This page is the map of the code.
//!
//! # Where to start
//!
//! Read `http/operations.rs` (the table of operations), then `http/rpc.rs` (the one path of a request), then any operation from the
//! top down: `http/keys/create.rs` → `domain/keys/create.rs` → `store/keys.rs`. What clients may rely on is in `openapi.yaml`.
//!
//! # The path of a verification
//!
//! `http/rpc.rs` takes the request through size → bearer → contract and calls `http/keys/verify.rs`, which turns JSON into a
//! question for `domain/verify/mod.rs`. That reads the key and its API by `store/snapshot.rs`, in one SELECT, and asks
//! `domain/verify/decide.rs`, a pure function with one order of checks, for the verdict. The answer goes back through
//! `http/envelope.rs`. Beside that, `domain/last_used.rs` notes the use in memory and writes it later, in batches; so do
//! `domain/events.rs` with the event and `domain/decisions/record.rs` with a verdict that was not `VALID`.
//!
//! # Floors
//!
//! A module uses only the modules before it, and itself. `tests/structure.rs` sees to it.
//!
//! | floor | module | knows | must not know |
//! |---|---|---|---|
//! | 0 | [`model`] | ids, records, secrets, the clock, error codes, the tables | queries, HTTP, the API's JSON |
//! | 1 | [`config`] | every setting: flag, variable, default, meaning | anything that runs |
//! | 2 | [`metrics`] | what is counted | who asks for it |
//! | 3 | [`authz`] | actions, grants, permits; pure | database, HTTP |
//! | 4 | [`limiter`] | arithmetic of limits, in memory | Postgres, HTTP |
//! | 5 | [`store`] | diesel, SQL, pool, transactions, notifications | HTTP, use-cases |
//! | 6 | [`domain`] | what the product does, in the API's nouns | actix, the API's JSON, status codes |
//! | 7 | [`app`] | what one process owns, wired once | HTTP |
//! | 8 | [`http`] | actix, JSON shapes, contract, envelope, error bodies | diesel |
//! | 9 | [`server`] | workers, background tasks, the drain at the end | |
//! | 10 | [`cli`] | the command line, and the private Postgres of `keyward dev` | |
//!
//! # Invariants
//!
//! * **One table of operations.** `http/operations.rs` has a row for each: name, permissions, handler. Routing, authorization, the
//!   permission-matrix test and the README come from it.
//! * **One path for every request.** A handler is `async fn(Call, Request) -> Result<Reply<Response>>`: it sees no actix type, no
//!   header, no envelope.
//! * **`openapi.yaml` is the contract**, at run time and in tests. Bounds, required fields and patterns stand there and nowhere else.
//! * **A `Permit` is the only way to write.** `authz/caller.rs` hands it out after checking the row's permissions. What writes in the
//!   store takes it, what reads takes a `WorkspaceId`: forgetting authorization or the workspace does not compile.
//! * **`Tx` is one transaction, one reading of the clock, one list of changes.** The changes are sent to the other nodes and written to
//!   the audit log in that same transaction.
//! * **Queries stand in `store` and nowhere else**; only `domain` says "not found"; only `http/problem.rs` builds error bodies.
//! * **Each error code is one row** of `model/code.rs`: path, status, title, page. Errors are logged once, in `http/rpc.rs`.
//! * **A plaintext does not print itself** (`model/secret.rs`), and only its hash goes to the store.
//! * **Only `model/clock.rs` asks what time it is**, so that tests can move it.
//! * **Everything has a bound**: body, header, page, time, connections.
//! * No `unwrap`, `expect`, `panic!` or indexing in `src`; no file above 500 lines; the first line of a file is its line below.
//!
//! # A new endpoint
//!
//! touches six places, all bearing its name, and forgetting one fails a test that says so: `openapi.yaml`; a row in
//! `http/operations.rs`; `http/<resource>/<verb>.rs`; `domain/<resource>/<verb>.rs`; a function in `store/<table>.rs` if there is a new
//! query; `tests/api/<resource>/<operation>.rs`.
//!
//! # The tree
//!
//! Beside `src`: `openapi.yaml`, `migrations/`, `docs/errors/` (the pages of the error codes), `docs/operations.md`, `tests/api/` (black
//! box, one file an operation), `tests/private_postgres/`, `tests/sdk/` (the official SDK), `scripts/` (behind the Makefile).
//!
//! <!-- tree -->
//! ```text
//! app                 What one process owns, wired once.
//! config              Every setting once: flag, environment variable, default, meaning. Secrets also as `NAME_FILE`.
//! main                The binary `keyward`: its command line is [`keyward::cli`].
//! metrics             What is counted for `/metrics`. Labels are operations, codes and outcomes; never a key, an identity or an address.
//! authz/              Who may do what: actions, grants, the caller and its permits. Pure: no database, no HTTP.
//!   action            The vocabulary of permissions: every action, and the kind of resource that it is about.
//!   caller            The caller of an operation, the judgement on its rights, and the permit without which nothing is written.
//!   ceiling           The ceiling of minting: a root key gives away only what it holds itself, and for no longer than it lives itself.
//!   expression        Permission queries of `verifyKey`: `a AND (b OR c)`. Lexer, depth-limited parser, evaluation (keys.md section 7).
//!   grants            What a root key holds: literal tuples `resource.id.action` (decisions.md #22).
//!   preset            Presets: names for sets of permissions, expanded to tuples when a root key is minted.
//! cli/                The command line, and the private Postgres of `keyward dev`.
//!   audit             `keyward audit`.
//!   completions       `keyward completions`.
//!   database          How commands reach the database: `--database-url`, or the data folder of a `dev` instance, running or not.
//!   dev               `keyward dev`: everything on one machine, in one folder.
//!   doctor            `keyward doctor`: checks what a server needs, and says what to do.
//!   duration          Moments as people write them: `30d`, `12h`, a date, or RFC 3339.
//!   health            `keyward health`: asks a server whether it is ready, for container health checks where there is neither shell nor curl.
//!   logging           The log: to stderr, written by a thread of its own so that no request waits for it.
//!   master_key        `keyward master-key`.
//!   migrate           `keyward migrate`.
//!   openapi           `keyward openapi`.
//!   output            What commands print, and how they fail: data on stdout, talk on stderr, exit codes that scripts can rely on.
//!   prepare           What `serve` and `dev` do before and around serving: migrate, bootstrap, listen, wait for a signal.
//!   root_key          `keyward root-key`.
//!   serve             `keyward serve`: production.
//!   workspace         `keyward workspace`.
//!   decisions/        Denials on the command line, through the database: looked up, and foretold.
//!     explain         `keyward explain`.
//!     simulate        `keyward simulate`.
//!     story           Decisions as people read them: the sentence first, then one line for each thing that it stands on. Pure.
//!   permissions/      `keyward permissions`.
//!     needed          `keyward permissions for`: the least permissions that some operations need.
//!     script          The operations that a script calls: a curl script, a program with an SDK, or a list of names. Pure.
//!   postgres/         The private Postgres of `keyward dev`: a cluster in the data folder, started and stopped with Keyward.
//!     account         Who runs Postgres: this user, or an unprivileged account when Keyward runs as root, as Postgres refuses root.
//!     binaries        Finds the Postgres programs of this machine, and says how to install them when there are none.
//!     cluster         The database cluster of a data folder: made whole or not at all, owned by the account that runs Postgres.
//!     fault           What went wrong with the private Postgres, in one line that says what to do.
//!     folder          The data folder of an instance: its marker, its log, and the note that tells other commands where it runs.
//!     lock            One Keyward a folder: an advisory lock that the kernel releases when its holder dies, however it dies.
//!     orphan          A server that outlived its Keyward: found by its pid file, known to be ours before it gets a signal, stopped.
//!     place           Where root puts a cluster whose account cannot enter the data folder, for instance one below `/root`.
//!     reach           How the other commands get at the database of a `keyward dev` folder, whether it runs or not.
//!     server          One running `postgres` process: started, waited for, and stopped in bounded time.
//!     socket          The socket folder: short enough for the kernel whatever the data folder, and closed to every other user.
//! domain/             What the product does, in the API's nouns. No HTTP, no JSON of the API, no status codes.
//!   apis              APIs (contract/apis.md, decisions.md "Additions").
//!   counters          Counters of the limiter in memory outlive the process: loaded before it decides, written every second, in order at the end.
//!   events            Events of verifications: gathered in a bounded queue, written in batches, off the request's path.
//!   identities        Identities (contract/identities.md, decisions.md "Additions").
//!   last_used         When root keys were last used: gathered in memory, written in batches, off the request's path. Of keys their events tell.
//!   master_keys       Changing the master key: every recoverable key is opened and sealed again under the first key of the ring.
//!   migrations        Migrations: from where keys are imported (contract/keys.md section 13, decisions.md #32).
//!   nodes             The other servers on this database: whether rate limits are counted together with them (decisions.md #45).
//!   permissions       Permissions (contract/permissions.md).
//!   rate_limits       Rules on the rate limits that requests define (keys.md section 4, identities.md).
//!   roles             Roles (contract/permissions.md).
//!   usage             `analytics.getUsage` (contract/analytics.md, decisions.md "Additions"), and the upkeep of its tables.
//!   workspaces        Workspaces, which the operator makes.
//!   audit_log/        The audit log: sealed a moment after it was written, read by its workspace, verified by the operator (docs/audit.md).
//!     retention       How long the audit log is kept: what is older goes once a day, and what is left can still be verified.
//!     verify          Verifying the audit log: every hash computed again, every place looked at, and anchors compared that were kept elsewhere.
//!   decisions/        Decisions: every denial as a record that explains itself (decisions.md "Additions").
//!     class           What makes denials identical: all that their record would say, looked at in place, before anything is kept of it.
//!     describe        A verdict in words: pure, the one way from a verdict and what it was made on to what records, simulations and answers say.
//!     explain         `decisions.explain`: the record of a request, as far as the reader may know it (decisions.md "Additions").
//!     foresee         What a verification, or a call with a root key, would be told: the checks of the real one, in their order, on what was read
//!     list            `decisions.listDecisions` (decisions.md "Additions").
//!     past            What a verdict depended on: all facts as they are now, with the rows of the audit log by which they became so.
//!     record          Denials on their way into records: gathered in memory, identical ones together, written in batches off the request's path.
//!     remedy          The smallest change that would have let a request through: in words, as a request, as a command.
//!     replay          The request of a record, asked again: would it pass now, since when, and through which changes.
//!     simulate        `decisions.simulate`: what would be decided if something were otherwise (decisions.md "Additions").
//!     suppose         What if: the changes that a simulation supposes, made to what was read of a key, an owner or a root key. Pure.
//!     tell            Changes of the past as people read them.
//!     write           Writing gathered denials: what is known of strangers is looked up, verdicts are put into words, attempts are audited.
//!     history/        What the audit log tells of a verdict: since when it is what it is, which change made it so, and what came before. Pure: the
//!       tests         The history of verdicts, on lists of rows as the store writes them.
//!   keys/             Keys (contract/keys.md): making, reading, changing, replacing and deleting them.
//!     create          `keys.createKey` (keys.md section 5, decisions.md rule 5).
//!     credits         `keys.updateCredits`, and the rules on credits in requests (keys.md sections 4, 9 and 11, decisions.md #28, #29).
//!     delete          `keys.deleteKey` (keys.md section 11).
//!     migrate         `keys.migrateKeys`: keys of another system, by their hashes (keys.md section 13, decisions.md #32).
//!     permissions     `keys.addPermissions`, `keys.setPermissions`, `keys.removePermissions` (keys.md section 12).
//!     read            `keys.getKey`, `keys.whoami`, `apis.listKeys` (keys.md section 10, apis.md).
//!     recover         Recoverable keys: sealing them when they are made, opening them for who may see them.
//!     reroll          `keys.rerollKey` (keys.md section 11, decisions.md #27, #53).
//!     roles           `keys.addRoles`, `keys.setRoles`, `keys.removeRoles` (keys.md section 12).
//!     update          `keys.updateKey` (keys.md section 11).
//!   ratelimit/        Rate limits of any identifiers, in namespaces (contract/ratelimit.md, decisions.md #40 to #46).
//!     limit           `ratelimit.limit`, `ratelimit.multiLimit`: one query for the namespaces and their overrides, one question to the limiter.
//!     namespaces      Namespaces: made by the first call that limits in them, shown and deleted (decisions.md #43, "Additions").
//!     overrides       Overrides: other limits for some identifiers of a namespace (ratelimit.md "Overrides").
//!   root_keys/        Root keys: minting and revoking by the operator, authentication, and their management by each other under a ceiling.
//!     create          `rootKeys.createKey` (decisions.md #50, "Additions").
//!     delete          `rootKeys.deleteKey` (decisions.md #52, "Additions").
//!     guard           What stands between one root key and the others: the caller as it is now, the ceiling, the limit, the last minter.
//!     read            `rootKeys.getKey`, `rootKeys.listKeys`, `rootKeys.whoami` (decisions.md #51, "Additions").
//!     reroll          `rootKeys.rerollKey` (decisions.md #27, #52, "Additions").
//!     update          `rootKeys.updateKey` (decisions.md #52, "Additions").
//!   verify/           The data plane: what is known of a key, the pure verdict, the answer.
//!     decide          The verdict on a key: pure, one order of checks (keys.md section 6).
//!     imported        The first verification of a key that was imported by the hash of a part of it (keys.md section 13).
//!     limits          The rate limits of a verification: which of them count, what they say, and tokens that go back (keys.md section 8).
//! http/               HTTP: routes, JSON shapes, the contract, the envelope, problem bodies. The only place that knows the wire.
//!   bearer            The credential of a request: exactly one `Authorization: Bearer …`, and nothing else (decisions.md #2, #3).
//!   call              What a handler gets beside the request's fields, and what it gives back.
//!   client            The client's address: the peer's, or what trusted proxies say of it, counted from the right (decisions.md #34).
//!   contract          The contract at run time: request validators compiled from `openapi.yaml`, and violations in plain words.
//!   denied            Denied calls on their way into records, and the credentials that a request carries beside the one that counts.
//!   envelope          The envelope of a success: `meta`, `data` (all operations but one), and `pagination` for lists.
//!   observe           Around every request: its id, the bound on its header, one log line, its metrics.
//!   operations        THE TABLE of operations: wire name, permissions, handler. Routing, authorization, the tests and the README come from it.
//!   patch             Fields of three states: absent keeps, `null` clears, a value sets.
//!   probes            What monitoring asks: liveness, readiness, metrics, version.
//!   problem           Error bodies and their headers. Nothing else builds one (common.md sections 1 and 9, decisions.md #2 to #9).
//!   rate_limits       Rate limits of keys and identities on the wire (keys.md section 4).
//!   rpc               The one path of a request: size → bearer → contract → handler → envelope (decisions.md #1).
//!   state             What every request handler can reach: the process, the compiled contract, and what is known of the running request.
//!   within            A bound on how long something may take, which costs nothing where nothing waits.
//!   analytics/        `analytics.*` on the wire.
//!     get_usage       `analytics.getUsage`.
//!   apis/             `apis.*` on the wire.
//!     create          `apis.createApi`.
//!     delete          `apis.deleteApi`.
//!     get             `apis.getApi`.
//!     list            `apis.listApis`.
//!     list_keys       `apis.listKeys`.
//!     update          `apis.updateApi`.
//!   audit_logs/       `auditLogs.*` on the wire.
//!     list_events     `auditLogs.listEvents`.
//!   decisions/        `decisions.*` on the wire.
//!     explain         `decisions.explain`.
//!     list_decisions  `decisions.listDecisions`.
//!     simulate        `decisions.simulate`.
//!   docs/             The documentation that the server serves about itself: error pages, API reference, OpenAPI file. It asks for no root key.
//!     accept          Does the reader want Markdown or HTML? (RFC 9110, section 12.5.1.)
//!     document        One thing to be read: its bytes, how they are labelled, and the answer to a conditional request for them.
//!     errors          The page of each error code, and the index of all codes.
//!     layout          From Markdown to a whole HTML page: no script, no asset, one inline stylesheet that its policy allows by digest.
//!     reference       `/docs`: Swagger UI over `/openapi.json`, every byte of it from this binary.
//!     spec            `openapi.yaml` as it was compiled in, and the same as JSON.
//!     tests           What a reader of the served documentation can rely on.
//!   identities/       `identities.*` on the wire.
//!     create          `identities.createIdentity`.
//!     delete          `identities.deleteIdentity`.
//!     get             `identities.getIdentity`.
//!     list            `identities.listIdentities`.
//!     set_permissions `identities.setPermissions`.
//!     set_roles       `identities.setRoles`.
//!     update          `identities.updateIdentity`.
//!   keys/             `keys.*` on the wire.
//!     create          `keys.createKey`.
//!     credits         Credits on the wire (keys.md section 4).
//!     delete          `keys.deleteKey`.
//!     get             `keys.getKey`.
//!     migrate         `keys.migrateKeys`.
//!     permissions     `keys.addPermissions`, `keys.setPermissions`, `keys.removePermissions`.
//!     reroll          `keys.rerollKey`.
//!     roles           `keys.addRoles`, `keys.setRoles`, `keys.removeRoles`.
//!     update          `keys.updateKey`.
//!     update_credits  `keys.updateCredits`.
//!     verify          `keys.verifyKey`.
//!     whoami          `keys.whoami`.
//!   migrations/       `migrations.*` on the wire.
//!     create          `migrations.createMigration`.
//!   permissions/      `permissions.*` on the wire: permissions and roles.
//!     create_permission`permissions.createPermission`.
//!     create_role     `permissions.createRole`.
//!     delete_permission`permissions.deletePermission`.
//!     delete_role     `permissions.deleteRole`.
//!     get_permission  `permissions.getPermission`.
//!     get_role        `permissions.getRole`.
//!     list_permissions`permissions.listPermissions`.
//!     list_roles      `permissions.listRoles`.
//!     set_role_permissions`permissions.setRolePermissions`.
//!     update_permission`permissions.updatePermission`.
//!     update_role     `permissions.updateRole`.
//!   ratelimit/        `ratelimit.*` on the wire.
//!     delete_namespace`ratelimit.deleteNamespace`.
//!     delete_override `ratelimit.deleteOverride`.
//!     get_namespace   `ratelimit.getNamespace`.
//!     get_override    `ratelimit.getOverride`.
//!     limit           `ratelimit.limit`.
//!     list_namespaces `ratelimit.listNamespaces`.
//!     list_overrides  `ratelimit.listOverrides`.
//!     multi_limit     `ratelimit.multiLimit`.
//!     set_override    `ratelimit.setOverride`.
//!   root_keys/        `rootKeys.*` on the wire.
//!     create          `rootKeys.createKey`.
//!     delete          `rootKeys.deleteKey`.
//!     get             `rootKeys.getKey`.
//!     list            `rootKeys.listKeys`.
//!     reroll          `rootKeys.rerollKey`.
//!     update          `rootKeys.updateKey`.
//!     whoami          `rootKeys.whoami`.
//!   workspace/        `workspace.*` on the wire.
//!     get_limits      `workspace.getLimits`.
//! limiter/            Rate limits: the arithmetic, and where it counts. No Postgres, no HTTP.
//!   edge              The service's own edge, by governor: failed authentications per client address, requests per root key.
//!   pattern           Overrides of a namespace: which one applies to an identifier (ratelimit.md "Overrides", decisions.md #42). Pure.
//!   memory/           Counters in memory: sharded, bounded, all or nothing over several. What still counts is never forgotten.
//!     tests           All or nothing, the bound, eviction, and what is handed over to be stored.
//!   redis/            Counters in one Redis for all nodes: one script a call, so that all of its limits are taken or none.
//!     connection      The connection to Redis: multiplexed, on a thread of its own, made anew by itself, given up on quickly while Redis is away.
//!   window/           The sliding window of the contract, approximated by two aligned ones (ratelimit.md "Decision"). Pure.
//!     tests           The arithmetic of limits against the contract's vectors, and against a log of every grant.
//! model/              What Keyward is about: ids, records, secrets, the clock, error codes. No queries, no HTTP.
//!   address           IP addresses and ranges, as allow lists and trusted proxies use them.
//!   api               APIs: each owns keys and says how they are made.
//!   change            What a transaction changed, told to every node so that it forgets what it remembered. Never holds a secret.
//!   clock             The only place that asks what time it is. Tests start servers whose clock they move.
//!   code              Every error code that Keyward can answer: one row a code, with its status, its title and its documentation page.
//!   decision          Decisions: why a call or a verification was refused, as it is recorded, simulated and explained. Its words are stored and shown.
//!   error             The one error type: a code, a sentence for the caller, and the private cause for the log.
//!   id                Ids: a prefix and the base58 of a UUIDv7, so that they sort by the time of their making (decisions.md #11).
//!   identity          Identities: the owners of keys, under the customer's own names (contract/identities.md).
//!   key               Keys: what verification and the key operations know of one.
//!   master_key        The master key ring: seals recoverable keys with AES-256-GCM, each bound to its key id and workspace.
//!   meta              Free-form metadata, kept exactly as it was sent: integers above 2^53 and their order survive.
//!   migration         Migrations: where keys are imported from, and how their hashes were made there (contract/keys.md section 13).
//!   origin            Who makes a request and from where, and what the audit log says of it (common.md section 10).
//!   page              Pages of a list: ordered by id, the cursor is the first row of the next page (common.md section 6).
//!   permission        Permissions and roles: what keys and identities may hold (contract/permissions.md).
//!   rate_limit        Rate limits: those stored with keys and identities, and what one says of a call (keys.md section 8, ratelimit.md).
//!   root_key          Root keys: the credentials that may call Keyward's operations (decisions.md #21, #22).
//!   schema            The tables as diesel sees them. A test compares this file with the migrated database.
//!   secret            Secrets: plaintexts that do not print themselves, their hashes, and how they are made.
//!   usage             Usage: counts of verifications in buckets of an hour, a day or a month, UTC.
//!   verdict           The verdict on a key: the outcome and the reason for it, one value for the answer, the record and the metrics.
//!   verification      One verification of a known key, as it is kept: who, when, what came of it.
//!   workspace         The workspace: the tenant that everything belongs to.
//!   audit/            The audit log: which fields of a resource became what, and rows that are bound to each other.
//!     row             One row of the audit log, its canonical form, and the hash that binds it to the row before (docs/audit.md).
//!   credits/          Credits: how often a key may still be used, and the refills that its balance gets by the calendar (keys.md section 9,
//!     tests           The calendar of refills, by tables and against a model that walks day by day.
//! server/             Serving: workers, background tasks, the drain at the end.
//!   background        What runs beside the requests: writing what was gathered, sweeping, signs of life. Each task ends in order.
//! store/              Everything that is asked of Postgres. The only queries in the crate.
//!   access            What a key or an identity holds and is limited by, as JSON values of its own row: no second query.
//!   apis              APIs.
//!   audit_chain       The chain of the audit log: rows get their places and hashes a moment after they were written, and go when they are old.
//!   audit_log         Audit rows: written in the transaction of the mutation that they tell of, read once they are sealed.
//!   changes           Tells every node what changed: `pg_notify` inside the transaction that changed it.
//!   conflict          What a database error means: away, a lost race, a broken constraint by name, or a fault of Keyward.
//!   counters          Counters of limiters in memory, as they outlive the process.
//!   credits           Balances of limited keys, as the control plane sets them. Spends are the ledger's.
//!   database          The pool, and the one blocking hop: a request goes to the database once, by `read` or by `write`.
//!   decisions         Records of denials: written in batches, found by any of their requests.
//!   events            Events of verifications, written in batches: the events, their sums by hour and by day, and when keys were last used, in
//!   health            What `doctor` wants to know of the database.
//!   history           What verdicts depend on, as it is now and as the audit log tells of it: also of keys, owners, roles and permissions that are
//!   identities        Identities.
//!   imports           Imports: migrations, keys that come many at once with a foreign hash, and the first verification that makes one native.
//!   keys              Keys.
//!   links             Who holds what: permissions and roles of keys and identities, permissions of roles. One table each, one set of queries.
//!   listener          Hears what other nodes changed: LISTEN on a connection of its own, and a heartbeat through the database that proves it.
//!   loader            The loader: concurrent misses of the cache share one query. While it is in flight the next ones gather.
//!   migrations        Migrations: embedded, forward only, one node at a time under an advisory lock.
//!   namespaces        Namespaces of rate limits.
//!   nodes             Servers on this database, by the database's own clock.
//!   overrides         Overrides of rate limits, and the one query of a limit call: its namespaces with what may override its limits.
//!   partitions        Upkeep of the tables of usage and decisions: partitions made ahead of their days and dropped after them, old sums deleted.
//!   permissions       Permissions.
//!   pool              The pool, by r2d2: so many places, each with one connection at most. One that has rested is tested before it is used; one that
//!   pulse             Whether the database still answers whoever works with it. libpq waits for an answer for ever, and nobody else can end that
//!   rate_limits       Rate limits of keys and identities.
//!   roles             Roles.
//!   root_keys         Root keys.
//!   sealed_keys       Sealed copies of recoverable keys.
//!   shift             A thread that works through a queue with a connection of its own, and is relieved by another one when the database never
//!   snapshot          Everything that the verification of a key needs to know, in one SELECT.
//!   strangers         Credentials that were not found: what can be said of them afterwards.
//!   tx                One transaction: the connection, one reading of the clock, and the list of what was changed in it.
//!   usage             Usage: sums of verifications by hour and by day.
//!   workspaces        Workspaces.
//!   cache/            What this node remembers of keys and root keys, so that verifying a known key asks nobody. It forgets what changed, and
//!     slots           When what was last changed, in the numbers of this process: how an entry of the cache knows that it is out of date.
//!   ledger/           The ledger: spends of credits by group commit, durable before they are answered.
//!     queue           The queue of the ledger: bounded, taken from by the thread on duty, refused at once when it is full.
//!     session         The ledger's own connection: opened when it is needed, tested when it has rested, given up when it failed.
//!     statement       The statements of the ledger. Their texts never change, so that each is parsed and planned once a connection.
//!     writer          The thread of the ledger: takes what queued, commits it, answers.
//!     batch/          A batch of spends: gathered by key, and answered in order of arrival. Pure.
//!       tests         A batch answers as if its spends had come one after another.
//! ```
//! <!-- /tree -->

pub mod app;
pub mod authz;
pub mod cli;
pub mod config;
pub mod domain;
pub mod http;
pub mod limiter;
pub mod metrics;
pub mod model;
pub mod server;
pub mod store;
