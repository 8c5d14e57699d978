//! What the options and intents about the network come to before anything runs.

mod common;

use common::Place;
use serde_json::Value;

fn json(place: &Place, options: &str) -> Value {
    let text = place.swathe("explain --json").words(options).arg("true").prints();
    serde_json::from_str(&text).unwrap_or_else(|e| panic!("{e}: {text}"))
}

const PROFILE: &str = "[[intent]]\nuse = \"net.host\"\nto = [\"*.npmjs.org\", \"localhost:5432\"]\n\
    \n[[intent]]\nuse = \"net.deny\"\nto = \"ads.npmjs.org\"\n\
    \n[[intent]]\nuse = \"net.listen\"\nport = [3000]\n";

/// Rules and published ports are shown, each with who asked for it.
fn explained(place: &Place) {
    place.dir.file("project/net.toml", PROFILE);
    place.dir.file("project/none.toml", "[[intent]]\nuse = \"net.none\"\n");
    let options = "--profile ./net.toml --net github.com:443,8443,10.0.0.0/8:5432 --net ask \
        --net-deny 10.9.0.0/16 --publish 0.0.0.0:8080:80";
    let text = place.swathe("explain").words(options).arg("true").prints();
    let section: Vec<&str> =
        text.lines().skip_while(|line| *line != "network").take_while(|l| *l != "layers").collect();
    let from = "(--net github.com:443,8443,10.0.0.0/8:5432)";
    let expected = [
        "network".to_owned(),
        "  deny    ads.npmjs.org:*  (./net.toml:6)".to_owned(),
        "  deny    10.9.0.0/16:*  (--net-deny 10.9.0.0/16)".to_owned(),
        "  reach   *.npmjs.org:80,443  (./net.toml:2)".to_owned(),
        "  reach   localhost:5432  (./net.toml:2)".to_owned(),
        format!("  reach   github.com:443,8443  {from}"),
        format!("  reach   10.0.0.0/8:5432  {from}"),
        "  publish 127.0.0.1:3000 -> port 3000 of the sandbox  (./net.toml:10)".to_owned(),
        "  publish 0.0.0.0:8080 -> port 80 of the sandbox  (--publish 0.0.0.0:8080:80)".to_owned(),
        "  ask     about every host that no rule names".to_owned(),
    ];
    assert_eq!(section, expected, "{text}");

    let found = json(place, options);
    assert_eq!(found["network"], "rules");
    let rules = &found["rules"];
    assert_eq!(rules["allow"].as_array().map(Vec::len), Some(4), "{rules}");
    assert_eq!(rules["deny"][1]["rule"], "10.9.0.0/16:*", "{rules}");
    assert_eq!(rules["publish"][1]["port"], 80, "{rules}");
    assert_eq!(rules["ask"], true, "{rules}");
    for (options, network) in [
        ("", "none"),
        ("--net none", "none"),
        ("--net loopback", "none"),
        ("--net all", "host"),
        ("--net all --net-deny ads.example", "rules"),
        ("--net all --net 10.0.0.0/8", "rules"),
        ("--publish 8080", "rules"),
        ("--net-deny ads.example", "none"),
        // The command line has the last word.
        ("--profile ./net.toml --net none", "none"),
        ("--profile ./net.toml --net loopback", "none"),
        ("--profile ./none.toml --net github.com", "rules"),
        ("--profile ./none.toml", "none"),
    ] {
        let found = json(place, options);
        assert_eq!(found["network"], network, "{options}");
        assert_eq!(found["rules"].is_null(), network != "rules", "{options}");
    }
}

/// What is wrong is refused at its place, and nothing runs.
fn refused(place: &Place) {
    place.dir.file("project/bad.toml", "[[intent]]\nuse = \"net.host\"\nto = \"0x7f.1:80\"\n");
    place.dir.file("project/twice.toml", "[[intent]]\nuse = \"net.listen\"\nport = 8080\n");
    for (options, says) in [
        ("--net https://github.com", "a rule names a host, and no URL"),
        ("--net a.example,10.0.0.1/8", "did you mean 10.0.0.0/8?"),
        ("--net 2130706433:80", "programs take the name for an address"),
        ("--net localhost", "localhost:PORT"),
        ("--net none,a.example", "exclude each other"),
        ("--net-deny a..b", "nothing stands between two dots"),
        ("--publish 0", "a port is a number from 1 to 65535"),
        ("--publish localhost:80", "publishes no port"),
        ("--profile ./bad.toml", "bad.toml:3:6"),
        ("--profile ./twice.toml --publish 0.0.0.0:8080", "published twice"),
        ("--allow net.host=10.0.0.1", "`net.cidr` takes addresses"),
    ] {
        let ran = place.inside(options, "touch ran").exits(1);
        let errors = ran.errors().replace("\n       ", " ");
        assert!(errors.contains(says), "{options} does not say {says:?}: {ran}");
    }
    let dangerous = place.swathe("explain --net *.com,169.254.169.254:80 true").exits(0);
    assert_eq!(dangerous.errors().matches("is dangerous to reach").count(), 2, "{dangerous}");
    place.host("test ! -e ran");
}

both! {
    explained,
    refused,
}
