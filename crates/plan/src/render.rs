//! [`Plan`] → bwrap's words. `parse(render(plan))` is the plan again, but for the positions.

use crate::model::{
    Access, BindSource, Bytes, CapOp, CgroupNamespace, EnvOp, FileOp, IdRange, Limit, OverlayUpper,
    Plan, StandIn, UserNamespace,
};
use crate::options::{self, Opt};
use crate::tables;
use alloc::borrow::ToOwned;
use alloc::format;
use alloc::string::ToString;
use alloc::vec::Vec;

/// The words of one option.
struct Words(Vec<Bytes>);

impl Words {
    fn flag(&mut self, opt: Opt, on: bool) {
        if on {
            self.0.push(options::spec(opt).name.into());
        }
    }

    fn option<const N: usize>(&mut self, opt: Opt, values: [&[u8]; N]) {
        self.flag(opt, true);
        self.0.extend(values.iter().map(|v| v.to_vec()));
    }

    fn number(&mut self, opt: Opt, number: Option<impl ToString>) {
        if let Some(number) = number {
            self.option(opt, [number.to_string().as_bytes()]);
        }
    }

    fn numbers(&mut self, opt: Opt, numbers: &[i32]) {
        numbers.iter().for_each(|n| self.number(opt, Some(n)));
    }

    fn text(&mut self, opt: Opt, text: Option<&Bytes>) {
        if let Some(text) = text {
            self.option(opt, [text]);
        }
    }

    fn perms(&mut self, perms: Option<u32>) {
        if let Some(perms) = perms {
            self.option(Opt::Perms, [format!("{perms:o}").as_bytes()]);
        }
    }

    fn range(&mut self, opt: Opt, range: IdRange) {
        let [a, b, c] = [range.inside, range.outside, range.count].map(|n| n.to_string());
        self.option(opt, [a.as_bytes(), b.as_bytes(), c.as_bytes()]);
    }
}

/// The words of a whole command line, without the program's name.
pub fn render(plan: &Plan) -> Vec<Bytes> {
    let mut words = Words(Vec::new());
    general(plan, &mut words);
    namespaces(plan, &mut words);
    for step in &plan.steps {
        file_op(&step.op, &mut words);
    }
    privileges(plan, &mut words);
    lifecycle(plan, &mut words);
    words.0.push(b"--".to_vec());
    words.0.extend(plan.command.iter().cloned());
    words.0
}

/// The words of one operation, as it was asked for.
pub fn operation(op: &FileOp) -> Vec<Bytes> {
    let mut words = Words(Vec::new());
    file_op(op, &mut words);
    words.0
}

fn general(plan: &Plan, w: &mut Words) {
    w.flag(Opt::LevelPrefix, plan.level_prefix);
    w.flag(Opt::QuietErrors, plan.quiet_errors);
    w.number(Opt::JsonErrors, plan.json_errors_fd);
    if let Some(version) = plan.assume_kernel {
        let text = format!("{}.{}", version.major, version.minor);
        w.option(Opt::AssumeKernel, [text.as_bytes()]);
    }
    w.text(Opt::Argv0, plan.argv0.as_ref());
    w.text(Opt::Chdir, plan.chdir.as_ref().map(|p| &p.0));
    for op in &plan.env {
        match op {
            EnvOp::Clear => w.flag(Opt::Clearenv, true),
            EnvOp::Set { name, value } => w.option(Opt::Setenv, [name, value]),
            EnvOp::Unset { name } => w.option(Opt::Unsetenv, [name]),
        }
    }
}

