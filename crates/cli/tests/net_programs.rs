//! Programs that reach hosts by name, as they are, with no proxy variables: where the host is granted
//! each works, and where it is not each fails with a message that says why; by every way that the
//! machine has to bring connections out. The hosts are of a network of the tests' own.

mod common;

use common::world::World;
use common::{Place, installed};
use swathe_testkit::notice;

/// What a program says when a name is not looked up, by the C library and by others.
const NO_NAME: &[&str] = &[
    "Temporary failure in name resolution",
    "Could not resolve host",
    "Name or service not known",
];

struct Row {
    /// Programs that it needs, and the name it is told by.
    needs: &'static [&'static str],
    /// What is granted so that it works.
    rule: &'static str,
    /// What is run.
    text: &'static str,
    /// Is printed where it is granted.
    works: &'static str,
    /// One of these is printed where it is not.
    fails: &'static [&'static str],
}

const HELLO: &str = "internet says hello";

const ROWS: &[Row] = &[
    Row {
        needs: &["curl"],
        rule: "www.example.com",
        text: "curl -sS --cacert ca.pem https://www.example.com/; env | grep -ic _proxy=",
        works: "hello to www.example.com, 0 bytes\n0",
        fails: NO_NAME,
    },
    Row {
        needs: &["wget"],
        rule: "*.example.com:443",
        text: "wget -nv -O- --ca-certificate=ca.pem https://www.example.com/",
        works: HELLO,
        fails: &["unable to resolve host address"],
    },
    Row {
        needs: &["git"],
        rule: "git.example.com:443",
        text: "GIT_SSL_CAINFO=ca.pem git clone -q https://git.example.com/git/repo.git /tmp/c \
            && cat /tmp/c/file",
        works: "from the repository",
        fails: NO_NAME,
    },
    Row {
        needs: &["git", "ssh", "sshd"],
        rule: "git.example.com:22",
        text: "GIT_SSH_COMMAND='ssh -F none -i key -o UserKnownHostsFile=known_hosts' \
            git clone -q \"ssh://$(cat login)@git.example.com$(pwd)/../world/git/repo.git\" /tmp/c \
            && cat /tmp/c/file",
        works: "from the repository",
        fails: &["Could not resolve hostname git.example.com"],
    },
    Row {
        needs: &["ssh", "sshd"],
        rule: "ssh.example.com:22",
        text: "ssh -F none -i key -o UserKnownHostsFile=known_hosts $(cat login)@ssh.example.com \
            'echo internet says hello'",
        works: HELLO,
        fails: &["Could not resolve hostname ssh.example.com"],
    },
    Row {
        needs: &["node"],
        rule: "www.example.com:443",
        text: "NODE_EXTRA_CA_CERTS=ca.pem node -e 'fetch(\"https://www.example.com/\")
            .then(r => r.text()).then(console.log, e => console.log(e.cause))'",
        works: HELLO,
        fails: &["getaddrinfo EAI_AGAIN", "getaddrinfo ENOTFOUND"],
    },
    Row {
        needs: &["node"],
        rule: "www.example.com:8080",
        text: "node -e 'require(\"http\").get(\"http://www.example.com:8080/\", r => r.pipe(process.stdout))
            .on(\"error\", e => console.log(e.message))'",
        works: HELLO,
        fails: &["getaddrinfo EAI_AGAIN", "getaddrinfo ENOTFOUND"],
    },
    Row {
        needs: &["python3"],
        rule: "www.example.com:443",
        text: "SSL_CERT_FILE=ca.pem python3 -c 'import urllib.request as u;
print(u.urlopen(\"https://www.example.com/\").read())'",
        works: HELLO,
        fails: NO_NAME,
    },
    Row {
        needs: &["python3:requests"],
        rule: "www.example.com:443",
        text: "python3 -c 'import requests;
print(requests.get(\"https://www.example.com/\", verify=\"ca.pem\").text)'",
        works: HELLO,
        fails: NO_NAME,
    },
    Row {
        needs: &["python3"],
        rule: "ws.example.com:443",
        text: "python3 websocket.py ws.example.com",
        works: "internet says: through a websocket",
        fails: NO_NAME,
    },
    Row {
        needs: &["python3"],
        rule: "time.example.com:123/udp",
        text: "python3 -c 'import socket as s
u = s.socket(s.AF_INET, s.SOCK_DGRAM); u.settimeout(10)
u.connect((\"time.example.com\", 123)); u.send(b\"tick\"); print(u.recv(99))'",
        works: "internet tick",
        fails: NO_NAME,
    },
    Row {
        needs: &["java", "javac"],
        rule: "www.example.com:8080",
        text: "java -Xshare:auto -XX:TieredStopAtLevel=1 Fetch http://www.example.com:8080/",
        works: "internet says hello to www.example.com:8080, 0 bytes\nagain: internet says hello",
        fails: &["UnknownHostException: www.example.com"],
    },
    Row {
        needs: &["go"],
        rule: "www.example.com:8080",
        text: "CGO_ENABLED=0 GOCACHE=/tmp/go HOME=/tmp go run fetch.go http://www.example.com:8080/",
        works: HELLO,
        fails: &["server misbehaving", "no such host"],
    },
    Row {
        needs: &["psql"],
        rule: "db.example.com:5432",
        text: "psql -tA 'host=db.example.com user=a dbname=a' -c 'select greeting'",
        works: HELLO,
        fails: &["could not translate host name \"db.example.com\""],
    },
    Row {
        needs: &["redis-cli"],
        rule: "cache.example.com:6379",
        text: "redis-cli -h cache.example.com ping",
        works: "PONG",
        fails: NO_NAME,
    },
    Row {
        needs: &["apt-get"],
        rule: "mirror.example.com:8080",
        text: "mkdir -p /tmp/s/lists/partial /tmp/c/archives/partial && cp status /tmp/s &&
            echo 'deb [trusted=yes] http://mirror.example.com:8080/files/apt ./' >/tmp/l &&
            apt-get -o Dir::Etc::SourceList=/tmp/l -o Dir::Etc::SourceParts=- -o Dir::State=/tmp/s \
            -o Dir::State::status=/tmp/s/status -o Dir::Cache=/tmp/c -o APT::Sandbox::User= \
            -o Acquire::Languages=none -o Dir::Log=/tmp update 2>&1 && apt-cache \
            -o Dir::State=/tmp/s -o Dir::State::status=/tmp/s/status -o Dir::Cache=/tmp/c \
            -o Dir::Etc::SourceList=/tmp/l -o Dir::Etc::SourceParts=- show tiny",
        works: "Description: from the mirror",
        fails: &["Temporary failure resolving 'mirror.example.com'", "Could not resolve"],
    },
    Row {
        needs: &["python3:pip"],
        rule: "pypi.example.com:443",
        text: "HOME=/tmp python3 -m pip download --cert ca.pem --no-deps --no-cache-dir --retries 1 \
            --disable-pip-version-check -d /tmp -i https://pypi.example.com/files/simple tiny && ls /tmp",
        works: "tiny-1.0-py3-none-any.whl",
        fails: NO_NAME,
    },
    Row {
        needs: &["dig"],
        rule: "www.example.com",
        text: "dig +tries=1 www.example.com; dig +tcp +short www.example.com aaaa",
        works: "fd73:7761:7468:6500::",
        fails: &["status: REFUSED"],
    },
    Row {
        needs: &["getent"],
        rule: "www.example.com",
        text: "getent ahosts www.example.com || echo no such host",
        works: "198.18.1.",
        fails: &["no such host"],
    },
    Row {
        needs: &["rustc:musl"],
        rule: "www.example.com:8080",
        text: "./static-client www.example.com:8080",
        works: HELLO,
        // The resolver of musl says this of a name that is refused.
        fails: &["failed to lookup address information"],
    },
    Row {
        needs: &["curl"],
        rule: "www.example.com:443",
        text: "curl -sS -x http://198.18.0.2:3128 --cacert ca.pem https://www.example.com/",
        works: HELLO,
        fails: &["response 403"],
    },
    Row {
        needs: &["curl"],
        rule: "www.example.com:80",
        text: "curl -sS -x http://198.18.0.2:3128 http://www.example.com/",
        works: HELLO,
        fails: &["www.example.com is allowed by no rule"],
    },
    Row {
        needs: &["curl"],
        rule: "www.example.com:443",
        text: "curl -sS -x socks5h://198.18.0.2:1080 --cacert ca.pem https://www.example.com/",
        works: HELLO,
        fails: &["SOCKS5"],
    },
    Row {
        needs: &["ping"],
        rule: "www.example.com",
        text: "ping -n -c 1 -W 5 www.example.com",
        works: "1 received",
        fails: NO_NAME,
    },
    Row {
        needs: &["curl"],
        rule: "93.184.216.34:80",
        text: "curl -sS http://93.184.216.34/",
        works: "hello to 93.184.216.34",
        fails: &["reset by peer", "Couldn't connect to server"],
    },
    Row {
        needs: &["curl"],
        rule: "[2600:1f00:1::34]:80",
        text: "curl -gsS 'http://[2600:1f00:1::34]/'",
        works: "hello to [2600:1f00:1::34]",
        fails: &["reset by peer", "Couldn't connect to server"],
    },
    Row {
        needs: &["curl"],
        rule: "localhost:8080",
        text: "curl -sS http://localhost:8080/",
        works: "host says hello to localhost:8080",
        fails: &["Failed to connect to localhost port 8080", "reset by peer"],
    },
];

/// What the rows use in the project, made on the host by the user.
const PROJECT: &str = include_str!("common/world/project.sh");

/// What the server of ssh is told, behind the names of its files.
const SSHD: &str = "StrictModes no\nUsePAM no\nPermitRootLogin yes\nPasswordAuthentication no\n\
    PidFile none\nSetEnv GIT_CONFIG_COUNT=1 GIT_CONFIG_KEY_0=safe.directory GIT_CONFIG_VALUE_0=*\n";

/// Keys for ssh, made inside since `ssh-keygen` wants its user to have a name, and a server that
/// takes them.
fn ssh(place: &Place) {
    let keys =
        "for key in key host_key; do ssh-keygen -q -t ed25519 -N '' -f $key </dev/null; done";
    place.inside("-w", keys).exits(0);
    place.host(
        "echo \"*.example.com $(cut -d ' ' -f 1,2 host_key.pub)\" >known_hosts; mv host_key ../world",
    );
    let login = std::process::Command::new("id").arg("-un").output().expect("id runs");
    place.dir.file("project/login", &login.stdout);
    let (host_key, keys) = (place.dir.at("world/host_key"), place.project("key.pub"));
    let config = format!("HostKey {host_key}\nAuthorizedKeysFile {keys}\n{SSHD}");
    place.dir.file("world/sshd_config", &config);
}

/// A static program by the standard library; whether one can be built here.
fn static_client(place: &Place) -> bool {
    let source = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/common/world/client.rs");
    let target = format!("{}-unknown-linux-musl", std::env::consts::ARCH);
    let built = std::process::Command::new("rustc")
        .args(["--edition", "2024", "--target", &target, "-C", "strip=symbols", "-o"])
        .args([&place.project("static-client"), source])
        .output();
    built.is_ok_and(|built| built.status.success())
}

/// Whether what a row needs is there; where not, what that leaves out is printed.
fn has(place: &Place, need: &str) -> bool {
    let found = match need.split_once(':') {
        None => return installed(need),
        Some(("rustc", _)) => static_client(place),
        Some((python, module)) => {
            place.outside(&format!("{python} -c 'import {module}'")).go().ended.shell() == 0
        }
    };
    if !found {
        notice(&format!("{need} is not installed: what tests of it prove is left out"));
    }
    found
}

/// Every row, with its host granted and without.
fn all_rows(place: &Place, way: &str) {
    place.dir.dir("world");
    place.host(PROJECT);
    if installed("sshd") && installed("ssh") {
        ssh(place);
    }
    let Some(world) = World::new(place) else { return };
    let tried = world.inside(&format!("--net-way {way} --net www.example.com"), "true").go();
    if tried.ended.shell() != 0 {
        notice(&format!("connections are not brought out by {way} here: {}", tried.message()));
        return;
    }
    let mut bad = String::new();
    for row in ROWS {
        // Each is named before any is given up for.
        if row.needs.iter().filter(|need| !has(place, need)).count() > 0 {
            continue;
        }
        let text = format!("exec 2>&1; {}", row.text);
        let granted = world.inside(&format!("--net-way {way} --net {}", row.rule), &text).go();
        if !granted.text().contains(row.works) {
            bad += &format!("granted {}: {granted}\n", row.rule);
        }
        let refused = world.inside(&format!("--net-way {way} --net other.example.com"), &text).go();
        let said = refused.text();
        if said.contains(row.works) || !row.fails.iter().any(|text| said.contains(text)) {
            bad += &format!("refused {}: {refused}\n", row.rule);
        }
    }
    assert!(bad.is_empty(), "{bad}");
}

fn by_nftables(place: &Place) {
    all_rows(place, "nft");
}

fn by_routes(place: &Place) {
    all_rows(place, "routes");
}

both! { by_nftables, by_routes }
