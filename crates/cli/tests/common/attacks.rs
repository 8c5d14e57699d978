//! Attacks on protected paths: what a case is, and all of them.

/// Functions of the scripts. `$PWNED` is the file whose existence means that the attack worked.
pub const PRELUDE: &str = r#"
evil() { mkdir -p "${1%/*}"; printf '#!/bin/sh\ntouch %s\n' "$PWNED" >"$1"; chmod +x "$1"; }
config() { printf '[core]\n\trepositoryformatversion = 0\n\tfsmonitor = touch %s; false\n' "$PWNED"; }
evilrepo() { mkdir -p "$1/objects" "$1/refs/heads"; echo 'ref: refs/heads/main' >"$1/HEAD"; config >"$1/config"; }
exchange() { perl -e 'syscall((`uname -m` =~ /x86/) ? 316 : 276, -100, $ARGV[0], -100, $ARGV[1], 2) == 0 or die $!' "$1" "$2"; }
commit() { date +%N >>file; git add file; git commit -q -m more; }
repo() { git init -q -b main "$1" && (cd "$1" && echo one >file && git add file && git commit -q -m one); }
"#;

/// Whether the same attack works outside.
#[derive(Clone, Copy, PartialEq)]
pub enum Control {
    /// It does.
    Works,
    /// It needs a system with, for instance, names that ignore case.
    Harmless,
}
use Control::{Harmless, Works};

/// One attack.
pub struct Case {
    /// What it is.
    pub name: &'static str,
    /// Whether it works outside.
    pub control: Control,
    /// On the host, before; in the project, which is empty.
    pub setup: &'static str,
    /// In the sandbox.
    pub attack: &'static str,
    /// On the host, afterwards.
    pub victim: &'static str,
}

const fn case(
    name: &'static str,
    control: Control,
    setup: &'static str,
    attack: &'static str,
    victim: &'static str,
) -> Case {
    Case { name, control, setup, attack, victim }
}

const HOOK: &str = "commit";
const STATUS: &str = "git status";