fn namespaces(plan: &Plan, w: &mut Words) {
    let ns = &plan.namespaces;
    match ns.user {
        UserNamespace::Implied => {}
        UserNamespace::Try => w.flag(Opt::UnshareUserTry, true),
        UserNamespace::New => w.flag(Opt::UnshareUser, true),
    }
    match ns.cgroup {
        CgroupNamespace::Keep => {}
        CgroupNamespace::Try => w.flag(Opt::UnshareCgroupTry, true),
        CgroupNamespace::New => w.flag(Opt::UnshareCgroup, true),
    }
    w.flag(Opt::UnshareIpc, ns.ipc);
    w.flag(Opt::UnsharePid, ns.pid);
    w.flag(Opt::UnshareNet, ns.net);
    w.flag(Opt::UnshareUts, ns.uts);
    w.number(Opt::Userns, ns.join_user);
    w.number(Opt::Userns2, ns.join_user_after);
    w.number(Opt::Pidns, ns.join_pid);
    w.number(Opt::Netns, ns.join_net);
    w.flag(Opt::DisableUserns, ns.disable_user);
    w.flag(Opt::AssertUsernsDisabled, ns.assert_user_disabled);
    for limit in &ns.user_limits {
        let name = tables::USER_LIMITS.get(limit.kind as usize).copied().unwrap_or_default();
        w.option(Opt::UserLimit, [name.as_bytes(), limit.count.to_string().as_bytes()]);
    }
    w.number(Opt::PidMax, ns.pid_max);
    w.number(Opt::Cgroup, ns.start_cgroup);
    w.number(Opt::Uid, plan.uid);
    w.number(Opt::Gid, plan.gid);
    plan.uid_ranges.iter().for_each(|&r| w.range(Opt::UidRange, r));
    plan.gid_ranges.iter().for_each(|&r| w.range(Opt::GidRange, r));
    w.text(Opt::Hostname, plan.hostname.as_ref());
}

fn file_op(op: &FileOp, w: &mut Words) {
    match op {
        FileOp::Bind { source, dest, access } => bind(source, &dest.0, *access, w),
        FileOp::RemountReadOnly { dest } => w.option(Opt::RemountRo, [&dest.0]),
        FileOp::Overlay { layers, upper, dest } => {
            layers.iter().for_each(|layer| w.option(Opt::OverlaySrc, [&layer.0]));
            match upper {
                OverlayUpper::Host { upper, work } => {
                    w.option(Opt::Overlay, [&upper.0, &work.0, &dest.0]);
                }
                OverlayUpper::Tmp => w.option(Opt::TmpOverlay, [&dest.0]),
                OverlayUpper::None => w.option(Opt::RoOverlay, [&dest.0]),
            }
        }
        FileOp::Proc { dest } => w.option(Opt::Proc, [&dest.0]),
        FileOp::Dev { dest } => w.option(Opt::Dev, [&dest.0]),
        FileOp::Tmpfs { dest, perms, size, inodes } => {
            w.perms(*perms);
            w.number(Opt::Size, *size);
            w.number(Opt::Inodes, *inodes);
            w.option(Opt::Tmpfs, [&dest.0]);
        }
        FileOp::Mqueue { dest } => w.option(Opt::Mqueue, [&dest.0]),
        FileOp::Dir { dest, perms } => {
            w.perms(*perms);
            w.option(Opt::Dir, [&dest.0]);
        }
        FileOp::File { fd, dest, perms } => {
            w.perms(*perms);
            w.option(Opt::File, [fd.to_string().as_bytes(), &dest.0]);
        }
        FileOp::BindData { fd, dest, perms, read_only } => {
            w.perms(*perms);
            let opt = if *read_only { Opt::RoBindData } else { Opt::BindData };
            w.option(opt, [fd.to_string().as_bytes(), &dest.0]);
        }
        FileOp::Symlink { target, dest } => w.option(Opt::Symlink, [target, &dest.0]),
        FileOp::Chmod { mode, path } => {
            w.option(Opt::Chmod, [format!("{mode:o}").as_bytes(), &path.0]);
        }
        FileOp::Mask { dest, stand_in } => match stand_in {
            StandIn::Unreadable => w.option(Opt::Mask, [&dest.0]),
            StandIn::Directory => w.option(Opt::MaskDir, [&dest.0]),
            StandIn::Text(text) => w.option(Opt::MaskText, [text, &dest.0]),
        },
        FileOp::Pin { dest } => w.option(Opt::Pin, [&dest.0]),
    }
}

