//! `bwrap`: a drop-in for bubblewrap 0.13.1.
#![no_main]
#![forbid(unsafe_code)]

mod hints;
mod report;
mod run;

#[global_allocator]
static ARENA: swathe_sys::alloc::Arena = swathe_sys::alloc::Arena::new();

swathe_sys::entry!(run::main);
