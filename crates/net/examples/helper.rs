//! The helper alone, for tests.

fn main() {
    std::process::exit(swathe_net::serve().into());
}
