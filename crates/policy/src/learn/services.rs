//! Sockets, addresses, devices and calls as intents.

use super::touch::{Touch, Touched, extend, finish};
use super::{Class, Evidence, Learned, Line, Need, Place, Wanted};
use crate::merge::is_whole;
use crate::model::Intent;
use crate::vocabulary::word;
use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use swathe_record::bytes::Bytes;
use swathe_record::event::Action;

/// Addresses that are named in a comment.
const MAX_NAMED: usize = 8;

/// What an object that is no file of the user's stands for.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Service {
    Intent(&'static str),
    /// Nothing that can be asked for, and why it is worth a word.
    Danger(&'static str),
}

/// Adds lines for them.
pub fn add(touched: &Touched, place: &Place<'_>, learned: &mut Learned) {
    let mut found: BTreeMap<(Service, Class), Evidence> = BTreeMap::new();
    let mut note = |service: Service, class: Class, object: &Bytes, touch: &Touch| {
        extend(found.entry((service, class)).or_default(), object, touch);
    };
    for (sockets, class) in
        [(&touched.reached, Class::Needed), (&touched.unreached, Class::Tolerated)]
    {
        for (object, touch) in sockets {
            if let Some(service) = socket(object, place) {
                note(service, class, object, touch);
            }
        }
    }
    for (paths, class) in [(&touched.used, Class::Needed), (&touched.denied, Class::Tolerated)] {
        for (path, touch) in paths {
            let looked_at = touch.actions.iter().all(|action| *action == Action::Stat);
            if let Some(service) = path_service(path, place)
                && !looked_at
            {
                note(service, class, &Bytes::from(path.as_path()), touch);
            }
        }
    }
    for program in touched.programs.iter().filter(|program| is_narrow(program.as_path(), place)) {
        let actions = BTreeSet::from([Action::Execute]);
        let programs = BTreeMap::from([(program.clone(), 1)]);
        let touch = Touch { actions, programs, ..Touch::default() };
        note(Service::Intent("32bit"), Class::Needed, program, &touch);
    }
    for (call, touch) in &touched.calls {
        if let Some(intent) = of_call(&call.0) {
            note(Service::Intent(intent), Class::Tolerated, call, touch);
        }
    }
    for ((service, class), mut evidence) in found {
        finish(&mut evidence);
        line(service, class, evidence, learned);
    }
    network(touched, place, learned);
    given(place, learned);
}

fn line(service: Service, class: Class, evidence: Evidence, learned: &mut Learned) {
    let (wanted, class, note) = match service {
        Service::Danger(why) => (Wanted::Nothing(why.to_owned()), class.max(Class::Withheld), None),
        Service::Intent(name) => match crate::intent::plain(name) {
            Some(intent) => {
                let danger = word(name).and_then(|word| word.danger);
                if class == Class::Needed {
                    learned.needs.push(Need::Plain(intent.clone()));
                }
                (Wanted::Intent(intent), class, danger.map(|danger| format!("careful: {danger}")))
            }
            None => {
                let later = word(name).and_then(|word| word.later).unwrap_or("is not known");
                let text = format!("{name}: cannot be allowed yet, it {later}");
                (Wanted::Nothing(text), class.max(Class::Withheld), None)
            }
        },
    };
    learned.lines.push(Line { wanted, class, note, evidence });
}

/// The service behind a socket; none where it is a file like others, or of the sandbox's own.
fn socket(object: &Bytes, place: &Place<'_>) -> Option<Service> {
    let name = object.0.strip_prefix(b"unix:")?;
    if let Some(name) = name.strip_prefix(b"@") {
        return name.starts_with(b"/tmp/.X11-unix/").then_some(Service::Intent("display.x11"));
    }
    path_service(Bytes(name.to_vec()).as_path(), place)
}

/// The socket of a unix address.
pub fn socket_path(object: &Bytes) -> Option<PathBuf> {
    let name = object.0.strip_prefix(b"unix:").filter(|name| name.starts_with(b"/"))?;
    Some(Bytes(name.to_vec()).as_path().to_owned())
}

/// What a path stands for, where it is more than a file.
fn path_service(path: &Path, place: &Place<'_>) -> Option<Service> {
    let var = |name: &str| {
        let value = place.vars.iter().find(|(known, _)| known == name);
        value.is_some_and(|(_, value)| Path::new(value) == path)
    };
    if var("SSH_AUTH_SOCK") {
        return Some(Service::Intent("ssh-agent"));
    }
    device(path).or_else(|| session(path, place)).or_else(|| home(path, place))
}

fn device(path: &Path) -> Option<Service> {
    let below = path.strip_prefix("/dev").ok()?;
    let text = below.to_str()?;
    let begins = |names: &[&str]| names.iter().any(|name| text.starts_with(name));
    Some(Service::Intent(if begins(&["dri", "nvidia", "kfd", "mali", "dma_heap"]) {
        "gpu"
    } else if begins(&["video", "media", "v4l-subdev"]) {
        "camera"
    } else if begins(&["bus/usb/"]) {
        "usb"
    } else if begins(&["input/js", "input/event"]) {
        "gamepad"
    } else if matches!(text, "kvm" | "vhost-net" | "vhost-vsock") {
        "kvm"
    } else if begins(&["snd/"]) {
        "audio.play"
    } else {
        return None;
    }))
}

/// Sockets of the session and of the system.
fn session(path: &Path, place: &Place<'_>) -> Option<Service> {
    if path.starts_with("/tmp/.X11-unix") {
        return Some(Service::Intent("display.x11"));
    }
    if path.starts_with("/tmp") {
        let agent = path.parent()?.file_name()?.to_str()?.starts_with("ssh-");
        let name = path.file_name()?.to_str()?;
        return (agent && name.starts_with("agent.")).then_some(Service::Intent("ssh-agent"));
    }
    let fixed = [
        ("/run/cups/cups.sock", Service::Intent("print")),
        ("/run/dbus/system_bus_socket", Service::Intent("dbus.talk")),
        ("/run/docker.sock", Service::Danger("docker's socket: it gives the whole machine away")),
        ("/run/podman/podman.sock", Service::Danger("podman's socket: it runs anything outside")),
        (
            "/run/containerd/containerd.sock",
            Service::Danger("containerd's socket: it runs anything outside"),
        ),
    ];
    let plain = path.strip_prefix("/var").ok().filter(|rest| rest.starts_with("run"));
    let path = plain.map_or_else(|| path.to_owned(), |rest| Path::new("/").join(rest));
    if let Some((_, service)) = fixed.into_iter().find(|(known, _)| path == Path::new(known)) {
        return Some(service);
    }
    let usual = PathBuf::from(format!("/run/user/{}", place.uid));
    let runtime = [place.env.runtime.as_deref(), Some(usual.as_path())];
    let below = runtime.into_iter().flatten().find_map(|dir| path.strip_prefix(dir).ok())?;
    let text = below.to_str()?;
    Some(if text == "gnupg/S.gpg-agent" {
        Service::Intent("gpg-agent")
    } else if matches!(text, "gnupg/S.gpg-agent.ssh" | "keyring/ssh" | "ssh-agent.socket") {
        Service::Intent("ssh-agent")
    } else if text == "bus" {
        Service::Intent("dbus.talk")
    } else if text.starts_with("wayland-") {
        Service::Intent("display.wayland")
    } else if text == "pulse/native" || text.starts_with("pipewire-") {
        Service::Intent("audio.play")
    } else {
        return None;
    })
}

fn home(path: &Path, place: &Place<'_>) -> Option<Service> {
    let below = path.strip_prefix(&place.env.home).ok()?;
    let is = |names: &[&str]| names.iter().any(|name| below.starts_with(name));
    if below == Path::new(".gnupg/S.gpg-agent") {
        return Some(Service::Intent("gpg-agent"));
    }
    if is(&[".fonts", ".local/share/fonts", ".config/fontconfig"]) {
        return Some(Service::Intent("fonts"));
    }
    is(&[".themes", ".icons", ".local/share/themes", ".local/share/icons"])
        .then_some(Service::Intent("themes"))
}

/// Whether a path is about a service, not a file.
pub fn is_service(path: &Path, place: &Place<'_>) -> bool {
    path_service(path, place).is_some()
}

/// Whether a program is a 32-bit one.
fn is_narrow(path: &Path, place: &Place<'_>) -> bool {
    let start = place.files.read(path, 20).unwrap_or_default();
    // EM_386 and EM_ARM; x32 programs have 32 bits, too, and EM_X86_64.
    start.starts_with(b"\x7fELF\x01") && matches!(start.get(18..20), Some([3, 0] | [40, 0]))
}

/// The intent that would let a call through.
fn of_call(name: &[u8]) -> Option<&'static str> {
    let name = std::str::from_utf8(name).ok()?;
    Some(match name {
        "ptrace" | "process_vm_readv" | "process_vm_writev" | "kcmp" | "pidfd_getfd" => "ptrace",
        "clone" | "clone3" | "unshare" | "setns" | "mount" | "umount2" | "pivot_root"
        | "chroot" | "fsopen" | "fsconfig" | "fsmount" | "fspick" | "move_mount" | "open_tree"
        | "mount_setattr" => "nested-sandbox",
        _ => return None,
    })
}

