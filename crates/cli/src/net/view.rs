//! `swathe net`: what the network of a running sandbox does.

use super::View;
use crate::out::{Failure, Printer, Style, shown};
use crate::review::text::size;
use crate::{control, processes, rundir};
use std::collections::BTreeMap;
use std::io::IsTerminal as _;
use std::time::Duration;

/// How often it is looked again.
const PAUSE: Duration = Duration::from_secs(1);
/// Decisions that are shown.
const DECISIONS: usize = 20;

/// Options of `swathe net`.
#[derive(clap::Args)]
pub struct Arguments {
    /// Print JSON
    #[arg(long)]
    json: bool,
    /// Show it again every second, until it ends
    #[arg(long, short, conflicts_with = "json")]
    follow: bool,
    /// The sandbox, as swathe ps names it
    #[arg(value_name = "RUN")]
    run: String,
}

/// Shows it.
pub fn run(arguments: &Arguments) -> Result<u8, Failure> {
    let state = processes::find(&arguments.run)?;
    let socket = rundir::control(&state.id)?;
    let mut first = true;
    loop {
        let view = match control::view(&socket, &state.id) {
            Ok(view) => view,
            // It has ended.
            Err(_) if !first => return Ok(0),
            Err(failure) => return Err(failure),
        };
        let mut out = Printer::stdout();
        if arguments.json {
            let text =
                serde_json::to_string_pretty(&view).map_err(|e| Failure::new(e.to_string()))?;
            out.line(&text);
        } else {
            if !first && std::io::stdout().is_terminal() {
                // To the top, and the rest away.
                out.plain("\u{1b}[H\u{1b}[J");
            }
            draw(&mut out, &view);
        }
        out.finish()?;
        if !arguments.follow {
            return Ok(0);
        }
        first = false;
        std::thread::sleep(PAUSE);
    }
}

/// Connections to one host and port.
#[derive(Default)]
struct Sum {
    open: usize,
    sent: u64,
    received: u64,
    addresses: Vec<String>,
}

fn draw(out: &mut Printer, view: &View) {
    let list = |texts: &[String]| shown(&texts.join(", "));
    out.line(&format!("allowed:   {}", list(&view.allowed)));
    if !view.denied.is_empty() {
        out.line(&format!("denied:    {}", list(&view.denied)));
    }
    if !view.published.is_empty() {
        out.line(&format!("published: {}", list(&view.published)));
    }
    let mut sums: BTreeMap<&str, Sum> = BTreeMap::new();
    for row in &view.connections {
        let sum = sums.entry(&row.object).or_default();
        sum.open += 1;
        sum.sent += row.sent;
        sum.received += row.received;
        let address = row.address.map(|address| address.ip().to_string());
        if let Some(address) = address.filter(|address| !sum.addresses.contains(address)) {
            sum.addresses.push(address);
        }
    }
    out.plain("\n");
    let head =
        format!("{:40} {:>5} {:>9} {:>9}  {}", "HOST", "OPEN", "SENT", "RECEIVED", "ADDRESS");
    out.styled(Style::Bold, &head);
    out.plain("\n");
    for (object, sum) in &sums {
        let (sent, received) = (size(sum.sent), size(sum.received));
        let addresses = list(&sum.addresses);
        let object = shown(object);
        out.line(&format!("{object:40} {:>5} {sent:>9} {received:>9}  {addresses}", sum.open));
    }
    if sums.is_empty() {
        out.line("no connection is open");
    }
    if view.decisions.is_empty() {
        return;
    }
    out.plain("\n");
    out.styled(Style::Bold, "DECISIONS, THE LAST ONES");
    out.plain("\n");
    let first = view.decisions.len().saturating_sub(DECISIONS);
    for decision in &view.decisions[first..] {
        let (style, word) = match (decision.allowed, &decision.reason) {
            (true, None) => (Style::Green, "allowed"),
            (true, Some(_)) => (Style::Yellow, "failed"),
            (false, _) => (Style::Red, "denied"),
        };
        out.styled(style, &format!("{word:8}"));
        let reason = decision.reason.as_deref().map(|text| format!("  {}", shown(text)));
        out.line(&format!("{}{}", shown(&decision.object), reason.unwrap_or_default()));
    }
}
