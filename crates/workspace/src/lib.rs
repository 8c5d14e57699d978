//! Copy-on-write workspaces: what a program changed in an overlay, looked at, committed, undone or discarded.

#![forbid(unsafe_code)]
