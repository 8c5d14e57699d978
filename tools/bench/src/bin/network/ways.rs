//! The ways out of a sandbox that are compared.

use crate::Room;
use crate::room::say;
use std::io::{self, BufRead as _, BufReader, Read as _};
use std::process::{Command, Output, Stdio};
use std::sync::Barrier;
use swathe_sys::rustix::process::{
    Pid, Resource, Signal, WaitId, WaitIdOptions, getrlimit, kill_process_group, waitid,
};

/// Descriptors that a helper has for something else than connections, at most.
const OTHERS: u64 = 200;

/// A way, as words of a command before those of the client, or a script with `CLIENT` in it.
pub struct Way {
    name: &'static str,
    /// For `sh -c`.
    script: String,
    ours: bool,
    server: String,
}

/// Those that this machine has.
pub fn all(room: &Room) -> io::Result<Vec<Way>> {
    let path = room.path.display();
    let port = room.port;
    let loopback = format!("127.0.0.1:{port}");
    let way = |name, script: String, ours, server: &str| {
        let server = server.to_owned();
        Way { name, script, ours, server }
    };
    let run = |rule: &str| {
        format!("exec {path}/bin/swathe run --net {rule} --allow files.dir={path}/bin:ro -- CLIENT")
    };
    let mut ways = vec![way("none", "exec CLIENT".to_owned(), false, &loopback)];
    if let Some(address) = room.address {
        let server = format!("{address}:{port}");
        ways.push(way("swathe", run(&server), true, &server));
    }
    ways.push(way("swathe, loopback", run(&format!("localhost:{port}")), true, &loopback));
    if has("socat") {
        let script = format!(
            "rm -f {path}/home/s; socat UNIX-LISTEN:{path}/home/s,fork,backlog=1024 TCP:127.0.0.1:{port} & \
             outer=$!; trap 'kill $outer' EXIT; \
             while [ ! -S {path}/home/s ]; do sleep 0.02; done; \
             {path}/bin/bwrap --unshare-net --dev-bind / / -- sh -c 'socat TCP-LISTEN:{port},fork,backlog=1024 \
             UNIX-CONNECT:{path}/home/s & sleep 0.3; CLIENT; r=$?; kill $!; exit $r'"
        );
        ways.push(way("socat bridges", script, false, &loopback));
    } else {
        say("socat is not installed: left out\n")?;
    }
    if has("slirp4netns") {
        let script = format!(
            "cd {path}/home; rm -f pid go; unshare --user --map-root-user --net sh -c 'echo $$ >pid.new; \
             mv pid.new pid; while [ ! -e go ]; do sleep 0.02; done; exec CLIENT' & inner=$!; \
             while [ ! -e pid ]; do sleep 0.02; done; \
             slirp4netns --configure --mtu=65520 $(cat pid) tap0 >/dev/null 2>&1 & outer=$!; \
             sleep 1; touch go; wait $inner; r=$?; kill $outer; exit $r"
        );
        ways.push(way("slirp4netns", script, false, &format!("10.0.2.2:{port}")));
    } else {
        say("slirp4netns is not installed: left out\n")?;
    }
    if has("pasta") {
        let script = format!("exec pasta --config-net -T {port} -- CLIENT");
        ways.push(way("pasta, loopback", script, false, &loopback));
        if let Some(address) = room.address {
            // Its own address inside is the host's: the gateway stands for the host.
            let script = "exec pasta --config-net -a 10.9.9.2 -n 24 -g 10.9.9.1 -- CLIENT";
            let _ = address;
            ways.push(way("pasta, tap", script.to_owned(), false, &format!("10.9.9.1:{port}")));
        }
    } else {
        say("pasta is not installed: left out\n")?;
    }
    Ok(ways)
}

fn has(program: &str) -> bool {
    let found = |dir: &str| std::path::Path::new(dir).join(program).exists();
    ["/usr/local/bin", "/usr/bin", "/bin"].into_iter().any(found)
}

impl Way {
    /// Its name in the table.
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// Whether it is what is developed here.
    pub fn is_ours(&self) -> bool {
        self.ours
    }

    fn command(&self, room: &Room, words: &[&str]) -> Command {
        let client =
            format!("{}/bin/load client {} {}", room.path.display(), self.server, words.join(" "));
        // Many connections need many descriptors.
        let more = "ulimit -Sn $(ulimit -Hn); ";
        let script = format!("{more}{}", self.script.replace("CLIENT", &client));
        room.user.command(&["timeout", "-k", "1", "300", "sh", "-c", &script], &room.path)
    }

    /// The number that the client comes to.
    pub fn number(&self, room: &Room, words: &[&str]) -> io::Result<f64> {
        let output = output(self.command(room, words).stdout(Stdio::piped()))?;
        let said = String::from_utf8_lossy(&output.stdout);
        let number = said.lines().last().and_then(|line| line.trim().parse().ok());
        number.filter(|_| output.status.success()).ok_or_else(|| {
            let error = String::from_utf8_lossy(&output.stderr);
            io::Error::other(format!("{}: {words:?}: {}: {said}{error}", self.name, output.status))
        })
    }