/// An address of the internet.
struct Inet {
    udp: bool,
    at: SocketAddr,
}

fn inet(object: &Bytes) -> Option<Inet> {
    let text = std::str::from_utf8(&object.0).ok()?;
    let (kind, at) = text.split_once(':')?;
    let udp = match kind {
        "tcp" => false,
        "udp" => true,
        _ => return None,
    };
    Some(Inet { udp, at: at.parse().ok()? })
}

fn is_inside(address: IpAddr) -> bool {
    address.is_loopback() || address.is_unspecified()
}

/// Ports that the run listened at: who listens inside can be reached inside.
pub fn listened(touched: &Touched) -> BTreeSet<u16> {
    let bound = touched.reached.iter().filter(|(_, touch)| touch.did(&[Action::Bind]));
    bound.filter_map(|(object, _)| inet(object).map(|inet| inet.at.port())).collect()
}

/// With the host's network, no name is known.
fn network(touched: &Touched, place: &Place<'_>, learned: &mut Learned) {
    let Some(whole) = place.given.iter().find(|intent| is_whole(intent)) else {
        return super::hosts::add(touched, place, learned);
    };
    let own = listened(touched);
    for (addresses, class) in
        [(&touched.reached, Class::Needed), (&touched.unreached, Class::Tolerated)]
    {
        let mut evidence = Evidence::default();
        let mut named = Vec::new();
        for (object, touch) in addresses {
            let Some(Inet { udp, at }) = inet(object) else { continue };
            // What the run did not start itself answers on the host, where that is shared.
            let elsewhere = *whole == Intent::NetAll
                && touch.did(&[Action::Connect])
                && at.port() != 0
                && !own.contains(&at.port());
            if !is_inside(at.ip()) || elsewhere {
                extend(&mut evidence, object, touch);
                named.push(if udp { format!("udp {at}") } else { at.to_string() });
            }
        }
        if evidence.objects == 0 {
            continue;
        }
        finish(&mut evidence);
        let more = named.len().saturating_sub(MAX_NAMED);
        named.truncate(MAX_NAMED);
        let more = if more > 0 { format!(" and {more} more") } else { String::new() };
        let note = format!(
            "careful: reaches every host, not only {}{more}; net.host names single ones",
            named.join(", ")
        );
        if class == Class::Needed {
            learned.needs.push(Need::Plain(whole.clone()));
        }
        let wanted = Wanted::Intent(whole.clone());
        learned.lines.push(Line { wanted, class, note: Some(note), evidence });
    }
}

/// What was allowed while recording and leaves no events.
fn given(place: &Place<'_>, learned: &mut Learned) {
    for intent in place.given {
        let traceless = matches!(
            intent,
            Intent::EnvPass(_)
                | Intent::EnvSet(..)
                | Intent::Ptrace
                | Intent::NestedSandbox
                | Intent::Tty
                | Intent::NetDeny(_)
                | Intent::NetAsk
                | Intent::NetListen(_)
                | Intent::FilesHide(_)
                | Intent::FilesHideGlob(_)
        );
        if traceless {
            let wanted = Wanted::Intent(intent.clone());
            let note = Some("allowed while recording; use leaves no trace".to_owned());
            let evidence = Evidence::default();
            learned.lines.push(Line { wanted, class: Class::Given, note, evidence });
        }
    }
}
