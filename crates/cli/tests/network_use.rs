//! A network by rules as people use it: what is refused is explained, asked about, recorded once,
//! learned and checked.

mod common;

use common::{Place, installed};
use serde_json::Value;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use swathe_testkit::Outcome;

/// A server of the host's loopback interface that says hello to whoever connects; its port.
fn server() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a listener");
    let port = listener.local_addr().expect("an address").port();
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            hello(stream);
        }
    });
    port
}

fn hello(mut stream: TcpStream) {
    // Whoever has gone does not hear it.
    let _ = stream.write_all(b"hello\n");
}

/// Connects by bash, and prints what the server says.
fn connect(host: &str, port: u16) -> String {
    format!("bash -c \"exec 3<>/dev/tcp/{host}/{port} && cat <&3\"")
}

/// Connects by way of the explicit proxy, and prints what it and the server say.
fn by_proxy(port: u16) -> String {
    let request =
        format!("CONNECT 127.0.0.1:{port} HTTP/1.1\\r\\nHost: 127.0.0.1:{port}\\r\\n\\r\\n");
    format!("bash -c \"exec 3<>/dev/tcp/198.18.0.2/3128; printf '{request}' >&3; cat <&3\"")
}

#[track_caller]
fn why(place: &Place) -> Value {
    let text = place.swathe("why --json").prints();
    serde_json::from_str(&text).unwrap_or_else(|e| panic!("{e}: {text}"))
}

/// It fails, and the first finding has this cause and this option; the option lets it succeed,
/// where one is given.
#[track_caller]
fn explained(place: &Place, options: &str, command: &str, cause: &str, option: &str) {
    let ran = place.inside(options, command).go();
    assert_ne!(ran.ended.shell(), 0, "{ran}");
    let said = why(place);
    let first = &said["findings"][0];
    let text = first["cause"].as_str().unwrap_or_default();
    assert!(text.contains(cause), "{command}: {said:#}");
    let fix = &first["fixes"][0]["option"];
    let words: Vec<&str> = fix.as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    assert_eq!(words.join(" "), option, "{command}: {said:#}");
    let profile = first["fixes"][0]["profile"].as_str().unwrap_or_default();
    assert_eq!(profile.contains("net."), !option.is_empty(), "{said:#}");
}

/// Each refusal has its cause and the rule that would allow it.
fn refusals_are_explained(place: &Place) {
    let port = server();
    let local = connect("127.0.0.1", port);
    let ours = format!("--net localhost:{port}");
    explained(place, "--record --net example.org", &local, "nothing of the run listens", &ours);
    let ran = place.inside(&ours, &local).exits(0);
    assert_eq!(ran.text(), "hello", "{ran}");
    let rules = "--net *.example.org,10.1.0.0/16:80 --net-deny ads.example.org";
    for (host, port, cause, option) in [
        ("10.0.0.1", 80, "10.0.0.1 is a private address", "--net 10.0.0.1:80"),
        ("10.1.0.1", 81, "10.1.0.1 is allowed, but not port 81", "--net 10.1.0.1:81"),
        ("169.254.169.254", 80, "which no rule names", "--net 169.254.169.254:80"),
        ("93.184.216.34", 25, "is allowed by no rule", "--net 93.184.216.34:25"),
        ("example.com", 443, "example.com is allowed by no rule", "--net example.com:443"),
        ("ads.example.org", 443, "is denied by the rule `ads.example.org:*`", ""),
    ] {
        explained(place, rules, &connect(host, port), cause, option);
    }
    // What is dangerous is said.
    place.inside(rules, &connect("10.0.0.1", 80)).go();
    let text = place.swathe("why").prints();
    assert!(text.contains("DANGEROUS: reaches the local network"), "{text}");
    // What the network itself does not do is nobody's refusal.
    let nobody = TcpListener::bind("127.0.0.1:0").expect("a port");
    let closed = nobody.local_addr().expect("an address").port();
    drop(nobody);
    let options = format!("--net localhost:{closed},no-such-host.invalid");
    explained(place, &options, &connect("127.0.0.1", closed), "not the sandbox: ", "");
    let unknown = connect("no-such-host.invalid", 443);
    explained(place, &options, &unknown, "not the sandbox: ", "");
}

/// Without a network, only the command line says what was meant.
fn a_sandbox_without_a_network(place: &Place) {
    if !installed("python3") {
        return;
    }
    place.dir.file(
        "project/get.py",
        "import socket, sys\nsocket.create_connection((sys.argv[1].split('/')[2], 443))\n",
    );
    let ran = place.swathe("run --record -- python3 get.py https://example.org/x").go();
    assert_ne!(ran.ended.shell(), 0, "{ran}");
    let text = place.swathe("why").prints();
    assert!(text.contains("names of hosts lead nowhere"), "{text}");
    assert!(text.contains("to allow it: swathe run --net example.org:443"), "{text}");
    place.inside("--record", &connect("93.184.216.34", 443)).go();
    let text = place.swathe("why").prints();
    assert!(text.contains("to allow it: swathe run --net 93.184.216.34:443"), "{text}");
}

