//! A program that answers over a socket: what it is told, and what it cannot get by lying, stalling,
//! dying or talking nonsense.

use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::net::UnixStream;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Duration;
use swathe_record::ask::desk::Setup;
use swathe_record::ask::lines::{LONGEST_LINE, PATIENCE, serve};
use swathe_record::ask::table::{Advice, LONGEST_OBJECT};
use swathe_record::ask::{Bounds, Desk, Reply, Rule, Rules, Why};
use swathe_record::bytes::Bytes;
use swathe_record::event::Action;
use swathe_record::question::Question;

/// A desk, a client's end of the socket, and what was replied and written down.
struct Place {
    desk: Desk,
    client: UnixStream,
    lines: BufReader<UnixStream>,
    replies: (Sender<Reply>, Receiver<Reply>),
    kept: Receiver<Vec<Rule>>,
}

impl Place {
    fn new(bounds: Bounds, patience: Duration) -> Self {
        let (keep, kept) = channel();
        let (desk, counter) = Desk::new(Setup {
            bounds,
            rules: Rules::default(),
            advise: Box::new(|_| Advice {
                never: false,
                directory: true,
                danger: Some("reads keys".into()),
            }),
            keep: Box::new(move |rules| keep.send(rules.to_vec()).expect("a test")),
        })
        .expect("a desk");
        let (ours, client) = UnixStream::pair().expect("a pair");
        client.set_read_timeout(Some(Duration::from_secs(30))).expect("a timeout");
        serve(ours, counter, "sh-1", patience).expect("served");
        let lines = BufReader::new(client.try_clone().expect("a copy"));
        Self { desk, client, lines, replies: channel(), kept }
    }

