//! The supervisor of a running sandbox: answers seccomp notifications and enforces the access levels that mounts cannot express.

#![forbid(unsafe_code)]
