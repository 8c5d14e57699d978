//! The tree of paths, folded.

use super::{Uses, escape, marks, named, push};
use crate::bytes::Bytes;
use std::collections::BTreeMap;

/// Directories within directories that are drawn as such; what is deeper becomes one name.
const MAX_DEPTH: usize = 40;
/// Entries of one directory.
const MAX_ENTRIES: usize = 200;
/// Entries of the whole tree.
const MAX_NODES: usize = 20_000;
/// Levels that are unfolded at first.
const OPEN: usize = 2;

#[derive(Default)]
struct Node<'u> {
    entries: BTreeMap<Vec<u8>, Node<'u>>,
    uses: Option<&'u Uses>,
    /// Objects at and below, and those that were denied.
    objects: usize,
    denied: usize,
}

/// Adds the tree.
pub fn add(page: &mut String, objects: &BTreeMap<&Bytes, Uses>) {
    let mut root = Node::default();
    for (object, uses) in objects.iter().filter(|(object, _)| object.0.starts_with(b"/")) {
        insert(&mut root, &object.0, uses);
    }
    if root.objects == 0 {
        return;
    }
    page.push_str(
        "<h2>Paths</h2>\n<div class=\"tools\"><input id=\"filter\" type=\"search\" \
         placeholder=\"filter by name\" aria-label=\"filter by name\"><button id=\"denied\" \
         aria-pressed=\"false\">denied only</button><button id=\"open\">unfold all</button><button \
         id=\"close\">fold all</button></div>\n<div class=\"tree\" id=\"tree\"><ul>\n",
    );
    let mut left = MAX_NODES;
    draw(page, b"/", &root, 0, &mut left);
    page.push_str("</ul></div>\n");
}

fn insert<'u>(root: &mut Node<'u>, path: &[u8], uses: &'u Uses) {
    let denied = usize::from(uses.is_denied());
    let mut node = root;
    let mut rest = path.strip_prefix(b"/").unwrap_or(path);
    let mut depth = 0;
    loop {
        node.objects += 1;
        node.denied += denied;
        if rest.is_empty() {
            break;
        }
        depth += 1;
        let end = rest.iter().position(|b| *b == b'/').filter(|_| depth < MAX_DEPTH);
        let name = rest.get(..end.unwrap_or(rest.len())).unwrap_or_default();
        rest = end.and_then(|end| rest.get(end + 1..)).unwrap_or_default();
        node = node.entries.entry(name.to_vec()).or_default();
    }
    node.uses = Some(uses);
}

fn draw(page: &mut String, name: &[u8], node: &Node<'_>, depth: usize, left: &mut usize) {
    // Directories with one entry and nothing else to say share a line.
    let mut name = name.to_vec();
    let mut node = node;
    while node.uses.is_none()
        && node.entries.len() == 1
        && let Some((next, below)) = node.entries.first_key_value()
    {
        if name != b"/" {
            name.push(b'/');
        }
        name.extend_from_slice(next);
        node = below;
    }
    *left = left.saturating_sub(1);
    let label = line(&name, node);
    if node.entries.is_empty() {
        push(page, format_args!("<li><div class=\"leaf\">{label}</div></li>\n"));
        return;
    }
    let open = if depth < OPEN { " open" } else { "" };
    push(page, format_args!("<li><details{open}><summary>{label}</summary><ul>\n"));
    // What was denied first: it is what is looked for.
    let mut entries: Vec<_> = node.entries.iter().collect();
    entries.sort_by_key(|(_, node)| node.denied == 0);
    let mut drawn = 0;
    for (name, node) in &entries {
        if drawn == MAX_ENTRIES || *left == 0 {
            break;
        }
        draw(page, name, node, depth + 1, left);
        drawn += 1;
    }
    let more = entries.len() - drawn;
    if more > 0 {
        push(page, format_args!("<li><div class=\"leaf dim\">and {more} more</div></li>\n"));
    }
    page.push_str("</ul></details></li>\n");
}

fn line(name: &[u8], node: &Node<'_>) -> String {
    let mut text = format!("<bdi class=\"path\">{}</bdi> ", escape(&Bytes(name.to_vec())));
    if let Some(uses) = node.uses {
        push(&mut text, format_args!("{} <span class=\"who\">{}</span>", marks(uses), named(uses)));
    }
    if !node.entries.is_empty() {
        let below = node.objects - usize::from(node.uses.is_some());
        push(&mut text, format_args!(" <span class=\"who\">{below} below</span>"));
        let own = usize::from(node.uses.is_some_and(Uses::is_denied));
        if node.denied > own {
            push(
                &mut text,
                format_args!(" <span class=\"mark deny\">{} denied</span>", node.denied - own),
            );
        }
    }
    text
}
