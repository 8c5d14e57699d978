//! What a network by rules does beside letting programs out: ports that are published, proxies above
//! and for want of anything else, answers of resolvers that are none, profiles and sessions.

mod common;
mod hostile_net;

use common::Place;
use common::world::World;
use hostile_net::{Attempts, all_reached, none_reached, only};

/// A port of the sandbox is reached by the host's port, and by no other address than was said; also
/// by who connects before the sandbox is there.
fn published(place: &Place) {
    let Some(mut world) = World::new(place) else { return };
    for (way, bind) in [("nft", "0.0.0.0"), ("routes", "127.0.0.1"), ("nft", "::")] {
        place.dir.file("project/page", "from the sandbox\n");
        let options = format!(
            "--net good.example.com --net-way {way} --publish 18080:3000 --publish 10.0.0.2:18081:3000"
        );
        let text = format!("exec python3 -m http.server --bind {bind} 3000");
        let running = world.inside(&options, &text).may_leave(std::time::Duration::from_secs(5));
        let running = running.start();
        let fetch = "for n in $(seq 200); do curl -sf http://127.0.0.1:18080/page && break; sleep 0.05; \
            done; curl -sS http://10.0.0.2:18081/page; \
            curl -sS http://93.184.0.2:18080/page || echo closed; curl -sS http://127.0.0.1:3000/ || echo closed";
        let said = world.outside(fetch).go().text();
        running.kill(15);
        let ran = running.wait();
        let expected = "from the sandbox\nfrom the sandbox\nclosed\nclosed";
        assert_eq!(said, expected, "{way} {bind}: {ran}");
        let said = world.outside("curl -sS http://127.0.0.1:18080/page || echo closed").go().text();
        assert_eq!(said, "closed", "after its end");
    }
    let taken = "python3 -c 'import socket, os, sys; s = socket.create_server((\"127.0.0.1\", 18082)); \
        sys.exit(os.spawnlp(os.P_WAIT, os.environ[\"SWATHE\"], \"swathe\", \"run\", \"--publish\", \"18082\", \
        \"--\", \"true\"))'";
    let ran = world.outside(taken).exits(1);
    assert!(ran.errors().contains("cannot publish at 127.0.0.1:18082"), "{ran}");
    only(&world.internet(), &[]);
}

/// Where nothing is brought out by itself there is the explicit proxy, of which programs are told.
fn proxy_only(place: &Place) {
    let Some(mut world) = World::new(place) else { return };
    let options = "--net good.example.com --net-way proxy";
    let text = "curl -sS --cacert ca.pem -x http://127.0.0.1:3128 https://good.example.com/; \
        curl -sS -x socks5h://127.0.0.1:1080 http://good.example.com/; \
        curl -sS -x http://127.0.0.1:3128 http://www.example.net/; \
        curl -sSm 5 --noproxy '*' http://good.example.com/ || echo not by itself; \
        curl -sSm 5 --noproxy '*' http://93.184.216.34/ || echo nor by address; \
        curl -sS http://good.example.com/";
    let said = world.inside(options, text).go().text();
    assert_eq!(said.matches("internet says hello to good.example.com").count(), 3, "{said}");
    assert!(said.contains("www.example.net is allowed by no rule"), "{said}");
    assert!(said.contains("not by itself") && said.contains("nor by address"), "{said}");
    let foreign = |log: &str| log.contains("example.net");
    assert!(!foreign(&world.internet()));
}

/// A proxy of the host's is what is dialled, with the name; the host's own loopback is not asked of it.
const UPSTREAM: &str = r#"
import socket, sys, threading
kind, log = sys.argv[1], open(sys.argv[2], "a", buffering=1)
def copy(a, b):
    while data := a.recv(65536):
        b.sendall(data)
    b.shutdown(socket.SHUT_WR)
def http(link):
    head = b""
    while not head.endswith(b"\r\n\r\n"):
        head += link.recv(1)
    log.write("http " + head.split()[1].decode() + "\n")
    host, port = head.split()[1].decode().rsplit(":", 1)
    return host, int(port), b"HTTP/1.1 200 OK\r\n\r\n"
