//! The host's network, whole, by pasta: what the host reaches is reached, this machine's loopback is
//! not, and pasta ends with the sandbox.

mod common;
mod hostile_net;

use common::world::World;
use common::{Place, installed};
use hostile_net::{Attempts, all_reached, none_reached, only};
use std::io::{BufRead as _, BufReader};
use std::time::Duration;
use swathe_testkit::{Run, Running, notice, pipe};

const PASTA: &str = "--net all --net-way pasta";

/// A world where pasta works; none, after a notice, where it does not, which is then what `swathe`
/// says.
fn world(place: &Place) -> Option<World<'_>> {
    if !installed("pasta") {
        let said = place.swathe("run").words(PASTA).words("-- echo ran").exits(1);
        assert!(said.errors().contains("install the package passt") && said.text().is_empty());
        return None;
    }
    let world = World::new(place)?;
    let device = world.outside("exec 3<>/dev/net/tun").go();
    if !device.errors().is_empty() {
        let ran = world.inside(PASTA, "echo ran").exits(1);
        assert!(ran.errors().contains("cannot open /dev/net/tun"), "{ran}");
        assert_eq!(ran.text(), "");
        notice(&format!("pasta cannot work for this user here: {}", device.errors()));
        return None;
    }
    Some(world)
}

/// A run that has said its first line, which is this.
#[track_caller]
fn says(run: Run, expected: &str) -> Running {
    let (read, write) = pipe();
    let running = run.fd(1, write).may_leave(Duration::from_secs(10)).start();
    let mut line = String::new();
    BufReader::new(read).read_line(&mut line).expect("a line");
    assert_eq!(line.trim_end(), expected);
    running
}

/// Every protocol, by name and by address, also of private networks; and this host as any other of
/// the network sees it.
fn everything(place: &Place) {
    let Some(mut world) = world(place) else { return };
    let attempts = Attempts::new([
        ("by name", "tcp('good.example.com', 80)"),
        ("tls", "tls('www.example.net', 'www.example.net')"),
        ("by address", "tcp('93.184.216.34', 9999)"),
        ("private", "tcp('10.0.0.5', 80)"),
        ("by IPv6", "tcp('2600:1f00:1::34', 80)"),
        ("datagrams", "udp('93.184.216.34', 7)"),
        ("datagrams by IPv6", "udp('2600:1f00:1::34', 123)"),
        ("the resolver", "dns('good.example.com', server='93.184.0.1')"),
        ("the resolver by TCP", "dns('good.example.com', server='93.184.0.1', tcp=True)"),
        ("the gateway", "tcp('93.184.0.1', 80)"),
        ("ping", "echo('93.184.216.34')"),
    ]);
    let results = attempts.inside(&world, PASTA);
    all_reached(&results, &["ping"]);
    let others: Vec<_> = results.iter().filter(|(_, said)| said.contains("host says")).collect();
    assert!(others.is_empty(), "{others:?}");
    only(&world.host(), &[]);
    let results = Attempts::new([("another", "tcp('10.0.0.2', 80)")]).inside(&world, PASTA);
    assert!(results["another"].contains("host says hello"), "{results:?}");
    let said = world.inside(PASTA, "cat /etc/resolv.conf").prints();
    assert_eq!(said, "nameserver 93.184.0.1");
}

/// The host's loopback interface by every spelling, its own address there, its abstract sockets. The
/// same is reached without pasta: the control.
fn no_loopback(place: &Place) {
    let Some(mut world) = world(place) else { return };
    let shut = Attempts::new([
        ("localhost", "tcp('localhost', 80)"),
        ("IPv4", "tcp('127.0.0.1', 80)"),
        ("IPv4 at a high port", "tcp('127.0.0.1', 8080)"),
        ("another of the block", "tcp('127.8.8.8', 8080)"),
        ("short", "tcp('127.1', 80)"),
        ("as a number", "tcp('2130706433', 80)"),
        ("unspecified", "tcp('0.0.0.0', 80)"),
        ("IPv6", "tcp('::1', 80)"),
        ("IPv6 at a high port", "tcp('::1', 9999)"),
        ("unspecified by IPv6", "tcp('::', 80)"),
        ("mapped", "tcp('::ffff:127.0.0.1', 80)"),
        ("the host's address", "tcp('93.184.0.2', 80)"),
        ("the host's address by IPv6", "tcp('2600:1f00::2', 80)"),
        ("a name that leads there", "tcp('to-127-0-0-1.example.com', 80)"),
        ("datagrams", "udp('127.0.0.1', 7)"),
        ("datagrams by IPv6", "udp('::1', 7)"),
        ("datagrams to the host's address", "udp('93.184.0.2', 7)"),
        ("names", "dns('good.example.com', server='127.0.0.1')"),
    ]);
    none_reached(&shut.inside(&world, PASTA));
    only(&world.host(), &[]);
    none_reached(&shut.inside(&world, &format!("{PASTA} -w --allow nested-sandbox")));
    only(&world.host(), &[]);
    all_reached(&shut.inside(&world, "--net all"), &[]);
    let (named, text) = ("\\0swathe-test", "socket.socket(socket.AF_UNIX)");
    place.dir.file(
        "project/abstract.py",
        format!(
            "import os, socket, sys\nserver = {text}\nserver.bind('{named}')\nserver.listen()\n\
            sys.exit(os.spawnlp(os.P_WAIT, os.environ['SWATHE'], *sys.argv[1:]))\n"
        ),
    );
    let client = format!("import socket; {text}.connect('{named}')");
    let run = format!("swathe run {PASTA} -- python3 -c \"{client}\"");
    let ran = world.outside(&format!("python3 abstract.py {run}")).go();
    assert!(ran.errors().contains("ConnectionRefusedError"), "{ran}");
}

