//! Does the reader want Markdown or HTML? (RFC 9110, section 12.5.1.)

use actix_web::HttpRequest;
use actix_web::http::header::Accept;
use actix_web::http::header::Header;
use actix_web::http::header::Quality;
use std::cmp::Reverse;

/// How much a media type is wanted: its quality, then how exactly it was named, then how early.
type Rank = (Quality, u8, Reverse<usize>);

/// True when `Accept` ranks `text/markdown` above `text/html`. A browser, `*/*` and no header at all mean HTML; a header
/// that excludes both is overruled, because a page in the wrong form helps more than a 406.
pub(super) fn prefers_markdown(request: &HttpRequest) -> bool {
    let Ok(accept) = Accept::parse(request) else { return false };
    rank(&accept, "markdown") > rank(&accept, "html")
}

/// The rank of `text/<subtype>`: the most exact range that covers it counts, whatever its quality.
fn rank(accept: &Accept, subtype: &str) -> Option<Rank> {
    accept
        .iter()
        .enumerate()
        .filter_map(|(position, range)| {
            let exactness = match (range.item.type_().as_str(), range.item.subtype().as_str()) {
                ("*", "*") => 0,
                ("text", "*") => 1,
                ("text", named) if named == subtype => 2,
                _ => return None,
            };
            Some((range.quality, exactness, Reverse(position)))
        })
        .max_by_key(|&(_, exactness, position)| (exactness, position))
        .filter(|&(quality, ..)| quality > Quality::ZERO)
}
