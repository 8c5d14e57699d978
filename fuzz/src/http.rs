//! A plain HTTP connection to `a.example:80`.

use crate::pieces;
use crate::streams;
use swathe_net::sniff::http::Checker;
use swathe_netrules::name::Name;

/// In pieces and as a whole the same goes on; a second, simpler reading of what goes on finds no
/// request for another host.
pub fn run(data: &[u8]) {
    let (sizes, bytes) = pieces(data);
    let whole = drive(bytes, &[]);
    assert_eq!(drive(bytes, sizes), whole);
    second_reading(&whole.0);
}

/// What goes on where the server switches to no other protocol, and the reason of a refusal.
fn drive(bytes: &[u8], sizes: &[u8]) -> (Vec<u8>, Option<String>) {
    let Ok(name) = Name::parse(b"a.example") else { unreachable!("a good name") };
    let (mut checker, mut held) = (Checker::new(&name, 80), Vec::new());
    let mut passed = streams::check(&mut checker, &mut held, &streams::pieces(bytes, sizes));
    assert_eq!(passed.waits, checker.needs_reply());
    if passed.waits {
        assert!(!checker.reply(b"HTTP/1.1 200 OK\r\n\r\n"));
        let rest = streams::check(&mut checker, &mut held, &[b""]);
        passed.forwarded.extend(rest.forwarded);
        passed.refused = rest.refused;
    }
    if let Some(refusal) = &passed.refused {
        assert!(refusal.reply().starts_with(format!("HTTP/1.1 {} ", refusal.status).as_bytes()));
    }
    (passed.forwarded, passed.refused.map(|refusal| refusal.to_string()))
}

fn second_reading(mut bytes: &[u8]) {
    while let Some(end) = find(bytes, b"\r\n\r\n") {
        let head = String::from_utf8_lossy(&bytes[..end]).to_ascii_lowercase();
        bytes = &bytes[end + 4..];
        let mut lines = head.split("\r\n");
        let first = lines.next().unwrap_or_default();
        let values = |name: &str| -> Vec<String> {
            let values = lines.clone().filter_map(|line| line.strip_prefix(name));
            values.filter_map(|v| v.strip_prefix(':')).map(|v| v.trim().to_owned()).collect()
        };
        let hosts = values("host");
        assert!(hosts.iter().all(|host| is_own(host)), "{head}");
        assert!(hosts.len() == 1 || first.ends_with("1.0") && hosts.is_empty(), "{head}");
        let target = first.split(' ').nth(1).unwrap_or_default();
        if !target.starts_with('/') && target != "*" {
            let target = target.strip_prefix("http://").unwrap_or(target);
            assert!(is_own(target.split(['/', '?', '#']).next().unwrap_or_default()), "{head}");
        }
        let length =
            values("content-length").first().map_or(0, |v| v.parse().unwrap_or(usize::MAX));
        if values("transfer-encoding").is_empty() {
            bytes = bytes.get(length..).unwrap_or_default();
        } else {
            assert_eq!(length, 0, "{head}");
            bytes = behind_chunks(bytes);
        }
    }
    // Only whole heads go on.
    assert!(bytes.is_empty(), "{}", bytes.escape_ascii());
}

fn is_own(authority: &str) -> bool {
    ["a.example", "a.example.", "a.example:80", "a.example.:80"].contains(&authority)
        || authority.strip_suffix("80").is_some_and(|rest| {
            // Zeros before the port's number.
            let rest = rest.trim_end_matches('0');
            rest == "a.example:" || rest == "a.example.:"
        })
}

fn behind_chunks(mut bytes: &[u8]) -> &[u8] {
    while let Some(end) = find(bytes, b"\r\n") {
        let line = String::from_utf8_lossy(&bytes[..end]);
        let size = usize::from_str_radix(line.split(';').next().unwrap_or_default(), 16);
        bytes = &bytes[end + 2..];
        match size {
            Ok(0) => {
                while let Some(end) = find(bytes, b"\r\n") {
                    bytes = &bytes[end + 2..];
                    if end == 0 {
                        return bytes;
                    }
                }
                return b"";
            }
            Ok(size) => match bytes.get(size.saturating_add(2)..) {
                Some(rest) => bytes = rest,
                None => return b"",
            },
            Err(_) => panic!("{line}"),
        }
    }
    bytes
}

fn find(bytes: &[u8], what: &[u8]) -> Option<usize> {
    bytes.windows(what.len()).position(|part| part == what)
}
