//! What one option does to the plan.

use super::values::{
    bytes, capability, env_name, fd_number, file_rights, id, id_range, kernel_version, limit,
    octal, pid_max, positive, user_limit,
};
use super::{Fault, Parser, Request};
use crate::model::{
    Access, Allowance, BindSource, BoxPath, CapOp, CgroupNamespace, EnvOp, FileOp, Given, HostPath,
    Listener, OverlayUpper, StandIn, Step, UserNamespace,
};
use crate::options::{self, Opt};
use alloc::format;

impl Parser {
    pub(super) fn namespace_option(&mut self, opt: Opt, values: &[&[u8]]) -> Result<bool, Fault> {
        let ns = &mut self.plan.namespaces;
        let user_try = |user: &mut UserNamespace| {
            if *user == UserNamespace::Implied {
                *user = UserNamespace::Try;
            }
        };
        let cgroup_try = |cgroup: &mut CgroupNamespace| {
            if *cgroup == CgroupNamespace::Keep {
                *cgroup = CgroupNamespace::Try;
            }
        };
        match opt {
            Opt::UnshareAll => {
                user_try(&mut ns.user);
                cgroup_try(&mut ns.cgroup);
                (ns.ipc, ns.pid, ns.uts, ns.net) = (true, true, true, true);
            }
            Opt::ShareNet => ns.net = false,
            Opt::UnshareUser => ns.user = UserNamespace::New,
            Opt::UnshareUserTry => user_try(&mut ns.user),
            Opt::UnshareIpc => ns.ipc = true,
            Opt::UnsharePid => ns.pid = true,
            Opt::UnshareNet => ns.net = true,
            Opt::UnshareUts => ns.uts = true,
            Opt::UnshareCgroup => ns.cgroup = CgroupNamespace::New,
            Opt::UnshareCgroupTry => cgroup_try(&mut ns.cgroup),
            Opt::Userns => ns.join_user = Some(fd_number(values[0])?),
            Opt::Userns2 => ns.join_user_after = Some(fd_number(values[0])?),
            Opt::Pidns => ns.join_pid = Some(fd_number(values[0])?),
            Opt::Netns => ns.join_net = Some(fd_number(values[0])?),
            Opt::DisableUserns => ns.disable_user = true,
            Opt::AssertUsernsDisabled => ns.assert_user_disabled = true,
            Opt::Uid => self.plan.uid = Some(id(values[0], "Invalid uid: ")?),
            Opt::Gid => self.plan.gid = Some(id(values[0], "Invalid gid: ")?),
            Opt::UidRange => self.plan.uid_ranges.push(id_range(values)?),
            Opt::GidRange => self.plan.gid_ranges.push(id_range(values)?),
            Opt::Hostname => self.plan.hostname = Some(values[0].to_vec()),
            Opt::UserLimit => ns.user_limits.push(user_limit(values[0], values[1])?),
            Opt::PidMax => ns.pid_max = Some(pid_max(values[0])?),
            Opt::Cgroup => ns.start_cgroup = Some(fd_number(values[0])?),
            _ => return Ok(false),
        }
        Ok(true)
    }

