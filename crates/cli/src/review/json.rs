//! Changes for programs. The format is described in docs/workspaces.md.

use super::marks;
use crate::out::Failure;
use serde_json::{Value, json};
use swathe_workspace::{Changeset, Workspace};

/// The version of the document: a new one where something changes its meaning or goes.
const VERSION: u32 = 1;

/// What a workspace changes, as one document.
///
/// # Errors
/// It cannot be put into words.
pub fn document(
    workspace: &Workspace,
    set: &Changeset,
    chosen: &[usize],
) -> Result<String, Failure> {
    let failed = |e: serde_json::Error| Failure::new(format!("cannot write JSON: {e}"));
    let about = workspace.about();
    let mut changes = Vec::new();
    for index in chosen {
        let Some(change) = set.changes.get(*index) else { continue };
        let mut value = serde_json::to_value(change).map_err(failed)?;
        if let Value::Object(fields) = &mut value {
            fields.insert("index".to_owned(), json!(index));
            fields.insert("marks".to_owned(), json!(change.marks));
            fields.insert("dangerous".to_owned(), json!(marks::is_dangerous(change)));
        }
        changes.push(value);
    }
    let document = json!({
        "version": VERSION,
        "workspace": about.id,
        "roots": about.roots.iter().map(|root| root.path.to_string()).collect::<Vec<_>>(),
        "live": set.live,
        "changes": changes,
        "oddities": set.oddities,
    });
    serde_json::to_string_pretty(&document).map_err(failed)
}