fn bind(source: &BindSource, dest: &[u8], access: Access, w: &mut Words) {
    match source {
        BindSource::Path { path, optional } => {
            let opt = match (access, optional) {
                (Access::ReadOnly, false) => Opt::RoBind,
                (Access::ReadOnly, true) => Opt::RoBindTry,
                (Access::ReadWrite, false) => Opt::Bind,
                (Access::ReadWrite, true) => Opt::BindTry,
                (Access::Device, false) => Opt::DevBind,
                (Access::Device, true) => Opt::DevBindTry,
            };
            w.option(opt, [&path.0, dest]);
        }
        BindSource::Fd(fd) => {
            let opt = if access == Access::ReadOnly { Opt::RoBindFd } else { Opt::BindFd };
            w.option(opt, [fd.to_string().as_bytes(), dest]);
        }
    }
}

fn privileges(plan: &Plan, w: &mut Words) {
    for op in &plan.caps {
        let (opt, mask) = match *op {
            CapOp::Add(mask) => (Opt::CapAdd, mask),
            CapOp::Drop(mask) => (Opt::CapDrop, mask),
        };
        if mask == tables::ALL_CAPABILITIES {
            w.option(opt, [b"ALL"]);
        } else {
            w.number(opt, Some(mask.trailing_zeros()));
        }
    }
    for filter in &plan.filters {
        w.number(filter.origin.opt, Some(filter.value));
    }
    w.text(Opt::ExecLabel, plan.exec_label.as_ref());
    w.text(Opt::FileLabel, plan.file_label.as_ref());
    w.flag(Opt::NotASecurityBoundary, plan.not_a_security_boundary);
    w.flag(Opt::ScopeSignals, plan.scope_signals);
    w.flag(Opt::ScopeAbstractSockets, plan.scope_abstract_sockets);
    if !plan.handled_rights.is_empty() {
        w.option(Opt::LandlockHandle, [plan.handled_rights.to_string().as_bytes()]);
    }
    for allowance in &plan.allowances {
        let rights = allowance.rights.to_string();
        w.option(Opt::LandlockAllow, [rights.as_bytes(), &allowance.path.0]);
    }
    if let Some(listener) = plan.listener {
        let [filter, socket] = [listener.filter, listener.socket].map(|fd| fd.to_string());
        w.option(Opt::SeccompListener, [filter.as_bytes(), socket.as_bytes()]);
    }
    plan.limits.iter().for_each(|&l| limit(l, w));
    w.number(Opt::DefaultTmpfsSize, plan.default_tmpfs_size);
    w.number(Opt::DefaultTmpfsInodes, plan.default_tmpfs_inodes);
}

fn limit(limit: Limit, w: &mut Words) {
    let name = tables::RESOURCES.get(limit.resource as usize).copied().unwrap_or_default();
    let text = |v: Option<u64>| v.map_or("unlimited".to_owned(), |v| v.to_string());
    let value = format!("{}:{}", text(limit.soft), text(limit.hard));
    w.option(Opt::Rlimit, [name.as_bytes(), value.as_bytes()]);
}

fn lifecycle(plan: &Plan, w: &mut Words) {
    let life = &plan.lifecycle;
    life.lock_files.iter().for_each(|path| w.option(Opt::LockFile, [&path.0]));
    w.numbers(Opt::SyncFd, &life.sync_fds);
    w.number(Opt::BlockFd, life.block_fd);
    w.number(Opt::UsernsBlockFd, life.userns_block_fd);
    w.number(Opt::InfoFd, life.info_fd);
    w.number(Opt::JsonStatusFd, life.json_status_fd);
    w.flag(Opt::NewSession, life.new_session);
    w.flag(Opt::DieWithParent, life.die_with_parent);
    w.flag(Opt::AsPid1, life.as_pid_1);
    w.flag(Opt::EndWithCommand, life.end_with_command);
    w.flag(Opt::ForwardSignals, life.forward_signals);
    w.flag(Opt::Pty, life.pty);
    w.flag(Opt::CloseFds, life.close_fds);
    w.numbers(Opt::KeepFd, &life.keep_fds);
    w.number(Opt::Serve, life.serve);
}