    pub(super) fn file_option(&mut self, opt: Opt, values: &[&[u8]]) -> Result<bool, Fault> {
        let dest = |at: usize| BoxPath(values[at].to_vec());
        let op = match opt {
            Opt::Bind => bind(values, Access::ReadWrite, false),
            Opt::BindTry => bind(values, Access::ReadWrite, true),
            Opt::DevBind => bind(values, Access::Device, false),
            Opt::DevBindTry => bind(values, Access::Device, true),
            Opt::RoBind => bind(values, Access::ReadOnly, false),
            Opt::RoBindTry => bind(values, Access::ReadOnly, true),
            Opt::BindFd | Opt::RoBindFd => FileOp::Bind {
                source: BindSource::Fd(fd_number(values[0])?),
                dest: dest(1),
                access: if opt == Opt::BindFd { Access::ReadWrite } else { Access::ReadOnly },
            },
            Opt::RemountRo => FileOp::RemountReadOnly { dest: dest(0) },
            Opt::Overlay | Opt::TmpOverlay | Opt::RoOverlay => self.overlay(opt, values)?,
            Opt::Proc => FileOp::Proc { dest: dest(0) },
            Opt::Dev => FileOp::Dev { dest: dest(0) },
            Opt::Tmpfs => FileOp::Tmpfs {
                dest: dest(0),
                perms: self.perms.take(),
                size: self.size.take(),
                inodes: self.inodes.take(),
            },
            Opt::Mqueue => FileOp::Mqueue { dest: dest(0) },
            Opt::Dir => FileOp::Dir { dest: dest(0), perms: self.perms.take() },
            Opt::File => {
                FileOp::File { fd: fd_number(values[0])?, dest: dest(1), perms: self.perms.take() }
            }
            Opt::BindData | Opt::RoBindData => FileOp::BindData {
                fd: fd_number(values[0])?,
                dest: dest(1),
                perms: self.perms.take(),
                read_only: opt == Opt::RoBindData,
            },
            Opt::Symlink => FileOp::Symlink { target: values[0].to_vec(), dest: dest(1) },
            Opt::Chmod => FileOp::Chmod { mode: octal(values[0], "--chmod")?, path: dest(1) },
            Opt::Mask => FileOp::Mask { dest: dest(0), stand_in: StandIn::Unreadable },
            Opt::MaskDir => FileOp::Mask { dest: dest(0), stand_in: StandIn::Directory },
            Opt::MaskText => {
                FileOp::Mask { dest: dest(1), stand_in: StandIn::Text(values[0].to_vec()) }
            }
            Opt::Pin => FileOp::Pin { dest: dest(0) },
            Opt::OverlaySrc => {
                self.layers.push(HostPath(values[0].to_vec()));
                return Ok(true);
            }
            Opt::Perms => {
                self.perms = Some(octal(values[0], "--perms")?);
                return Ok(true);
            }
            Opt::Size => {
                self.size = Some(bytes(values[0], "--size")?);
                return Ok(true);
            }
            Opt::Inodes => {
                self.inodes = Some(positive(values[0], "--inodes")?);
                return Ok(true);
            }
            _ => return Ok(false),
        };
        if let Some(origin) = self.at {
            self.plan.steps.push(Step { op, origin });
        }
        Ok(true)
    }

    fn overlay(&mut self, opt: Opt, values: &[&[u8]]) -> Result<FileOp, Fault> {
        let (least, text) = if opt == Opt::RoOverlay { (2, "two") } else { (1, "one") };
        if self.layers.len() < least {
            let name = options::spec(opt).name;
            return Err(Fault::new(format!("{name} requires at least {text} --overlay-src")));
        }
        let layers = core::mem::take(&mut self.layers);
        let (upper, dest) = match opt {
            Opt::Overlay => (
                OverlayUpper::Host {
                    upper: HostPath(values[0].to_vec()),
                    work: HostPath(values[1].to_vec()),
                },
                values[2],
            ),
            Opt::TmpOverlay => (OverlayUpper::Tmp, values[0]),
            _ => (OverlayUpper::None, values[0]),
        };
        Ok(FileOp::Overlay { layers, upper, dest: BoxPath(dest.to_vec()) })
    }

    pub(super) fn lifecycle_option(&mut self, opt: Opt, values: &[&[u8]]) -> Result<bool, Fault> {
        let life = &mut self.plan.lifecycle;
        match opt {
            Opt::LockFile => life.lock_files.push(BoxPath(values[0].to_vec())),
            Opt::SyncFd => life.sync_fds.push(fd_number(values[0])?),
            Opt::BlockFd => life.block_fd = Some(fd_number(values[0])?),
            Opt::UsernsBlockFd => life.userns_block_fd = Some(fd_number(values[0])?),
            Opt::InfoFd => life.info_fd = Some(fd_number(values[0])?),
            Opt::JsonStatusFd => life.json_status_fd = Some(fd_number(values[0])?),
            Opt::NewSession => life.new_session = true,
            Opt::DieWithParent => life.die_with_parent = true,
            Opt::AsPid1 => life.as_pid_1 = true,
            Opt::ForwardSignals => life.forward_signals = true,
            Opt::Pty => life.pty = true,
            Opt::EndWithCommand => life.end_with_command = true,
            Opt::CloseFds => life.close_fds = true,
            Opt::Serve => life.serve = Some(fd_number(values[0])?),
            Opt::KeepFd => life.keep_fds.push(fd_number(values[0])?),
            _ => return Ok(false),
        }
        Ok(true)
    }

