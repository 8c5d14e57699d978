//! A blob of filter instructions.

use swathe_sys::seccomp::{INSTRUCTION_SIZE, MAX_INSTRUCTIONS, parse};

/// A blob is a program exactly when its length says so, and no byte of it is lost.
pub fn run(data: &[u8]) {
    let count = data.len() / INSTRUCTION_SIZE;
    let whole = data.len() == count * INSTRUCTION_SIZE;
    match parse(data) {
        None => assert!(count == 0 || !whole || count > MAX_INSTRUCTIONS),
        Some(program) => {
            assert!(whole && (1..=MAX_INSTRUCTIONS).contains(&count));
            let mut again = Vec::with_capacity(data.len());
            for i in &program {
                again.extend(i.code.to_ne_bytes());
                again.extend([i.jt, i.jf]);
                again.extend(i.k.to_ne_bytes());
            }
            assert_eq!(again, data);
        }
    }
}
