//! From Markdown to a whole HTML page: no script, no asset, one inline stylesheet that its policy allows by digest.

use crate::http::docs::document::Document;
use actix_web::http::header::CONTENT_SECURITY_POLICY;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use pulldown_cmark::Event;
use pulldown_cmark::Options;
use pulldown_cmark::Parser;
use ring::digest::SHA256;
use ring::digest::digest;
use std::sync::LazyLock;

const STYLE: &str = include_str!("style.css");

static POLICY: LazyLock<String> = LazyLock::new(|| {
    let style = STANDARD.encode(digest(&SHA256, STYLE.as_bytes()));
    format!(
        "default-src 'none'; style-src 'sha256-{style}'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )
});

/// The page, with `facts` (HTML) between its title and its text.
pub(super) fn html(markdown: &str, facts: &str) -> Document {
    let (heading, text) = markdown.split_once('\n').unwrap_or((markdown, ""));
    let (heading, text) = (render(heading), render(text));
    let title = heading.trim().trim_start_matches("<h1>").trim_end_matches("</h1>");
    let page = format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta name=\"color-scheme\" content=\"light dark\">\n<title>{title} · Keyward</title>\n<style>{STYLE}</style>\n\
         </head>\n<body>\n<nav aria-label=\"Documentation\"><strong>Keyward</strong> <a href=\"/docs\">API reference</a> \
         <a href=\"/docs/api-reference/errors-v2\">Error codes</a></nav>\n\
         <main>\n{heading}{facts}\n{text}</main>\n\
         <footer>This page as Markdown: <code>Accept: text/markdown</code></footer>\n</body>\n</html>\n"
    );
    Document::new("text/html; charset=utf-8", page).with(CONTENT_SECURITY_POLICY, &POLICY)
}

/// The pages are our own Markdown. Raw HTML in one is a slip, such as `<root key>` without backticks, and shown as text.
fn render(markdown: &str) -> String {
    let events = Parser::new_ext(markdown, Options::ENABLE_TABLES)
        .map(|event| if let Event::Html(raw) | Event::InlineHtml(raw) = event { Event::Text(raw) } else { event });
    let mut html = String::with_capacity(markdown.len() * 2);
    pulldown_cmark::html::push_html(&mut html, events);
    html
}
