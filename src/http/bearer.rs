//! The credential of a request: exactly one `Authorization: Bearer …`, and nothing else (decisions.md #2, #3).

use crate::model::code::Code;
use crate::model::error::Error;
use crate::model::error::Result;
use crate::model::secret::Hash;
use actix_web::http::header;
use actix_web::http::header::HeaderMap;

/// Hash of the bearer. Cookies and query parameters never authenticate.
///
/// # Errors
/// As [`text`].
pub fn hash(headers: &HeaderMap) -> Result<Hash> {
    text(headers).map(Hash::of)
}

/// The bearer itself.
///
/// # Errors
/// `authentication/missing` without the header or with an empty one, `authentication/malformed` for any other scheme, no
/// token, or two headers.
pub fn text(headers: &HeaderMap) -> Result<&str> {
    let mut values = headers.get_all(header::AUTHORIZATION);
    let (first, second) = (values.next(), values.next());
    if second.is_some() {
        return Err(malformed("The request has two Authorization headers; exactly one is expected."));
    }
    let text = match first.map(|value| value.to_str()) {
        None => return Err(missing()),
        Some(Ok(text)) => text.trim(),
        Some(Err(_)) => return Err(malformed("The Authorization header holds characters that no root key has.")),
    };
    if text.is_empty() {
        return Err(missing());
    }
    let (scheme, token) = text.split_once(char::is_whitespace).unwrap_or((text, ""));
    if !scheme.eq_ignore_ascii_case("bearer") {
        return Err(malformed("The Authorization header is not of the form `Bearer <root key>`."));
    }
    match token.trim() {
        "" => Err(malformed("The Authorization header has no root key after `Bearer`.")),
        token if token.contains(char::is_whitespace) => {
            Err(malformed("The Authorization header has a blank inside the root key."))
        }
        token => Ok(token),
    }
}

fn missing() -> Error {
    Error::new(
        Code::AuthenticationMissing,
        "The request has no Authorization header. Send `Authorization: Bearer <root key>`.",
    )
}

fn malformed(detail: &str) -> Error {
    Error::new(Code::AuthenticationMalformed, format!("{detail} Send `Authorization: Bearer <root key>`."))
}

#[cfg(test)]
mod tests {
    use super::hash;
    use crate::model::code::Code;
    use crate::model::secret::Hash;
    use actix_web::http::header::AUTHORIZATION;
    use actix_web::http::header::HeaderMap;
    use actix_web::http::header::HeaderValue;

    fn judge(values: &[&str]) -> Result<Hash, Code> {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(AUTHORIZATION, HeaderValue::from_str(value).unwrap());
        }
        hash(&headers).map_err(|error| error.code)
    }

    #[test]
    fn one_bearer_in_any_letter_case_is_the_credential() {
        for text in ["Bearer abc", "bearer abc", "BEARER   abc ", " Bearer\tabc"] {
            assert!(judge(&[text]) == Ok(Hash::of("abc")), "{text:?}");
        }
    }

    #[test]
    fn absent_and_empty_are_missing_all_else_is_malformed() {
        assert_eq!(judge(&[]).err(), Some(Code::AuthenticationMissing));
        assert_eq!(judge(&["  "]).err(), Some(Code::AuthenticationMissing));
        for values in
            [&["abc"][..], &["Bearer"], &["Bearer  "], &["Basic abc"], &["Bearer a b"], &["Bearer a", "Bearer a"]]
        {
            assert_eq!(judge(values).err(), Some(Code::AuthenticationMalformed), "{values:?}");
        }
    }
}