    /// How many of so many connections answer while all are open, and the KiB that the helpers have
    /// more then. One sandbox holds what its helper has descriptors for; the rest others do, at the
    /// same time.
    pub fn hold(&self, room: &Room, connections: u64) -> io::Result<Held> {
        let most = getrlimit(Resource::Nofile).maximum.unwrap_or(u64::MAX);
        let sandboxes = connections.div_ceil(most.saturating_sub(OTHERS).max(2) / 2).max(1);
        let all_open = Barrier::new(usize::try_from(sandboxes).map_err(io::Error::other)?);
        let part = |number| connections / sandboxes + u64::from(number < connections % sandboxes);
        let parts: io::Result<Vec<(u64, i64)>> = std::thread::scope(|scope| {
            let all_open = &all_open;
            let start = |number| scope.spawn(move || self.hold_part(room, part(number), all_open));
            let started: Vec<_> = (0..sandboxes).map(start).collect();
            let ended = started.into_iter().map(|part| part.join());
            ended.map(|part| part.map_err(|_| io::Error::other("a part failed"))?).collect()
        });
        let parts = parts?;
        let (held, memory) = (parts.iter().map(|p| p.0).sum(), parts.iter().map(|p| p.1).sum());
        Ok(Held { held, memory, sandboxes })
    }

    fn hold_part(
        &self,
        room: &Room,
        connections: u64,
        all_open: &Barrier,
    ) -> io::Result<(u64, i64)> {
        let mut command = self.command(room, &["hold", &connections.to_string()]);
        let started = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn();
        let mut child = started.inspect_err(|_| {
            all_open.wait();
        })?;
        let stdin = child.stdin.take();
        let mut lines = BufReader::new(child.stdout.take().ok_or(io::ErrorKind::BrokenPipe)?);
        // The helper is there before the client is.
        std::thread::sleep(std::time::Duration::from_millis(100));
        let before = helper_memory(child.id());
        let mut line = String::new();
        let read = lines.read_line(&mut line);
        // Also where it failed: others wait.
        all_open.wait();
        read?;
        let after = helper_memory(child.id());
        drop(stdin);
        let mut rest = String::new();
        lines.read_to_string(&mut rest)?;
        let mut error = String::new();
        if let Some(mut stderr) = child.stderr.take() {
            stderr.read_to_string(&mut error)?;
        }
        child.wait()?;
        let held = rest.trim().parse().map_err(|_| io::Error::other(format!("hold: {error}")))?;
        Ok((held, after - before))
    }
}

/// What a command of timeout(1) says until its end. What it has left behind ends then: the child of a
/// pasta that could not begin waits for ever, with the other ends of the pipes.
fn output(command: &mut Command) -> io::Result<Output> {
    let child = command.spawn()?;
    let pid = Pid::from_child(&child);
    // Not waited for in full: its number is to stay its own.
    waitid(WaitId::Pid(pid), WaitIdOptions::EXITED | WaitIdOptions::NOWAIT)?;
    // timeout(1) is the first of a group. Mostly nobody else is left in it.
    let _ = kill_process_group(pid, Signal::KILL);
    child.wait_with_output()
}

/// What held connections came to.
pub struct Held {
    /// How many answered.
    pub held: u64,
    /// KiB more of the helpers.
    pub memory: i64,
    /// In how many sandboxes.
    pub sandboxes: u64,
}

/// KiB of resident memory of the helper for the network, which is below this process.
fn helper_memory(ancestor: u32) -> i64 {
    let mut left = vec![ancestor.to_string()];
    while let Some(pid) = left.pop() {
        let line = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        if line.split(|byte| *byte == 0).nth(1) == Some(b"__net".as_slice()) {
            let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
            let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
            let number = line.and_then(|line| line.split_ascii_whitespace().next()?.parse().ok());
            return number.unwrap_or(0);
        }
        let children = format!("/proc/{pid}/task");
        for task in std::fs::read_dir(children).into_iter().flatten().flatten() {
            let children = std::fs::read_to_string(task.path().join("children"));
            let children = children.unwrap_or_default();
            left.extend(children.split_ascii_whitespace().map(str::to_owned));
        }
    }
    0
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is left behind does not keep what is waited for.
    #[test]
    fn ends_with_its_command() {
        let left = "sleep 3600 & echo said; echo why >&2; exit 3";
        let mut command = Command::new("timeout");
        command.args(["300", "sh", "-c", left]).stdout(Stdio::piped()).stderr(Stdio::piped());
        let output = output(&mut command).expect("it runs");
        assert_eq!(output.status.code(), Some(3));
        assert_eq!((output.stdout, output.stderr), (b"said\n".to_vec(), b"why\n".to_vec()));
    }
}
