//! The helper's main loop: takes orders, and starts a task for each socket that it is given.

use crate::control::Control;
use crate::judge::verdict;
use crate::protocol::{Config, Order, Report, Role};
use crate::state::{Connection, State};
use crate::{echo, names, publish, tcp, udp};
use std::io;
use std::os::fd::OwnedFd;
use std::pin::pin;
use std::rc::Rc;
use std::time::Duration;
use swathe_netrules::{Cause, Verdict};
use tokio::net::TcpListener;
use tokio::time::timeout;

/// How often it is looked whether somebody still waits for an answer.
const PAUSE: Duration = Duration::from_millis(500);

/// How long the last reports may take to be heard.
const LAST_WORDS: Duration = Duration::from_millis(500);

/// Serves until whoever started it has gone or has no more orders. What was decided until then is
/// reported: the program may have ended right after an answer.
///
/// # Errors
/// An order that is not understood, or a socket that is none.
pub async fn run(config: Config, socket: OwnedFd) -> io::Result<()> {
    let control = Control::new(socket)?;
    let state = State::new(config, Rc::clone(&control));
    let mut reports = pin!(control.send_reports());
    tokio::select! {
        ended = obey(&state, &control) => ended?,
        ended = &mut reports => return ended,
        () = look_after_questions(&state) => {}
    }
    control.end();
    timeout(LAST_WORDS, reports).await.unwrap_or(Ok(()))
}

async fn look_after_questions(state: &State) {
    loop {
        tokio::time::sleep(PAUSE).await;
        state.withdraw();
    }
}

async fn obey(state: &Rc<State>, control: &Control) -> io::Result<()> {
    while let Some((order, fds)) = control.next().await? {
        match order {
            Order::Sockets(roles) => {
                if roles.len() != fds.len() {
                    return Err(io::Error::other("descriptors without a role"));
                }
                for (role, fd) in roles.into_iter().zip(fds) {
                    take(state, role, fd)?;
                }
            }
            Order::Begin => drop(control.say(Report::Ready)),
            Order::Rules { rules, ask } => {
                state.rules.replace(rules);
                state.ask.set(ask);
                state.end_where(|one| is_over(state, one));
            }
            Order::Answer { question, allow } => state.answer(question, allow),
            Order::Unpublish(address) => publish::close(state, address),
            Order::List => state.list(),
        }
    }
    Ok(())
}

/// Whether the rules do not allow a connection any more. One that the user said yes to goes on until
/// a rule denies it.
fn is_over(state: &State, one: &Connection) -> bool {
    let Some(wish) = &one.wish else { return false };
    match verdict(state, wish) {
        Verdict::Allowed(_) => false,
        Verdict::Refused(reason) => !one.asked || matches!(reason.cause, Cause::Denied(_)),
    }
}

fn take(state: &Rc<State>, role: Role, fd: OwnedFd) -> io::Result<()> {
    rustix::io::ioctl_fionbio(&fd, true)?;
    let own = Rc::clone(state);
    match role {
        Role::Published(port) => publish::listen(&own, TcpListener::from_std(fd.into())?, port)?,
        Role::Redirected | Role::Tcp | Role::HttpProxy | Role::Socks => {
            let listener = TcpListener::from_std(fd.into())?;
            tokio::task::spawn_local(tcp::listen(own, listener, role));
        }
        Role::Udp(port) => drop(tokio::task::spawn_local(udp::serve(own, fd, port))),
        Role::Names => drop(tokio::task::spawn_local(names::serve(own, fd))),
        Role::Echo4 | Role::Echo6 => {
            drop(tokio::task::spawn_local(echo::serve(own, fd, role == Role::Echo6)));
        }
        Role::Inside { ipv6 } => state.inside.came(fd, ipv6),
    }
    Ok(())
}
