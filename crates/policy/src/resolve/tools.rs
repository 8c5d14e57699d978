//! Tools that are installed below the home directory: what a program needs of them, read-only, and
//! without the credentials that lie beside.

use super::Kind;
use super::build::Build;
use crate::model::Source;
use crate::paths::{Asker, Verdict, judge};
use std::path::{Path, PathBuf};

/// A tool's directory below the home directory, the variable that may name another place for it,
/// and what of it is shown ("" is all of it).
struct Tool {
    root: &'static str,
    variable: Option<&'static str>,
    shown: &'static [&'static str],
}

const fn tool(
    root: &'static str,
    variable: Option<&'static str>,
    shown: &'static [&'static str],
) -> Tool {
    Tool { root, variable, shown }
}

/// Where tools keep what runs. Directories with tokens (`~/.cargo/credentials.toml`, `~/.npmrc`,
/// `~/.config`) are not among what is shown.
const TOOLS: &[Tool] = &[
    tool(".cargo", Some("CARGO_HOME"), &["bin", "env", "registry", "git"]),
    tool(".rustup", Some("RUSTUP_HOME"), &["settings.toml", "toolchains", "update-hashes"]),
    tool(".pyenv", Some("PYENV_ROOT"), &[""]),
    tool(".rbenv", Some("RBENV_ROOT"), &[""]),
    tool(".nodenv", Some("NODENV_ROOT"), &[""]),
    tool(".goenv", Some("GOENV_ROOT"), &[""]),
    tool(".asdf", Some("ASDF_DATA_DIR"), &[""]),
    tool(".nvm", Some("NVM_DIR"), &["versions", "alias", "nvm.sh", "nvm-exec"]),
    tool(".volta", Some("VOLTA_HOME"), &["bin", "tools"]),
    tool(".local/share/fnm", Some("FNM_DIR"), &[""]),
    tool(".local/share/pnpm", Some("PNPM_HOME"), &[""]),
    tool(".bun", Some("BUN_INSTALL"), &["bin", "install/global"]),
    tool(".deno", Some("DENO_INSTALL"), &["bin"]),
    tool(".yarn", None, &["bin"]),
    tool(".npm-global", None, &["bin", "lib"]),
    tool("go", Some("GOPATH"), &["bin", "pkg/mod"]),
    tool("sdk", None, &[""]),
    tool(".local/share/mise", Some("MISE_DATA_DIR"), &["installs", "shims", "plugins"]),
    tool(".local/share/uv", None, &["python", "tools"]),
    tool(".local/share/pipx", None, &[""]),
    tool(".local/pipx", None, &[""]),
    tool(".local/bin", None, &[""]),
    tool(".local/lib", None, &[""]),
    tool("bin", None, &[""]),
    tool(".nix-profile", None, &[""]),
    tool(".local/state/nix/profiles", None, &[""]),
    tool(".sdkman/candidates", None, &[""]),
    tool(".ghcup", None, &["bin", "ghc", "hls"]),
    tool(".opam", Some("OPAMROOT"), &[""]),
    tool(".juliaup", None, &[""]),
    tool(".julia/juliaup", None, &[""]),
    tool(".dotnet", Some("DOTNET_ROOT"), &[""]),
    tool("miniconda3", Some("CONDA_PREFIX"), &[""]),
    tool("anaconda3", None, &[""]),
    tool("miniforge3", None, &[""]),
    tool(".linuxbrew", None, &[""]),
];

/// Tools that belong together: who uses one needs the other.
const PAIRS: &[(&str, &str)] = &[
    (".cargo", ".rustup"),
    (".local/bin", ".local/share/uv"),
    (".local/bin", ".local/share/pipx"),
    (".local/bin", ".local/pipx"),
    (".local/bin", ".local/lib"),
    (".nix-profile", ".local/state/nix/profiles"),
];

/// Shows the tools that PATH names and the program is one of.
pub(super) fn add(build: &mut Build<'_>) {
    let mut used: Vec<PathBuf> = Vec::new();
    if let Some(path) = build.host.var("PATH") {
        used.extend(std::env::split_paths(path).filter(|d| d.is_absolute()));
    }
    if let Some(program) = build.request.command.first() {
        let program = build.host.cwd.join(program);
        used.extend(build.files.real(&program));
        used.push(program);
    }
    let wanted: Vec<&Tool> =
        TOOLS.iter().filter(|tool| used.iter().any(|p| p.starts_with(root(build, tool)))).collect();
    for tool in TOOLS {
        let paired = PAIRS
            .iter()
            .any(|(first, second)| *second == tool.root && wanted.iter().any(|w| w.root == *first));
        if paired || wanted.iter().any(|w| w.root == tool.root) {
            show(build, tool);
        }
    }
}

fn root(build: &Build<'_>, tool: &Tool) -> PathBuf {
    let named = tool.variable.and_then(|v| build.host.var(v)).map(PathBuf::from);
    // A variable that names the home directory, or nothing, names no tool.
    named
        .filter(|path| path.is_absolute() && !build.host.home.starts_with(path))
        .unwrap_or_else(|| build.host.home.join(tool.root))
}

fn show(build: &mut Build<'_>, tool: &Tool) {
    let root = root(build, tool);
    for part in tool.shown {
        let path = if part.is_empty() { root.clone() } else { root.join(part) };
        show_path(build, &path);
    }
}

/// A link is made again, and what it leads to is shown, too: a profile of Nix, a Python of a venv.
pub(super) fn show_path(build: &mut Build<'_>, path: &Path) {
    let Some(real) = build.files.real(path) else { return };
    // A variable, or a file of the project, may have named it.
    let harmless = judge(&real, false, Asker::User, &build.host.places) == Verdict::Fine;
    if !harmless || super::files::too_broad(&real, build.host).is_some() {
        return;
    }
    if build.files.kind(path) == Some(Kind::Link)
        && let Some(target) = build.files.link(path)
        && !build.is_reachable(path)
    {
        build.symlink(&target, path);
    }
    if real == path || !build.is_visible(&real) {
        build.show(&real, &Source::Default);
    }
}
