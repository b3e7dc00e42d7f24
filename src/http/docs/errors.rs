//! The page of each error code, and the index of all codes.

use crate::http::docs::accept::prefers_markdown;
use crate::http::docs::document::Document;
use crate::http::docs::layout;
use crate::model::code::Code;
use crate::model::code::Row;
use actix_web::HttpRequest;
use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use actix_web::http::header::VARY;
use std::fmt::Write;

const NOT_FOUND: &str = "# There is no such error code\n\n\
    Keyward answers no error of this name. Perhaps the address is misspelt, or it comes from another version.\n\n\
    [All error codes](/docs/api-reference/errors-v2)\n";

/// `/docs/api-reference/errors-v2`: every code in one table.
pub(super) fn index(request: &HttpRequest) -> HttpResponse {
    document(request, &index_markdown(), "").answer(request)
}

/// `/docs/api-reference/errors-v2/<system>/<category>/<code>`.
pub(super) fn page(request: &HttpRequest) -> HttpResponse {
    let path = request.match_info().get("path").unwrap_or_default().trim_end_matches('/');
    let Some(code) = Code::from_path(path) else {
        let mut missing = document(request, NOT_FOUND, "");
        missing.status = StatusCode::NOT_FOUND;
        return missing.answer(request);
    };
    let row = code.row();
    document(request, row.page, &facts(row)).answer(request)
}

/// The Markdown itself, or HTML made from it with `facts` below its title.
fn document(request: &HttpRequest, markdown: &str, facts: &str) -> Document {
    let document = if prefers_markdown(request) {
        Document::new("text/markdown; charset=utf-8", markdown.to_owned())
    } else {
        layout::html(markdown, facts)
    };
    document.with(VARY, "Accept")
}

/// What the table of codes says about a code, for the head of its page. The table holds no character that HTML escapes.
fn facts(row: Row) -> String {
    let Row { path, status, title, .. } = row;
    format!("<p class=\"facts\"><strong>{status}</strong> {title} <code>{path}</code></p>")
}

fn index_markdown() -> String {
    let mut page = String::from(
        "# Error codes\n\n\
         Every error that Keyward answers has one of these codes at the end of `error.type`. Match on the code; \
         titles and details are written for people and may change.\n\n\
         | Code | Status | Title | What happened |\n|---|---|---|---|\n",
    );
    for code in Code::ALL {
        let Row { path, status, title, page: text } = code.row();
        let what = first_sentence(text);
        // Writing to a String cannot fail.
        let _ = writeln!(page, "| [`{path}`](/docs/api-reference/errors-v2/{path}) | {status} | {title} | {what} |");
    }
    page
}

/// The first sentence under "What happened", on one line.
fn first_sentence(page: &str) -> String {
    let (_, text) = page.split_once("## What happened").unwrap_or_default();
    let paragraph = text.trim_start().split("\n\n").next().unwrap_or_default().replace('\n', " ");
    match paragraph.split_once(". ") {
        Some((sentence, _)) => format!("{sentence}."),
        None => paragraph,
    }
}
