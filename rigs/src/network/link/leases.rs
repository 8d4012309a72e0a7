//! What DHCP servers note of the addresses that they gave away.
//!
//! - dnsmasq: a line each, `<end in Unix time> <hardware address> <address> <name or *> <client id>`, the end 0
//!   for one without; for IPv6 the second field is the client's number (dnsmasq's `lease.c`, seen with 2.89).
//! - ISC dhcpd: blocks `lease <address> { … }`, appended; a later block of the same address replaces the
//!   earlier (`dhcpd.leases(5)`).

use std::collections::BTreeMap;
use std::fmt;
use std::net::IpAddr;
use std::time::{SystemTime, UNIX_EPOCH};

use jiff::civil::DateTime;
use jiff::tz::TimeZone;

use super::mac::Mac;

/// Whose lease.
pub(super) struct Wanted {
    pub(super) mac: Option<Mac>,
    /// Any of them.
    pub(super) hostnames: Vec<String>,
}

impl Wanted {
    fn is(&self, lease: &Lease) -> bool {
        let named = |found: &str| self.hostnames.iter().any(|name| found.eq_ignore_ascii_case(name));
        self.mac.is_some_and(|mac| lease.mac == Some(mac)) || lease.hostname.is_some_and(named)
    }
}

impl fmt::Display for Wanted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mac = self.mac.map(|mac| mac.to_string());
        let all: Vec<_> = mac.into_iter().chain(self.hostnames.iter().cloned()).collect();
        f.write_str(&all.join(" or "))
    }
}

/// A line or block that cannot be understood.
#[derive(Debug)]
pub(super) struct Garbled {
    line: usize,
    text: String,
}

impl fmt::Display for Garbled {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}: {:?}", self.line, self.text)
    }
}

struct Lease<'a> {
    addr: IpAddr,
    mac: Option<Mac>,
    hostname: Option<&'a str>,
    /// In Unix time; the greatest number for one without end.
    ends: i64,
}

/// The address of the newest lease that is still good.
pub(super) fn find(text: &str, wanted: &Wanted) -> Result<Option<IpAddr>, Garbled> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
    find_at(text, wanted, i64::try_from(now).unwrap_or(i64::MAX))
}

fn find_at(text: &str, wanted: &Wanted, now: i64) -> Result<Option<IpAddr>, Garbled> {
    let blocks = text.lines().any(|line| line.trim_start().starts_with("lease "));
    let leases =
        if blocks || text.trim_start().starts_with('#') { of_dhcpd(text)? } else { of_dnsmasq(text)? };
    let good = leases.into_iter().filter(|lease| lease.ends > now && wanted.is(lease));
    Ok(good.max_by_key(|lease| lease.ends).map(|lease| lease.addr))
}

fn of_dnsmasq(text: &str) -> Result<Vec<Lease<'_>>, Garbled> {
    let mut leases = Vec::new();
    for (index, line) in text.lines().enumerate() {
        let fields: Vec<_> = line.split_ascii_whitespace().collect();
        // The server's own number, before the leases of IPv6.
        if fields.is_empty() || fields[0] == "duid" {
            continue;
        }
        let lease = || {
            let [ends, hardware, addr, hostname, ..] = fields[..] else { return None };
            let ends = match ends.parse().ok()? {
                0 => i64::MAX,
                ends => ends,
            };
            let hostname = Some(hostname).filter(|name| *name != "*");
            Some(Lease { addr: addr.parse().ok()?, mac: Mac::parse(hardware), hostname, ends })
        };
        leases.push(lease().ok_or_else(|| Garbled { line: index + 1, text: line.to_owned() })?);
    }
    Ok(leases)
}

fn of_dhcpd(text: &str) -> Result<Vec<Lease<'_>>, Garbled> {
    let mut leases = BTreeMap::new();
    let mut open: Option<(Lease<'_>, bool)> = None;
    for (index, line) in text.lines().enumerate() {
        let line = line.trim();
        let garbled = || Garbled { line: index + 1, text: line.to_owned() };
        if let Some(addr) = line.strip_prefix("lease ").and_then(|rest| rest.strip_suffix('{')) {
            let addr = addr.trim().parse().map_err(|_| garbled())?;
            open = Some((Lease { addr, mac: None, hostname: None, ends: i64::MAX }, false));
            continue;
        }
        // Other blocks and what stands between them tell of no address.
        let Some((lease, active)) = &mut open else { continue };
        if line == "}" {
            let Some((lease, active)) = open.take() else { continue };
            leases.insert(lease.addr, active.then_some(lease));
            continue;
        }
        let line = line.split_once(';').map_or(line, |(said, _)| said);
        if let Some(ends) = line.strip_prefix("ends ") {
            lease.ends = end_of(ends).ok_or_else(garbled)?;
        } else if let Some(state) = line.strip_prefix("binding state ") {
            *active = state == "active";
        } else if let Some(mac) = line.strip_prefix("hardware ethernet ") {
            lease.mac = Some(Mac::parse(mac).ok_or_else(garbled)?);
        } else if let Some(name) = line.strip_prefix("client-hostname ") {
            lease.hostname = Some(name.trim_matches('"'));
        }
    }
    Ok(leases.into_values().flatten().collect())
}

