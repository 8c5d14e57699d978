//! Trying the network of a sandbox.

use std::error::Error;
use std::os::fd::AsFd as _;
use std::process::Stdio;
use swathe::{Command, Engine};
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

fn make(engine: Engine) -> Result<Made, Box<dyn Error>> {
    // The engine itself is the one program that is there for certain.
    let command = Command::new(engine.path()).arg("--version").engine(engine);
    let command = command.unshare_all().ro_bind("/", "/").stdin(Stdio::null());
    let mut child = command.stdout(Stdio::null()).stderr(Stdio::null()).hold_start().spawn()?;
    let made = (|| {
        let namespace = child.network_namespace()?.ok_or("the sandbox was not made")?;
        let sandbox = child.pidfd().ok_or("the kernel has no pidfd (Linux 5.3)")?;
        let ports = Request { way: Way::Auto, tcp: vec![443..=443], udp: Vec::new(), echo: true };
        let program = std::env::current_exe()?;
        let (_, made) = Inside::start(&program, namespace.as_fd(), sandbox, &ports)?;
        Ok(made)
    })();
    child.kill()?;
    child.wait()?;
    made
}
