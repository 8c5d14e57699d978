//! Names of hosts in one canonical form.

use idna::uts46::{AsciiDenyList, DnsLength, Hyphens, Uts46};
use serde::{Deserialize, Serialize};
use std::fmt;

/// The longest name, in bytes of its canonical form (RFC 1035, without the root's dot).
pub const LONGEST_NAME: usize = 253;
/// The longest label, in bytes.
pub const LONGEST_LABEL: usize = 63;
/// The longest text that is looked at: no canonical name needs more in UTF-8.
const LONGEST_TEXT: usize = 4 * (LONGEST_NAME + 1);

/// The canonical name of a host: ASCII (IDNA, UTS 46), lower case, without a dot at its end, 1 to
/// 253 bytes in labels of 1 to 63 letters, digits, `-` and `_`. It is nothing that a C library
/// takes for an address, and not `localhost` or below.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Name(Box<str>);

/// Why something is no name of a host.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum NameError {
    /// There is nothing in it.
    Empty,
    /// It has more than 253 bytes, or a label more than 63.
    TooLong,
    /// Nothing stands between two dots, or before the first.
    EmptyLabel,
    /// A character that names of hosts do not have, or a hyphen at the edge of a label.
    Character,
    /// What is not ASCII in it, or `xn--`, is no international name.
    Idna,
    /// A C library takes it for an address.
    AddressLike,
    /// It is `localhost` or below, which is always the machine itself.
    Localhost,
}

impl fmt::Display for NameError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Empty => "the name is empty",
            Self::TooLong => "the name has more than 253 bytes, or a part of it more than 63",
            Self::EmptyLabel => "nothing stands between two dots of the name",
            Self::Character => {
                "a name has only letters, digits, `.`, `_` and `-`, and no `-` beside a dot"
            }
            Self::Idna => "the name is not a valid international name",
            Self::AddressLike => "programs take the name for an address",
            Self::Localhost => "`localhost` is no name of another host",
        })
    }
}

impl std::error::Error for NameError {}

impl Name {
    /// The name of these bytes, as somebody wrote it or as labels joined by dots. One dot at the
    /// end is the root's.
    ///
    /// # Errors
    /// They are none.
    pub fn parse(text: &[u8]) -> Result<Self, NameError> {
        if text.is_empty() || text == b"." {
            return Err(NameError::Empty);
        }
        if text.len() > LONGEST_TEXT {
            return Err(NameError::TooLong);
        }
        let mut text = canonical(text)?;
        if text.ends_with('.') {
            text.pop();
        }
        shape(&text)?;
        if is_below(&text, "localhost") {
            return Err(NameError::Localhost);
        }
        if ends_in_number(&text) {
            return Err(NameError::AddressLike);
        }
        Ok(Self(text.into_boxed_str()))
    }

    /// The name, in its canonical form.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The labels, from the left.
    pub fn labels(&self) -> impl Iterator<Item = &str> {
        self.0.split('.')
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl TryFrom<String> for Name {
    type Error = NameError;
    fn try_from(text: String) -> Result<Self, NameError> {
        Self::parse(text.as_bytes())
    }
}

impl From<Name> for String {
    fn from(name: Name) -> Self {
        name.0.into()
    }
}

/// Lower case and ASCII. Most names are ASCII without `xn--`, and then no table is asked.
fn canonical(text: &[u8]) -> Result<String, NameError> {
    if text.is_ascii() {
        let lower = text.to_ascii_lowercase();
        if !lower.windows(4).any(|w| w == b"xn--") {
            return String::from_utf8(lower).map_err(|_| NameError::Character);
        }
    }
    let mapped = Uts46::new().to_ascii(
        text,
        // Characters and lengths are judged on the result, the same way for all names.
        AsciiDenyList::EMPTY,
        Hyphens::Allow,
        DnsLength::Ignore,
    );
    mapped.map(std::borrow::Cow::into_owned).map_err(|_| NameError::Idna)
}

/// Lengths and characters.
fn shape(text: &str) -> Result<(), NameError> {
    if text.is_empty() {
        return Err(NameError::Empty);
    }
    if text.len() > LONGEST_NAME {
        return Err(NameError::TooLong);
    }
    for label in text.split('.') {
        if label.is_empty() {
            return Err(NameError::EmptyLabel);
        }
        if label.len() > LONGEST_LABEL {
            return Err(NameError::TooLong);
        }
        let known = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b"-_".contains(&b);
        if !label.bytes().all(known) || label.starts_with('-') || label.ends_with('-') {
            return Err(NameError::Character);
        }
    }
    Ok(())
}

/// Whether a name is this one or lies below it. Both are canonical.
fn is_below(name: &str, above: &str) -> bool {
    match name.strip_suffix(above) {
        Some(rest) => rest.is_empty() || rest.ends_with('.'),
        None => false,
    }
}

/// inet_aton(3) takes one to four numbers, each decimal, octal or hexadecimal. No top-level domain
/// is a number, so that a name whose last label is one is never more than a way to write an address.
fn ends_in_number(name: &str) -> bool {
    let last = name.rsplit('.').next().unwrap_or(name);
    let hex = |rest: &str| rest.bytes().all(|b| b.is_ascii_hexdigit());
    last.bytes().all(|b| b.is_ascii_digit()) || last.strip_prefix("0x").is_some_and(hex)
}

/// Which names a rule is about.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Pattern {
    /// This one.
    Exact(Name),
    /// All below this one, at any depth, but not itself.
    Below(Name),
}

impl Pattern {
    /// A name, or `*.` and a name.
    ///
    /// # Errors
    /// It is neither; a `*` stands for whole labels at the beginning and nothing else.
    pub fn parse(text: &[u8]) -> Result<Self, NameError> {
        match text.strip_prefix(b"*.") {
            Some(above) => Name::parse(above).map(Self::Below),
            None => Name::parse(text).map(Self::Exact),
        }
    }

    /// Whether the name is one of these.
    #[must_use]
    pub fn matches(&self, name: &Name) -> bool {
        match self {
            Self::Exact(exact) => exact == name,
            Self::Below(above) => above != name && is_below(&name.0, &above.0),
        }
    }

    /// Whether this is about every name that the other is about.
    #[must_use]
    pub fn covers(&self, other: &Self) -> bool {
        match (self, other) {
            (_, Self::Exact(name)) => self.matches(name),
            (Self::Exact(_), Self::Below(_)) => false,
            (Self::Below(above), Self::Below(name)) => is_below(&name.0, &above.0),
        }
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exact(name) => write!(f, "{name}"),
            Self::Below(name) => write!(f, "*.{name}"),
        }
    }
}

impl TryFrom<String> for Pattern {
    type Error = NameError;
    fn try_from(text: String) -> Result<Self, NameError> {
        Self::parse(text.as_bytes())
    }
}

impl From<Pattern> for String {
    fn from(pattern: Pattern) -> Self {
        pattern.to_string()
    }
}
