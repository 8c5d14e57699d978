//! The supervisor of a run: what it is made from, and where its events go.

use crate::out::Failure;
use rustix::net::{AddressFamily, SocketFlags, SocketType, socketpair};
use std::os::fd::OwnedFd;
use swathe::Command;
use swathe_plan::model::{FdNumber, Listener};
use swathe_policy::Access;
use swathe_policy::resolve::{Placed, Sandbox};
use swathe_supervise::place::{Level, Place};
use swathe_supervise::serve::{self, Config, Handle};
use swathe_supervise::trap::{self, Wanted};

/// Numbers of the two descriptors in the engine; no plan of ours has others above 1000.
const FILTER: FdNumber = 998;
const SOCKET: FdNumber = 999;

/// What a run needs a supervisor for.
pub struct Edge {
    config: Config,
    program: Vec<u8>,
}

impl Edge {
    /// None where mounts and Landlock are enough. Otherwise the plan asks for it.
    pub fn new(sandbox: &mut Sandbox) -> Result<Option<Self>, Failure> {
        if sandbox.levels.is_empty() {
            return Ok(None);
        }
        let has = |access| sandbox.levels.iter().any(|placed| placed.access == Some(access));
        let wanted = Wanted {
            removes: true,
            writes: has(Access::Append) || has(Access::NoDelete),
            append: has(Access::Append),
            observe: false,
            bits32: false,
        };
        let program = trap::program(wanted).map_err(|e| Failure::new(e.to_string()))?;
        sandbox.plan.listener = Some(Listener { filter: FILTER, socket: SOCKET });
        let places = sandbox.levels.iter().map(place).collect();
        Ok(Some(Self { config: Config { wanted, places, ..Config::default() }, program }))
    }

    /// Makes the engine send its listener, and starts the supervisor that takes it. The supervisor
    /// ends with the handle.
    pub fn start(self, command: Command) -> Result<(Command, Handle), Failure> {
        let failed = |e: &dyn std::fmt::Display| {
            Failure::new(format!("cannot start the supervisor of the sandbox: {e}"))
        };
        let (ours, theirs) =
            socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None)
                .map_err(|e| failed(&e))?;
        let command = command.fd(SOCKET, OwnedFd::from(theirs));
        let command = command.data_at(FILTER, &self.program).map_err(|e| failed(&e))?;
        let handle = serve::start(self.config, ours).map_err(|e| failed(&e))?;
        Ok((command, handle))
    }
}

fn place(placed: &Placed) -> Place {
    let level = match placed.access {
        Some(Access::Append) => Level::Append,
        Some(Access::NoDelete) => Level::NoDelete,
        Some(Access::Trash) => Level::Trash,
        _ => Level::Free,
    };
    let host = placed.access.map(|_| placed.path.clone());
    Place { path: placed.path.clone(), level, ruled: placed.ruled, host }
}
