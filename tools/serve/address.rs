//! Where to listen, as Prometheus' exporters take it: `:9308`, `9308`, `localhost:9308`, `[::1]:9308`.

use std::fmt;
use std::io;
use std::net::{Ipv6Addr, SocketAddr, ToSocketAddrs as _};
use std::str::FromStr;

/// A host and a port; no host is every address of the machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Address {
    host: Option<String>,
    port: u16,
}

impl Address {
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Whether every address of this machine is meant.
    pub(super) fn is_everywhere(&self) -> bool {
        self.host.is_none()
    }

    /// Every address that the name has, each once.
    pub(super) fn resolve(&self) -> io::Result<Vec<SocketAddr>> {
        let Some(host) = &self.host else {
            // Takes IPv4 as well.
            return Ok(vec![(Ipv6Addr::UNSPECIFIED, self.port).into()]);
        };
        let mut found: Vec<SocketAddr> = Vec::new();
        for address in (host.as_str(), self.port).to_socket_addrs()? {
            if !found.contains(&address) {
                found.push(address);
            }
        }
        Ok(found)
    }
}

impl FromStr for Address {
    type Err = String;

    fn from_str(text: &str) -> Result<Address, String> {
        let wrong = || {
            format!("{text:?} is no address to listen on, as in :9308, localhost:9308, [::1]:9308")
        };
        let (host, port) = text.rsplit_once(':').unwrap_or(("", text));
        let is_number = !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit());
        let port = is_number.then(|| port.parse().ok()).flatten();
        let port = port.ok_or_else(wrong)?;
        let bracketed = host
            .strip_prefix('[')
            .and_then(|host| host.strip_suffix(']'));
        let host = match (bracketed, host) {
            (Some(inner), _) => {
                let is_ip = inner.parse::<Ipv6Addr>().is_ok();
                Some(is_ip.then(|| inner.to_owned()).ok_or_else(wrong)?)
            }
            (None, "" | "*") => None,
            (None, host) if host.contains([':', '[', ']', '/', ' ']) => return Err(wrong()),
            (None, host) => Some(host.to_owned()),
        };
        Ok(Address { host, port })
    }
}

impl fmt::Display for Address {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.host.as_deref() {
            Some(host) if host.contains(':') => write!(out, "[{host}]:{}", self.port),
            host => write!(out, "{}:{}", host.unwrap_or(""), self.port),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_taken_in_every_form_that_exporters_take() {
        for (text, shown, addresses) in [
            (":9308", ":9308", "[::]:9308"),
            ("9308", ":9308", "[::]:9308"),
            ("*:9308", ":9308", "[::]:9308"),
            ("[::]:9308", "[::]:9308", "[::]:9308"),
            ("[::1]:0", "[::1]:0", "[::1]:0"),
            ("0.0.0.0:80", "0.0.0.0:80", "0.0.0.0:80"),
            ("127.0.0.1:9308", "127.0.0.1:9308", "127.0.0.1:9308"),
        ] {
            let address: Address = text.parse().unwrap();
            let found: Vec<String> = address
                .resolve()
                .unwrap()
                .iter()
                .map(ToString::to_string)
                .collect();
            assert_eq!(
                (address.to_string(), found.join(" ")),
                (shown.into(), addresses.into()),
                "{text}"
            );
        }
        let local: Address = "localhost:9308".parse().unwrap();
        let found = local.resolve().unwrap();
        assert!(
            !found.is_empty()
                && found
                    .iter()
                    .all(|a| a.ip().is_loopback() && a.port() == 9308)
        );
    }

    #[test]
    fn what_is_none_is_refused() {
        for text in [
            "",
            ":",
            "host",
            "host:",
            "host:x",
            ":70000",
            ":-1",
            ":+1",
            "[::1",
            "[x]:1",
            "::1:9308",
            "a b:1",
            "http://a:1",
        ] {
            let refused = text.parse::<Address>();
            assert!(
                refused.is_err_and(|error| error.contains(":9308")),
                "{text}"
            );
        }
    }
}
