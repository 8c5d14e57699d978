//! Questions about hosts, at the desk where all questions wait.

use super::who::Sandbox;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use swathe_net::Link;
use swathe_net::protocol::Order;
use swathe_record::ask::Desk;
use swathe_record::bytes::Bytes;
use swathe_record::event::Action;
use swathe_record::question::Question;

/// Questions of the network have numbers of their own: others are counted from 1.
const FIRST: u64 = 1 << 40;
/// How often it is looked whether who asks is still there.
const LOOK: Duration = Duration::from_millis(500);

/// Asks what the helper wants to know: its number, the host, and from where inside it is wanted.
pub fn ask(
    desk: &Desk,
    link: &Link,
    sandbox: Sandbox,
    (id, target, peer): (u64, &str, Option<SocketAddr>),
) {
    let asker = sandbox.who(peer).unwrap_or_default();
    let question = Question {
        id: FIRST + id,
        pid: asker.pid,
        command: asker.command(),
        action: Action::Connect,
        object: Bytes::from(target),
        directory: false,
    };
    let link = link.clone();
    let answered = Arc::new(AtomicBool::new(false));
    watch(desk, &question, &answered);
    desk.ask(question, move |reply| {
        answered.store(true, Ordering::Relaxed);
        // If it is gone, nobody waits.
        let _ = link.send(&Order::Answer { question: id, allow: reply.allow }, &[]);
    });
}

/// The helper does not want to know it any more.
pub fn withdraw(desk: &Desk, id: u64) {
    desk.withdraw(|question| question.id == FIRST + id);
}

/// Withdraws a question whose process ends: a connection that its program has closed looks like one
/// over which it has said all that it has to say.
fn watch(desk: &Desk, question: &Question, answered: &Arc<AtomicBool>) {
    let (desk, answered) = (desk.clone(), Arc::clone(answered));
    let (id, process) = (question.id, format!("/proc/{}", question.pid));
    if question.pid == 0 {
        return;
    }
    let look = move || {
        while !answered.load(Ordering::Relaxed) {
            if !std::path::Path::new(&process).exists() {
                return desk.withdraw(|question| question.id == id);
            }
            std::thread::sleep(LOOK);
        }
    };
    // Without a thread it waits until its time is over. No more are waited for than the desk takes.
    drop(std::thread::Builder::new().name("asker".into()).spawn(look));
}
