//! A program's file, which whoever is confined may have written.

use swathe_host::needs::{MAX_NAMES, of_bytes};

/// Whatever the file is, what is taken from it is bounded.
pub fn run(data: &[u8]) {
    let Some(needs) = of_bytes(data) else { return };
    assert!(data.starts_with(b"#!") || data.starts_with(b"\x7fELF"));
    assert!(needs.libraries.len() <= MAX_NAMES && needs.search.len() <= MAX_NAMES);
    // A byte that is no UTF-8 becomes a character of three bytes.
    for name in needs.libraries.iter().chain(&needs.search) {
        assert!(name.len() <= 3 * 4096 && !name.contains('\0'));
    }
    if data.starts_with(b"#!") {
        let interpreter = needs.interpreter.expect("a script has one");
        assert!(interpreter.len() <= 256 && needs.libraries.is_empty());
    }
}