def socks(link):
    link.recv(2 + link.recv(2, socket.MSG_PEEK)[1]); link.sendall(b"\5\0")
    head = link.recv(5)
    host = link.recv(head[4]).decode() if head[3] == 3 else socket.inet_ntop(socket.AF_INET, head[4:] + link.recv(3))
    port = int.from_bytes(link.recv(2), "big")
    log.write(f"socks {host}:{port}\n")
    return host, port, b"\5\0\0\1\0\0\0\0\0\0"
def serve(link):
    host, port, good = (http if kind == "http" else socks)(link)
    out = socket.create_connection((host, port))
    link.sendall(good)
    threading.Thread(target=copy, args=(out, link), daemon=True).start()
    copy(link, out)
listener = socket.create_server(("127.0.0.1", 18888))
open(sys.argv[2] + ".up", "w").close()
while True:
    threading.Thread(target=serve, args=(listener.accept()[0],), daemon=True).start()
"#;

fn upstream(place: &Place) {
    let Some(mut world) = World::new(place) else { return };
    place.dir.file("project/upstream.py", UPSTREAM);
    for kind in ["http", "socks"] {
        let log = format!("../{kind}.log");
        let url = if kind == "http" { "http" } else { "socks5" };
        let text = format!(
            "python3 upstream.py {kind} {log} & until test -e {log}.up; do sleep 0.05; done; \
            \"$SWATHE\" run --net-proxy {url}://127.0.0.1:18888 --net good.example.com,localhost:8080 -- sh -c ' \
            curl -sS --cacert ca.pem https://good.example.com/; curl -sS http://localhost:8080/; \
            curl -sS http://www.example.net/ || echo refused'; kill $!"
        );
        let said = world.outside(&text).go().text();
        assert!(said.contains("internet says hello to good.example.com"), "{said}");
        assert!(said.contains("host says hello to localhost:8080"), "{said}");
        assert!(said.ends_with("refused"), "{said}");
        let asked = place.dir.read(&format!("{kind}.log")).unwrap_or_default();
        assert_eq!(asked, format!("{kind} good.example.com:443\n"));
    }
    assert!(!world.internet().contains("example.net"));
}

/// Answers that are broken, foreign, missing or refused lead nowhere, and the next name is answered.
fn resolvers(place: &Place) {
    let Some(mut world) = World::new(place) else { return };
    let names = ["nx", "servfail", "refused", "nodata", "garbage", "foreign", "wrongid", "loop"];
    let rows = names.map(|name| (name, format!("tcp('{name}.wild.example.com', 80)")));
    let attempts = Attempts::new(rows);
    none_reached(&attempts.inside(&world, "--net *.wild.example.com"));
    let arrived = world.internet();
    let dialled: Vec<_> =
        arrived.lines().filter(|line| line.starts_with("syn 93.184.216")).collect();
    assert!(dialled.is_empty(), "{dialled:?}");
    let good = ["truncated", "many", "v4", "cname-www", "both"];
    let rows = good.map(|name| (name, format!("tcp('{name}.wild.example.com', 80)")));
    all_reached(&Attempts::new(rows).inside(&world, "--net *.wild.example.com"), &[]);
}

