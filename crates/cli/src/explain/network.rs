//! Rules over hosts, as `swathe explain` shows them.

use super::source_text;
use crate::out::{Printer, Style};
use serde_json::{Value, json};
use swathe_netrules::{Form, Publish, Rule};
use swathe_policy::Source;
use swathe_policy::resolve::Network;

/// A section of the tree.
pub fn tree(out: &mut Printer, network: &Network) {
    out.styled(Style::Bold, "network").plain("\n");
    for (level, text, source) in rows(network) {
        out.plain("  ").styled(Style::Dim, &format!("{level:8}"));
        let from = match source {
            Source::Default => String::new(),
            source => format!("  ({})", source_text(source)),
        };
        out.line(&format!("{text}{from}"));
    }
    if network.ask {
        out.plain("  ").styled(Style::Dim, "ask     ").line("about every host that no rule names");
    }
}

/// The level, the text and who asked for it, of each rule and port.
fn rows(network: &Network) -> Vec<(&'static str, String, &Source)> {
    let rules = |level, form, rules: &[Rule], sources| -> Vec<_> {
        let texts: Vec<String> = rules.iter().map(|rule| rule.text(form)).collect();
        zipped(level, texts, sources)
    };
    let ports = |port: &Publish| format!("{} -> port {} of the sandbox", port.host, port.port);
    let published = network.publish.iter().map(ports).collect();
    let mut rows = rules("deny", Form::Deny, &network.rules.deny, &network.denied_by);
    rows.extend(rules("reach", Form::Allow, &network.rules.allow, &network.allowed_by));
    rows.extend(zipped("publish", published, &network.published_by));
    rows
}

fn zipped<'s>(
    level: &'static str,
    texts: Vec<String>,
    sources: &'s [Source],
) -> Vec<(&'static str, String, &'s Source)> {
    texts.into_iter().zip(sources).map(|(text, source)| (level, text, source)).collect()
}

/// The same for programs.
pub fn document(network: &Network) -> Value {
    let rules = |form, rules: &[Rule], sources: &[Source]| -> Vec<Value> {
        let rows = rules.iter().zip(sources);
        rows.map(|(rule, source)| json!({ "rule": rule.text(form), "source": source_text(source) }))
            .collect()
    };
    let publish: Vec<Value> = network
        .publish
        .iter()
        .zip(&network.published_by)
        .map(|(publish, source)| {
            json!({
                "host": publish.host.to_string(),
                "port": publish.port,
                "source": source_text(source),
            })
        })
        .collect();
    json!({
        "allow": rules(Form::Allow, &network.rules.allow, &network.allowed_by),
        "deny": rules(Form::Deny, &network.rules.deny, &network.denied_by),
        "publish": publish,
        "ask": network.ask,
    })
}
