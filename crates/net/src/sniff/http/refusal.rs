//! Refusals of HTTP requests, with the answer that the client gets.

use std::borrow::Cow;
use std::fmt;

/// The longest reason, in bytes.
const LONGEST: usize = 1000;

/// Why a request does not go on. Nothing more of its connection does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// 400 for what is no good request, 403 for what is not permitted, and others.
    pub status: u16,
    /// For people, one line.
    pub reason: Cow<'static, str>,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.reason)
    }
}

impl std::error::Error for Refusal {}

impl Refusal {
    /// A refusal with a status from 400 to 599.
    pub fn new(status: u16, reason: impl Into<Cow<'static, str>>) -> Self {
        Self { status, reason: reason.into() }
    }

    /// Something is wrong with the request itself (400).
    pub(crate) fn bad(reason: impl Into<Cow<'static, str>>) -> Self {
        Self::new(400, reason)
    }

    /// The answer for the client: the reason as plain text, and the end of the connection. It is
    /// right only where no answer of the server is on its way.
    #[must_use]
    pub fn reply(&self) -> Vec<u8> {
        let phrase = match self.status {
            400 => "Bad Request",
            403 => "Forbidden",
            405 => "Method Not Allowed",
            417 => "Expectation Failed",
            431 => "Request Header Fields Too Large",
            501 => "Not Implemented",
            502 => "Bad Gateway",
            504 => "Gateway Timeout",
            505 => "HTTP Version Not Supported",
            _ => "Refused",
        };
        // One line: a reason may quote what the client sent.
        let reason: String = self.reason.chars().filter(|c| !c.is_control()).collect();
        let reason = &reason[..reason.floor_char_boundary(LONGEST)];
        let body = format!("swathe: {reason}\n");
        let allow = if self.status == 405 { "Allow: CONNECT, GET, HEAD, POST\r\n" } else { "" };
        format!(
            "HTTP/1.1 {} {phrase}\r\n{allow}Content-Type: text/plain; charset=utf-8\r\n\
             Content-Length: {}\r\nConnection: close\r\n\r\n{body}",
            self.status,
            body.len()
        )
        .into_bytes()
    }
}

/// A few bytes of a client as they are quoted in a reason.
pub(crate) fn quoted(bytes: &[u8]) -> String {
    bytes[..bytes.len().min(100)].escape_ascii().to_string()
}