    pub(super) fn other_option(&mut self, opt: Opt, values: &[&[u8]]) -> Result<(), Fault> {
        let plan = &mut self.plan;
        match opt {
            Opt::Help => self.early = Some(Request::Help),
            Opt::Version => self.early = Some(Request::Version),
            Opt::Argv0 => plan.argv0 = Some(values[0].to_vec()),
            Opt::LevelPrefix => plan.level_prefix = true,
            Opt::QuietErrors => plan.quiet_errors = true,
            Opt::Chdir => plan.chdir = Some(BoxPath(values[0].to_vec())),
            Opt::Clearenv => plan.env.push(EnvOp::Clear),
            Opt::Setenv => plan.env.push(EnvOp::Set {
                name: env_name(values[0], "setenv failed")?,
                value: values[1].to_vec(),
            }),
            Opt::Unsetenv => {
                plan.env.push(EnvOp::Unset { name: env_name(values[0], "unsetenv failed")? });
            }
            Opt::CapAdd => plan.caps.push(CapOp::Add(capability(values[0])?)),
            Opt::CapDrop => plan.caps.push(CapOp::Drop(capability(values[0])?)),
            Opt::Seccomp | Opt::AddSeccompFd => self.filter(opt, values[0])?,
            Opt::ExecLabel | Opt::FileLabel => self.label(opt, values[0]),
            Opt::ScopeSignals => plan.scope_signals = true,
            Opt::ScopeAbstractSockets => plan.scope_abstract_sockets = true,
            Opt::LandlockHandle => plan.handled_rights |= file_rights(opt, values[0])?,
            Opt::LandlockAllow => plan.allowances.push(Allowance {
                rights: file_rights(opt, values[0])?,
                path: BoxPath(values[1].to_vec()),
            }),
            Opt::SeccompListener => {
                let (filter, socket) = (fd_number(values[0])?, fd_number(values[1])?);
                plan.listener = Some(Listener { filter, socket });
            }
            Opt::Rlimit => plan.limits.push(limit(values[0], values[1])?),
            Opt::DefaultTmpfsSize => {
                plan.default_tmpfs_size = Some(bytes(values[0], "--default-tmpfs-size")?);
            }
            Opt::DefaultTmpfsInodes => {
                plan.default_tmpfs_inodes = Some(positive(values[0], "--default-tmpfs-inodes")?);
            }
            Opt::JsonErrors => plan.json_errors_fd = Some(fd_number(values[0])?),
            Opt::AssumeKernel => plan.assume_kernel = Some(kernel_version(values[0])?),
            Opt::NotASecurityBoundary => plan.not_a_security_boundary = true,
            _ => {}
        }
        Ok(())
    }

    fn label(&mut self, opt: Opt, word: &[u8]) {
        if self.labels.given.is_empty() {
            self.labels.level_prefix = self.plan.level_prefix;
            self.labels.warnings = self.warnings.len();
        }
        self.labels.given.push(word.to_vec());
        let label = match opt {
            Opt::ExecLabel => &mut self.plan.exec_label,
            _ => &mut self.plan.file_label,
        };
        *label = Some(word.to_vec());
    }

    fn filter(&mut self, opt: Opt, word: &[u8]) -> Result<(), Fault> {
        let other = if opt == Opt::Seccomp { Opt::AddSeccompFd } else { Opt::Seccomp };
        if self.plan.filters.iter().any(|f| f.origin.opt == other) {
            return Err(Fault::new(format!(
                "{} cannot be combined with {}",
                options::spec(opt).name,
                options::spec(other).name
            )));
        }
        let value = fd_number(word)?;
        if opt == Opt::Seccomp {
            self.plan.filters.clear();
        }
        if let Some(origin) = self.at {
            self.plan.filters.push(Given { value, origin });
        }
        Ok(())
    }
}

fn bind(values: &[&[u8]], access: Access, optional: bool) -> FileOp {
    let source = BindSource::Path { path: HostPath(values[0].to_vec()), optional };
    FileOp::Bind { source, dest: BoxPath(values[1].to_vec()), access }
}
