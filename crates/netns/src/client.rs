//! The client: starts the helper and asks it.

use crate::COMMAND;
use crate::error::Error;
use crate::protocol::{Asked, MAX_REPLY, Refusal, Reply, Request, Role, Step, Way};
use std::os::fd::{BorrowedFd, OwnedFd};
use std::path::Path;
use std::time::Duration;
use swathe_helper::{Broken, Link};

/// The most messages of one reply: ways that were refused, and sockets in groups.
const MAX_MESSAGES: usize = 64;

/// Makes sockets in one sandbox's network. Dropped, it ends its helper; what it has made stays.
#[derive(Debug)]
pub struct Inside {
    link: Link,
}

/// What was made before the program starts.
#[derive(Debug)]
pub struct Made {
    /// How: never [`Way::Auto`].
    pub way: Way,
    /// The sockets, and what they are for.
    pub sockets: Vec<(Role, OwnedFd)>,
    /// Ways that were tried before and that this machine refuses.
    pub refused: Vec<(Way, Error)>,
}

impl Inside {
    /// Starts the helper, and makes what is asked for. The sandbox must have its network
    /// namespace, and its program must not run yet.
    ///
    /// `program`: executed with the word [`COMMAND`], on which it calls [`serve`](crate::serve).
    /// `netns`: the sandbox's network namespace, which the caller, or root, must own. The namespace
    /// stays as long as a descriptor of it is open: close it then.
    /// `sandbox`: becomes readable when the sandbox has ended, such as a pidfd; then the helper ends.
    ///
    /// # Errors
    /// See [`Error`].
    pub fn start(
        program: &Path,
        netns: BorrowedFd<'_>,
        sandbox: BorrowedFd<'_>,
        request: &Request,
    ) -> Result<(Self, Made), Error> {
        let mut inside = Self { link: Link::start(program, COMMAND, netns, sandbox)? };
        let made = inside.ask(&Asked::SetUp(request.clone()))?;
        Ok((inside, made))
    }

    /// How long the helper may take for a request; ten seconds unless set.
    pub fn set_patience(&mut self, patience: Duration) {
        self.link.set_patience(patience);
    }

    /// The helper's process, for whoever lists what belongs to a sandbox.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.link.id()
    }

    /// A TCP socket in the sandbox's network that is not connected, with `O_NONBLOCK`: whoever
    /// connects it reaches what listens in the sandbox. Connect it to loopback only.
    ///
    /// # Errors
    /// See [`Error`].
    pub fn socket(&mut self, ipv6: bool) -> Result<OwnedFd, Error> {
        self.one(&Asked::Socket { ipv6 }, Role::Unconnected)
    }

    /// A listener more, for connections to any address at `port`; with [`Way::Nft`] to loopback
    /// addresses, since it has a listener for all others.
    ///
    /// # Errors
    /// See [`Error`]. EADDRINUSE: it has a listener already, or a program of the sandbox listens.
    pub fn listen_tcp(&mut self, port: u16) -> Result<OwnedFd, Error> {
        self.one(&Asked::ListenTcp(port), Role::TcpPort(port))
    }

    /// A UDP port more.
    ///
    /// # Errors
    /// See [`Error`]. EADDRINUSE: as for [`Self::listen_tcp`].
    pub fn listen_udp(&mut self, port: u16) -> Result<OwnedFd, Error> {
        self.one(&Asked::ListenUdp(port), Role::Udp(port))
    }

    fn one(&mut self, asked: &Asked, wanted: Role) -> Result<OwnedFd, Error> {
        let mut made = self.ask(asked)?.sockets;
        match made.pop() {
            Some((role, socket)) if role == wanted && made.is_empty() => Ok(socket),
            _ => Err(self.link.end(Broken::Ended).into()),
        }
    }

    fn ask(&mut self, asked: &Asked) -> Result<Made, Error> {
        let message = asked.encode().ok_or(Refusal::found(Step::TooManyPorts))?;
        self.link.send(&message, &[])?;
        let (mut sockets, mut refused) = (Vec::new(), Vec::new());
        let mut message = [0; MAX_REPLY + 1];
        for _ in 0..MAX_MESSAGES {
            let (length, fds) = self.link.receive(&mut message)?;
            let Some(reply) = message.get(..length).and_then(Reply::decode) else { break };
            match reply.result {
                Ok(roles) if roles.len() == fds.len() => sockets.extend(roles.into_iter().zip(fds)),
                Ok(_) => break,
                Err(refusal) if reply.more => refused.push((reply.way, refusal.into())),
                Err(refusal) => return Err(refusal.into()),
            }
            if !reply.more {
                return Ok(Made { way: reply.way, sockets, refused });
            }
        }
        Err(self.link.end(Broken::Ended).into())
    }
}
