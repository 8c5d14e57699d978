//! Trying the network of a sandbox.

use crate::net::{Bridge, Resolver};
use std::error::Error;
use std::os::fd::{AsFd as _, OwnedFd};
use std::process::Stdio;
use swathe::{Child, Command, Engine};
use swathe_host::facts::{Network, Outcome};
use swathe_netns::{Inside, Made, Request, Way};

/// Makes the network of a sandbox whose program never starts, and notes what worked.
pub fn attempt(engine: Engine, network: &mut Network) {
    match make(engine) {
        Ok(made) => {
            network.routes = Outcome::Made;
            network.redirect = match made.refused.first() {
                None => Outcome::Made,
                Some((_, error)) => Outcome::Failed(error.to_string()),
            };
        }
        Err(error) => {
            // Without routes nothing is redirected either.
            network.routes = Outcome::Failed(error.to_string());
            network.redirect = network.routes.clone();
        }
    }
}

/// Brings the host's network into that of a sandbox whose program never starts.
pub fn attempt_pasta(engine: Engine) -> Outcome {
    let bring_in = || {
        let bridge = Bridge::new(&Resolver::of_host())?;
        held(engine, |child| Ok(bridge.start(namespace(child)?).map(drop)?))
    };
    match bring_in() {
        Ok(()) => Outcome::Made,
        Err(error) => Outcome::Failed(error.to_string()),
    }
}

fn make(engine: Engine) -> Result<Made, Box<dyn Error>> {
    held(engine, |child| {
        let namespace = namespace(child)?;
        let sandbox = child.pidfd().ok_or("the kernel has no pidfd (Linux 5.3)")?;
        let ports = Request { way: Way::Auto, tcp: vec![443..=443], udp: Vec::new(), echo: true };
        let program = std::env::current_exe()?;
        let (_, made) = Inside::start(&program, namespace.as_fd(), sandbox, &ports)?;
        Ok(made)
    })
}

fn namespace(child: &mut Child) -> Result<OwnedFd, Box<dyn Error>> {
    Ok(child.network_namespace()?.ok_or("the sandbox was not made")?)
}

/// Does something for a sandbox whose program never starts.
fn held<T>(
    engine: Engine,
    make: impl FnOnce(&mut Child) -> Result<T, Box<dyn Error>>,
) -> Result<T, Box<dyn Error>> {
    // The engine itself is the one program that is there for certain.
    let command = Command::new(engine.path()).arg("--version").engine(engine);
    let command = command.unshare_all().ro_bind("/", "/").stdin(Stdio::null());
    let mut child = command.stdout(Stdio::null()).stderr(Stdio::null()).hold_start().spawn()?;
    let made = make(&mut child);
    child.kill()?;
    child.wait()?;
    made
}
