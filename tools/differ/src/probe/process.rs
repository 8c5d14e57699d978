//! What the process is to the kernel and to other processes: ids, namespaces, relatives, filters.

use crate::Report;
use std::os::fd::AsRawFd;
use swathe_differ::{PROC_FD, escape, os};

/// Reports everything of this module.
pub fn report(out: &mut Report) {
    maps(out);
    namespaces(out);
    relations(out);
    attributes(out);
    denied_calls(out);
    nested_user_namespace(out);
    ancestors(out);
    visible_processes(out);
    for line in String::from_utf8_lossy(&os::slurp_at(PROC_FD, "locks").unwrap_or_default()).lines()
    {
        // "1: POSIX  ADVISORY  READ 12 00:20:5 0 EOF"; the pid and the inode vary.
        let words: Vec<&str> = line.split_whitespace().collect();
        // Locks of open files and leases belong to nobody in particular: any program's.
        if let [_, kind @ "POSIX", mode, access, _, _, start, end] = words[..] {
            out.add("lock", &format!("{kind} {mode} {access} {start} {end}"));
        }
    }
    host_name(out);
}

fn maps(out: &mut Report) {
    for file in ["uid_map", "gid_map", "setgroups", "cgroup", "oom_score_adj", "loginuid"] {
        let text = os::slurp_at(PROC_FD, &format!("self/{file}"))
            .unwrap_or_else(|e| e.to_string().into_bytes());
        for line in String::from_utf8_lossy(&text).lines() {
            let words: Vec<&str> = line.split_whitespace().collect();
            out.add("id", &format!("{file} {}", words.join(" ")));
        }
    }
    let exe = os::readlink_at(PROC_FD, b"self/exe").unwrap_or_else(|e| e.to_string().into_bytes());
    out.bytes("exe", &exe);
}

fn namespaces(out: &mut Report) {
    for kind in ["cgroup", "ipc", "mnt", "net", "pid", "pid_for_children", "time", "user", "uts"] {
        let link = os::readlink_at(PROC_FD, format!("self/ns/{kind}").as_bytes())
            .unwrap_or_else(|e| e.to_string().into_bytes());
        out.add("ns", &format!("{kind} {}", escape::line(&link)));
    }
}

fn relations(out: &mut Report) {
    // SAFETY: these calls take no pointers and cannot fail in a way that matters.
    let (pid, parent, group, session) =
        unsafe { (libc::getpid(), libc::getppid(), libc::getpgrp(), libc::getsid(0)) };
    let name = |id: i32| match id {
        0 => "outside",
        _ if id == pid => "self",
        _ if id == parent => "parent",
        1 => "pid1",
        _ => "other",
    };
    out.add(
        "relation",
        &format!(
            "pid {}",
            if pid == 1 {
                "1"
            } else if pid == 2 {
                "2"
            } else {
                "more"
            }
        ),
    );
    out.add(
        "relation",
        &format!("parent {}", if parent < 2 { parent.to_string() } else { "more".into() }),
    );
    out.add("relation", &format!("group {}", name(group)));
    out.add("relation", &format!("session {}", name(session)));
}

fn attributes(out: &mut Report) {
    let mut death = 0i32;
    let mut reaper = 0i32;
    // SAFETY: both results are written to valid integers.
    unsafe {
        libc::prctl(libc::PR_GET_PDEATHSIG, &raw mut death);
        libc::prctl(libc::PR_GET_CHILD_SUBREAPER, &raw mut reaper);
    }
    let get = |option| os::prctl(option, 0).unwrap_or(-1);
    out.add("attr", &format!("death signal {death}"));
    out.add("attr", &format!("subreaper {reaper}"));
    out.add("attr", &format!("dumpable {}", get(libc::PR_GET_DUMPABLE)));
    out.add("attr", &format!("securebits {}", get(libc::PR_GET_SECUREBITS)));
    out.add("attr", &format!("timer slack {}", get(libc::PR_GET_TIMERSLACK)));
    // SAFETY: plain integers.
    let personality = unsafe { libc::personality(0xffff_ffff) };
    out.add("attr", &format!("personality {personality:x}"));
}

/// Calls that no libc needs at start: the generator's filters answer them with chosen errors, so
/// that which filters are loaded, and in which order, can be seen.
fn denied_calls(out: &mut Report) {
    for (name, number) in [
        ("getpriority", libc::SYS_getpriority),
        ("sched_getscheduler", libc::SYS_sched_getscheduler),
        ("sync_file_range", libc::SYS_sync_file_range),
    ] {
        // SAFETY: integers only; the last call gets a descriptor that is never open.
        let result = unsafe {
            libc::syscall(number, if name.starts_with("sync") { -1 } else { 0 }, 0, 0, 0)
        };
        let error = if result < 0 { os::errno() } else { 0 };
        out.add("filter", &format!("{name} errno {error}"));
    }
}

