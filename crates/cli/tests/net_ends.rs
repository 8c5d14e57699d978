//! What ends connections, and what does not: rules that are taken back, the end of the helper and of
//! `swathe` itself, what a program inside does to its network, and bytes that are none of the
//! protocols.

mod common;
mod hostile_net;

use common::Place;
use common::world::World;
use hostile_net::talk::{Talk, descendants, kill, run_of, swathe};
use hostile_net::{ATTEMPT, Attempts, none_reached, only, reached};
use std::path::Path;
use std::time::Duration;
use swathe_testkit::Ended;

const GRANTS: &str = "--net good.example.com,other.example.com";

/// Two streams without an end. It says when both have come, then when the first has ended, whether
/// the second goes on then, and whether the first comes again.
const STREAMS: &str = r#"
curl -sN http://other.example.com/forever >/tmp/other & other=$!
curl -sN http://good.example.com/forever >/tmp/good & good=$!
until test -s /tmp/other && test -s /tmp/good; do sleep 0.05; done
echo streaming >&3
wait $good
echo ended $? >&3
before=$(wc -c </tmp/other)
for n in $(seq 100); do sleep 0.05; test "$(wc -c </tmp/other)" = "$before" || break; done
test "$(wc -c </tmp/other)" = "$before" && echo other ended >&3 || echo other goes on >&3
curl -sSm 20 http://good.example.com/ >&3 2>&1 || echo refused >&3
kill $other 2>/dev/null
sleep 300
"#;

/// A rule that is taken back ends what it allowed, and nothing else; a granted one opens at once.
fn revoked(place: &Place) {
    let Some(world) = World::new(place) else { return };
    for way in ["nft", "routes"] {
        let options = format!("{GRANTS} --net-way {way}");
        let mut talk = Talk::start(&world, &options, STREAMS);
        talk.says("streaming");
        let run = run_of(&world);
        let shown = swathe(&world, &format!("net {run}"));
        assert!(shown.contains("good.example.com"), "{shown}");
        swathe(&world, &format!("revoke {run} net.host=good.example.com"));
        talk.says("ended 56");
        talk.says("other goes on");
        talk.says("curl: (6) Could not resolve host");
        talk.says("refused");
        talk.running.kill(15);
        talk.running.wait();
    }
    let text = "until curl -sS http://good.example.com/ >/tmp/said 2>&1; do echo no >&3; sleep 0.1; \
        done; cat /tmp/said >&3";
    let mut talk = Talk::start(&world, "--net other.example.com", text);
    talk.says("no");
    swathe(&world, &format!("grant {} net.host=good.example.com", run_of(&world)));
    let said = (0..1000).map(|_| talk.next()).find(|line| line != "no").unwrap_or_default();
    assert!(said.contains("says hello to good.example.com"), "{said}");
    assert_eq!(talk.running.wait().ended, Ended::Exit(0));
}

/// Without the helper connections end, and no new one is made.
fn helper_killed(place: &Place) {
    let Some(mut world) = World::new(place) else { return };
    for way in ["nft", "routes"] {
        let mut talk = Talk::start(&world, &format!("{GRANTS} --net-way {way}"), STREAMS);
        talk.says("streaming");
        kill(talk.helper());
        talk.says("ended ");
        let before = world.internet();
        talk.says("other ended");
        talk.says("curl: ");
        talk.says("refused");
        assert_eq!(world.internet(), before, "something arrived after the helper's end");
        talk.running.kill(15);
        talk.running.wait();
    }
}

/// Without `swathe` there is no sandbox, and no connection of it.
fn supervisor_killed(place: &Place) {
    let Some(mut world) = World::new(place) else { return };
    let mut talk = Talk::start(&world, GRANTS, STREAMS);
    talk.says("streaming");
    let all = descendants(talk.running.pid);
    talk.running.kill(9);
    // It may still hear of the end of its connections.
    let last: Vec<String> = talk.lines.by_ref().map_while(Result::ok).collect();
    assert!(!last.iter().any(|line| reached(line) || line.contains("goes on")), "{last:?}");
    let outcome = talk.running.wait();
    assert_eq!((outcome.ended, outcome.left), (Ended::Signal(9), 0), "{outcome}");
    assert!(all.len() > 3, "{all:?}");
    let before = world.internet();
    std::thread::sleep(Duration::from_millis(300));
    assert_eq!(world.internet(), before);
}

