//! `keyward health`: asks a server whether it is ready, for container health checks where there is neither shell nor curl.

use crate::cli::output::Failure;
use crate::cli::output::Out;
use crate::config::DEFAULT_LISTEN;
use clap::Args;
use serde::Serialize;
use std::io::Read;
use std::io::Write;
use std::net::Ipv4Addr;
use std::net::Ipv6Addr;
use std::net::SocketAddr;
use std::net::TcpStream;
use std::net::ToSocketAddrs;
use std::time::Duration;

/// Longest time for each of: connecting, sending, a read of the answer.
const TIMEOUT: Duration = Duration::from_secs(2);
/// Of a longer answer the rest is not read.
const LONGEST_ANSWER: u64 = 64 << 10;
const PATH: &str = "/health/ready";

/// Ask a running server whether it is ready; exit code 0 if it is, 1 if not
#[derive(Args, Debug)]
pub struct Health {
    /// The server [default: where KEYWARD_LISTEN says that it listens]
    #[arg(long, value_name = "URL")]
    url: Option<String>,
    /// Address that the server listens on
    #[arg(long, env = "KEYWARD_LISTEN", default_value = DEFAULT_LISTEN, value_name = "ADDRESS:PORT", hide = true)]
    listen: SocketAddr,
}

#[derive(Serialize)]
struct Ready {
    status: &'static str,
    url: String,
}

impl Health {
    /// Asks.
    ///
    /// # Errors
    /// It is not ready, or does not answer.
    pub fn run(self, out: Out) -> Result<(), Failure> {
        let url = self.url.unwrap_or_else(|| format!("http://{}", callable(self.listen)));
        let authority = authority(&url).map_err(Failure::usage)?;
        let answer =
            ask(&authority).map_err(|error| Failure::failed(format!("{url}{PATH} does not answer: {error}")))?;
        let (head, body) = answer.split_once("\r\n\r\n").unwrap_or((&answer, ""));
        match head.split(' ').nth(1) {
            Some("200") => out.data(&Ready { status: "ok", url }, || "ok".to_owned()),
            Some(status) => Err(Failure::failed(format!("{url}{PATH} answers {status}: {}", body.trim()))),
            None => Err(Failure::failed(format!("{url}{PATH} does not answer in HTTP"))),
        }
    }
}

/// A wildcard address cannot be called everywhere; the loopback of its family can.
fn callable(mut listen: SocketAddr) -> SocketAddr {
    match listen {
        SocketAddr::V4(address) if address.ip().is_unspecified() => listen.set_ip(Ipv4Addr::LOCALHOST.into()),
        SocketAddr::V6(address) if address.ip().is_unspecified() => listen.set_ip(Ipv6Addr::LOCALHOST.into()),
        SocketAddr::V4(_) | SocketAddr::V6(_) => (),
    }
    listen
}

/// `http://host:8080/` → `host:8080`.
fn authority(url: &str) -> Result<String, String> {
    let authority = url.strip_prefix("http://").map(|rest| rest.trim_end_matches('/'));
    let Some(authority) = authority.filter(|rest| !rest.is_empty() && !rest.contains(['/', '?', '#', '@', ' '])) else {
        return Err(format!("`{url}` is not like http://127.0.0.1:8080"));
    };
    let port = authority.rsplit_once(':').is_some_and(|(_, port)| port.parse::<u16>().is_ok());
    Ok(if port { authority.to_owned() } else { format!("{authority}:80") })
}

fn ask(authority: &str) -> std::io::Result<String> {
    let mut failure = std::io::Error::other("the name has no address");
    for address in authority.to_socket_addrs()? {
        match TcpStream::connect_timeout(&address, TIMEOUT) {
            Ok(stream) => return exchange(stream, authority),
            Err(error) => failure = error,
        }
    }
    Err(failure)
}

fn exchange(mut stream: TcpStream, authority: &str) -> std::io::Result<String> {
    stream.set_write_timeout(Some(TIMEOUT))?;
    stream.set_read_timeout(Some(TIMEOUT))?;
    write!(stream, "GET {PATH} HTTP/1.1\r\nHost: {authority}\r\nConnection: close\r\n\r\n")?;
    let mut answer = Vec::new();
    stream.take(LONGEST_ANSWER).read_to_end(&mut answer)?;
    Ok(String::from_utf8_lossy(&answer).into_owned())
}

#[cfg(test)]
mod tests {
    use super::authority;
    use super::callable;

    #[test]
    fn addresses_are_read_from_urls() {
        for (url, expected) in [
            ("http://127.0.0.1:8080", "127.0.0.1:8080"),
            ("http://keyward:8080/", "keyward:8080"),
            ("http://keyward", "keyward:80"),
            ("http://[::1]:9", "[::1]:9"),
            ("http://[::1]", "[::1]:80"),
        ] {
            assert_eq!(authority(url).as_deref(), Ok(expected));
        }
        for url in ["", "keyward:8080", "https://keyward", "http://", "http://keyward/v2", "http://a b"] {
            assert!(authority(url).is_err(), "{url}");
        }
    }

    #[test]
    fn wildcards_are_called_on_the_loopback() {
        for (listen, expected) in [("0.0.0.0:1", "127.0.0.1:1"), ("[::]:1", "[::1]:1"), ("192.0.2.1:1", "192.0.2.1:1")]
        {
            assert_eq!(callable(listen.parse().unwrap()).to_string(), expected);
        }
    }
}
