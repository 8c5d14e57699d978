//! The plan while it grows, with the source of each step.

use super::globs::Lasting;
use super::levels::{Asked, Placed};
use super::network::{self, Network, Reach};
use super::{Files, Host, Refusal, Request, boxed};
use crate::model::{Declared, Intent, Limits, Policy, Source};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};
use swathe_plan::Plan;
use swathe_plan::model::{
    Access, BindSource, FdNumber, FileOp, HostPath, Origin, OverlayUpper, Step,
};
use swathe_plan::options::Opt;

/// Descriptors of made files start here.
const FIRST_FD: FdNumber = 1000;

/// Contents of a descriptor that the plan names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Data {
    /// The descriptor's number.
    pub fd: FdNumber,
    /// What can be read from it.
    pub bytes: Vec<u8>,
}

/// Something that a person should know before the run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Note(pub String);

/// A plan, what it reads, and where its steps come from.
#[derive(Debug, Clone)]
pub struct Sandbox {
    /// The plan.
    pub plan: Plan,
    /// Contents of descriptors that the plan names.
    pub data: Vec<Data>,
    /// Who asked for each of the plan's steps, in their order.
    pub sources: Vec<Source>,
    /// What a person should know.
    pub notes: Vec<Note>,
    /// Upper bounds, of which some are kept from outside.
    pub limits: Limits,
    /// The program's file on the host.
    pub program: Option<PathBuf>,
    /// The user's home directory on the host.
    pub home: PathBuf,
    /// The user's directories and files that are visible.
    pub shown: Vec<PathBuf>,
    /// Directories that the sandbox can write to and the host keeps.
    pub writable: Vec<PathBuf>,
    /// Where the supervisor works; empty: none is needed.
    pub levels: Vec<Placed>,
    /// What is asked about when it is first wanted.
    pub asks: Vec<PathBuf>,
    /// Globs that hide what appears later, too.
    pub lasting: Vec<Lasting>,
    /// Directories that the sandbox can write to, and whose changes a workspace keeps.
    pub copied: Vec<PathBuf>,
    /// Which hosts it reaches, where that goes by rules. Without somebody outside who keeps them
    /// it reaches none.
    pub network: Option<Network>,
    /// Whether its network namespace is to get the host's network, as [`Request::bridge`] says.
    /// Without somebody outside who brings it in it reaches nothing.
    pub bridged: bool,
}

pub(super) struct Build<'a> {
    pub policy: &'a Policy,
    pub request: &'a Request,
    pub host: &'a Host,
    pub files: &'a dyn Files,
    pub plan: Plan,
    pub data: Vec<Data>,
    pub sources: Vec<Source>,
    pub notes: Vec<Note>,
    /// Host paths that are visible at their own place, with everything below.
    pub visible: Vec<PathBuf>,
    /// Links that are made.
    pub links: Vec<PathBuf>,
    pub shown: Vec<PathBuf>,
    pub writable: Vec<PathBuf>,
    pub copied: Vec<PathBuf>,
    /// Files that stand in for protected ones which do not exist, outside of git directories.
    pub masked: Vec<PathBuf>,
    /// Levels that were asked for, before they are worked out.
    pub asked_levels: Vec<Asked>,
    pub levels: Vec<Placed>,
    pub asks: Vec<PathBuf>,
    pub network: Option<Network>,
    pub lasting: Vec<Lasting>,
}

impl<'a> Build<'a> {
    pub fn new(
        policy: &'a Policy,
        request: &'a Request,
        host: &'a Host,
        files: &'a dyn Files,
    ) -> Self {
        Self {
            policy,
            request,
            host,
            files,
            plan: Plan::default(),
            data: Vec::new(),
            sources: Vec::new(),
            notes: Vec::new(),
            visible: Vec::new(),
            links: Vec::new(),
            shown: Vec::new(),
            writable: Vec::new(),
            copied: Vec::new(),
            masked: Vec::new(),
            asked_levels: Vec::new(),
            levels: Vec::new(),
            asks: Vec::new(),
            network: None,
            lasting: Vec::new(),
        }
    }

