"""webkit.py PAGE HIDDEN: loads PAGE in a sandboxed WebKitGTK view and prints, one fact a
line, its title and what the web process sees, found from outside below /proc."""
import os
import stat
import sys
import time

import gi

gi.require_version("Gtk", "3.0")
gi.require_version("WebKit2", "4.1")
from gi.repository import GLib, Gtk, WebKit2


def web_processes():
    """The pids of this user's WebKitWebProcess programs."""
    for entry in os.listdir("/proc"):
        try:
            if entry.isdigit() and os.readlink(f"/proc/{entry}/exe").endswith("/WebKitWebProcess"):
                yield entry
        except OSError:
            pass


def status(pid, key):
    with open(f"/proc/{pid}/status") as file:
        for line in file:
            if line.startswith(key + ":"):
                return line.split()[1]
    return None


def report(view, hidden):
    print("title=" + (view.get_title() or ""))
    home = os.environ["HOME"]
    for pid in web_processes():
        for name in ("mnt", "pid", "net", "ipc", "uts", "user"):
            other = os.readlink(f"/proc/{pid}/ns/{name}") != os.readlink(f"/proc/self/ns/{name}")
            print(f"{name}={'own' if other else 'shared'}")
        print("seccomp=" + status(pid, "Seccomp"))
        print("no-new-privs=" + status(pid, "NoNewPrivs"))
        print("capabilities=" + status(pid, "CapEff"))
        root = f"/proc/{pid}/root"
        print("hidden=" + str(not os.path.exists(root + hidden)))
        print("info=" + str(os.path.exists(root + "/.flatpak-info")))
        with open(f"/proc/{pid}/mountinfo") as file:
            mounts = [line.split() for line in file]
        # File systems of the host, by the last mount on each path; a socket is no file.
        top = {m[4]: m for m in mounts}
        kinds = {path: m[m.index("-") + 1] for path, m in top.items()}
        writable = [
            path
            for path, m in top.items()
            if m[5].startswith("rw")
            and kinds[path] not in ("proc", "devpts", "devtmpfs", "tmpfs")
            and not os.path.islink(root + path)
            and not stat.S_ISSOCK(os.stat(root + path).st_mode)
            and "/webkitgtk" not in path
            and not path.startswith((home + "/.cache", home + "/.local"))
        ]
        print("writable=" + (" ".join(writable) or "none"))
        print("proc=" + str(any(m[4] == "/proc" for m in mounts)))
    sys.stdout.flush()


def main():
    page, hidden = sys.argv[1:3]
    context = WebKit2.WebContext()
    context.set_sandbox_enabled(True)
    context.add_path_to_sandbox(os.path.dirname(page), True)
    view = WebKit2.WebView.new_with_context(context)
    window = Gtk.Window()
    window.add(view)
    window.show_all()
    end = time.monotonic() + 60

    def done():
        # The title that the page's script sets, not the one of its source.
        if (view.get_title() or "before") != "before":
            report(view, hidden)
            Gtk.main_quit()
            return False
        if time.monotonic() > end:
            print("no title in time")
            Gtk.main_quit()
            return False
        return True

    view.connect("web-process-terminated", lambda *_: (print("the web process died"), Gtk.main_quit()))
    view.connect("load-failed", lambda *a: print("load failed:", a[-1].message))
    GLib.timeout_add(100, done)
    view.load_uri("file://" + page)
    Gtk.main()


main()
