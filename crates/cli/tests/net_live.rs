//! Rules and published ports that are given and taken back while the program runs.

mod common;
mod hostile_net;

use common::Place;
use common::world::World;
use hostile_net::talk::{Talk, run_of, swathe};

/// A port that is published no more is closed: whoever was connected by it is not any more, whoever
/// comes finds nothing, and others may listen there.
fn unpublished(place: &Place) {
    let Some(world) = World::new(place) else { return };
    place.dir.file("project/page", "from the sandbox\n");
    let text = "python3 -m http.server --bind 0.0.0.0 3000 & \
        until curl -sf http://127.0.0.1:3000/page; do sleep 0.05; done; echo up >&3; sleep 300";
    let options = "--publish 18080:3000 --publish 0.0.0.0:18081:3000";
    let mut talk = Talk::start(&world, options, text);
    talk.says("up");
    let run = run_of(&world);
    let client = r#"
import os, socket, subprocess, sys
run = sys.argv[1]
def change(*words):
    return subprocess.run([os.environ["SWATHE"], *words], capture_output=True, text=True)
def fetch(port):
    try:
        with socket.create_connection(("127.0.0.1", port), 20) as s:
            s.sendall(b"GET /page HTTP/1.0\r\n\r\n")
            return "open" if b"from the sandbox" in s.makefile("rb").read() else "broken"
    except OSError as e:
        return e.strerror
for port, words in ((18080, "18080:3000"), (18081, "0.0.0.0:18081:3000")):
    print(fetch(port))
    held = socket.create_connection(("127.0.0.1", port), 60)
    held.sendall(b"GET /page HTTP/1.1\r\n")
    # It is one of the listed when it is relayed.
    while f":{port} " not in change("net", run).stdout:
        pass
    print(change("revoke", run, "net.listen=" + words).returncode)
    try:
        print("ended" if held.recv(1) == b"" else "goes on")
    except ConnectionResetError:
        print("ended")
    print(fetch(port))
    socket.create_server(("127.0.0.1", port)).close()
    print(change("grant", run, "net.listen=" + words).returncode)
    print(fetch(port))
    print(change("revoke", run, "net.listen=" + words.replace("18", "28")).stderr.split()[-3:])
    print(change("grant", run, "net.listen=" + words).returncode)
    print(fetch(port))
"#;
    place.dir.file("project/client.py", client);
    let said = world.outside(&format!("python3 client.py {run}")).prints();
    let each =
        "open\n0\nended\nConnection refused\n0\nopen\n['was', 'not', 'published']\n1\nopen\n";
    assert_eq!(said.trim(), each.repeat(2).trim());
    talk.running.kill(15);
    talk.running.wait();
}

both! { unpublished }