/// A connection is recorded once, by what it was to, and not by the address that stands for it.
fn recorded_once(place: &Place) {
    let port = server();
    let commands = format!(
        "{}; {}; {}; :",
        connect("127.0.0.1", port),
        connect("example.org", 443),
        connect("10.0.0.1", 80)
    );
    let options = format!("--audit audit.jsonl --net localhost:{port},example.org");
    place.dir.file("project/audit.jsonl", "");
    place.inside(&options, &commands).exits(0);
    let text = place.host("cat audit.jsonl");
    let events: Vec<Value> = text
        .lines()
        .filter_map(|line| serde_json::from_str(line).ok())
        .filter(|event: &Value| event["action"] == "connect")
        .collect();
    let to = |object: &str| events.iter().filter(|event| event["object"] == object).count();
    assert_eq!(to(&format!("tcp:127.0.0.1:{port}")), 1, "{text}");
    assert_eq!(to("tcp:10.0.0.1:80"), 1, "{text}");
    let own = |event: &&Value| {
        let object = event["object"].as_str().unwrap_or_default();
        object.contains(":198.18.") || object.contains("fd73:7761:7468:6500:")
    };
    assert_eq!(events.iter().find(own), None, "{text}");
    assert!(events.iter().any(|event| event["object"] == "dns:example.org"), "{text}");
}

/// What an asker said, and how the run ended.
fn ask(
    place: &Place,
    options: &str,
    text: &str,
    mut answer: impl FnMut(&Value) -> Option<String>,
) -> (Outcome, Vec<Value>) {
    let (ours, theirs) = UnixStream::pair().expect("a pair");
    let words = format!("--ask-fd 7 {options}");
    let running = place.inside(&words, text).fd(7, OwnedFd::from(theirs)).start();
    let mut to = ours.try_clone().expect("a copy");
    let mut heard = Vec::new();
    for line in BufReader::new(ours).lines() {
        let Ok(line) = line else { break };
        let said: Value = serde_json::from_str(&line).unwrap_or_else(|e| panic!("{e}: {line}"));
        let question = said["question"].clone();
        if !said["withdrawn"].is_null() {
            place.dir.file("project/withdrawn", "");
        }
        heard.push(said);
        let about_hosts = question["object"].as_str().is_some_and(|o| o.starts_with("tcp:"));
        let text = match (question.is_null(), about_hosts) {
            (true, _) => None,
            (false, true) => answer(&question),
            (false, false) => Some(NO.to_owned()),
        };
        let Some(text) = text else { continue };
        let line = format!("{{\"answer\":{{\"id\":{},{text}}}}}\n", question["id"]);
        if to.write_all(line.as_bytes()).is_err() {
            break;
        }
    }
    (running.wait(), heard)
}

fn hosts(heard: &[Value]) -> Vec<String> {
    let object = |said: &Value| said["question"]["object"].as_str().map(str::to_owned);
    heard.iter().filter_map(object).filter(|object| object.starts_with("tcp:")).collect()
}

const NO: &str = r#""allow":false,"term":"once""#;

