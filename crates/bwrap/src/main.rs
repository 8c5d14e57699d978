//! `bwrap`: a drop-in for bubblewrap 0.13.1.
#![no_std]
#![no_main]
#![forbid(unsafe_code)]

extern crate alloc;

mod hints;
mod report;
mod run;

#[global_allocator]
static ARENA: swathe_sys::arena::Global = swathe_sys::arena::Global;

swathe_sys::entry!(run::main);