/// What a program does to its own network leads nowhere.
const CHANGES: &str = r#"
{
ip route replace default dev lo; ip route flush table local; ip rule del pref 0; ip addr flush dev lo
ip link add out type veth; ip link add out type macvlan; ip link set lo down; ip link set lo netns 1
unshare -Urn sh -c 'curl -sm 2 http://good.example.com/; ip link set lo up; curl -sm 2 http://93.184.216.34/'
unshare -Ur sh -c 'ip route flush table local; sysctl -w net.ipv4.ip_forward=1'
nsenter -t 1 -n curl -sm 2 http://93.184.216.34/; nsenter -t $PPID -n curl -sm 2 http://93.184.216.34/
for name in ip_forward conf/all/route_localnet conf/all/rp_filter icmp_echo_ignore_all ip_nonlocal_bind; do
    echo 1 >/proc/sys/net/ipv4/$name; done
} >/tmp/changes 2>&1
python3 - <<'='
import socket, os
def attempt(what):
    try:
        what()
    except OSError as error:
        print("no:", error)
def bound(family, kind, address, option=None, value=b"uplink"):
    with socket.socket(family, kind) as s:
        s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        if option:
            s.setsockopt(*option, value)
        if address:
            s.bind(address)
        if kind == socket.SOCK_DGRAM:
            s.sendto(b"out", ("93.184.216.34", 123))
        else:
            s.connect(("93.184.216.34", 80)); s.send(b"GET / HTTP/1.0\r\n\r\n"); print(s.recv(99))
T, U = socket.SOCK_STREAM, socket.SOCK_DGRAM
for address in ("", "198.18.0.1", "93.184.0.2", "10.0.0.2", "127.0.0.1", "198.18.1.0"):
    for kind in (T, U):
        attempt(lambda: bound(socket.AF_INET, kind, (address, 0)))
        for port in (53, 80, 1080, 3128, 443, 123):
            attempt(lambda: bound(socket.AF_INET, kind, (address, port)))
attempt(lambda: bound(socket.AF_INET, T, None, (socket.SOL_SOCKET, 25)))            # SO_BINDTODEVICE
attempt(lambda: bound(socket.AF_INET, T, None, (socket.SOL_SOCKET, 36), 7))         # SO_MARK
attempt(lambda: bound(socket.AF_INET, T, None, (socket.IPPROTO_IP, 19), 1))         # IP_TRANSPARENT
attempt(lambda: socket.socket(socket.AF_PACKET, socket.SOCK_RAW).bind(("lo", 0)))
attempt(lambda: socket.socket(socket.AF_INET, socket.SOCK_RAW, 6).sendto(b"x" * 40, ("93.184.216.34", 0)))
attempt(lambda: socket.socket(socket.AF_VSOCK, T).connect((2, 22)))
attempt(lambda: socket.socket(socket.AF_INET, T, 132).connect(("93.184.216.34", 80)))   # SCTP
attempt(lambda: socket.socket(socket.AF_INET, T, 262).connect(("93.184.216.34", 80)))   # MPTCP
for fd in range(3, 200):
    attempt(lambda: os.write(fd, b"GET / HTTP/1.0\r\n\r\n"))
=
echo over
curl -sS http://good.example.com/
"#;

fn own_network(place: &Place) {
    let Some(mut world) = World::new(place) else { return };
    for way in ["nft", "routes"] {
        let done = world.inside(&format!("{GRANTS} --net-way {way}"), CHANGES).go();
        let text = done.text();
        let (tried, after) = text.split_once("over\n").expect("it went through");
        assert!(!reached(tried), "{tried}");
        assert!(after.contains("says hello to good.example.com"), "{done}");
    }
    let granted = [
        "udp 93.184.0.1 53",
        "dns A good",
        "dns AAAA good",
        "syn 93.184.216.34 80",
        "syn 2600:1f00:1::34 80",
        "http 80 GET / good.example.com",
    ];
    only(&world.internet(), &granted);
    assert_eq!(world.internet().lines().filter(|line| line.starts_with("http")).count(), 2);
    only(&world.host(), &[]);
}

/// A relay inside has what its user has; another sandbox, and the host, do not find it.
const RELAY: &str = r#"
python3 - <<'=' &
import socket, threading
def copy(a, b):
    try:
        while data := a.recv(65536):
            b.sendall(data)
    finally:
        b.shutdown(socket.SHUT_RDWR)