    fn usual() -> Self {
        let mut place = Self::new(Bounds::default(), PATIENCE);
        assert_eq!(place.line(), r#"{"swathe-ask":1,"run":"sh-1"}"#);
        place
    }

    fn ask(&self, id: u64, object: Bytes) {
        let command = vec!["cat".into(), "a\nb".into()];
        let question = Question {
            id,
            pid: u32::try_from(id).expect("small"),
            command,
            action: Action::Read,
            object,
            directory: false,
        };
        let send = self.replies.0.clone();
        self.desk.ask(question, move |reply| send.send(reply).expect("a test"));
    }

    fn line(&mut self) -> String {
        let mut line = String::new();
        self.lines.read_line(&mut line).expect("a line");
        line.trim_end().to_owned()
    }

    fn say(&mut self, line: impl AsRef<[u8]>) {
        let line = [line.as_ref(), b"\n"].concat();
        self.client.write_all(&line).expect("said");
    }

    #[track_caller]
    fn reply(&self) -> (u64, bool, Why) {
        let reply = self.replies.1.recv_timeout(Duration::from_secs(30)).expect("a reply");
        (reply.id, reply.allow, reply.why)
    }
}

/// The lines are read by programs of others: their form stays.
#[test]
fn conversation() {
    let mut place = Place::usual();
    place.ask(1, "/h/a".into());
    assert!(place.line().starts_with(concat!(
        r#"{"question":{"id":1,"pid":1,"command":["cat","a\\x0ab"],"action":"read","#,
        r#""object":"/h/a","directory":false,"scope":"/h","danger":"reads keys","seconds":"#
    )));
    place.say(r#"{"answer":{"id":1,"allow":true,"term":"always","directory":true,"x":0},"y":1}"#);
    assert!(matches!(place.reply(), (1, true, Why::Answered(_))));
    let kept = place.kept.recv_timeout(Duration::from_secs(30)).expect("kept");
    assert_eq!(kept[0].object, "/h".into());
    place.ask(2, "/h/b".into());
    assert_eq!(place.reply(), (2, true, Why::Remembered));
    place.ask(3, "/i/b".into());
    place.line();
    place.desk.withdraw(|question| question.id == 3);
    assert_eq!(place.line(), r#"{"withdrawn":3}"#);
    assert_eq!(place.reply(), (3, false, Why::Withdrawn));
    drop(place.desk);
    let mut rest = String::new();
    assert_eq!(place.lines.read_line(&mut rest).expect("an end"), 0);
}

/// Ids that do not wait, of questions answered or withdrawn, allow nothing, and are no reason to go.
#[test]
fn a_liar() {
    let mut place = Place::usual();
    place.ask(1, "/h/a".into());
    place.line();
    for _ in 0..100 {
        place.say(r#"{"answer":{"id":2,"allow":true,"term":"run"}}"#);
        assert_eq!(place.line(), r#"{"error":"no question of this id waits","id":2}"#);
    }
    place.say(r#"{"answer":{"id":1,"allow":false,"term":"once"}}"#);
    assert!(matches!(place.reply(), (1, false, Why::Answered(_))));
    place.say(r#"{"answer":{"id":1,"allow":true,"term":"always"}}"#);
    assert_eq!(place.line(), r#"{"error":"no question of this id waits","id":1}"#);
    place.ask(1, "/h/a".into());
    assert!(place.line().starts_with(r#"{"question":{"id":1,"#), "nothing is remembered");
}

/// What is no answer is none, and after too much of it all is refused.
#[test]
fn nonsense() {
    let mut place = Place::usual();
    place.ask(1, "/h/a".into());
    place.line();
    let nonsense: [&[u8]; 17] = [
        b"yes",
        b"{}",
        b"[]",
        b"null",
        b"{\"answer\":{\"id\":1,\"allow\":true}}",
        b"{\"answer\":{\"id\":1,\"allow\":1,\"term\":\"once\"}}",
        b"{\"answer\":{\"id\":1,\"allow\":\"true\",\"term\":\"once\"}}",
        b"{\"answer\":{\"id\":\"1\",\"allow\":true,\"term\":\"once\"}}",
        b"{\"answer\":{\"id\":1.0,\"allow\":true,\"term\":\"once\"}}",
        b"{\"answer\":{\"id\":-1,\"allow\":true,\"term\":\"once\"}}",
        b"{\"answer\":{\"id\":1,\"allow\":true,\"term\":\"forever\"}}",
        b"{\"answer\":{\"id\":1,\"allow\":false,\"allow\":true,\"term\":\"once\"}}",
        b"{\"answer\":{\"id\":1,\"allow\":true,\"term\":\"once\"}} {}",
        b"{\"answer\":{\"id\":1,\"allow\":true,\"term\":\"once\"}",
        b"{\"answer\":{\"id\":1,\"allow\":true,\"term\":\"once\xff\"}}",
        b"\0",
        b"{\"answer\":null}",
    ];
    for (number, line) in nonsense.iter().enumerate() {
        place.say(line);
        place.say(b"");
        let said = place.line();
        assert!(said.starts_with(r#"{"error":""#), "{number}: {said}");
        assert!(place.desk.is_open() || number == 16);
    }
    assert_eq!(place.reply(), (1, false, Why::Gone));
    assert_eq!(place.line(), "");
    place.ask(2, "/h/a".into());
    assert_eq!(place.reply(), (2, false, Why::Gone));
}

/// A line that is too long is passed over as a whole, also where an answer is at its end.
#[test]
fn long_lines() {
    let mut place = Place::usual();
    place.ask(1, "/h/a".into());
    place.line();
    let answer = r#"{"answer":{"id":1,"allow":true,"term":"once"}}"#;
    place.say(format!("{}{answer}", " ".repeat(LONGEST_LINE)));
    assert_eq!(place.line(), r#"{"error":"a line of more than 65536 bytes"}"#);
    place.say(format!("{}{answer}", " ".repeat(LONGEST_LINE - answer.len())));
    assert!(matches!(place.reply(), (1, true, Why::Answered(_))));
    // The longest question fits into a line of the same length.
    let object = [b"/".to_vec(), vec![0xff; LONGEST_OBJECT - 3], b"/x".to_vec()].concat();
    place.ask(2, Bytes(object));
    let line = place.line();
    assert!(line.len() > 40_000 && line.len() <= LONGEST_LINE, "{}", line.len());
}

/// A client that dies, in the middle of an answer too, refuses everything.
#[test]
fn death() {
    for last in ["", r#"{"answer":{"id":1,"allow":true,"term":"once"}}"#] {
        let mut place = Place::usual();
        place.ask(1, "/h/a".into());
        place.line();
        place.client.write_all(last.as_bytes()).expect("said");
        place.client.shutdown(std::net::Shutdown::Write).expect("shut");
        assert_eq!(place.reply(), (1, false, Why::Gone));
        place.ask(2, "/h/a".into());
        assert_eq!(place.reply(), (2, false, Why::Gone));
    }
}

/// A client that reads nothing holds up nobody: what it cannot be told is refused, by the bound, the
/// deadline, or because it takes nothing for too long.
#[test]
fn stalling() {
    let bounds = Bounds { deadline: Duration::from_secs(3600), ..Bounds::default() };
    let place = Place::new(bounds, Duration::from_millis(200));
    let object = |n: u64| Bytes([format!("/{n}/").into_bytes(), vec![0xff; 4000]].concat());
    for id in 1..=200 {
        place.ask(id, object(id));
    }
    let mut whys = Vec::new();
    for _ in 1..=200 {
        let (_, allow, why) = place.reply();
        assert!(!allow);
        whys.push(why);
    }
    assert!(whys.contains(&Why::TooMany) && whys.contains(&Why::Gone), "{whys:?}");
    assert!(!place.desk.is_open());
}

/// The same where it says something all the time.
#[test]
fn stalling_and_talking() {
    let place = Place::new(Bounds::default(), Duration::from_millis(200));
    place.ask(1, "/h/a".into());
    let mut client = place.client.try_clone().expect("a copy");
    client.set_write_timeout(Some(Duration::from_secs(30))).expect("a timeout");
    let line = b"{\"answer\":{\"id\":9,\"allow\":true,\"term\":\"once\"}}\n".repeat(1000);
    // Until it is shown the door.
    while client.write_all(&line).is_ok() {}
    assert_eq!(place.reply(), (1, false, Why::Gone));
}

/// The clock of the desk refuses what is not answered.
#[test]
fn deadline() {
    let bounds = Bounds { deadline: Duration::from_secs(2), ..Bounds::default() };
    let mut place = Place::new(bounds, PATIENCE);
    place.line();
    place.ask(1, "/h/a".into());
    place.line();
    assert_eq!(place.reply(), (1, false, Why::Late));
    assert_eq!(place.line(), r#"{"withdrawn":1}"#);
    assert!(place.desk.is_open());
}
