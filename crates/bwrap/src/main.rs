//! `bwrap`: a drop-in for bubblewrap 0.13.1.
#![no_main]
#![forbid(unsafe_code)]

mod report;
mod run;

swathe_sys::entry!(run::main);
