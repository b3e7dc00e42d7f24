//! The client's address: the peer's, or what trusted proxies say of it, counted from the right (decisions.md #34).

use crate::model::address::AddressList;
use std::net::IpAddr;

/// The address behind all trusted proxies. `forwarded` are the `X-Forwarded-For` lines in order; whatever stands left of
/// the first address that is not trusted may be forged and is not read.
#[must_use]
pub fn address<'a>(
    peer: Option<IpAddr>,
    forwarded: impl DoubleEndedIterator<Item = &'a str>,
    trusted: &AddressList,
) -> Option<IpAddr> {
    let mut address = peer?;
    let mut entries = forwarded.rev().flat_map(|line| line.rsplit(','));
    while trusted.contains(address) {
        // A proxy that is trusted and says nothing, or nonsense, is itself the client.
        let Some(next) = entries.next().and_then(parse) else { break };
        address = next;
    }
    Some(address.to_canonical())
}

/// An address with or without port or brackets.
fn parse(entry: &str) -> Option<IpAddr> {
    let entry = entry.trim();
    if let Ok(address) = entry.parse() {
        return Some(address);
    }
    if let Ok(socket) = entry.parse::<std::net::SocketAddr>() {
        return Some(socket.ip());
    }
    entry.strip_prefix('[')?.strip_suffix(']')?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::address;
    use crate::model::address::AddressList;

    fn client(peer: &str, forwarded: &[&str], trusted: &[&str]) -> String {
        let trusted = AddressList::parse(trusted).unwrap();
        address(peer.parse().ok(), forwarded.iter().copied(), &trusted).unwrap().to_string()
    }

    #[test]
    fn only_trusted_proxies_are_believed_and_from_the_right() {
        let proxies = ["10.0.0.0/8"];
        assert_eq!(client("203.0.113.9", &["1.2.3.4"], &proxies), "203.0.113.9");
        assert_eq!(client("10.0.0.1", &["1.2.3.4"], &[]), "10.0.0.1");
        assert_eq!(client("10.0.0.1", &["6.6.6.6, 198.51.100.7"], &proxies), "198.51.100.7");
        assert_eq!(client("10.0.0.1", &["6.6.6.6, 198.51.100.7, 10.0.0.2"], &proxies), "198.51.100.7");
        assert_eq!(client("10.0.0.1", &["6.6.6.6", "198.51.100.7,10.0.0.2"], &proxies), "198.51.100.7");
        assert_eq!(client("10.0.0.1", &["unknown"], &proxies), "10.0.0.1");
        assert_eq!(client("10.0.0.1", &["198.51.100.7:4711"], &proxies), "198.51.100.7");
        assert_eq!(client("10.0.0.1", &["[2001:db8::7]:1"], &proxies), "2001:db8::7");
        assert_eq!(client("::ffff:10.0.0.1", &["198.51.100.7"], &proxies), "198.51.100.7");
    }
}
