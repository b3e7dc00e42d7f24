//! Requests as bytes on a connection, for what no well-behaved client sends.

use crate::harness::Server;
use serde_json::Value;
use std::collections::HashMap;
use std::io::Read;
use std::io::Write;
use std::net::TcpStream;
use std::time::Duration;

/// What came back on a connection, as far as it came.
#[derive(Clone, Debug)]
pub struct RawAnswer {
    /// HTTP status; 0 if there was no answer.
    pub status: u16,
    /// Headers, names in lower case.
    pub headers: HashMap<String, String>,
    /// The body as it came.
    pub text: String,
    /// The JSON body, or null.
    pub body: Value,
}

impl RawAnswer {
    /// The stable end of `error.type`.
    pub fn code(&self) -> &str {
        let kind = self.body["error"]["type"].as_str().unwrap_or_default();
        kind.strip_prefix("https://unkey.com/docs/api-reference/errors-v2/").unwrap_or(kind)
    }

    /// Asserts status and code, and that it is an error in the envelope.
    #[track_caller]
    pub fn refused(&self, status: u16, code: &str) -> &Self {
        assert_eq!((self.status, self.code()), (status, code), "{self:?}");
        assert_eq!(self.headers.get("x-request-id").map(String::as_str), self.body["meta"]["requestId"].as_str());
        assert_eq!(self.body["error"]["status"], status);
        self
    }

    fn parse(bytes: &[u8]) -> Self {
        let text = String::from_utf8_lossy(bytes).into_owned();
        let (head, body) = text.split_once("\r\n\r\n").unwrap_or((&text, ""));
        let mut lines = head.lines();
        let status = lines.next().and_then(|line| line.split(' ').nth(1)?.parse().ok()).unwrap_or(0);
        let headers = lines
            .filter_map(|line| line.split_once(": "))
            .map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned()))
            .collect();
        let value = serde_json::from_str(body).unwrap_or(Value::Null);
        Self { status, headers, body: value, text: body.to_owned() }
    }
}

/// A new connection that gives up reading after ten seconds.
pub fn connect(server: &Server) -> TcpStream {
    let stream = TcpStream::connect(server.address).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    stream
}

/// Sends bytes on a new connection and reads until the server closes it: say `Connection: close`.
pub fn exchange(server: &Server, request: impl AsRef<[u8]>) -> RawAnswer {
    let mut stream = connect(server);
    // A server that refuses early may close before everything is sent.
    let _ = stream.write_all(request.as_ref());
    read_to_end(&mut stream)
}

/// Reads until the server closes the connection, or nothing comes for ten seconds.
pub fn read_to_end(stream: &mut TcpStream) -> RawAnswer {
    let mut bytes = Vec::new();
    // A reset after the answer is an end like any other.
    let _ = stream.read_to_end(&mut bytes);
    RawAnswer::parse(&bytes)
}

/// The text of a `POST` with a body and these further header lines.
pub fn post(operation: &str, headers: &[String], body: &str) -> String {
    let mut head = format!("POST /v2/{operation} HTTP/1.1\r\nHost: keyward\r\nConnection: close\r\n");
    for line in headers {
        head.push_str(line);
        head.push_str("\r\n");
    }
    format!("{head}Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}", body.len())
}
