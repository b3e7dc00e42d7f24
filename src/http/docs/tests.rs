//! What a reader of the served documentation can rely on.

use crate::http::docs::mount;
use crate::http::docs::openapi_json;
use crate::http::docs::openapi_yaml;
use crate::model::code::Code;
use actix_web::App;
use actix_web::http::Method;
use actix_web::http::StatusCode;
use actix_web::http::header::HeaderMap;
use actix_web::test as actix;
use serde_json::Value;

const ERRORS: &str = "/docs/api-reference/errors-v2";
const SECTIONS: [&str; 6] =
    ["What happened", "Common scenarios", "Example", "How to fix it", "Common mistakes", "Related codes"];

struct Seen {
    status: StatusCode,
    headers: HeaderMap,
    body: Vec<u8>,
}

impl Seen {
    fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }
}

async fn ask(method: Method, path: &str, headers: &[(&str, &str)]) -> Seen {
    let app = actix::init_service(App::new().configure(mount)).await;
    let request = headers
        .iter()
        .fold(actix::TestRequest::with_uri(path).method(method), |request, header| request.insert_header(*header));
    let response = actix::call_service(&app, request.to_request()).await;
    let (status, headers) = (response.status(), response.headers().clone());
    Seen { status, headers, body: actix::read_body(response).await.to_vec() }
}

async fn get(path: &str) -> Seen {
    ask(Method::GET, path, &[]).await
}

async fn get_as(path: &str, accept: &str) -> Seen {
    ask(Method::GET, path, &[("Accept", accept)]).await
}

#[actix_web::test]
async fn every_code_has_a_page_in_both_forms() {
    for code in Code::ALL {
        let row = code.row();
        let path = format!("{ERRORS}/{}", row.path);

        let html = get(&path).await;
        assert_eq!(html.status, StatusCode::OK, "{path}");
        assert_eq!(html.header("content-type"), "text/html; charset=utf-8");
        assert_eq!(html.header("x-content-type-options"), "nosniff");
        assert_eq!(html.header("vary"), "Accept");
        assert!(html.text().starts_with("<!doctype html>") && html.text().contains("<h2>How to fix it</h2>"));
        assert!(!html.text().contains("<script") && !html.text().contains(" src="));
        assert!(html.header("content-security-policy").starts_with("default-src 'none'; style-src 'sha256-"));

        let markdown = get_as(&path, "text/markdown").await;
        assert_eq!(markdown.header("content-type"), "text/markdown; charset=utf-8");
        assert_eq!(markdown.text(), row.page);
        assert_ne!(markdown.header("etag"), html.header("etag"));
    }
}

#[actix_web::test]
async fn the_index_lists_every_code_in_both_forms() {
    for path in [ERRORS.to_owned(), format!("{ERRORS}/")] {
        let (html, markdown) = (get(&path).await, get_as(&path, "text/markdown").await);
        assert_eq!((html.status, markdown.status), (StatusCode::OK, StatusCode::OK));
        let lines: Vec<_> = markdown.text().lines().filter(|line| line.starts_with("| [")).collect();
        assert_eq!(lines.len(), Code::ALL.len());
        for (code, line) in Code::ALL.iter().zip(lines) {
            let row = code.row();
            assert!(html.text().contains(&format!("<a href=\"{ERRORS}/{}\">", row.path)));
            assert!(line.contains(&format!("({ERRORS}/{}) | {} | {} | ", row.path, row.status, row.title)));
            assert_eq!(line.matches('|').count(), 5, "a bar inside a cell: {line}");
            assert!(line.ends_with(". |") && line.len() > 100, "no sentence: {line}");
        }
    }
}

#[actix_web::test]
async fn an_unknown_code_leads_to_the_index() {
    for accept in ["*/*", "text/markdown"] {
        for path in ["unkey/data/nothing", "unkey", "%3Cscript%3E/a/b"] {
            let seen = get_as(&format!("{ERRORS}/{path}"), accept).await;
            assert_eq!(seen.status, StatusCode::NOT_FOUND);
            assert_eq!(seen.header("etag"), "");
            assert!(seen.text().contains(ERRORS) && !seen.text().contains("script"));
        }
    }
}

#[test]
fn every_page_has_its_sections_in_order_and_names_its_code() {
    for code in Code::ALL {
        let row = code.row();
        let sections: Vec<_> = row.page.lines().filter_map(|line| line.strip_prefix("## ")).collect();
        assert_eq!(sections, SECTIONS, "{}", row.path);
        let title = row.page.lines().next().unwrap();
        assert!(title.starts_with("# ") && title.contains(row.path.rsplit('/').next().unwrap()), "{title}");
        assert!(!title.contains(['`', '<', '&']), "the title also stands in <title>: {title}");
    }
}

#[test]
fn every_example_answers_what_the_table_says() {
    for code in Code::ALL {
        let row = code.row();
        let command = block(row.page, "```sh\n");
        assert!(command.contains("curl ") || command.starts_with("keyward "), "{}", row.path);
        let answer: Value = serde_json::from_str(block(row.page, "```json\n")).expect(row.path);
        let error = &answer["error"];
        assert_eq!(error["status"], row.status, "{}", row.path);
        assert_eq!(error["title"], row.title, "{}", row.path);
        assert_eq!(error["type"], format!("https://unkey.com{ERRORS}/{}", row.path));
        assert_eq!(error["errors"].is_array(), [400, 408, 413].contains(&row.status), "{}", row.path);
        assert!(error["detail"].as_str().unwrap().len() > 20);
        assert!(answer["meta"]["requestId"].as_str().unwrap().starts_with("req_"));
    }
}

