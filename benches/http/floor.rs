//! What Keyward is compared with: a bare handler, one SELECT a request, one UPDATE a request, on the same actix and diesel.

use crate::Fault;
use actix_web::HttpResponse;
use actix_web::HttpServer;
use actix_web::web;
use diesel::BoolExpressionMethods;
use diesel::ExpressionMethods;
use diesel::OptionalExtension;
use diesel::PgConnection;
use diesel::QueryDsl;
use diesel::RunQueryDsl;
use diesel::r2d2::ConnectionManager;
use keyward::model::schema::credits;
use keyward::model::schema::keys;
use keyward::model::secret::Hash;
use serde::Deserialize;
use std::process::ExitCode;

/// Where the keys are.
struct Place {
    pool: Pool,
    workspace: String,
}

type Pool = diesel::r2d2::Pool<ConnectionManager<PgConnection>>;

/// As many as the server has by default.
const CONNECTIONS: u32 = 16;
/// An answer as long as one about a valid key with a name and metadata.
const ANSWER: &str = r#"{"meta":{"requestId":"req_bench111111111111111111111"},"data":{"valid":true,"code":"VALID","keyId":"key_bench_0000000000","keyspaceId":"api_111111111111111111111","enabled":true,"name":"key of the benchmark","meta":{"plan":"pro","region":"eu-central","seats":25,"note":"nothing in here is ever looked at by the benchmark"},"padding":"......"}}"#;

#[derive(Deserialize)]
struct Asked {
    key: String,
}

#[derive(diesel::Queryable)]
struct Known {
    id: String,
    enabled: bool,
}

/// The process: arguments are the port, the database and the workspace.
pub fn run(arguments: &[String]) -> Result<ExitCode, Fault> {
    let [port, database, workspace] = arguments else { return Err("a role without its arguments".into()) };
    let port: u16 = port.parse()?;
    // r2d2's default is to test a connection before each use, which is a round trip more than the one that is meant.
    let pool = |tested| {
        let builder = Pool::builder().max_size(CONNECTIONS).min_idle(Some(0)).test_on_check_out(tested);
        builder.build_unchecked(ConnectionManager::new(database))
    };
    let place = |tested| web::Data::new(Place { pool: pool(tested), workspace: workspace.clone() });
    let (tested, untested) = (place(true), place(false));
    let workers = std::thread::available_parallelism().map_or(1, usize::from);
    actix_web::rt::System::new().block_on(async move {
        HttpServer::new(move || {
            actix_web::App::new()
                .route("/health/ready", web::get().to(HttpResponse::Ok))
                .route("/floor", web::post().to(bare))
                .service(compared("/tested", tested.clone()))
                .service(compared("/untested", untested.clone()))
        })
        .workers(workers)
        .bind(("127.0.0.1", port))?
        .run()
        .await
    })?;
    Ok(ExitCode::SUCCESS)
}

fn compared(path: &str, place: web::Data<Place>) -> actix_web::Scope {
    web::scope(path).app_data(place).route("/select", web::post().to(select)).route("/update", web::post().to(update))
}

fn respond(valid: bool) -> HttpResponse {
    if valid {
        HttpResponse::Ok().content_type("application/json").body(ANSWER)
    } else {
        HttpResponse::Ok().content_type("application/json").body(r#"{"data":{"valid":false}}"#)
    }
}

async fn bare(body: web::Bytes) -> HttpResponse {
    match serde_json::from_slice::<Asked>(&body) {
        Ok(asked) => respond(!asked.key.is_empty()),
        Err(_malformed) => HttpResponse::BadRequest().finish(),
    }
}

#[expect(clippy::disallowed_methods, reason = "the blocking hop of each request is what is measured")]
async fn select(body: web::Bytes, place: web::Data<Place>) -> HttpResponse {
    let Ok(asked) = serde_json::from_slice::<Asked>(&body) else { return HttpResponse::BadRequest().finish() };
    let hash = Hash::of(&asked.key);
    let known = web::block(move || {
        let mut connection = place.pool.get().ok()?;
        keys::table
            .filter(keys::hash.eq(hash.as_bytes()).and(keys::deleted_at.is_null()))
            .filter(keys::workspace_id.eq(&place.workspace))
            .select((keys::id, keys::enabled))
            .first::<Known>(&mut connection)
            .optional()
            .ok()
    });
    match known.await {
        Ok(Some(known)) => respond(known.is_some_and(|known| known.enabled && !known.id.is_empty())),
        _ => HttpResponse::InternalServerError().finish(),
    }
}

#[expect(clippy::disallowed_methods, reason = "the blocking hop of each request is what is measured")]
async fn update(body: web::Bytes, place: web::Data<Place>) -> HttpResponse {
    let Ok(asked) = serde_json::from_slice::<Asked>(&body) else { return HttpResponse::BadRequest().finish() };
    let left = web::block(move || {
        let mut connection = place.pool.get().ok()?;
        let spendable = credits::table.filter(credits::key_id.eq(asked.key).and(credits::remaining.ge(1)));
        diesel::update(spendable)
            .set(credits::remaining.eq(credits::remaining - 1))
            .returning(credits::remaining)
            .get_result::<i64>(&mut connection)
            .optional()
            .ok()
    });
    match left.await {
        Ok(Some(left)) => respond(left.is_some()),
        _ => HttpResponse::InternalServerError().finish(),
    }
}
