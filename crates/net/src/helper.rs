//! The helper's main loop: takes orders, and starts a task for each socket that it is given.

use crate::control::Control;
use crate::protocol::{Config, Order, Report, Role};
use crate::state::{Connection, State};
use crate::{echo, judge, names, publish, tcp, udp};
use std::io;
use std::os::fd::OwnedFd;
use std::pin::pin;
use std::rc::Rc;
use std::time::Duration;
use swathe_netrules::Rules;
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
    let mut coming = Rules::default();
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
            Order::Rules { rules, ask, last } => {
                coming.allow.extend(rules.allow);
                coming.deny.extend(rules.deny);
                if last {
                    state.go_by(std::mem::take(&mut coming), ask);
                    state.end_where(|one| is_over(state, one));
                }
            }
            Order::Answer { question, allow } => state.answer(question, allow),
            Order::Unpublish(address) => publish::close(state, address),
            Order::List => state.list(),
        }
    }
    Ok(())
}

fn is_over(state: &State, one: &Connection) -> bool {
    one.wish.as_ref().is_some_and(|wish| judge::is_over(state, wish, one.address, one.asked))
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
