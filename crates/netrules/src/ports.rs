//! Sets of ports.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// The most ranges that one text may have.
pub const MOST_RANGES: usize = 64;

/// Ports from 1 to 65535: `443`, `80,443`, `1-1024,8080`, or `*` for all. Never empty; ranges are
/// sorted and do not touch.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Ports(Box<[(u16, u16)]>);

/// Why something is no set of ports.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum PortsError {
    /// Not a number from 1 to 65535.
    Number,
    /// A range that ends before it begins.
    Backwards,
    /// More than 64 ranges.
    TooMany,
}

impl fmt::Display for PortsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Number => "a port is a number from 1 to 65535",
            Self::Backwards => "the range of ports ends before it begins",
            Self::TooMany => "there are more than 64 ranges of ports",
        })
    }
}

impl std::error::Error for PortsError {}

impl Ports {
    /// Every port.
    #[must_use]
    pub fn all() -> Self {
        Self(Box::new([(1, u16::MAX)]))
    }

    /// One port; all for 0, which is none.
    #[must_use]
    pub fn one(port: u16) -> Self {
        match port {
            0 => Self::all(),
            port => Self(Box::new([(port, port)])),
        }
    }

    /// Those of the web: 80 and 443.
    #[must_use]
    pub fn web() -> Self {
        Self(Box::new([(80, 80), (443, 443)]))
    }

    /// Whether the port is one of these.
    #[must_use]
    pub fn contains(&self, port: u16) -> bool {
        self.0.iter().any(|(first, last)| (*first..=*last).contains(&port))
    }

    /// Whether these are all ports.
    #[must_use]
    pub fn is_all(&self) -> bool {
        *self.0 == [(1, u16::MAX)]
    }

    /// The ranges, sorted, first and last port of each.
    #[must_use]
    pub fn ranges(&self) -> &[(u16, u16)] {
        &self.0
    }

    /// How many there are.
    #[must_use]
    pub fn count(&self) -> usize {
        self.0.iter().map(|(first, last)| usize::from(last - first) + 1).sum()
    }

    /// The ranges of several sets together, sorted, first and last port of each; none touch.
    #[must_use]
    pub fn ranges_of_all<'p>(sets: impl IntoIterator<Item = &'p Self>) -> Vec<(u16, u16)> {
        joined(sets.into_iter().flat_map(|ports| ports.0.iter().copied()).collect())
    }

    /// Whether each port of these is in one of the others.
    #[must_use]
    pub fn is_within<'p>(&self, others: impl IntoIterator<Item = &'p Self>) -> bool {
        let all = Self::ranges_of_all(others);
        self.0.iter().all(|(first, last)| all.iter().any(|(a, z)| a <= first && last <= z))
    }
}

/// Sorted, and those that touch made one.
fn joined(mut ranges: Vec<(u16, u16)>) -> Vec<(u16, u16)> {
    ranges.sort_unstable();
    let mut result: Vec<(u16, u16)> = Vec::with_capacity(ranges.len());
    for (first, last) in ranges {
        match result.last_mut() {
            Some((_, end)) if first <= end.saturating_add(1) => *end = last.max(*end),
            _ => result.push((first, last)),
        }
    }
    result
}

/// One port in plain digits.
///
/// # Errors
/// It is no number from 1 to 65535.
pub fn port(text: &str) -> Result<u16, PortsError> {
    let plain = !text.starts_with('0') && text.bytes().all(|b| b.is_ascii_digit());
    if plain { text.parse().map_err(|_| PortsError::Number) } else { Err(PortsError::Number) }
}

impl FromStr for Ports {
    type Err = PortsError;

    fn from_str(text: &str) -> Result<Self, PortsError> {
        if text == "*" {
            return Ok(Self::all());
        }
        let mut ranges = Vec::new();
        for range in text.split(',') {
            if ranges.len() == MOST_RANGES {
                return Err(PortsError::TooMany);
            }
            let (first, last) = match range.split_once('-') {
                Some((first, last)) => (port(first)?, port(last)?),
                None => (port(range)?, port(range)?),
            };
            if last < first {
                return Err(PortsError::Backwards);
            }
            ranges.push((first, last));
        }
        Ok(Self(joined(ranges).into_boxed_slice()))
    }
}

impl fmt::Display for Ports {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_all() {
            return f.write_str("*");
        }
        for (index, (first, last)) in self.0.iter().enumerate() {
            let comma = if index == 0 { "" } else { "," };
            match first == last {
                true => write!(f, "{comma}{first}")?,
                false => write!(f, "{comma}{first}-{last}")?,
            }
        }
        Ok(())
    }
}

impl TryFrom<String> for Ports {
    type Error = PortsError;
    fn try_from(text: String) -> Result<Self, PortsError> {
        text.parse()
    }
}

impl From<Ports> for String {
    fn from(ports: Ports) -> Self {
        ports.to_string()
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn texts_have_one_form() {
        for (text, canonical) in [
            ("443", "443"),
            ("443,80", "80,443"),
            ("1-65535", "*"),
            ("*", "*"),
            ("1-2,3-4", "1-4"),
            ("80,80", "80"),
            ("10-20,15", "10-20"),
            ("1-10,5-20,22", "1-20,22"),
            ("65535", "65535"),
            ("65534,65535", "65534-65535"),
        ] {
            assert_eq!(text.parse::<Ports>().unwrap().to_string(), canonical, "{text}");
        }
    }

    #[test]
    fn what_is_no_port_is_refused() {
        for text in [
            "",
            ",",
            "80,",
            ",80",
            "0",
            "65536",
            "-1",
            "+80",
            " 80",
            "80 ",
            "80-",
            "-80",
            "20-10",
            "1-2-3",
            "http",
            "8e1",
            "0x50",
            "**",
            "80;443",
            "٨٠",
            "0080",
            "99999999999999999999",
            "1,*",
        ] {
            assert!(text.parse::<Ports>().is_err(), "{text}");
        }
        let many = vec!["1"; MOST_RANGES + 1].join(",");
        assert_eq!(many.parse::<Ports>(), Err(PortsError::TooMany));
    }

    #[test]
    fn a_set_lies_within_several() {
        let ports = |text: &str| text.parse::<Ports>().unwrap();
        assert!(ports("80,443").is_within([&ports("80"), &ports("400-500")]));
        assert!(ports("1-100").is_within([&ports("1-50"), &ports("51-100")]));
        assert!(!ports("1-100").is_within([&ports("1-50"), &ports("52-100")]));
        assert!(!ports("1").is_within([]));
    }

    proptest! {
        #[test]
        fn text_round_trip(ranges in prop::collection::vec((1u16.., 0u16..300), 1..20)) {
            let words: Vec<String> =
                ranges.iter().map(|(a, n)| format!("{a}-{}", a.saturating_add(*n))).collect();
            let ports: Ports = words.join(",").parse().unwrap();
            prop_assert_eq!(&ports.to_string().parse::<Ports>().unwrap(), &ports);
            for port in [1u16, 80, 443, 1000, 65535] {
                let inside = ranges.iter().any(|(a, n)| (*a..=a.saturating_add(*n)).contains(&port));
                prop_assert_eq!(ports.contains(port), inside);
            }
        }

        #[test]
        fn no_text_panics(text in ".{0,40}") {
            let _ = text.parse::<Ports>();
        }
    }
}