/// Rules of profiles, blocks of addresses, denials, and commands that enter a session.
fn profiles(place: &Place) {
    let Some(mut world) = World::new(place) else { return };
    let profile = "[[intent]]\nuse = \"net.host\"\nto = [\"good.example.com:80\", \"*.wild.example.com\"]\n\
        [[intent]]\nuse = \"net.cidr\"\nto = \"10.0.0.0/24:80\"\n\
        [[intent]]\nuse = \"net.deny\"\nto = [\"bad.wild.example.com\", \"10.0.0.9\"]\n";
    place.dir.file("project/net.toml", profile);
    let open = Attempts::new([
        ("a name", "tcp('good.example.com', 80)"),
        ("below a name", "tls('x.wild.example.com', 'x.wild.example.com')"),
        ("in a block", "tcp('10.0.0.5', 80)"),
        ("a name that leads into a block", "tcp('to-10-0-0-7.wild.example.com', 80)"),
    ]);
    let shut = Attempts::new([
        ("another port", "tcp('good.example.com', 443)"),
        ("denied", "tcp('bad.wild.example.com', 80)"),
        ("denied in a block", "tcp('10.0.0.9', 80)"),
        ("a name that leads to what is denied", "tcp('to-10-0-0-9.wild.example.com', 80)"),
        ("outside of the block", "tcp('10.0.1.5', 80)"),
        ("a name that leads out of it", "tcp('to-10-0-1-5.wild.example.com', 80)"),
        ("another port in the block", "tcp('10.0.0.5', 8080)"),
        ("the host's own in the block", "tcp('10.0.0.2', 80)"),
    ]);
    let options = "--profile ./net.toml";
    all_reached(&open.inside(&world, options), &[]);
    none_reached(&shut.inside(&world, options));
    only(&world.host(), &[]);
    let foreign = ["10.0.0.9", "10.0.1.5", "8080", "bad."];
    let log = world.internet();
    assert!(!foreign.iter().any(|text| log.contains(text)), "{log}");
    let text = "\"$SWATHE\" session start --profile ./net.toml work >/dev/null || exit 9; \
        \"$SWATHE\" run --session work -- curl -sS http://good.example.com/; \
        \"$SWATHE\" enter work -- curl -sS http://10.0.0.5/; \
        \"$SWATHE\" run --session work -- curl -sS http://www.example.net/ || echo refused; \
        \"$SWATHE\" session stop work >/dev/null";
    let ran = world.outside(text).go();
    let said = ran.text();
    assert!(said.contains("internet says hello to good.example.com"), "{ran}");
    assert!(said.contains("internet says hello to 10.0.0.5") && said.ends_with("refused"), "{ran}");
}

/// A server of names that a rule names is asked itself, at its address or by its name; no other is.
fn granted_servers(place: &Place) {
    let Some(mut world) = World::new(place) else { return };
    let rules = "8.8.8.8:53/any,ns.example.com:53/any";
    let attempts = |names: [&str; 4]| {
        Attempts::new([
            ("by its address", format!("dns('{}', server='8.8.8.8')", names[0])),
            ("by its address and TCP", format!("dns('{}', server='8.8.8.8', tcp=True)", names[1])),
            ("by its name", format!("dns('{}', server='ns.example.com')", names[2])),
            (
                "by its name and TCP",
                format!("dns('{}', server='ns.example.com', tcp=True)", names[3]),
            ),
        ])
    };
    let open = attempts(["a.example.net", "b.example.net", "c.example.net", "d.example.net"]);
    let shut = Attempts::new([
        ("another", "dns('e.example.net', server='8.8.4.4')"),
        ("ours", "dns('f.example.net')"),
    ]);
    for way in ["nft", "routes"] {
        let options = format!("--net {rules} --net-way {way}");
        all_reached(&open.inside(&world, &options), &[]);
        none_reached(&shut.inside(&world, &options));
    }
    let log = world.internet();
    for name in ["a", "b", "c", "d"] {
        let question = format!("dns A {name}.example.net");
        assert_eq!(log.lines().filter(|line| **line == question).count(), 2, "{name}: {log}");
    }
    assert!(!log.contains("e.example.net") && !log.contains("f.example.net"), "{log}");
    let every = "--net all --net-deny bad.example.com";
    none_reached(
        &Attempts::new([("all", "dns('bad.example.com', server='8.8.8.8')")]).inside(&world, every),
    );
}

/// A program that resolves a name itself and asks the proxy for the address means the name.
fn proxy_by_address(place: &Place) {
    let Some(world) = World::new(place) else { return };
    let text = "curl -sS -x socks5://198.18.0.2:1080 http://good.example.com/; \
        curl -sS -x socks4://198.18.0.2:1080 http://good.example.com/; \
        at=$(getent ahostsv4 good.example.com | head -1 | cut -d' ' -f1); \
        curl -sS -x http://198.18.0.2:3128 -p -H 'Host: good.example.com' http://$at/; \
        curl -sS -x http://198.18.0.2:3128 -p -H 'Host: www.example.net' http://$at/; \
        curl -sS -x socks5://198.18.0.2:1080 http://198.18.77.77/";
    let said = world.inside("--net good.example.com:80", text).go();
    assert_eq!(said.text().matches("says hello to good.example.com").count(), 3, "{said}");
    assert_eq!(said.text().matches("says hello").count(), 3, "{said}");
}

both! { published, proxy_only, upstream, resolvers, profiles, granted_servers, proxy_by_address }
