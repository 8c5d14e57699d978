//! A sandbox whose network was made from outside, and clients inside.

use crate::mounting::{Shell, program};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use std::net::{TcpListener, TcpStream};
use std::os::fd::{AsFd as _, OwnedFd};
use swathe::plan::Plan;
use swathe::{Child, Command};
use swathe_netns::{Error, Inside, Made, Request, Role, Way};
use swathe_testkit::Bwrap;

/// What is asked of the network inside: functions of perl, each of which prints one line.
const CLIENT: &str = r#"
use IO::Socket::IP; use Socket qw(:all);
alarm 30; # a client that waits in vain ends, and its test fails
sub tcp { my ($host, $port, $say) = @_;
  my $s = IO::Socket::IP->new(PeerHost => $host, PeerPort => $port, Type => SOCK_STREAM, Timeout => 10)
    or return print 0+$!, "\n";
  print $s "$say\n"; my $line = <$s>; print $line // "end\n"; }
sub udp { my ($host, $port, $say) = @_;
  my $s = IO::Socket::IP->new(PeerHost => $host, PeerPort => $port, Type => SOCK_DGRAM)
    or return print 0+$!, "\n";
  $s->send($say); defined $s->recv(my $got, 512) or return print 0+$!, "\n"; print "$got\n"; }
sub bind_to { my ($host, $port) = @_;
  my $s = IO::Socket::IP->new(LocalHost => $host, LocalPort => $port, Listen => 5, Type => SOCK_STREAM)
    or return print 0+$!, "\n"; $s }
"#;

/// A sandbox and its network.
pub struct Network {
    pub shell: Shell,
    pub inside: Inside,
    pub made: Made,
}

/// A request.
pub fn request(way: Way) -> Request {
    Request { way, tcp: vec![80..=80, 443..=444], udp: vec![123], echo: false }
}

impl Network {
    /// One with what [`request`] says.
    pub fn new(b: &Bwrap, way: Way) -> Self {
        Self::with(b, &request(way), |command| command, |_| ()).unwrap_or_else(|e| panic!("{e}"))
    }

    /// One with more, and with another plan.
    pub fn with(
        b: &Bwrap,
        request: &Request,
        more: impl FnOnce(Command) -> Command,
        edit: impl FnOnce(&mut Plan),
    ) -> Result<Self, Error> {
        let mut made = None;
        let held = |child: &mut Child| made = Some(make(child, request));
        let mut shell = Shell::start(b, more, edit, held);
        shell.ask(&format!("cat >/tmp/client.pl <<'=code='\n{CLIENT}\n1;\n=code="));
        let (inside, made) = made.expect("it was held")?;
        Ok(Self { shell, inside, made })
    }

    /// The socket for something.
    #[track_caller]
    pub fn socket(&self, role: Role) -> &OwnedFd {
        let found = self.made.sockets.iter().find(|(known, _)| *known == role);
        &found.unwrap_or_else(|| panic!("no {role:?}: {:?}", self.made)).1
    }

    /// Tells a client of perl inside what to do.
    pub fn client(&mut self, code: &str) {
        self.shell.tell(&format!("perl -MSocket=:all -e 'require \"/tmp/client.pl\"; {code}'"));
    }

    /// What a client of perl inside prints.
    #[track_caller]
    pub fn run(&mut self, code: &str) -> String {
        self.client(code);
        self.shell.hear()
    }

    /// The next connection to a listener.
    #[track_caller]
    pub fn accept(&self, role: Role) -> TcpStream {
        let listener = self.socket(role);
        wait(listener);
        let listener = TcpListener::from(listener.try_clone().expect("a descriptor"));
        let (stream, _) = listener.accept().expect("accept");
        stream.set_nonblocking(false).expect("set");
        stream.set_read_timeout(Some(std::time::Duration::from_secs(20))).expect("set");
        stream
    }
}

/// The network of a sandbox that is held.
pub fn make(child: &mut Child, request: &Request) -> Result<(Inside, Made), Error> {
    let namespace = child.network_namespace().expect("its namespace").expect("it runs");
    Inside::start(&program(), namespace.as_fd(), child.pidfd().expect("a pidfd"), request)
}

/// Waits until a socket is readable.
#[track_caller]
pub fn wait(socket: &OwnedFd) {
    let patience = Timespec { tv_sec: 20, tv_nsec: 0 };
    let ready = poll(&mut [PollFd::new(socket, PollFlags::IN)], Some(&patience)).expect("poll");
    assert_eq!(ready, 1, "nothing came");
}