/// What listens inside is not reached from the host, at no port.
fn nothing_leads_inside(place: &Place) {
    let Some(world) = world(place) else { return };
    let text = "python3 -m http.server --bind :: 18090 2>/dev/null & \
        until curl -s http://127.0.0.1:18090/ >/dev/null; do sleep 0.05; done; \
        echo listens; exec sleep 300";
    let running = says(world.inside(PASTA, text), "listens");
    // pasta, if it were to lead ports inside, would look for new ones each second.
    let fetch = "sleep 2; for at in 127.0.0.1 93.184.0.2 10.0.0.2 [::1]; do \
        curl -sSm 5 http://$at:18090/ && echo open; done";
    let ran = world.outside(fetch).go();
    assert_eq!(ran.text(), "", "{ran}");
    running.kill(15);
    running.wait();
}

/// Names are resolved where the host's resolver listens on its loopback interface only.
fn resolver_on_loopback(place: &Place) {
    let Some(mut world) = world(place) else { return };
    for (server, inside) in [("127.0.0.1", "198.18.0.1"), ("::1", "fd73:7761:7468:6500::1")] {
        place.dir.file("world/resolv.conf", format!("search example.com\nnameserver {server}\n"));
        let text = "cat /etc/resolv.conf; curl -sS http://good.example.com/; curl -sS http://www/";
        let said = world.inside(PASTA, text).prints();
        assert!(said.starts_with(&format!("search example.com\nnameserver {inside}\n")), "{said}");
        assert!(said.contains("internet says hello to good.example.com"), "{said}");
        assert!(said.contains("internet says hello to www"), "{said}");
    }
    // Beside that, what arrived there are answers.
    only(&world.host(), &["udp ", "dns "]);
}

/// pasta is gone when the run is, however that ends; and a session has one, too.
fn ends_with_the_sandbox(place: &Place) {
    let Some(world) = world(place) else { return };
    // What is left is counted.
    let ran = world.inside(PASTA, "curl -sS http://good.example.com/; exit 7").exits(7);
    assert_eq!(ran.left, 0, "{ran}");
    for signal in [15, 9] {
        let running = says(world.inside(PASTA, "echo up; exec sleep 300"), "up");
        running.kill(signal);
        let ran = running.wait();
        assert_eq!(ran.left, 0, "{ran}");
    }
    let text = format!(
        "\"$SWATHE\" session start {PASTA} work >/dev/null || exit 9; \
        \"$SWATHE\" run --session work -- curl -sS http://good.example.com/; \
        \"$SWATHE\" run --session work -- curl -sS http://127.0.0.1/ || echo closed; \
        \"$SWATHE\" session stop work >/dev/null"
    );
    let ran = world.outside(&text).may_leave(Duration::from_secs(10)).go();
    assert!(ran.text().contains("internet says hello to good.example.com"), "{ran}");
    assert!(ran.text().ends_with("closed"), "{ran}");
    assert_eq!(ran.left, 0, "{ran}");
}

/// Without its network the program does not run, and the error says what pasta said.
fn nothing_runs_without(place: &Place) {
    let Some(world) = world(place) else { return };
    place.dir.file("project/broken", "#!/bin/sh\necho no such luck >&2\nexit 1\n");
    place.dir.mode("project/broken", 0o755);
    for (pasta, cause) in [
        (place.project("broken"), "pasta: no such luck"),
        ("/bin/true".to_owned(), "does not say why"),
        ("/nowhere".to_owned(), "is no path of a program"),
        ("bin/true".to_owned(), "is no path of a program"),
    ] {
        let ran = world.inside(PASTA, "echo ran").env("SWATHE_PASTA", &pasta).exits(1);
        assert!(ran.errors().contains(cause), "{pasta}: {ran}");
        assert_eq!(ran.text(), "", "{ran}");
        let text = format!("\"$SWATHE\" session start {PASTA} work");
        let ran = world.outside(&text).env("SWATHE_PASTA", &pasta).exits(1);
        assert!(ran.errors().contains(cause), "{pasta}: {ran}");
    }
}