fn nested_user_namespace(out: &mut Report) {
    let Ok((read, write)) = os::pipe() else {
        return;
    };
    match os::fork() {
        Ok(None) => {
            let error = os::unshare(libc::CLONE_NEWUSER)
                .err()
                .map_or(0, |e| e.raw_os_error().unwrap_or(-1));
            let _ = os::write_all(write.as_raw_fd(), error.to_string().as_bytes());
            os::exit_now(0);
        }
        Ok(Some(pid)) => {
            drop(write);
            let answer = os::read_all(read.as_raw_fd()).unwrap_or_default();
            out.add("nested", &format!("user namespace errno {}", escape::line(&answer)));
            let _ = os::wait(pid, false);
        }
        Err(e) => out.add("nested", &format!("fork: {e}")),
    }
}

/// One field of a status file.
fn field<'a>(status: &'a str, key: &str) -> &'a str {
    status.lines().find_map(|l| l.strip_prefix(key)?.strip_prefix(':')).unwrap_or("").trim()
}

/// The way up from here in the world's view: who is the payload, and what an init of the sandbox
/// looks like.
fn ancestors(out: &mut Report) {
    let mut pid = "self".to_string();
    let mut depth = 0;
    for level in 0..12 {
        let Ok(status) = os::slurp_at(PROC_FD, &format!("{pid}/status")) else {
            break;
        };
        let status = String::from_utf8_lossy(&status).into_owned();
        let numbers: Vec<&str> = field(&status, "NSpid").split_whitespace().collect();
        if level == 0 {
            out.add("raw", &format!("payload {}", numbers.join(" ")));
        }
        if level == 0 {
            depth = numbers.len();
        }
        // Only the payload's own pid namespace: above it, who the parent is depends on who died.
        let init = depth > 1 && numbers.len() == depth && numbers.last() == Some(&"1");
        if init {
            out.add("raw", &format!("init {}", numbers.join(" ")));
            for key in [
                "Uid",
                "Gid",
                "CapInh",
                "CapPrm",
                "CapEff",
                "CapBnd",
                "CapAmb",
                "NoNewPrivs",
                "Seccomp_filters",
                "SigBlk",
                "SigIgn",
                "SigCgt",
                "Threads",
            ] {
                if level > 0 {
                    out.add("init", &format!("{key} {}", field(&status, key)));
                }
            }
        }
        if init && level > 0 {
            init_details(out, numbers[0]);
        }
        pid = field(&status, "PPid").to_string();
        if pid == "0" || pid.is_empty() {
            break;
        }
    }
}

fn init_details(out: &mut Report, pid: &str) {
    for fd in 0..256 {
        if let Ok(target) = os::readlink_at(PROC_FD, format!("{pid}/fd/{fd}").as_bytes()) {
            out.add("init-fd", &format!("{fd} {}", escape::line(&target)));
        }
    }
    for link in ["cwd", "root", "exe", "ns/mnt", "ns/user", "ns/net"] {
        let target = os::readlink_at(PROC_FD, format!("{pid}/{link}").as_bytes())
            .unwrap_or_else(|e| e.to_string().into_bytes());
        out.add("init-link", &format!("{link} {}", escape::line(&target)));
    }
    let command = os::slurp_at(PROC_FD, &format!("{pid}/cmdline")).unwrap_or_default();
    out.add("init-cmdline", if command.iter().all(|b| *b == 0) { "empty" } else { "present" });
}

/// The processes that the sandbox's own procfs shows.
fn visible_processes(out: &mut Report) {
    // SAFETY: statfs is plain data that the call fills; the path is a constant C string.
    let kind = unsafe {
        let mut info = std::mem::zeroed::<libc::statfs>();
        if libc::statfs(c"/proc".as_ptr(), &raw mut info) == 0 { info.f_type as i64 } else { 0 }
    };
    if kind != 0x9fa0 {
        out.add("procs", "no procfs");
        return;
    }
    let own = os::readlink_at(libc::AT_FDCWD, b"/proc/self").unwrap_or_default();
    // SAFETY: no arguments.
    let pid = unsafe { libc::getpid() }.to_string();
    if own != pid.as_bytes() {
        // The world's own processes would be counted: they vary.
        out.add("procs", "procfs of another pid namespace");
        return;
    }
    let mut count = 0;
    for entry in std::fs::read_dir("/proc").into_iter().flatten().flatten() {
        let name = entry.file_name().into_encoded_bytes();
        if name.iter().all(u8::is_ascii_digit) {
            count += 1;
        }
    }
    let status = os::slurp_at(PROC_FD, "self/status").unwrap_or_default();
    let status = String::from_utf8_lossy(&status).into_owned();
    // One number only: the caller's own pid namespace, where the monitor would be counted too.
    let own = field(&status, "NSpid").split_whitespace().count() == 1;
    out.add("procs", &if own { "the caller's".into() } else { format!("{count}") });
}

fn host_name(out: &mut Report) {
    // SAFETY: utsname is plain data that the call fills.
    let names = unsafe {
        let mut names = std::mem::zeroed::<libc::utsname>();
        libc::uname(&raw mut names);
        names
    };
    let text = |field: &[libc::c_char]| {
        let bytes: Vec<u8> = field.iter().take_while(|c| **c != 0).map(|c| *c as u8).collect();
        escape::line(&bytes)
    };
    out.add("uts", &format!("node {}", text(&names.nodename)));
    out.add("uts", &format!("machine {}", text(&names.machine)));
}