/// On one repository in the project.
pub const GIT: &[Case] = &[
    case("hook added", Works, "repo .", "evil .git/hooks/pre-commit", HOOK),
    case("hooks absent", Works, "repo .; rm -rf .git/hooks", "evil .git/hooks/pre-commit", HOOK),
    case(
        "hooks absent, as a link",
        Works,
        "repo .; rm -rf .git/hooks",
        "evil h/pre-commit; ln -s ../h .git/hooks",
        HOOK,
    ),
    case(
        "sample renamed",
        Works,
        "repo .; evil .git/hooks/pre-commit.sample",
        "mv .git/hooks/pre-commit.sample .git/hooks/pre-commit",
        HOOK,
    ),
    case("config appended", Works, "repo .", "config >>.git/config", STATUS),
    case(
        "config by git",
        Works,
        "repo .",
        "git config core.fsmonitor \"touch $PWNED; false\"",
        STATUS,
    ),
    case(
        "hooksPath by git",
        Works,
        "repo .",
        "evil h/pre-commit; git config core.hooksPath h",
        HOOK,
    ),
    case(
        "config renamed over",
        Works,
        "repo .",
        "config >.git/c; mv -f .git/c .git/config",
        STATUS,
    ),
    case(
        "config exchanged",
        Works,
        "repo .",
        "config >.git/c; exchange .git/c .git/config",
        STATUS,
    ),
    case("config unlinked", Works, "repo .", "rm -f .git/config; config >.git/config", STATUS),
    case("config hard-linked", Works, "repo .", "ln .git/config c; config >>c", STATUS),
    case(
        "config by a lock",
        Works,
        "repo .",
        "config >.git/config.lock; mv .git/config.lock .git/config",
        STATUS,
    ),
    case(
        "config is a link",
        Works,
        "repo .; mv .git/config .git/c; ln -s c .git/config",
        "config >>.git/c",
        STATUS,
    ),
    case(
        "config link replaced",
        Works,
        "repo .; mv .git/config .git/c; ln -s c .git/config",
        "rm .git/config; config >.git/config",
        STATUS,
    ),
    case("hooks unlinked", Works, "repo .", "rm -rf .git/hooks; evil .git/hooks/pre-commit", HOOK),
    case(
        "hooks removed",
        Works,
        "repo .; rm -f .git/hooks/*",
        "rmdir .git/hooks; evil .git/hooks/pre-commit",
        HOOK,
    ),
    case(
        "hooks renamed",
        Works,
        "repo .",
        "mv .git/hooks .git/h; evil .git/hooks/pre-commit",
        HOOK,
    ),
    case("hooks exchanged", Works, "repo .", "evil h/pre-commit; exchange h .git/hooks", HOOK),
    case(
        "hooks unmounted",
        Works,
        "repo .",
        "umount .git/hooks; umount -l .git/hooks; evil .git/hooks/pre-commit",
        HOOK,
    ),
    case(
        "hooks is a link",
        Works,
        "repo .; mv .git/hooks h; ln -s ../h .git/hooks",
        "evil h/pre-commit",
        HOOK,
    ),
    case(
        "hooks link replaced",
        Works,
        "repo .; mv .git/hooks h; ln -s ../h .git/hooks",
        "rm .git/hooks; evil .git/hooks/pre-commit",
        HOOK,
    ),
    case(
        "hooks link's target replaced",
        Works,
        "repo .; mkdir d; mv .git/hooks d/h; ln -s ../d/h .git/hooks",
        "mv d e; evil d/h/pre-commit",
        HOOK,
    ),
    case(
        "hooks link leads nowhere",
        Works,
        "repo .; rm -rf .git/hooks; ln -s ../later .git/hooks",
        "evil later/pre-commit",
        HOOK,
    ),
    case(
        "hooks link leads out",
        Works,
        "repo .; mkdir ../h; rm -rf .git/hooks; ln -s ../../h .git/hooks",
        "rm .git/hooks; evil .git/hooks/pre-commit",
        HOOK,
    ),
    case(
        "parent renamed",
        Works,
        "repo .",
        "mv .git g; cp -r g .git; config >>.git/config",
        STATUS,
    ),
    case("parent replaced", Works, "repo .", "mv .git g; evilrepo .git", STATUS),
    case("parent exchanged", Works, "repo .", "evilrepo g; exchange g .git", STATUS),
    case(
        "parent replaced by a file",
        Works,
        "repo .",
        "mv .git g; evilrepo e; echo gitdir: e >.git",
        STATUS,
    ),
    case("parent is a link", Works, "repo .; mv .git g; ln -s g .git", "config >>g/config", STATUS),
    case(
        "parent link replaced",
        Works,
        "repo .; mv .git g; ln -s g .git",
        "rm .git; evilrepo .git",
        STATUS,
    ),
    case(
        "parent link's target renamed",
        Works,
        "repo .; mv .git g; ln -s g .git",
        "mv g e; evilrepo g",
        STATUS,
    ),
    case(
        "parent link leads out",
        Works,
        "repo .; mv .git ../g; ln -s ../g .git",
        "rm .git; evilrepo .git",
        STATUS,
    ),
    case("parent link leads nowhere", Works, "ln -s later .git", "evilrepo later", STATUS),
    case(
        "other repository by commondir",
        Works,
        "repo .",
        "evilrepo e; echo ../e >.git/commondir",
        STATUS,
    ),
    case(
        "config of a worktree",
        Works,
        "repo .; git config extensions.worktreeConfig true",
        "git config --worktree core.fsmonitor \"touch $PWNED; false\"; config >.git/config.worktree",
        STATUS,
    ),
    case(
        "included config in the tree",
        Works,
        "repo .; printf '[a]\nb=c\n' >shared.config; git config include.path ../shared.config",
        "config >>shared.config",
        STATUS,
    ),
    case(
        "included config, made later",
        Works,
        "repo .; git config include.path ../shared.config",
        "config >>shared.config",
        STATUS,
    ),
    case(
        "hooks in the tree",
        Works,
        "repo .; mkdir -p .husky; git config core.hooksPath .husky",
        "evil .husky/pre-commit",
        HOOK,
    ),
    case(
        "hooks in the tree, made later",
        Works,
        "repo .; git config core.hooksPath tools/hooks",
        "evil tools/hooks/pre-commit",
        HOOK,
    ),
    case(
        "case of names",
        Harmless,
        "repo .",
        "evil .GIT/hooks/pre-commit; evil .git/Hooks/pre-commit; config >.git/CONFIG",
        HOOK,
    ),
    case(
        "attributes without a filter",
        Harmless,
        "repo .",
        "mkdir -p .git/info; echo '* filter=evil' >.git/info/attributes; evil .git/info/evil",
        HOOK,
    ),
    case("repository made later", Works, "", "git init -q .; evilrepo .git", STATUS),
    case("pointer made later", Works, "", "evilrepo e; echo gitdir: e >.git", STATUS),
    case(
        "bare repository made later",
        Works,
        "",
        "evilrepo .; printf 'bare = false\nworktree = .\n' >>config",
        STATUS,
    ),
];

