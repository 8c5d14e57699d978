//! Names and contents of others as text that cannot draw on a terminal.

use std::fmt::Write as _;

/// A name, in quotes where it would not be taken for one word otherwise, so that no
/// name looks like two, or like another that is escaped.
pub fn name(bytes: &[u8]) -> String {
    let plain = std::str::from_utf8(bytes).is_ok_and(|text| {
        text.chars().all(|c| is_plain(c) && !matches!(c, '"' | '\\'))
            && !text.starts_with(' ')
            && !text.ends_with(' ')
            && !text.contains("  ")
    });
    if plain && !bytes.is_empty() {
        return String::from_utf8_lossy(bytes).into_owned();
    }
    let mut text = String::from("\"");
    for chunk in bytes.utf8_chunks() {
        for c in chunk.valid().chars() {
            match c {
                '"' | '\\' => {
                    text.push('\\');
                    text.push(c);
                }
                c if is_plain(c) => text.push(c),
                c => escaped(&mut text, c),
            }
        }
        for byte in chunk.invalid() {
            let _ = write!(text, "\\{byte:03o}");
        }
    }
    text.push('"');
    text
}

fn escaped(text: &mut String, c: char) {
    match c {
        '\n' => text.push_str("\\n"),
        '\r' => text.push_str("\\r"),
        '\u{1b}' => text.push_str("\\e"),
        c => text.extend(c.escape_unicode()),
    }
}

/// Whether a character shows itself and nothing else: no control, and none that is invisible or
/// changes the direction of text.
fn is_plain(c: char) -> bool {
    let hidden = matches!(c, '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}'
        | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}'
        | '\u{e0000}'..='\u{e0fff}');
    !c.is_control() && !hidden
}

/// A size for people.
pub fn size(bytes: u64) -> String {
    const UNITS: [&str; 5] = ["bytes", "KiB", "MiB", "GiB", "TiB"];
    let mut unit = 0;
    let mut whole = bytes;
    let mut rest = 0;
    while whole >= 1024 && unit + 1 < UNITS.len() {
        rest = whole % 1024 * 10 / 1024;
        whole /= 1024;
        unit += 1;
    }
    let name = UNITS.get(unit).copied().unwrap_or_default();
    if unit == 0 { format!("{whole} {name}") } else { format!("{whole}.{rest} {name}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Nothing that a terminal obeys comes out, and different names stay different.
    #[test]
    fn nothing_draws() {
        assert_eq!(name(b"a\tb\x1b[2J\r"), "\"a\\u{9}b\\e[2J\\r\"");
        assert_eq!(name(b"plain name.rs"), "plain name.rs");
        assert_eq!(name(b"a\nb"), "\"a\\nb\"");
        assert_eq!(name(b"a\\nb"), "\"a\\\\nb\"");
        assert_eq!(name("x\u{202e}y".as_bytes()), "\"x\\u{202e}y\"");
        assert_eq!(name(b"\xff"), "\"\\377\"");
        assert_eq!(name(b" x"), "\" x\"");
        assert_eq!(
            (size(12), size(1536), size(3 << 30)),
            ("12 bytes".into(), "1.5 KiB".into(), "3.0 GiB".into())
        );
    }
}
