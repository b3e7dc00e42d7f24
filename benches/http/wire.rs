//! Requests as bytes, and as much of HTTP/1.1 as it takes to know where an answer ends.

use crate::Fault;
use serde::Deserialize;
use serde::Serialize;
use std::io::Read;
use std::io::Write;
use std::net::SocketAddr;
use std::net::TcpStream;
use std::ops::Range;
use std::time::Duration;

/// Begins every key of the benchmark; the key's number follows in [`DIGITS`] digits.
pub const PREFIX: &str = "kw_bench_";
/// Where a request has the digits of the key's number.
pub const SLOT: &str = "##########";
/// Digits of a key's number.
pub const DIGITS: usize = SLOT.len();

/// A request, all of it but the digits of a key.
#[derive(Clone, Debug)]
pub struct Template {
    bytes: Vec<u8>,
    slot: Option<Range<usize>>,
}

/// What is asked: a path, a body, and who asks.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Question {
    /// The path.
    pub path: String,
    /// The body, with [`SLOT`] where a key's number goes.
    pub body: String,
    /// The root key.
    pub root_key: String,
}

impl Question {
    /// A question.
    pub fn new(path: &str, body: &str, root_key: &str) -> Self {
        Self { path: path.to_owned(), body: body.to_owned(), root_key: root_key.to_owned() }
    }

    /// Its bytes.
    pub fn template(&self) -> Template {
        let Self { path, body, root_key } = self;
        let text = format!(
            "POST {path} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {root_key}\r\nContent-Type: \
             application/json\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        );
        let slot = text.find(SLOT).map(|start| start..start + DIGITS);
        Template { bytes: text.into_bytes(), slot }
    }
}

impl Template {
    /// The request about one key.
    pub fn about(&mut self, key: u64) -> &[u8] {
        let mut rest = key;
        if let Some(digits) = self.slot.clone().and_then(|slot| self.bytes.get_mut(slot)) {
            for digit in digits.iter_mut().rev() {
                *digit = b'0' + u8::try_from(rest % 10).unwrap_or(0);
                rest /= 10;
            }
        }
        &self.bytes
    }
}

/// One answer.
#[derive(Clone, Copy, Debug)]
pub struct Answer {
    /// The status.
    pub status: u16,
    /// Whether a key was found valid.
    pub valid: bool,
    /// Bytes of header and body.
    pub length: usize,
}

/// The answer at the beginning of what was received, if it is all there.
pub fn answer(received: &[u8]) -> Option<Answer> {
    let header_end = find(received, b"\r\n\r\n")?;
    let header = received.get(..header_end)?;
    let status = std::str::from_utf8(header.get(9..12)?).ok()?.parse().ok()?;
    let body_length = content_length(header).unwrap_or(0);
    let length = header_end + 4 + body_length;
    let body = received.get(header_end + 4..length)?;
    Some(Answer { status, valid: find(body, br#""valid":true"#).is_some(), length })
}

fn content_length(header: &[u8]) -> Option<usize> {
    const NAME: &[u8] = b"content-length:";
    header.split(|byte| *byte == b'\n').find_map(|line| {
        let (name, value) = line.split_at_checked(NAME.len())?;
        if !name.eq_ignore_ascii_case(NAME) {
            return None;
        }
        std::str::from_utf8(value).ok()?.trim().parse().ok()
    })
}

fn find(text: &[u8], part: &[u8]) -> Option<usize> {
    text.windows(part.len()).position(|window| window == part)
}

/// A client of one connection that waits: for what is asked one at a time.
#[derive(Debug)]
pub struct Client {
    address: SocketAddr,
    stream: Option<TcpStream>,
}

impl Client {
    /// A client of a server.
    pub fn of(address: SocketAddr) -> Self {
        Self { address, stream: None }
    }

    /// Whether the server answers a GET with 200.
    pub fn is_ok(&mut self, path: &str) -> bool {
        let request = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n");
        self.exchange(request.as_bytes()).is_ok_and(|(answer, _)| answer.status == 200)
    }

    /// Asks, about one key if the question has room for one; returns the answer and its body. Anything but 200 is a fault.
    pub fn ask(&mut self, question: &Question, key: u64) -> Result<(Answer, String), Fault> {
        let (answer, body) = self.exchange(question.template().about(key))?;
        match answer.status {
            200 => Ok((answer, body)),
            status => Err(format!("{} answered {status}: {body}", question.path).into()),
        }
    }

    /// Sends a request and waits for its answer.
    pub fn exchange(&mut self, request: &[u8]) -> Result<(Answer, String), Fault> {
        let result = self.try_exchange(request);
        if result.is_err() {
            self.stream = None;
        }
        result
    }

    fn try_exchange(&mut self, request: &[u8]) -> Result<(Answer, String), Fault> {
        let stream = match &mut self.stream {
            Some(stream) => stream,
            none => {
                let stream = TcpStream::connect(self.address)?;
                stream.set_nodelay(true)?;
                stream.set_read_timeout(Some(Duration::from_secs(10)))?;
                none.insert(stream)
            }
        };
        stream.write_all(request)?;
        let (mut received, mut buffer) = (Vec::new(), [0; 4096]);
        loop {
            let length = stream.read(&mut buffer)?;
            if length == 0 {
                return Err("the server closed the connection".into());
            }
            received.extend_from_slice(buffer.get(..length).unwrap_or_default());
            if let Some(answer) = answer(&received) {
                let body = String::from_utf8_lossy(&received);
                let body = body.split_once("\r\n\r\n").map(|(_, body)| body.to_owned()).unwrap_or_default();
                return Ok((answer, body));
            }
        }
    }
}
