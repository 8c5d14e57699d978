"""Attempts to reach something, each told of by one line: its name, a tab, and what came back.

usage: attempt.py FILE

FILE has a line for each: a name, a tab, and an expression of Python over the functions below. What
was reached says hello, or is answered.
"""
import base64, concurrent.futures, os, socket, ssl, struct, sys, time

PROXY, SOCKS, RESOLVER = ("198.18.0.2", 3128), ("198.18.0.2", 1080), "198.18.0.1"
PATIENCE = 3


def hear(link):
    """All that is said until a greeting, the end, or silence."""
    text = b""
    try:
        while b"hello" not in text and (more := link.recv(65536)):
            text += more
    except socket.timeout:
        text += b" ... silence"
    except OSError as error:
        text += b" ... " + str(error).encode()
    return text


def request(host, path="/", more=""):
    return f"GET {path} HTTP/1.1\r\nHost: {host}\r\n{more}\r\n".encode("latin-1")


def tcp(address, port, say=None):
    """What comes back from there, after a request or what else is said."""
    with socket.create_connection((address, port), PATIENCE) as link:
        link.sendall(request(address) if say is None else say)
        return hear(link)


def twice(address, port, first, second):
    """What comes back for the second of two requests, sent after the answer to the first."""
    with socket.create_connection((address, port), PATIENCE) as link:
        link.sendall(first)
        if b"hello" not in hear(link):
            return b"not even the first"
        link.sendall(second)
        return hear(link)


def late(address, port, say):
    """Says it and waits; what of it was passed on only the other side knows."""
    with socket.create_connection((address, port), PATIENCE) as link:
        link.settimeout(0.7)
        link.sendall(say)
        try:
            while link.recv(65536):
                pass
        except OSError:
            pass
    return "judged by what arrived"


def pieces(address, port, *all):
    """What comes back when it is said in pieces."""
    with socket.create_connection((address, port), PATIENCE) as link:
        link.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for piece in all:
            link.sendall(piece)
            time.sleep(0.05)
        return hear(link)


def secured(link, sni, host):
    tls = ssl.create_default_context()
    tls.check_hostname, tls.verify_mode = False, ssl.CERT_NONE
    with tls.wrap_socket(link, server_hostname=sni) as link:
        link.sendall(request(host))
        return hear(link)


def tls(address, sni, host=None, port=443):
    """What comes back over TLS, by a greeting for a name."""
    return secured(socket.create_connection((address, port), PATIENCE), sni, host or sni or address)


def greeting(sni, size=16384):
    """The first flight of TLS for a name, in records of at most this size."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    out = ssl.MemoryBIO()
    try:
        context.wrap_bio(ssl.MemoryBIO(), out, server_hostname=sni).do_handshake()
    except ssl.SSLWantReadError:
        pass
    hello = out.read()[5:]
    parts = [hello[at:at + size] for at in range(0, len(hello), size)]
    return b"".join(b"\x16\x03\x01" + struct.pack("!H", len(part)) + part for part in parts)


def greet(address, *all, port=443):
    """Whether a server of TLS answers a greeting that comes in pieces."""
    reply = pieces(address, port, *all)
    return b"says hello: " + reply[:5] if reply[:1] == b"\x16" else reply


def tunnel(target, host=None, more=""):
    link = socket.create_connection(PROXY, PATIENCE)
    target = target.encode("latin-1")
    head = f"\r\nHost: {host}".encode() if host else b"\r\nHost: " + target
    link.sendall(b"CONNECT " + target + b" HTTP/1.1" + head + b"\r\n" + more.encode() + b"\r\n")
    reply = b""
    while not reply.endswith(b"\r\n\r\n") and (byte := link.recv(1)):
        reply += byte
    if b" 200 " not in reply[:20]:
        raise OSError(reply[:200])
    return link


def connect(target, host=None, more=""):
    """What comes back through the HTTP proxy."""
    with tunnel(target, host, more) as link:
        link.sendall(request(target.rsplit(":", 1)[0]))
        return hear(link)


def proxied(url, host=None, more=""):
    """What the HTTP proxy fetches."""
    return tcp(*PROXY, say=request(host or url.split("/")[2], url, more))


def socks(kind, target, port=80, command=1, say=None):
    """What comes back through the SOCKS proxy, for an address or a name as bytes."""
    with socket.create_connection(SOCKS, PATIENCE) as link:
        link.sendall(b"\5\1\0")
        if link.recv(2) != b"\5\0":
            raise OSError("no method")
        name = target if isinstance(target, str) else "x"
        if kind == 3:
            target = target.encode("latin-1") if isinstance(target, str) else target
            target = bytes([len(target)]) + target
        else:
            target = socket.inet_pton(socket.AF_INET if kind == 1 else socket.AF_INET6, target)
        link.sendall(b"\5" + bytes([command]) + b"\0" + bytes([kind]) + target + struct.pack("!H", port))
        reply = link.recv(10)
        if reply[1:2] != b"\0":
            raise OSError(f"SOCKS says {reply}")
        link.sendall(say or request(name))
        return hear(link)


def wire(name):
    """A name as DNS has it, from text or a list of labels as bytes."""
    labels = [label.encode("latin-1") for label in name.split(".")] if isinstance(name, str) else name
    return b"".join(bytes([len(label)]) + label for label in labels if label) + b"\0"


def dns(name, kind=1, server=RESOLVER, tcp=False, more=b"", raw=None, port=53, flags=0x100):
    """What a server says of a name."""
    asked = raw or struct.pack("!6H", 7, flags, 1, 0, 0, 1 if more else 0) + wire(name) + struct.pack("!HH", kind, 1) + more
    family = socket.AF_INET6 if ":" in server else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM if tcp else socket.SOCK_DGRAM) as link:
        link.settimeout(PATIENCE if tcp else 1)
        link.connect((server, port))
        link.sendall(struct.pack("!H", len(asked)) + asked if tcp else asked)
        reply = link.recv(65536)[2 if tcp else 0:]
        if len(reply) < 12:
            raise OSError(f"only {len(reply)} bytes")
        code, answers = reply[3] & 15, struct.unpack("!H", reply[6:8])[0]
        return f"answered {reply[12:].hex()}" if code == 0 and answers else f"code {code}"


def udp(address, port, say=b"tick"):
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as link:
        link.settimeout(1)
        link.connect(socket.getaddrinfo(address, port, family, socket.SOCK_DGRAM)[0][4])
        # Datagrams get lost where the machine has too much to do.
        for again in (True, True, False):
            link.send(say)
            try:
                return b"says hello: " + link.recv(65536)
            except TimeoutError:
                if not again:
                    raise


def echo(address):
    """What comes back of a ping."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM, socket.IPPROTO_ICMP) as link:
        link.settimeout(1)
        link.sendto(b"\x08\0\0\0\0\0\0\1tick", (address, 0))
        return b"says hello: " + link.recv(100)


def run(line):
    name, _, expression = line.rstrip("\n").partition("\t")
    try:
        result = eval(expression)
    except Exception as error:
        result = f"{type(error).__name__}: {error}"
    return f"{name}\t{result!r}"


def main():
    with open(sys.argv[1], encoding="utf-8") as file, concurrent.futures.ThreadPoolExecutor(24) as pool:
        for line in pool.map(run, file):
            print(line, flush=True)


if __name__ == "__main__":
    main()