/// On bare and linked repositories, submodules, and repositories below.
pub const LINKED: &[Case] = &[
    case(
        "bare: hook",
        Works,
        "git init -q --bare -b main .",
        "evil hooks/pre-receive",
        "repo ../r; cd ../r; git push -q ../project main",
    ),
    case(
        "bare: config",
        Works,
        "git init -q --bare -b main .",
        "evil h/pre-receive; git config core.hooksPath h",
        "repo ../r; cd ../r; git push -q ../project main",
    ),
    case(
        "bare: hooks renamed",
        Works,
        "git init -q --bare -b main .",
        "mv hooks h; evil hooks/pre-receive",
        "repo ../r; cd ../r; git push -q ../project main",
    ),
    case(
        "worktree: pointer",
        Works,
        "repo ../r; git -C ../r worktree add -q -f $PWD",
        "evilrepo e; rm .git; echo gitdir: e >.git",
        STATUS,
    ),
    case(
        "worktree: pointer replaced",
        Works,
        "repo ../r; git -C ../r worktree add -q -f $PWD",
        "evilrepo e; echo gitdir: e >p; mv -f p .git",
        STATUS,
    ),
    case(
        "worktree inside: pointer",
        Works,
        "repo .; git worktree add -q wt",
        "evilrepo e; echo gitdir: ../e >wt/.git",
        "git -C wt status",
    ),
    case(
        "worktree inside: renamed",
        Works,
        "repo .; git worktree add -q wt",
        "mv wt w; mkdir wt; evilrepo e; echo gitdir: ../e >wt/.git",
        "git -C wt status",
    ),
    case(
        "worktree inside: commondir",
        Works,
        "repo .; git worktree add -q wt",
        "evilrepo e; echo ../../../e >.git/worktrees/wt/commondir",
        "git -C wt status",
    ),
    case(
        "worktree elsewhere: commondir",
        Works,
        "repo .; git worktree add -q ../wt",
        "evilrepo e; echo $PWD/e >.git/worktrees/wt/commondir",
        "git -C ../wt status",
    ),
    case(
        "worktree elsewhere: renamed",
        Works,
        "repo .; git worktree add -q ../wt",
        "evilrepo e; mv .git/worktrees .git/w; cp -r .git/w .git/worktrees; echo $PWD/e >.git/worktrees/wt/commondir",
        "git -C ../wt status",
    ),
    case(
        "worktree elsewhere: its config",
        Works,
        "repo .; git worktree add -q ../wt; git config extensions.worktreeConfig true",
        "config >.git/worktrees/wt/config.worktree",
        "git -C ../wt status",
    ),
    case(
        "submodule: its config",
        Works,
        "repo ../s; repo .; git -c protocol.file.allow=always submodule -q add ../s sub; git commit -q -m sub",
        "config >>.git/modules/sub/config",
        "git -C sub status",
    ),
    case(
        "submodule: its hooks",
        Works,
        "repo ../s; repo .; git -c protocol.file.allow=always submodule -q add ../s sub; git commit -q -m sub",
        "evil .git/modules/sub/hooks/pre-commit",
        "cd sub; commit",
    ),
    case(
        "submodule: its pointer",
        Works,
        "repo ../s; repo .; git -c protocol.file.allow=always submodule -q add ../s sub; git commit -q -m sub",
        "rm sub/.git; evilrepo sub/.git",
        "git -C sub status",
    ),
    case(
        "submodule: renamed",
        Works,
        "repo ../s; repo .; git -c protocol.file.allow=always submodule -q add ../s sub; git commit -q -m sub",
        "mv sub s; mkdir sub; evilrepo sub/.git",
        "git -C sub status",
    ),
    case(
        "submodule: modules renamed",
        Works,
        "repo ../s; repo .; git -c protocol.file.allow=always submodule -q add ../s a/sub; git commit -q -m sub",
        "mv .git/modules/a .git/modules/b; cp -r .git/modules/b .git/modules/a; config >>.git/modules/a/sub/config",
        "git -C a/sub status",
    ),
    case(
        "nested submodule: its config",
        Works,
        "repo ../t; repo ../s; git -C ../s -c protocol.file.allow=always submodule -q add ../t in; git -C ../s commit -q -m in; repo .; git -c protocol.file.allow=always submodule -q add ../s sub; git -c protocol.file.allow=always submodule -q update --init --recursive; git commit -q -m sub",
        "config >>.git/modules/sub/modules/in/config",
        "git -C sub/in status",
    ),
    case(
        "nested submodule: its pointer",
        Works,
        "repo ../t; repo ../s; git -C ../s -c protocol.file.allow=always submodule -q add ../t in; git -C ../s commit -q -m in; repo .; git -c protocol.file.allow=always submodule -q add ../s sub; git -c protocol.file.allow=always submodule -q update --init --recursive; git commit -q -m sub",
        "rm sub/in/.git; evilrepo sub/in/.git",
        "git -C sub/in status",
    ),
    case(
        "repository below",
        Works,
        "repo .; repo vendor/lib",
        "config >>vendor/lib/.git/config",
        "git -C vendor/lib status",
    ),
    case(
        "repository below, alone",
        Works,
        "repo app",
        "evil app/.git/hooks/pre-commit",
        "cd app; commit",
    ),
    case(
        "repository below, renamed",
        Works,
        "repo app",
        "mv app a; mkdir app; evilrepo app/.git",
        "git -C app status",
    ),
];