/// `2 2026/11/24 10:00:00` in UTC, `epoch 1795514400`, `never`.
fn end_of(said: &str) -> Option<i64> {
    match said.split_once(' ') {
        None => (said == "never").then_some(i64::MAX),
        Some(("epoch", seconds)) => seconds.parse().ok(),
        Some((_weekday, at)) => {
            let at = DateTime::strptime("%Y/%m/%d %H:%M:%S", at).ok()?;
            Some(at.to_zoned(TimeZone::UTC).ok()?.timestamp().as_second())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: i64 = 1_795_514_400; // 2026-11-24 10:00:00 UTC
    const DNSMASQ: &str = "1795514000 dc:a6:32:01:02:03 10.0.0.4 gone 01:dc:a6:32:01:02:03\n\
        1795518000 dc:a6:32:01:02:03 10.0.0.5 abc1234 *\n\
        0 52:54:00:12:34:56 10.0.0.6 * *\n\
        duid 00:01:00:01:2c:9f\n\
        1795518000 1193046 fd00::5 other 00:01:00:01:2c\n";
    const DHCPD: &str = "# The format of this file is documented in the dhcpd.leases(5) manual page.\n\
        authoring-byte-order little-endian;\n\
        lease 10.0.0.4 {\n  starts 2 2026/11/24 09:00:00;\n  ends 2 2026/11/24 09:50:00;\n  binding state active;\n  \
        hardware ethernet dc:a6:32:01:02:03;\n  client-hostname \"gone\";\n}\n\
        lease 10.0.0.5 {\n  ends 2 2026/11/24 11:00:00;\n  binding state active;\n  next binding state free;\n  \
        hardware ethernet dc:a6:32:01:02:03;\n  client-hostname \"abc1234\";\n}\n\
        lease 10.0.0.7 {\n  ends never;\n  binding state active;\n  hardware ethernet 52:54:00:12:34:57;\n  \
        client-hostname \"freed\";\n}\n\
        lease 10.0.0.6 {\n  ends epoch 1795514401; # Tue\n  binding state active;\n  hardware ethernet 52:54:00:12:34:56;\n}\n\
        lease 10.0.0.7 {\n  ends 2 2026/11/24 11:00:00;\n  binding state free;\n  hardware ethernet 52:54:00:12:34:57;\n  \
        client-hostname \"freed\";\n}\n";

    fn found(text: &str, mac: Option<&str>, hostname: Option<&str>) -> Option<String> {
        let wanted = Wanted {
            mac: mac.and_then(Mac::parse),
            hostnames: hostname.iter().map(|&name| name.to_owned()).collect(),
        };
        find_at(text, &wanted, NOW).unwrap().map(|addr| addr.to_string())
    }

    #[test]
    fn the_newest_that_is_still_good_is_found_by_name_or_hardware_address() {
        for text in [DNSMASQ, DHCPD] {
            assert_eq!(found(text, None, Some("ABC1234")).as_deref(), Some("10.0.0.5"));
            assert_eq!(found(text, Some("dc:a6:32:01:02:03"), None).as_deref(), Some("10.0.0.5"));
            assert_eq!(found(text, Some("52:54:00:12:34:56"), Some("none")).as_deref(), Some("10.0.0.6"));
            assert_eq!(found(text, None, Some("gone")), None, "its end has passed");
            assert_eq!(found(text, None, Some("freed")), None);
            assert_eq!(found(text, None, None), None);
        }
        assert_eq!(found(DNSMASQ, None, Some("other")).as_deref(), Some("fd00::5"));
        assert_eq!(found("", None, Some("abc1234")), None);
    }

    #[test]
    fn what_is_no_list_of_leases_is_said() {
        let wanted = Wanted { mac: None, hostnames: vec!["a".into()] };
        for (text, says) in [
            ("1795514000 dc:a6:32:01:02:03 10.0.0.4 a *\nhello\n", "line 2: \"hello\""),
            ("127.0.0.1 localhost a b\n", "line 1: \"127.0.0.1 localhost a b\""),
            ("lease 10.0.0 {\n}\n", "line 1: \"lease 10.0.0 {\""),
            ("lease 10.0.0.1 {\n  ends soon;\n}\n", "line 2: \"ends soon;\""),
        ] {
            assert_eq!(find_at(text, &wanted, NOW).unwrap_err().to_string(), says);
        }
    }
}