def serve(listener):
    while True:
        a, _ = listener.accept()
        try:
            b = socket.create_connection(("good.example.com", 80), 5)
        except OSError:
            a.close(); continue
        threading.Thread(target=copy, args=(a, b), daemon=True).start()
        threading.Thread(target=copy, args=(b, a), daemon=True).start()
plain = socket.create_server(("", 9000)); hidden = socket.socket(socket.AF_UNIX); hidden.bind("\0relay")
hidden.listen(); threading.Thread(target=serve, args=(hidden,), daemon=True).start()
open("/tmp/ready", "w").close()
serve(plain)
=
until test -e /tmp/ready; do sleep 0.05; done
python3 attempt.py own >&3
echo ready >&3
sleep 300
"#;

fn relays(place: &Place) {
    let Some(mut world) = World::new(place) else { return };
    place.dir.file("project/attempt.py", ATTEMPT);
    let own = "granted\ttcp('127.0.0.1', 9000, request('good.example.com'))\n\
        another name\ttcp('127.0.0.1', 9000, request('www.example.net'))\n\
        another port\ttcp('good.example.com', 8080)\n";
    place.dir.file("project/own", own);
    let mut talk = Talk::start(&world, GRANTS, RELAY);
    for is_granted in [true, false, false] {
        let line = talk.next();
        assert_eq!(reached(&line), is_granted, "{line}");
    }
    talk.says("ready");
    let others = Attempts::new([
        ("its loopback", "tcp('127.0.0.1', 9000, request('good.example.com'))"),
        ("the host's", "tcp('93.184.0.2', 9000, request('good.example.com'))"),
        ("its resolver's address", "tcp('198.18.0.1', 9000, request('good.example.com'))"),
        ("an address of the pool", "tcp('198.18.1.0', 9000, request('good.example.com'))"),
        ("by connect", "connect('127.0.0.1:9000')"),
        ("by the hidden socket", "socket.socket(socket.AF_UNIX).connect('\\0relay') or 'answered'"),
    ]);
    let before = world.internet();
    none_reached(&others.inside(&world, "--net other.example.com:9000"));
    assert_eq!(world.internet(), before);
    none_reached(&others.without(&["by connect"]).outside(&world));
    assert_eq!(before.lines().filter(|line| line.starts_with("http ")).count(), 1, "{before}");
    assert!(!before.contains("example.net") && !before.contains("8080"), "{before}");
    talk.running.kill(15);
    talk.running.wait();
}

/// What is said to every door: nothing, a part, too much, and what no protocol is.
const FLOOD: &str = include_str!("common/world/flood.py");

fn floods(place: &Place) {
    let Some(mut world) = World::new(place) else { return };
    place.dir.file("project/attempt.py", ATTEMPT);
    place.dir.file("project/flood.py", FLOOD);
    let text = "curl -sN http://other.example.com/forever >/tmp/other & \
        until test -s /tmp/other; do sleep 0.05; done; echo up >&3; \
        python3 flood.py >&3; before=$(wc -c </tmp/other); \
        for n in $(seq 200); do sleep 0.05; test \"$(wc -c </tmp/other)\" = \"$before\" || break; done; \
        test \"$(wc -c </tmp/other)\" = \"$before\" && echo ended >&3 || echo goes on >&3; \
        curl -sSm 30 http://good.example.com/ >&3 2>&1; kill $!; echo over >&3; sleep 300";
    let mut talk = Talk::start(&world, GRANTS, text);
    talk.says("up");
    let helper = talk.helper();
    talk.says("flooded");
    talk.says("goes on");
    talk.says("internet says hello to good.example.com");
    talk.says("over");
    assert!(Path::new(&format!("/proc/{helper}")).exists(), "the helper has ended");
    let of_granted = |line: &str| {
        let start = ["udp 93.184.0.1 53", "syn 93.184.216.34 ", "syn 2600:1f00:1::34 ", "sni -"];
        // A host that is not told is none.
        let end = [" good.example.com", " other.example.com", " -"];
        start.iter().any(|start| line.starts_with(start))
            || end.iter().any(|end| line.to_ascii_lowercase().ends_with(end))
    };
    let log = world.internet();
    let foreign: Vec<_> = log.lines().filter(|line| !of_granted(line)).collect();
    assert!(foreign.is_empty(), "{foreign:#?}");
    only(&world.host(), &[]);
    talk.running.kill(15);
    talk.running.wait();
}

both! { revoked, helper_killed, supervisor_killed, own_network, relays, floods }
