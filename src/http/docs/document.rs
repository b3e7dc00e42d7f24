//! One thing to be read: its bytes, how they are labelled, and the answer to a conditional request for them.

use actix_web::HttpRequest;
use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use actix_web::http::header;
use actix_web::http::header::EntityTag;
use actix_web::http::header::Header;
use actix_web::http::header::IfNoneMatch;
use actix_web::web::Bytes;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::digest::SHA256;
use ring::digest::digest;

/// Kept by caches, but asked about on every use: after an upgrade nobody reads the documentation of the old version.
const REVALIDATED: &str = "public, no-cache";

/// A document with everything that is said about it in headers.
#[derive(Clone, Debug)]
pub(super) struct Document {
    pub(super) status: StatusCode,
    pub(super) content_type: &'static str,
    pub(super) body: Bytes,
    etag: EntityTag,
    headers: Vec<(header::HeaderName, &'static str)>,
}

impl Document {
    /// A document whose entity tag is a digest of its bytes.
    pub(super) fn new(content_type: &'static str, body: impl Into<Bytes>) -> Self {
        let body = body.into();
        let mut tag = URL_SAFE_NO_PAD.encode(digest(&SHA256, &body));
        tag.truncate(22);
        Self { status: StatusCode::OK, content_type, body, etag: EntityTag::new_strong(tag), headers: Vec::new() }
    }

    /// Adds a header.
    pub(super) fn with(mut self, name: header::HeaderName, value: &'static str) -> Self {
        self.headers.push((name, value));
        self
    }

    /// Answers with the document, or with 304 when the client already has it. (actix drops the body of an answer to HEAD
    /// and keeps its length.)
    pub(super) fn answer(&self, request: &HttpRequest) -> HttpResponse {
        let known = self.status == StatusCode::OK && self.is_known_to(request);
        let mut response = HttpResponse::build(if known { StatusCode::NOT_MODIFIED } else { self.status });
        response
            .insert_header((header::CACHE_CONTROL, REVALIDATED))
            .insert_header((header::X_CONTENT_TYPE_OPTIONS, "nosniff"))
            .insert_header((header::REFERRER_POLICY, "no-referrer"));
        if self.status == StatusCode::OK {
            response.insert_header(header::ETag(self.etag.clone()));
        }
        for (name, value) in &self.headers {
            response.insert_header((name, *value));
        }
        if known {
            return response.finish();
        }
        response.insert_header((header::CONTENT_TYPE, self.content_type)).body(self.body.clone())
    }

    fn is_known_to(&self, request: &HttpRequest) -> bool {
        match IfNoneMatch::parse(request) {
            Ok(IfNoneMatch::Any) => true,
            Ok(IfNoneMatch::Items(tags)) => tags.iter().any(|tag| tag.weak_eq(&self.etag)),
            Err(_) => false,
        }
    }
}
