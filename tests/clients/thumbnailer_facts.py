"""facts.py PICTURE [SIZE]: writes a PNG whose comment says what this process sees."""
import ctypes
import os
import struct
import subprocess
import sys
import zlib


def status(key):
    with open("/proc/self/status") as file:
        return next(line.split()[1] for line in file if line.startswith(key + ":"))


def writable(path):
    try:
        os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL))
        os.unlink(path)
        return "writable"
    except OSError as error:
        return {30: "read-only"}.get(error.errno, f"errno {error.errno}")


def opened(path):
    try:
        os.close(os.open(path, os.O_WRONLY))
        return "writable"
    except OSError as error:
        return {30: "read-only"}.get(error.errno, f"errno {error.errno}")


def syscall(number, *arguments):
    return "refused" if ctypes.CDLL(None).syscall(number, *arguments) < 0 else "allowed"


def facts():
    yield from (os.readlink(f"/proc/self/ns/{name}") for name in ("net", "pid", "ipc", "uts", "mnt", "user"))
    yield "seccomp=" + status("Seccomp")
    yield "no-new-privs=" + status("NoNewPrivs")
    yield "usr=" + writable("/usr/x")
    yield "file=" + opened(os.path.abspath(__file__))
    yield "tmp=" + writable("/tmp/x")
    # The directory that the file came from.
    yield "secret=" + ("there" if os.path.exists(os.environ.get("HOME", "/") + "/pics/secret") else "hidden")
    yield "etc=" + ("there" if os.path.exists("/etc/passwd") else "absent")
    yield "cwd=" + os.getcwd()
    yield "vfs=" + os.environ.get("GIO_USE_VFS", "")
    # keyctl, which the filter refuses; the number is x86_64's or the generic table's.
    yield "keyring=" + syscall(250 if os.uname().machine == "x86_64" else 219, 0, -3, 0)
    yield "unshare=" + ("refused" if subprocess.run(["unshare", "-U", "true"], stderr=subprocess.DEVNULL).returncode else "allowed")
    with open("/proc/self/mountinfo") as file:
        mounts = [line.split() for line in file]
    yield "dev=" + "".join(m[m.index("-") + 1] for m in mounts if m[4] == "/dev")[-5:]
    yield "processes=" + ("few" if sum(name.isdigit() for name in os.listdir("/proc")) < 9 else "many")


def seen():
    try:
        return "\n".join(facts())
    except Exception as error:  # no comment would hide why
        return repr(error)


def chunk(kind, data):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


size = int(sys.argv[2]) if len(sys.argv) > 2 else 32
comment = b"" if len(sys.argv) > 2 else chunk(b"tEXt", b"Comment\0" + seen().encode())
with open(sys.argv[1], "wb") as file:
    file.write(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", size, size, 8, 2, 0, 0, 0)) + comment)
    file.write(chunk(b"IDAT", zlib.compress((b"\0" + b"\x20\x40\x80" * size) * size)) + chunk(b"IEND", b""))
