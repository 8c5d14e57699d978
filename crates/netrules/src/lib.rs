//! Which hosts a program may reach: names, addresses, ports, and the rules over them.
#![forbid(unsafe_code)]