/// It is for the whole network.
fn refused_with_rules(place: &Place) {
    for options in [
        "--net-way pasta",
        "--net-way pasta --net good.example.com",
        "--net-way pasta --net all --net-deny bad.example.com",
        "--net-way pasta --net all --publish 18091",
        "--net-way pasta --net none",
    ] {
        let ran = place.inside(options, "echo ran").exits(1);
        assert!(ran.errors().contains("--net-way pasta is for net.all without rules"), "{ran}");
        assert_eq!(ran.text(), "", "{ran}");
    }
    let explained = place.swathe("explain").words(PASTA).prints();
    assert!(explained.contains("into which pasta brings the host's"), "{explained}");
    let explained = place.swathe("explain --json").words(PASTA).prints();
    assert!(explained.contains("\"network\": \"pasta\""), "{explained}");
}

/// A profile chooses it, with the same checks; what was said later holds.
fn by_profile(place: &Place) {
    let text = "[[intent]]\nuse = \"net.all\"\nway = \"pasta\"\n";
    place.dir.file("project/whole.toml", text);
    let way = |options: &str| {
        let explained = place.swathe("explain --json").words(options).prints();
        let explained: serde_json::Value = serde_json::from_str(&explained).expect("JSON");
        explained["network"].as_str().expect("a text").to_owned()
    };
    for (options, network) in [
        ("--profile ./whole.toml", "pasta"),
        ("--allow net.all=pasta", "pasta"),
        ("--profile ./whole.toml --net-way pasta", "pasta"),
        ("--profile ./whole.toml --net all", "host"),
        ("--profile ./whole.toml --net none", "none"),
        ("--profile ./whole.toml --net loopback", "none"),
        ("--allow net.all=host", "host"),
    ] {
        assert_eq!(way(options), network, "{options}");
    }
    for more in
        ["--net good.example.com", "--net-deny bad.example.com", "--publish 18091", "--net ask"]
    {
        let ran = place.inside(&format!("--profile ./whole.toml {more}"), "echo ran").exits(1);
        assert!(ran.errors().contains("pasta brings in the whole network"), "{ran}");
        assert!(ran.errors().contains("whole.toml:2") && ran.text().is_empty(), "{ran}");
    }
    let run = |options: &str| place.inside(options, "echo ran").env("SWATHE_PASTA", "/nowhere");
    for (options, asked) in
        [("--profile ./whole.toml", "whole.toml:2"), (PASTA, "asked for by --net-way pasta")]
    {
        let ran = run(options).exits(1);
        assert!(ran.errors().contains("is no path of a program"), "{ran}");
        assert!(ran.errors().contains(asked) && ran.text().is_empty(), "{ran}");
    }
    let Some(mut world) = world(place) else { return };
    let text = "curl -sS http://good.example.com/; curl -sSm 5 http://127.0.0.1/ || echo closed";
    let said = world.inside("--profile ./whole.toml", text).go().text();
    assert!(said.contains("internet says hello to good.example.com"), "{said}");
    assert!(said.ends_with("closed"), "{said}");
    only(&world.host(), &[]);
}

/// Options about how rules are kept are refused where there are none to keep.
fn options_of_rules(place: &Place) {
    for (options, said) in [
        ("--net all --net-way nft", "--net-way nft is for rules over hosts"),
        ("--net all --net-proxy http://127.0.0.1:9", "--net-proxy is for rules over hosts"),
        ("--net-way nonsense", "nonsense is no way to set a network up"),
        ("--net-way pasta --net all --net-proxy http://127.0.0.1:9", "--net-proxy is for rules"),
    ] {
        let ran = place.inside(options, "echo ran").exits(1);
        assert!(ran.errors().contains(said) && ran.text().is_empty(), "{ran}");
    }
    for options in ["--net-way auto --net all", "--net-way nft", "--net-proxy http://127.0.0.1:9"] {
        assert_eq!(place.inside(options, "echo ran").prints(), "ran", "{options}");
    }
}

both! {
    by_profile,
    options_of_rules,
    everything,
    no_loopback,
    nothing_leads_inside,
    resolver_on_loopback,
    ends_with_the_sandbox,
    nothing_runs_without,
    refused_with_rules,
}
