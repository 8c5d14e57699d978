//! The user's workspaces: where they are, which there are, removing them.

use super::{failed, failed_on, place};
use crate::out::{Failure, shown};
use std::path::{Path, PathBuf};
use swathe_policy::Environment;
use swathe_workspace::{Held, Store};

/// The store of this user's workspaces; made if need be.
///
/// # Errors
/// It cannot be made, or is not the user's alone.
pub fn store(env: &Environment) -> Result<Store, Failure> {
    let path = place::usual(&env.state);
    let parent = path.parent().unwrap_or(&path);
    make_private(parent)?;
    Store::open(&path).map_err(|error| failed(&error))
}

fn make_private(path: &Path) -> Result<(), Failure> {
    use std::os::unix::fs::DirBuilderExt as _;
    let made = std::fs::DirBuilder::new().recursive(true).mode(0o700).create(path);
    made.map_err(|e| {
        Failure::new(format!("cannot make {}: {e}", shown(&path.to_string_lossy())))
            .hint("workspaces are kept there; set XDG_STATE_HOME to another directory")
    })
}

/// The directories in which workspaces lie: nothing that runs may see them.
pub fn stores(env: &Environment) -> Vec<PathBuf> {
    let usual = place::usual(&env.state);
    if !usual.is_dir() {
        return Vec::new();
    }
    let Ok(store) = Store::open(&usual) else { return vec![usual] };
    let areas =
        names(env).into_iter().filter_map(|name| store.find(&name).ok()).flat_map(|workspace| {
            let roots = &workspace.about().roots;
            roots
                .iter()
                .filter_map(|root| Some(root.area.as_path().parent()?.to_owned()))
                .collect::<Vec<_>>()
        });
    let mut all: Vec<PathBuf> = areas.chain([usual.clone()]).collect();
    all.sort();
    all.dedup();
    // What lies in the store goes with it.
    all.retain(|path| *path == usual || !path.starts_with(&usual));
    all
}

/// Removes a workspace, and the hidden directory that its changes were in if that is empty now.
///
/// # Errors
/// A commit of it is half done, or it cannot be removed.
pub fn remove(store: &Store, held: Held) -> Result<(), Failure> {
    let name = held.about().id.clone();
    let roots = held.about().roots.clone();
    held.remove(store).map_err(|error| failed_on(&name, &error))?;
    place::tidy(roots.iter().filter_map(|root| root.area.as_path().parent()));
    Ok(())
}

/// As a collection has it: removes the hidden directories among these that are empty.
pub fn tidy(stores: &[PathBuf]) {
    place::tidy(stores.iter().map(PathBuf::as_path));
}

/// The names of all workspaces, in no order. Some may be damaged.
pub fn names(env: &Environment) -> Vec<String> {
    let entries = std::fs::read_dir(place::usual(&env.state)).into_iter().flatten().flatten();
    let names = entries.filter_map(|entry| entry.file_name().into_string().ok());
    names.filter(|name| swathe_workspace::is_id(name)).collect()
}

/// Whether there is a workspace of this name.
pub fn exists(env: &Environment, name: &str) -> bool {
    swathe_workspace::is_id(name) && place::usual(&env.state).join(name).exists()
}

/// The directories of a workspace that exists.
///
/// # Errors
/// It cannot be read.
pub fn roots_of(env: &Environment, name: &str) -> Result<Vec<PathBuf>, Failure> {
    if !exists(env, name) {
        return Ok(Vec::new());
    }
    let found = store(env)?.find(name).map_err(|error| failed(&error))?;
    Ok(found.about().roots.iter().map(|root| root.path.as_path().to_owned()).collect())
}
