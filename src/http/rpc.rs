//! The one path of a request: size → bearer → contract → handler → envelope (decisions.md #1).

use crate::authz::caller::Caller;
use crate::domain::root_keys;
use crate::http::bearer;
use crate::http::call::Call;
use crate::http::call::Reply;
use crate::http::client;
use crate::http::denied;
use crate::http::envelope;
use crate::http::operations::Operation;
use crate::http::problem;
use crate::http::state::State;
use crate::http::state::Trace;
use crate::http::within::Elapsed;
use crate::http::within::Expected;
use crate::http::within::within;
use crate::model::code::Code;
use crate::model::error::Error;
use crate::model::error::Refusal;
use crate::model::error::Result;
use crate::model::origin::Origin;
use crate::model::root_key::RootKey;
use crate::model::workspace::Workspace;
use crate::store::cache::Authenticated;
use actix_web::HttpRequest;
use actix_web::HttpResponse;
use actix_web::Route;
use actix_web::http::header;
use actix_web::web;
use futures_util::FutureExt;
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::future::Future;
use std::net::IpAddr;
use std::panic::AssertUnwindSafe;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;
use std::time::Instant;

/// The route of one operation.
pub fn rpc<Request, Response, Fut>(handler: fn(Call, Request) -> Fut) -> Route
where
    Request: DeserializeOwned + 'static,
    Response: Serialize + 'static,
    Fut: Future<Output = Result<Reply<Response>>> + 'static,
{
    web::post().to(move |http: HttpRequest, body: web::Payload| async move {
        let answer = AssertUnwindSafe(answer(handler, &http, body)).catch_unwind().await;
        let answer = answer.unwrap_or_else(|panic| Err(Error::unexpected(panic_message(panic.as_ref()))));
        if answer.as_ref().is_ok_and(|reply| reply.routine) {
            Trace::note(&http, |trace| trace.routine = true);
        }
        let body =
            answer.and_then(|reply| envelope::success(&Trace::request_id(&http), &reply).map_err(Error::unexpected));
        match body {
            Ok(body) => HttpResponse::Ok().content_type("application/json").body(body),
            Err(error) => refuse(&http, &error),
        }
    })
}

/// The answer to a path that is no operation.
pub async fn unknown_operation(http: HttpRequest) -> HttpResponse {
    refuse(
        &http,
        &Error::new(
            Code::UnknownOperation,
            "There is no such path. Operations are POST /v2/<operation>, like /v2/keys.verifyKey; /docs lists them.",
        ),
    )
}

/// The answer to a wrong method on a known path.
pub async fn method_not_allowed(http: HttpRequest, allowed: &'static str) -> HttpResponse {
    let error = Error::new(Code::MethodNotAllowed, format!("This path does not know the method; it takes {allowed}."));
    let mut response = refuse(&http, &error);
    response.headers_mut().insert(header::ALLOW, header::HeaderValue::from_static(allowed));
    response
}

/// Turns an error into its answer, and logs its cause once.
pub fn refuse(http: &HttpRequest, error: &Error) -> HttpResponse {
    Trace::note(http, |trace| trace.code = Some(error.code));
    let trace = Trace::of(http);
    if let Some(source) = &error.source {
        tracing::error!(request_id = %trace.request_id, operation = trace.operation, code = error.code.row().path, %source, "request failed");
    }
    if let Some(lack) = &error.lack {
        // The alternative with `*`: ids are what the caller sent, and nothing of a body goes to the log.
        let required = lack.required.first().map(|set| set.join(", "));
        tracing::warn!(request_id = %trace.request_id, operation = trace.operation, required, "denied");
    }
    let base = http.app_data::<web::Data<State>>().map_or("", |state| state.error_docs_base.as_str());
    problem::response(error, &trace, base, problem::accept(http.headers()).as_deref())
}

async fn answer<Request, Response, Fut>(
    handler: fn(Call, Request) -> Fut,
    http: &HttpRequest,
    body: web::Payload,
) -> Result<Reply<Response>>
where
    Request: DeserializeOwned,
    Fut: Future<Output = Result<Reply<Response>>>,
{
    let begun = Instant::now();
    let state = http
        .app_data::<web::Data<State>>()
        .ok_or_else(|| Error::unexpected("the server was mounted without its state"))?;
    let operation: &'static Operation =
        http.app_data::<&'static Operation>().ok_or_else(|| Error::unexpected("a route without its operation"))?;
    Trace::note(http, |trace| trace.operation = operation.name);
    let settings = &state.app.settings;
    let longest = Duration::from_millis(settings.request_timeout_ms);
    let reading = Duration::from_millis(settings.read_timeout_ms).min(longest);
    let body = pin!(read_body(state, http, body));
    let body = within(Expected::Soon, || reading, body).await.unwrap_or_else(|Elapsed| {
        let waited = reading.as_millis();
        Err(Error::new(Code::RequestTimeout, format!("The body did not arrive within {waited} milliseconds.")))
    })?;
    let address = client_address(state, http);
    // One bound for all that waits for the database: two slow queries are no longer than one.
    let decided = pin!(async {
        let authenticated = authenticate(state, http, operation, address).await?;
        Trace::note(http, |trace| trace.root_key = Some(authenticated.root_key.id.clone()));
        let answer = async {
            spend_allowance(state, http, &authenticated.root_key, &authenticated.workspace)?;
            let request = state.contract.read(operation.name, http.headers(), &body)?;
            handler(call(state, http, operation, &authenticated, address), request).await
        };
        answer.await.inspect_err(|error| {
            denied::note(state, http, operation, address, Some(&authenticated), error);
        })
    });
    let patience = settings.database_timeout().saturating_mul(operation.patience);
    let left = || longest.saturating_sub(begun.elapsed());
    within(Expected::Now, || patience.min(left()), decided).await.unwrap_or_else(|Elapsed| {
        if left().is_zero() {
            let detail = "The request took too long and was given up. A change that it asked for may or may not have \
                          been made.";
            return Err(Error::new(Code::RequestTimeout, detail));
        }
        Err(Error::unavailable("no answer within the bound on the database").unsure())
    })
}