    /// The declaration of an intent that has no arguments.
    pub fn declared(&self, intent: &Intent) -> Option<&'a Declared> {
        self.policy.intents.iter().rev().find(|declared| declared.intent == *intent)
    }

    pub fn wants(&self, intent: &Intent) -> bool {
        self.declared(intent).is_some()
    }

    pub fn note(&mut self, text: impl Into<String>) {
        self.notes.push(Note(text.into()));
    }

    /// Appends a step.
    pub fn step(&mut self, op: FileOp, opt: Opt, source: &Source) {
        let index = u32::try_from(self.plan.steps.len() + 1).unwrap_or(u32::MAX);
        self.plan.steps.push(Step { op, origin: Origin { opt, index, args_fd: None } });
        self.sources.push(source.clone());
    }

    /// Shows a path of the host at its own place. Nothing when it is visible already.
    pub fn show(&mut self, path: &Path, source: &Source) {
        if !self.is_visible(path) {
            self.bind(path, path, Access::ReadOnly, source);
            self.visible.push(path.to_owned());
        }
    }

    pub fn bind(&mut self, from: &Path, to: &Path, access: Access, source: &Source) {
        let opt = match access {
            Access::ReadOnly => Opt::RoBind,
            Access::ReadWrite => Opt::Bind,
            Access::Device => Opt::DevBind,
        };
        let path = HostPath(from.as_os_str().as_bytes().to_vec());
        let from = BindSource::Path { path, optional: false };
        self.step(FileOp::Bind { source: from, dest: boxed(to), access }, opt, source);
    }

    /// A directory of the host whose changes are gone with the run.
    pub fn overlay(&mut self, path: &Path, source: &Source) {
        let layers = vec![HostPath(path.as_os_str().as_bytes().to_vec())];
        let op = FileOp::Overlay { layers, upper: OverlayUpper::Tmp, dest: boxed(path) };
        self.step(op, Opt::TmpOverlay, source);
    }

    pub fn symlink(&mut self, target: &Path, dest: &Path) {
        self.links.push(dest.to_owned());
        let target = target.as_os_str().as_bytes().to_vec();
        let op = FileOp::Symlink { target, dest: boxed(dest) };
        self.step(op, Opt::Symlink, &Source::Default);
    }

    pub fn directory(&mut self, dest: &Path, perms: u32) {
        let op = FileOp::Dir { dest: boxed(dest), perms: Some(perms) };
        self.step(op, Opt::Dir, &Source::Default);
    }

    pub fn tmpfs(&mut self, dest: &Path, perms: u32) {
        let op = FileOp::Tmpfs { dest: boxed(dest), perms: Some(perms), size: None, inodes: None };
        self.step(op, Opt::Tmpfs, &Source::Default);
    }

    /// A file with made contents.
    pub fn file(&mut self, dest: &Path, bytes: impl Into<Vec<u8>>, perms: u32) {
        let fd = self.data_fd(bytes.into());
        let op = FileOp::File { fd, dest: boxed(dest), perms: Some(perms) };
        self.step(op, Opt::File, &Source::Default);
    }

    pub fn data_fd(&mut self, bytes: Vec<u8>) -> FdNumber {
        let fd = FIRST_FD + FdNumber::try_from(self.data.len()).unwrap_or(0);
        self.data.push(Data { fd, bytes });
        fd
    }

    /// Whether a path without links is visible at its own place.
    pub fn is_visible(&self, path: &Path) -> bool {
        self.visible.iter().any(|shown| path.starts_with(shown))
    }

    /// Whether a path can be followed inside as it can on the host: it is visible, or its directory
    /// is, by whatever links.
    pub fn is_reachable(&self, path: &Path) -> bool {
        let beside = || Some(self.files.real(path.parent()?)?.join(path.file_name()?));
        self.is_visible(path) || beside().is_some_and(|path| self.is_visible(&path))
    }

    pub fn finish(mut self, program: Option<PathBuf>) -> Result<Sandbox, Refusal> {
        self.plan.command =
            self.request.command.iter().map(|word| word.as_bytes().to_vec()).collect();
        let bridged = self.request.bridge.is_some() && network::reach(&self) == Reach::Host;
        Ok(Sandbox {
            plan: self.plan,
            data: self.data,
            sources: self.sources,
            notes: self.notes,
            limits: self.policy.limits.clone(),
            program,
            home: self.host.home.clone(),
            shown: self.shown,
            writable: self.writable,
            levels: self.levels,
            asks: self.asks,
            lasting: self.lasting,
            copied: self.copied,
            network: self.network,
            bridged,
        })
    }
}
