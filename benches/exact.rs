//! What exact numbers cost: `cargo bench --bench exact`, on a throw-away Postgres with fsync.
//!
//! Credits: spends a second through the ledger, against one `UPDATE … RETURNING` a spend through a pool. Every figure is the
//! median of alternating rounds, so that what else the machine does meets both alike; trust the ratios.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::as_conversions,
    clippy::print_stdout,
    reason = "a benchmark fails by panicking, and prints"
)]

use diesel::Connection;
use diesel::ExpressionMethods;
use diesel::OptionalExtension;
use diesel::PgConnection;
use diesel::QueryDsl;
use diesel::RunQueryDsl;
use diesel::r2d2::ConnectionManager;
use diesel::r2d2::Pool;
use keyward::cli::postgres::PrivatePostgres;
use keyward::cli::postgres::Settings;
use keyward::metrics::Metrics;
use keyward::model::clock::Clock;
use keyward::model::id::KeyId;
use keyward::model::schema::credits;
use keyward::store::ledger::Ledger;
use keyward::store::ledger::Spent;
use keyward::store::migrations;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering;
use std::time::Duration;
use std::time::Instant;

/// Rounds of which the median counts, unless KEYWARD_TEST_ROUNDS says otherwise.
const ROUNDS: usize = 7;
/// Length of one round.
const ROUND: Duration = Duration::from_millis(700);
const KEYS: usize = 1000;
const CONNECTIONS: u32 = 16;
const CALLERS: [usize; 4] = [1, 8, 64, 256];

fn main() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::set_permissions(folder.path(), std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let settings = Settings { durable: true, dies_with_parent: true, max_connections: 60 };
    let postgres = PrivatePostgres::start(&folder.path().join("data"), &settings).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let rounds = std::env::var_os("KEYWARD_TEST_ROUNDS");
    let rounds = rounds.map_or(ROUNDS, |rounds| rounds.to_str().unwrap().parse().unwrap());
    ledger(&postgres, &runtime, rounds);
}

/// Spends through the ledger against one statement each.
fn ledger(postgres: &PrivatePostgres, runtime: &tokio::runtime::Runtime, rounds: usize) {
    let keys = prepare(postgres.url());
    let metrics = Metrics::new().unwrap().ledger;
    let ledger = Ledger::open(postgres.url(), Duration::from_secs(10), Clock::system(), metrics.clone()).unwrap();
    let each = Each::new(postgres.url());
    println!("spends of credits a second (median of {rounds} rounds; min..max)");
    println!(
        "{:>10} {:>8} {:>24} {:>24} {:>7} {:>12}",
        "keys", "callers", "ledger", "one UPDATE each", "ratio", "spends/commit"
    );
    for count in [1, KEYS] {
        let keys = &keys[..count];
        for callers in CALLERS {
            let (mut by_ledger, mut by_each) = (Vec::new(), Vec::new());
            let before = (metrics.batch.get_sample_sum(), metrics.batch.get_sample_count());
            for _ in 0..rounds {
                by_ledger.push(runtime.block_on(load(callers, keys, |key| async {
                    assert!(matches!(ledger.spend(key, 1).await.unwrap(), Spent::Left(_)));
                })));
                by_each.push(runtime.block_on(load(callers, keys, |key| each.spend(key.clone()))));
            }
            let commits = (metrics.batch.get_sample_count() - before.1) as f64;
            let shared = (metrics.batch.get_sample_sum() - before.0) / commits;
            let (l, e) = (Median::of(by_ledger), Median::of(by_each));
            println!("{count:>10} {callers:>8} {l:>24} {e:>24} {:>7.2} {shared:>12.1}", l.median / e.median);
        }
    }
}

/// Lets so many callers spend for a round, each after its last answer; returns spends a second.
async fn load<'k, F: Future<Output = ()>>(callers: usize, keys: &'k [KeyId], spend: impl Fn(&'k KeyId) -> F) -> f64 {
    let (over, done) = (AtomicBool::new(false), AtomicUsize::new(0));
    let begun = Instant::now();
    let caller = async |first: usize| {
        // Callers go through the keys with different strides, so that they do not march in step.
        let mut index = first * 37 % keys.len();
        while !over.load(Ordering::Relaxed) {
            spend(&keys[index]).await;
            index = (index + 2 * first + 1) % keys.len();
            done.fetch_add(1, Ordering::Relaxed);
            if begun.elapsed() >= ROUND {
                over.store(true, Ordering::Relaxed);
            }
        }
    };
    futures_util::future::join_all((0..callers).map(caller)).await;
    done.load(Ordering::Relaxed) as f64 / begun.elapsed().as_secs_f64()
}

/// One statement a spend, as a request without a ledger would do it: a hop to a thread, a connection of a pool.
struct Each(Arc<Pool<ConnectionManager<PgConnection>>>);

impl Each {
    fn new(url: &str) -> Self {
        let pool = Pool::builder().max_size(CONNECTIONS).test_on_check_out(false);
        Self(Arc::new(pool.build(ConnectionManager::new(url)).unwrap()))
    }

    async fn spend(&self, key: KeyId) {
        let pool = Arc::clone(&self.0);
        #[expect(clippy::disallowed_methods, reason = "this is what the ledger is measured against")]
        let hop = tokio::task::spawn_blocking(move || {
            let balance = credits::table.find(&key).filter(credits::remaining.ge(1));
            let left: Option<i64> = diesel::update(balance)
                .set(credits::remaining.eq(credits::remaining - 1))
                .returning(credits::remaining)
                .get_result(&mut pool.get().unwrap())
                .optional()
                .unwrap();
            assert!(left.is_some());
        });
        hop.await.unwrap();
    }
}

/// Migrates, and makes keys with a balance that lasts.
fn prepare(url: &str) -> Vec<KeyId> {
    let mut connection = PgConnection::establish(url).unwrap();
    migrations::run(&mut connection).unwrap();
    let keys: Vec<_> = (0..KEYS).map(|_| KeyId::generate()).collect();
    let list = keys.iter().map(|key| format!("('{key}')")).collect::<Vec<_>>().join(",");
    for statement in [
        "INSERT INTO workspaces (id, name, enabled, created_at) VALUES ('ws_1', 'bench', true, now())".to_owned(),
        "INSERT INTO apis (id, workspace_id, name, recoverable, delete_protection, ip_whitelist, created_at) \
             VALUES ('api_1', 'ws_1', 'bench', false, false, '{}', now())".to_owned(),
        format!(
            "INSERT INTO keys (id, workspace_id, api_id, hash, start, enabled, created_at) \
             SELECT id, 'ws_1', 'api_1', sha256(id::bytea), '', true, now() FROM (VALUES {list}) AS k (id)"
        ),
        "INSERT INTO credits (key_id, workspace_id, remaining, refilled_at) SELECT id, 'ws_1', 1000000000, now() FROM keys"
            .to_owned(),
    ] {
        diesel::sql_query(statement).execute(&mut connection).unwrap();
    }
    keys
}

/// The middle of several rounds.
struct Median {
    median: f64,
    least: f64,
    most: f64,
}

impl Median {
    fn of(mut rounds: Vec<f64>) -> Self {
        rounds.sort_by(f64::total_cmp);
        Self { median: rounds[rounds.len() / 2], least: rounds[0], most: rounds[rounds.len() - 1] }
    }
}

impl std::fmt::Display for Median {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(&format!("{:.0} ({:.0}..{:.0})", self.median, self.least, self.most))
    }
}