/// The first code block of this kind in the section "Example".
fn block<'a>(page: &'a str, fence: &str) -> &'a str {
    let example = page.split("## Example\n").nth(1).unwrap().split("\n## ").next().unwrap();
    example.split(fence).nth(1).unwrap().split("\n```").next().unwrap()
}

#[test]
fn links_between_pages_lead_to_pages() {
    for code in Code::ALL {
        let row = code.row();
        let related = row.page.split("## Related codes").nth(1).unwrap();
        assert!(related.contains(ERRORS), "{}: nothing related", row.path);
        for link in row.page.split("](").skip(1) {
            let link = link.split(')').next().unwrap();
            let path = link.strip_prefix(ERRORS).and_then(|rest| rest.strip_prefix('/'));
            let known = path.is_some_and(|path| Code::from_path(path).is_some_and(|other| other != *code));
            assert!(known || ["/docs", ERRORS, "/openapi.yaml"].contains(&link), "{}: {link}", row.path);
        }
    }
}

#[actix_web::test]
async fn accept_decides_by_quality_then_exactness_then_order() {
    let markdown = [
        "text/markdown",
        "TEXT/Markdown",
        "text/markdown, text/html, */*",
        "text/html;q=0.8, text/markdown",
        "text/markdown;q=0.5, application/json",
        "text/markdown, */*;q=1",
        "text/*;q=0.3, text/markdown;q=0.4",
        "text/html;q=0, text/*",
    ];
    let html = [
        "",
        "*/*",
        "text/*",
        "text/html",
        "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8",
        "text/html, text/markdown",
        "text/markdown;q=0.8, text/html",
        "text/markdown;q=0.3, text/*;q=0.4",
        "text/markdown;q=0",
        "text/markdown;q=0, text/*",
        "application/json",
        "not a media type",
    ];
    for (accepts, expected) in [(&markdown[..], "text/markdown"), (&html[..], "text/html")] {
        for accept in accepts {
            let seen = get_as(ERRORS, accept).await;
            assert!(seen.header("content-type").starts_with(expected), "Accept: {accept}");
        }
    }
}

#[actix_web::test]
async fn the_reference_and_everything_it_loads_come_from_here() {
    let page = get("/docs").await;
    assert_eq!(page.status, StatusCode::OK);
    assert_eq!(get("/docs/").await.body, page.body);
    let policy = page.header("content-security-policy");
    assert!(policy.contains("default-src 'none'") && !policy.contains("http"));

    let mut loaded: Vec<_> = page.text().split('"').filter(|text| text.starts_with("/docs/assets/")).collect();
    loaded.push("/docs/assets/LICENSE");
    assert!(loaded.len() > 4);
    for path in loaded {
        let asset = get(path).await;
        assert_eq!(asset.status, StatusCode::OK, "{path}");
        assert_eq!(asset.header("x-content-type-options"), "nosniff");
        assert!(asset.header("content-type").starts_with("text/"));
        assert_eq!(asset.header("content-encoding") == "gzip", asset.body.starts_with(&[0x1f, 0x8b]), "{path}");
    }
    assert!(!page.text().contains("//"), "nothing is loaded from elsewhere");
    assert_eq!(get("/docs/assets/other.js").await.status, StatusCode::NOT_FOUND);
}

#[actix_web::test]
async fn the_contract_is_served_as_written_and_as_json() {
    let (yaml, json) = (get("/openapi.yaml").await, get("/openapi.json").await);
    assert_eq!((yaml.header("content-type"), yaml.text()), ("application/yaml", openapi_yaml()));
    assert_eq!((json.header("content-type"), json.text()), ("application/json", openapi_json()));
    let from_yaml: Value = serde_yaml_ng::from_str(openapi_yaml()).unwrap();
    let from_json: Value = serde_json::from_str(openapi_json()).unwrap();
    assert_eq!(from_yaml, from_json);
    assert!(from_json["openapi"].as_str().unwrap().starts_with("3.1") && from_json["paths"].is_object());
}

#[actix_web::test]
async fn what_a_client_has_is_not_sent_again() {
    for path in ["/openapi.yaml", "/openapi.json", "/docs", "/docs/assets/swagger-ui.js", ERRORS] {
        let first = get(path).await;
        assert_eq!(first.header("cache-control"), "public, no-cache");
        let etag = first.header("etag").to_owned();
        let weak = format!("W/{etag}");
        for known in [etag.as_str(), weak.as_str(), "*"] {
            let second = ask(Method::GET, path, &[("If-None-Match", known)]).await;
            assert_eq!((second.status, second.body.len()), (StatusCode::NOT_MODIFIED, 0), "{path} {known}");
            assert_eq!(second.header("etag"), etag);
        }
        assert_eq!(ask(Method::GET, path, &[("If-None-Match", "\"other\"")]).await.status, StatusCode::OK);
    }
}

#[actix_web::test]
async fn head_is_answered_and_writing_is_not() {
    let code = format!("{ERRORS}/unkey/data/api_not_found");
    for path in ["/openapi.yaml", "/openapi.json", "/docs", "/docs/assets/reference.js", ERRORS, &code] {
        let (head, get) = (ask(Method::HEAD, path, &[]).await, get(path).await);
        assert_eq!((head.status, head.header("etag")), (StatusCode::OK, get.header("etag")), "{path}");
        for method in [Method::POST, Method::PUT, Method::DELETE, Method::OPTIONS] {
            let refused = ask(method, path, &[]).await;
            assert_eq!((refused.status, refused.header("allow")), (StatusCode::METHOD_NOT_ALLOWED, "GET, HEAD"));
        }
    }
}
