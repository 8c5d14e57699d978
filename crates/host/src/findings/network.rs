//! How a network by host name can be made, and how the host's can be brought in.

use super::Finding;
use super::Severity::{Degrades, Info};
use crate::facts::{Facts, Outcome};

pub(super) fn judge(facts: &Facts, found: &mut Vec<Finding>) {
    const ID: &str = "network";
    let network = &facts.network;
    match (&network.redirect, &network.routes) {
        (Outcome::Made, _) => {
            found.push(Finding::ok(ID, "network by host name: nft, all TCP is redirected"));
        }
        (why, Outcome::Made) => {
            let why = reason(why);
            let why = format!(
                "Each port needs a listener of its own: rules with all ports are refused, and \
                 programs cannot listen themselves on ports that are allowed ({why})."
            );
            let what = "network by host name: routes, a listener for each port";
            let advice = "nftables would lift that: a kernel since Linux 5.2 with NF_TABLES_INET, \
                          NFT_NAT and NFT_REDIR, its modules loaded (modprobe nft_redir).";
            found.push(Finding::new(ID, Info, what, why).advice(advice).reference("nft(8)"));
        }
        (_, why @ Outcome::Failed(_)) => {
            let why = format!(
                "Programs that do not use HTTP_PROXY or a SOCKS proxy reach nothing ({}).",
                reason(why)
            );
            let what = "network by host name: explicit proxy only";
            let advice = "Runs with a network by host name need --allow-degraded network here.";
            let finding = Finding::new(ID, Degrades, what, why).advice(advice);
            found.push(finding.reference("network_namespaces(7)"));
        }
        (_, Outcome::Untried) => {}
    }
    bridge(&network.pasta, found);
}

/// Whether pasta can bring the host's network in.
fn bridge(pasta: &Outcome, found: &mut Vec<Finding>) {
    const ID: &str = "pasta";
    match pasta {
        Outcome::Made => {
            found.push(Finding::ok(ID, "net.all without the host's loopback: pasta works"));
        }
        Outcome::Failed(why) => {
            let what = "net.all without the host's loopback: not by pasta";
            let advice = "Where the package passt is installed and its users may open \
                          /dev/net/tun, --net all --net-way pasta does that.";
            let why = format!("net.all can only share the host's network ({why}).");
            let finding = Finding::new(ID, Info, what, why).advice(advice);
            found.push(finding.reference("pasta(1)"));
        }
        Outcome::Untried => {}
    }
}

fn reason(outcome: &Outcome) -> &str {
    match outcome {
        Outcome::Failed(text) => text,
        Outcome::Made | Outcome::Untried => "not tried",
    }
}
