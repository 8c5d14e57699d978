//! The network of a sandbox that reaches some hosts and not others.

use super::Refusal;
use super::build::Build;
use crate::merge::is_whole;
use crate::model::{Intent, Source};
use swathe_netrules::{Ports, Publish, Rule, Rules, What};

/// The most rules of one sandbox: each connection is compared with all of them.
pub const MOST_RULES: usize = 4096;
/// The most ports that one sandbox publishes.
pub const MOST_PUBLISHED: usize = 256;

/// Hosts that a sandbox reaches, and ports of it that others reach. Its network namespace is its
/// own, and whatever leaves it is judged by these rules outside.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Network {
    /// What is allowed and denied.
    pub rules: Rules,
    /// Ports that others can connect to.
    pub publish: Vec<Publish>,
    /// Whether a host that no rule is about is asked about.
    pub ask: bool,
    /// Who asked for each rule that allows, in their order.
    pub allowed_by: Vec<Source>,
    /// Who asked for each rule that denies, in their order.
    pub denied_by: Vec<Source>,
    /// Who asked for each published port, in their order.
    pub published_by: Vec<Source>,
}

/// What a sandbox can talk to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reach {
    /// Nothing, not even itself.
    None,
    /// What listens inside.
    Loopback,
    /// What rules say.
    Rules,
    /// All that the host can.
    Host,
}

/// What the intents of a run come to.
pub(super) fn reach(build: &Build<'_>) -> Reach {
    let mut rules = false;
    let mut denies = false;
    for declared in &build.policy.intents {
        match declared.intent {
            Intent::NetReach(_) | Intent::NetAsk | Intent::NetListen(_) => rules = true,
            Intent::NetDeny(_) => denies = true,
            _ => {}
        }
    }
    let whole = build.policy.intents.iter().any(|declared| is_whole(&declared.intent));
    match whole {
        _ if build.wants(&Intent::NetNone) => Reach::None,
        true if rules || denies => Reach::Rules,
        true => Reach::Host,
        false if rules => Reach::Rules,
        false => Reach::Loopback,
    }
}

/// Works out the rules.
pub(super) fn add(build: &mut Build<'_>) -> Result<(), Refusal> {
    let reach = reach(build);
    if let Some(declared) = build.declared(&Intent::NetPasta) {
        let source = &declared.source;
        if reach == Reach::Rules {
            let text = "pasta brings in the whole network, and goes by no rules";
            return Err(Refusal::new(text, source).hint(
                "leave net.deny, net.listen, net.ask and rules over hosts out, or way = \"pasta\"",
            ));
        }
        if reach == Reach::Host && build.request.bridge.is_none() {
            return Err(Refusal::new("nobody is there to bring the network in by pasta", source));
        }
    }
    if reach != Reach::Rules {
        return Ok(());
    }
    let mut network = Network::default();
    let mut whole = false;
    for declared in &build.policy.intents {
        let source = declared.source.clone();
        match &declared.intent {
            Intent::NetAll => {
                whole = true;
                let (what, ports) = (What::Any, Ports::all());
                network.rules.allow.push(Rule { what, ports, protocol: None });
                network.allowed_by.push(source);
            }
            Intent::NetReach(rule) => {
                network.rules.allow.push(rule.clone());
                network.allowed_by.push(source);
            }
            Intent::NetDeny(rule) => {
                network.rules.deny.push(rule.clone());
                network.denied_by.push(source);
            }
            Intent::NetAsk => network.ask = true,
            Intent::NetListen(publish) => {
                possible(&network, publish, &source)?;
                network.publish.push(*publish);
                network.published_by.push(source);
            }
            _ => {}
        }
    }
    let sources = network.allowed_by.iter().chain(&network.denied_by);
    if let Some(source) = sources.clone().nth(MOST_RULES) {
        let text = format!("more than {MOST_RULES} rules for the network");
        return Err(Refusal::new(text, source).hint("a wildcard or a block stands for many"));
    }
    if whole {
        build.note(
            "net.all goes by rules here: this machine and private networks are reached only where net.cidr or net.host names them",
        );
    }
    build.network = Some(network);
    Ok(())
}

/// Whether one more port can be published.
fn possible(network: &Network, publish: &Publish, source: &Source) -> Result<(), Refusal> {
    if network.publish.len() >= MOST_PUBLISHED {
        return Err(Refusal::new(format!("more than {MOST_PUBLISHED} published ports"), source));
    }
    match network.publish.iter().find(|other| other.collides(publish)) {
        None => Ok(()),
        Some(other) => {
            let text = format!("{} is published twice: {other} and {publish}", publish.host);
            Err(Refusal::new(text, source).hint("give one of them another port of the host"))
        }
    }
}
