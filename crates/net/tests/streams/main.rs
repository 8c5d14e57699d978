//! What the parsers of streams take, in pieces of any size.

#[path = "../support/mod.rs"]
mod support;

mod http;
mod proxies;
mod tls;

use swathe_netrules::name::Name;

fn name(text: &str) -> Name {
    Name::parse(text.as_bytes()).expect(text)
}
