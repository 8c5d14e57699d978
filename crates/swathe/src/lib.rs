//! Start sandboxes.
#![forbid(unsafe_code)]
