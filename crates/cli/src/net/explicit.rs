//! Where connections cannot be brought out by themselves: programs that are told so use a proxy.

use super::Options;
use crate::out::{Failure, note};
use swathe::Engine;
use swathe_host::facts::{Network, Outcome};
use swathe_netrules::fixed::{HTTP_PROXY_PORT, SOCKS_PROXY_PORT};
use swathe_plan::Plan;
use swathe_plan::model::EnvOp;

/// The layer's name in `--allow-degraded`.
pub const LAYER: &str = "network";
/// The way's name.
const PROXY: &str = "proxy";

/// Tells the program of the proxies where there is no other way, and that is allowed.
///
/// # Errors
/// It cannot be tried.
pub fn tell(options: &mut Options, allowed: &[String], plan: &mut Plan) -> Result<(), Failure> {
    let may = allowed.iter().any(|name| name == LAYER);
    if options.way.is_none() && may {
        let mut network = Network::default();
        let engine = Engine::find().map_err(|e| crate::run::engine_failure(&e))?;
        crate::doctor::network::attempt(engine, &mut network);
        if let Outcome::Failed(why) = network.routes {
            note(&format!("only programs that use a proxy reach anything: {why}"));
            options.way = Some(PROXY.to_owned());
        }
    }
    if options.way.as_deref() == Some(PROXY) {
        plan.env.extend(variables());
    }
    Ok(())
}

/// What programs look for: the lower-case names first, since many know no others.
fn variables() -> impl Iterator<Item = EnvOp> {
    let http = format!("http://127.0.0.1:{HTTP_PROXY_PORT}");
    let socks = format!("socks5h://127.0.0.1:{SOCKS_PROXY_PORT}");
    let own = "localhost,127.0.0.1,::1".to_owned();
    let all =
        [("http_proxy", &http), ("https_proxy", &http), ("all_proxy", &socks), ("no_proxy", &own)];
    let set = |name: String, value: &str| EnvOp::Set { name: name.into(), value: value.into() };
    let both =
        all.map(|(name, value)| [set(name.to_owned(), value), set(name.to_uppercase(), value)]);
    both.into_iter().flatten()
}
