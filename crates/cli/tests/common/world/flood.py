"""Says to every door of a sandbox's network what no client should: says how much of it was taken."""
import random, socket, struct, time
from concurrent.futures import ThreadPoolExecutor
from attempt import PROXY, RESOLVER, SOCKS, greeting, wire

DOORS = {"proxy": PROXY, "socks": SOCKS, "names": (RESOLVER, 53), "web": ("good.example.com", 80),
         "secured": ("good.example.com", 443)}
chance = random.Random(7)


def frame(data, length=None):
    return struct.pack("!H", len(data) if length is None else length) + data


HEAD = struct.pack("!6H", 7, 256, 1, 0, 0, 0)
HELLO = greeting("good.example.com")
SAYINGS = [
    ("names", frame(b"")), ("names", frame(b"", 65535)), ("names", frame(HEAD[:5])),
    ("names", frame(HEAD + b"\xc0\x0c\0\1\0\1")), ("names", frame(HEAD + b"\xc0\xff\0\1\0\1")),
    ("names", frame(HEAD + b"\x3f" + b"a" * 20)), ("names", frame(HEAD + b"\x80abc\0\0\1\0\1")),
    ("names", frame(HEAD + wire([b"a" * 63] * 5) + b"\0\1\0\1")),
    ("names", frame(struct.pack("!6H", 7, 256, 65535, 65535, 65535, 65535) + wire("good.example.com"))),
    ("names", frame(struct.pack("!6H", 7, 0x8180, 1, 1, 0, 0) + wire("good.example.com") + b"\0\1\0\1")),
    ("names", b"GET / HTTP/1.1\r\n\r\n"), ("names", chance.randbytes(3000)),
    ("secured", b"\x16\x03\x01\0\0"), ("secured", b"\x16\x03\x01\xff\xff" + b"\1" * 5000),
    ("secured", HELLO[:9]), ("secured", HELLO[:-7]), ("secured", HELLO[:5] + b"\1\xff\xff\xff" + HELLO[9:]),
    ("secured", HELLO[:5] + b"\1\0\0\0" + HELLO[9:]), ("secured", HELLO[:43] + b"\xff" * len(HELLO[43:])),
    ("secured", b"\x16\x03\x01\0\1\1" * 5000), ("secured", greeting("good.example.com", 1)),
    ("web", b"G"), ("web", b"GET "), ("web", b"GET / HTTP/1.1\r\n" + b"X: y\r\n" * 20000),
    ("web", b"GET /" + b"a" * 100000), ("web", b"GET / HTTP/1.1\r\nHost: good.example.com\r\nContent-Length: -5\r\n\r\n"),
    ("web", b"GET / HTTP/1.1\r\nHost: " + b"a" * 300 + b".example.com\r\n\r\n"), ("web", b"\r\n" * 50000),
    ("web", b"GET / HTTP/9.9\r\n\r\n"), ("web", b"GET\0/ HTTP/1.1\r\nHost: good.example.com\r\n\r\n"),
    ("web", b"POST / HTTP/1.1\r\nHost: good.example.com\r\nTransfer-Encoding: chunked\r\n\r\n-1\r\n"),
    ("proxy", b""), ("proxy", b"CONNECT"), ("proxy", b"CONNECT " + b"a" * 300 + b":80 HTTP/1.1\r\n\r\n"),
    ("proxy", b"CONNECT good.example.com:80 HTTP/1.1\r\n" + b"X: y\r\n" * 20000),
    ("proxy", b"CONNECT good.example.com:99999999999999999999 HTTP/1.1\r\n\r\n"),
    ("proxy", b"\0" * 20000), ("proxy", chance.randbytes(20000)), ("proxy", b"GET http:///// HTTP/1.1\r\n\r\n"),
    ("proxy", b"GET http://[ HTTP/1.1\r\n\r\n"), ("proxy", b"\x16\x03\x01\0\5hello"),
    ("socks", b""), ("socks", b"\5"), ("socks", b"\5\0"), ("socks", b"\5\xff" + b"\2" * 255),
    ("socks", b"\5\1\0\5\1\0\3\0\0\x50"), ("socks", b"\5\1\0\5\1\0\3\xff" + b"a" * 255 + b"\0\x50"),
    ("socks", b"\5\1\0\5\1\0\x09"), ("socks", b"\5\1\0\5\1\0\1\x7f"), ("socks", b"\4" * 5000),
    ("socks", b"\5\1\2\1\xff" + b"a" * 600), ("socks", chance.randbytes(5000)),
]


def say(door, text, wait):
    try:
        with socket.create_connection(DOORS[door], 10) as link:
            link.settimeout(wait)
            link.sendall(text)
            while link.recv(65536):
                pass
    except OSError:
        pass
    return 1


def changed():
    """A saying with bytes of it changed."""
    door, text = chance.choice(SAYINGS)
    text = bytearray(text[:4000])
    for _ in range(min(len(text), 4)):
        text[chance.randrange(len(text))] = chance.randrange(256)
    return door, bytes(text)


def slow(n):
    """Is connected, and says one letter after the other."""
    door = list(DOORS)[n % len(DOORS)]
    try:
        with socket.create_connection(DOORS[door], 10) as link:
            for byte in b"GET / H":
                link.send(bytes([byte]))
                time.sleep(0.3)
    except OSError:
        pass
    return 1


def main():
    with ThreadPoolExecutor(150) as pool:
        slowly = pool.map(slow, range(100))
        said = list(pool.map(lambda one: say(*one, 0.5), SAYINGS))
        said += pool.map(lambda one: say(*one, 0.1), [changed() for _ in range(400)])
        datagrams = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        for n in range(3000):
            text = [b"", b"\0", HEAD, chance.randbytes(n % 1400), HEAD + wire([b"a" * 63] * 5)][n % 5]
            datagrams.sendto(text, (RESOLVER, 53))
        for n in range(2000):
            link = socket.socket()
            link.setblocking(False)
            link.connect_ex((DOORS["web"][0] if n < 3 else "198.18.0.2", 80 if n % 2 else 3128))
            link.close()
        said += slowly
    print("flooded", len(said))


main()