async fn read_body(state: &State, http: &HttpRequest, body: web::Payload) -> Result<web::Bytes> {
    let longest = state.app.settings.max_body_bytes;
    let too_large = || Error::new(Code::RequestBodyTooLarge, format!("The body is larger than {longest} bytes."));
    let declared =
        http.headers().get(header::CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse::<u64>().ok());
    if declared.is_some_and(|length| length > longest) {
        return Err(too_large());
    }
    match body.to_bytes_limited(usize::try_from(longest).unwrap_or(usize::MAX)).await {
        Ok(Ok(bytes)) => Ok(bytes),
        Ok(Err(unreadable)) => {
            Err(Error::new(Code::RequestBodyUnreadable, format!("The body could not be read: {unreadable}.")))
        }
        Err(_over_limit) => Err(too_large()),
    }
}

fn client_address(state: &State, http: &HttpRequest) -> Option<IpAddr> {
    let forwarded: Vec<_> =
        http.headers().get_all(header::X_FORWARDED_FOR).filter_map(|value| value.to_str().ok()).collect();
    client::address(
        http.peer_addr().map(|peer| peer.ip()),
        forwarded.iter().copied(),
        &state.app.settings.trusted_proxies.0,
    )
}

/// Who calls. A failed attempt counts against the address that it came from, and only other failing ones feel it.
async fn authenticate(
    state: &State,
    http: &HttpRequest,
    operation: &'static Operation,
    address: Option<IpAddr>,
) -> Result<Arc<Authenticated>> {
    let app = &state.app;
    let now = app.clock.now();
    let known = match bearer::hash(http.headers()) {
        Ok(hash) => root_keys::authenticate(&app.cache, &app.loader, &hash, now).await,
        Err(error) => Err((error, None)),
    };
    match known {
        Ok(authenticated) => {
            if authenticated.is_first_use(now) {
                app.last_used.root_key(&authenticated.root_key.id, now);
            }
            Ok(authenticated)
        }
        Err((error, _)) if error.source.is_some() => Err(error),
        Err((error, known)) => match app.edge.failed(address) {
            Ok(()) => {
                denied::note(state, http, operation, address, known.as_ref(), &error);
                Err(error)
            }
            Err(allowance) => {
                Trace::note(http, |trace| trace.allowance = Some(allowance));
                let mut refused = Error::new(
                    Code::AuthenticationRateLimited,
                    "Too many requests from this address failed to authenticate within a minute. Requests with a valid \
                     root key are still served.",
                )
                .refusing(Refusal::UnknownTooOften);
                refused.retry_after_s = allowance.retry_after_s;
                denied::note(state, http, operation, address, known.as_ref(), &refused);
                Err(refused)
            }
        },
    }
}

/// Counts the request against what its workspace allows each root key.
fn spend_allowance(state: &State, http: &HttpRequest, root_key: &RootKey, workspace: &Workspace) -> Result<()> {
    let Some(limit) = workspace.requests_per_minute.and_then(|limit| u32::try_from(limit).ok()) else { return Ok(()) };
    let allowance = state.app.edge.request(&root_key.id, limit);
    Trace::note(http, |trace| trace.allowance = Some(allowance));
    let Some(retry_after_s) = allowance.retry_after_s else { return Ok(()) };
    let mut refused = Error::new(
        Code::WorkspaceRateLimited,
        format!(
            "This root key made more than the {limit} requests per minute that its workspace allows each root key. \
             The operator can raise the limit."
        ),
    )
    .refusing(Refusal::Allowance(limit));
    refused.retry_after_s = Some(retry_after_s);
    Err(refused)
}

fn call(
    state: &State,
    http: &HttpRequest,
    operation: &'static Operation,
    authenticated: &Authenticated,
    address: Option<IpAddr>,
) -> Call {
    let root_key = &authenticated.root_key;
    let user_agent = http.headers().get(header::USER_AGENT).and_then(|value| value.to_str().ok());
    Call {
        app: Arc::clone(&state.app),
        origin: Origin {
            actor: authenticated.actor.clone(),
            address,
            user_agent: user_agent.map(Origin::user_agent),
            request_id: Trace::request_id(http),
            ignored: denied::ignored(http),
        },
        caller: Arc::new(Caller {
            root_key: root_key.id.clone(),
            workspace: root_key.workspace_id.clone(),
            grants: Arc::clone(&authenticated.grants),
            operation: operation.name,
            needs: operation.needs,
            also: operation.also,
        }),
        address,
        patience: operation.patience,
    }
}

fn panic_message(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| panic.downcast_ref::<String>().cloned()).map_or("panic".to_owned(), |text| format!("panic: {text}"))
}
