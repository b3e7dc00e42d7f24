//! IP addresses and ranges, as allow lists and trusted proxies use them.

use ipnet::IpNet;
use std::net::IpAddr;

/// A set of addresses and CIDR ranges.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AddressList(Vec<IpNet>);

impl AddressList {
    /// Reads addresses and CIDR ranges, IPv4 and IPv6.
    ///
    /// # Errors
    /// The index of the first entry that is neither.
    pub fn parse<S: AsRef<str>>(entries: &[S]) -> Result<Self, usize> {
        entries
            .iter()
            .enumerate()
            .map(|(index, entry)| parse_entry(entry.as_ref()).ok_or(index))
            .collect::<Result<_, _>>()
            .map(Self)
    }

    /// Whether nothing is listed.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The entries, as short as they can be written.
    #[must_use]
    pub fn entries(&self) -> Vec<String> {
        let text = |range: &IpNet| {
            let whole = range.prefix_len() == range.max_prefix_len();
            if whole { range.addr().to_string() } else { range.to_string() }
        };
        self.0.iter().map(text).collect()
    }

    /// Whether an address is listed. An IPv4 address in IPv6 clothes (`::ffff:a.b.c.d`) is that IPv4 address.
    #[must_use]
    pub fn contains(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        self.0.iter().any(|range| range.contains(&address))
    }
}

fn parse_entry(entry: &str) -> Option<IpNet> {
    let entry = entry.trim();
    let range = entry.parse::<IpNet>().ok().or_else(|| entry.parse::<IpAddr>().ok().map(IpNet::from))?;
    match (range.addr().to_canonical(), range.prefix_len()) {
        (mapped @ IpAddr::V4(_), length) if range.addr().is_ipv6() => IpNet::new(mapped, length.checked_sub(96)?).ok(),
        _ => Some(range),
    }
}

#[cfg(test)]
mod tests {
    use super::AddressList;

    #[test]
    fn ranges_hold_what_they_say() {
        let list =
            AddressList::parse(&["10.0.0.0/8", "192.0.2.7", "2001:db8::/32", "::ffff:198.51.100.0/120"]).unwrap();
        for inside in ["10.255.0.1", "192.0.2.7", "::ffff:192.0.2.7", "2001:db8:1::1", "198.51.100.9"] {
            assert!(list.contains(inside.parse().unwrap()), "{inside}");
        }
        for outside in ["11.0.0.1", "192.0.2.8", "2001:db9::1", "::1", "198.51.101.0"] {
            assert!(!list.contains(outside.parse().unwrap()), "{outside}");
        }
    }

    #[test]
    fn the_first_malformed_entry_is_named() {
        assert_eq!(AddressList::parse(&["10.0.0.1", "10.0.0.0/33", "x"]), Err(1));
        assert_eq!(AddressList::parse(&["::ffff:10.0.0.0/8"]), Err(0));
    }
}