/// A host that no rule is about is asked about: who wants it, once for one connection, and for all
/// later ones where the answer says so.
fn asked_about(place: &Place) {
    let port = server();
    let object = format!("tcp:127.0.0.1:{port}");
    let twice = format!("{0}; {0}", by_proxy(port));
    for (term, times, questions) in [("once", 2, 2), ("run", 2, 1)] {
        let yes = format!(r#""allow":true,"term":"{term}""#);
        let (ran, heard) = ask(place, "--net ask", &twice, |_| Some(yes.clone()));
        assert_eq!(ran.text().matches("hello").count(), times, "{term}: {ran}");
        assert_eq!(hosts(&heard), vec![object.clone(); questions], "{term}: {heard:?}");
        let first = &heard.iter().find(|said| said["question"]["object"] == *object.as_str());
        let question = &first.expect("a question")["question"];
        let command = question["command"].to_string();
        assert!(command.contains("bash") && command.contains("/dev/tcp"), "{question}");
        assert!(question["pid"].as_u64().is_some_and(|pid| pid > 1), "{question}");
        assert!(question["danger"].as_str().is_some_and(|why| why.contains("this machine")));
    }
    // No, nobody there in time, nobody there at all.
    let once = by_proxy(port);
    for answer in [Some(NO), None, Some("\"x\":1")] {
        let options = "--net ask --ask-timeout 2";
        let (ran, heard) = ask(place, options, &once, |_| answer.map(str::to_owned));
        assert!(!ran.text().contains("hello") && ran.text().contains("403"), "{ran} {heard:?}");
    }
    let ran = place.inside("--net example.org", &once).go();
    assert!(!ran.text().contains("hello"), "{ran}");
    let said = why(place);
    assert_eq!(
        said["findings"][0]["fixes"][0]["option"][1],
        format!("localhost:{port}"),
        "{said:#}"
    );
}

/// An answer for always is a grant: listed, and in force in later runs that ask.
fn answers_that_stay(place: &Place) {
    let port = server();
    let once = by_proxy(port);
    let (ran, _) =
        ask(place, "--net ask", &once, |_| Some(r#""allow":true,"term":"always""#.to_owned()));
    assert!(ran.text().contains("hello"), "{ran}");
    let listed = place.swathe("grants").prints();
    assert!(listed.contains(&format!("127.0.0.1:{port}")), "{listed}");
    let (ran, heard) = ask(place, "--net ask", &once, |_| Some(NO.to_owned()));
    assert!(ran.text().contains("hello") && hosts(&heard).is_empty(), "{ran} {heard:?}");
    let (ran, _) = ask(place, "--net ask", &by_proxy(port + 1), |_| {
        Some(r#""allow":false,"term":"always""#.to_owned())
    });
    assert!(ran.text().contains("403"), "{ran}");
    let (ran, heard) = ask(place, "--net ask", &by_proxy(port + 1), |_| None);
    assert!(ran.text().contains("403") && hosts(&heard).is_empty(), "{ran} {heard:?}");
}

/// Whoever went away is not asked about any more.
fn withdrawn(place: &Place) {
    let port = server();
    let text = format!(
        "{} & until test -e asked; do sleep 0.02; done; kill $!; \
         n=0; until test -e withdrawn || test $n = 500; do sleep 0.02; n=$((n + 1)); done; echo end",
        by_proxy(port)
    );
    let (ran, heard) = ask(place, "--net ask", &text, |_| {
        place.dir.file("project/asked", "");
        None
    });
    assert!(ran.text().ends_with("end"), "{ran}");
    let withdrawn = heard.iter().any(|said| !said["withdrawn"].is_null());
    assert!(withdrawn, "{heard:?}");
    place.host("rm asked withdrawn");
}

/// What a run reached becomes a line for each host; the run goes well with it, and not without.
fn learned(place: &Place) {
    let port = server();
    let script = format!("{}; echo done >>log", connect("localhost", port));
    place.dir.file("project/get.sh", format!("set -e\n{script}\n"));
    let run = place.swathe("learn -o net.toml --net").arg(format!("localhost:{port}"));
    run.words("-- sh get.sh").exits(0);
    let text = place.host("cat net.toml");
    let line = format!("use = \"net.host\"\nto = \"localhost:{port}\"");
    assert!(text.contains(&line), "{text}");
    assert!(text.contains(" (1): connect to tcp:"), "{text}");
    assert!(!text.contains('*'), "{text}");
    place.swathe("run --profile ./net.toml -- sh get.sh").exits(0);
    place.host(&format!(
        "grep -v 'localhost:{port}' net.toml | sed 's/net.host/net.loopback/' >less.toml"
    ));
    let ran = place.swathe("run --profile ./less.toml -- sh get.sh").go();
    assert_ne!(ran.ended.shell(), 0, "{ran}");
    // What is not granted while watching is a comment, where the run does without.
    place
        .dir
        .file("project/try.sh", format!("{} || echo without >>log\n", connect("10.0.0.1", 80)));
    place.swathe("learn -o try.toml -- sh try.sh").exits(0);
    let text = place.host("cat try.toml");
    assert!(text.contains("# to = \"10.0.0.1:80\""), "{text}");
    assert!(!text.contains("\nuse = \"net."), "{text}");
}

/// All probes are contained with rules, and see what a rule for this machine opens.
fn checked(place: &Place) {
    place.dir.dir("tmp");
    let check = |options: &str| {
        let run = place.swathe("check --json").words(options);
        let outcome = run.env("TMPDIR", place.dir.at("tmp")).go();
        let said: Value = serde_json::from_slice(&outcome.out)
            .unwrap_or_else(|e| panic!("no JSON ({e}) of {outcome}"));
        let verdict = |id: &str| {
            let all = said["probes"].as_array().expect("probes");
            let one = all.iter().find(|probe| probe["id"] == id);
            one.map(|probe| probe["verdict"].as_str().unwrap_or_default().to_owned())
        };
        let open = said["probes"].as_array().expect("probes").iter();
        let open = open.filter(|probe| probe["verdict"] == "open");
        let open: Vec<String> = open.map(|probe| probe["id"].to_string()).collect();
        (open, ["net-loopback", "net-own", "net-names"].map(verdict))
    };
    let (open, verdicts) = check("--net example.org,localhost:1");
    assert_eq!(open, [""; 0]);
    assert_eq!(verdicts[0].as_deref(), Some("contained"));
    let (open, _) = check("--net all");
    assert!(open.iter().any(|id| id.contains("net-loopback")), "{open:?}");
}

both!(
    refusals_are_explained,
    a_sandbox_without_a_network,
    recorded_once,
    asked_about,
    answers_that_stay,
    withdrawn,
    learned,
    checked,
);

/// The server of these tests is one.
#[test]
fn the_server_says_hello() {
    let mut said = String::new();
    let stream = TcpStream::connect(("127.0.0.1", server())).expect("connected");
    { stream }.read_to_string(&mut said).expect("read");
    assert_eq!(said, "hello\n");
}