/// On files that are not git's.
pub const OTHERS: &[Case] = &[
    case("direnv, absent", Works, "", "evil ./.envrc", "sh .envrc"),
    case("direnv, present", Works, "echo : >.envrc", "evil ./.envrc", "sh .envrc"),
    case("direnv, replaced", Works, "echo : >.envrc", "evil ./e; mv -f e .envrc", "sh .envrc"),
    case("direnv, a link", Works, "echo : >e; ln -s e .envrc", "evil ./e", "sh .envrc"),
    case(
        "direnv, link replaced",
        Works,
        "echo : >e; ln -s e .envrc",
        "rm .envrc; evil ./.envrc",
        "sh .envrc",
    ),
    case("editor, absent", Works, "", "evil .vscode/tasks.json", ".vscode/tasks.json"),
    case(
        "editor, present",
        Works,
        "mkdir .vscode; echo {} >.vscode/settings.json",
        "evil .vscode/tasks.json",
        ".vscode/tasks.json",
    ),
    case(
        "editor, renamed",
        Works,
        "mkdir .vscode",
        "mv .vscode v; evil .vscode/tasks.json",
        ".vscode/tasks.json",
    ),
    case("editor, others", Works, "", "evil .idea/x; evil .zed/x", ".idea/x; .zed/x"),
    case(
        "agent settings",
        Works,
        "",
        "evil .claude/settings.json; evil .codex/x; evil .cursor/x",
        ".claude/settings.json; .codex/x; .cursor/x",
    ),
    case("agent servers", Works, "", "evil ./.mcp.json", "./.mcp.json"),
    case(
        "agent, a link out",
        Works,
        "mkdir ../c; ln -s ../c .claude",
        "rm .claude; evil .claude/x",
        ".claude/x",
    ),
];
