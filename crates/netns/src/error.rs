//! What can go wrong.

use crate::protocol::{MAX_PORTS, Refusal, Step};
use rustix::io::Errno;
use std::{fmt, io};
use swathe_helper::{Broken, Stage};

/// Why there is no network, or no socket, in a sandbox.
#[derive(Debug)]
pub enum Error {
    /// A step failed. Before the program starts: what was made so far may be there, and nobody serves
    /// it. Later: nothing has changed.
    Refused {
        /// The step.
        step: Step,
        /// The error, where a system call failed.
        errno: Option<Errno>,
        /// The port that it was about.
        port: Option<u16>,
    },
    /// The helper has ended, or was ended because it broke the protocol: the sandbox has ended, or
    /// somebody has killed the helper.
    Ended,
    /// No answer in time. The helper was ended.
    TimedOut,
    /// A system call of this process failed: what it was for.
    Io(&'static str, io::Error),
}

impl From<Refusal> for Error {
    fn from(Refusal { step, errno, port }: Refusal) -> Self {
        Self::Refused { step, errno, port: Some(port).filter(|port| *port != 0) }
    }
}

impl From<Broken> for Error {
    fn from(broken: Broken) -> Self {
        match broken {
            Broken::Ended => Self::Ended,
            Broken::TimedOut => Self::TimedOut,
            Broken::Io(stage, error) => {
                let what = match stage {
                    Stage::Start => "start the helper for the network",
                    Stage::Ask => "ask the helper for the network",
                    Stage::Hear => "hear from the helper for the network",
                };
                Self::Io(what, error)
            }
        }
    }
}

/// What a step is called in messages: it could not …
fn text(step: Step) -> &'static str {
    match step {
        Step::Request => "understand the request: another version of the program",
        Step::Isolate => "cut itself off from its surroundings",
        Step::JoinUser => "join the user namespace that owns the sandbox's network",
        Step::JoinNetwork => "join the sandbox's network namespace",
        Step::Loopback => "bring the loopback interface up",
        Step::Ipv6 => "switch IPv6 on (net.ipv6.conf.all.disable_ipv6)",
        Step::EchoIgnore => {
            "keep the kernel from answering ping for everybody (net.ipv4.icmp_echo_ignore_all)"
        }
        Step::EchoAllow => "allow ping (net.ipv4.ping_group_range)",
        Step::Address => "give the loopback interface an address",
        Step::Route => "make all addresses local by a route (AnyIP)",
        Step::Redirect => "redirect all TCP by nftables",
        Step::TooManyPorts => "listen on so many ports",
        Step::Socket => "make a socket",
        Step::Bind => "bind a socket",
        Step::Listen => "listen",
        Step::Capabilities => "give up its capabilities",
        Step::Filter => "give up system calls",
    }
}

/// What to do about it.
fn fix(step: Step, errno: Option<Errno>) -> Option<String> {
    Some(match (step, errno) {
        (Step::TooManyPorts, _) => format!(
            "without nftables each port needs a listener of its own, and there can be {MAX_PORTS}: \
             name the ports, or use a kernel with nftables (Linux 5.2, CONFIG_NFT_REDIR)"
        ),
        (Step::Redirect, Some(Errno::NOENT | Errno::OPNOTSUPP | Errno::PROTONOSUPPORT)) => {
            "the kernel lacks a part of it (Linux 5.2 with NF_TABLES_INET, NFT_NAT, NFT_REDIR), or \
             its modules are not loaded"
                .to_owned()
        }
        (Step::EchoIgnore | Step::EchoAllow | Step::Ipv6, Some(Errno::ROFS)) => {
            "/proc/sys is read-only here, as in many containers".to_owned()
        }
        (Step::Bind | Step::Listen, Some(Errno::ADDRINUSE)) => {
            "a program of the sandbox has the port itself".to_owned()
        }
        _ => return None,
    })
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused { step, errno, port } => {
                write!(f, "the helper for the sandbox's network could not {}", text(*step))?;
                if let Some(port) = port {
                    write!(f, ", port {port}")?;
                }
                if let Some(errno) = errno {
                    write!(f, ": {}", io::Error::from(*errno))?;
                }
                match fix(*step, *errno) {
                    Some(fix) => write!(f, "; {fix}"),
                    None => Ok(()),
                }
            }
            Self::Ended => f.write_str(
                "the helper for the sandbox's network has ended, or the sandbox has: no more \
                 sockets can be made there",
            ),
            Self::TimedOut => f.write_str(
                "the helper for the sandbox's network did not answer in time and was ended",
            ),
            Self::Io(what, error) if error.raw_os_error() == Some(Errno::MFILE.raw_os_error()) => {
                write!(
                    f,
                    "cannot {what}: {error}; each port takes a descriptor: raise the limit \
                           (ulimit -n), or name fewer ports"
                )
            }
            Self::Io(what, error) => write!(f, "cannot {what}: {error}"),
        }
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Io(_, error) => Some(error),
            _ => None,
        }
    }
}
