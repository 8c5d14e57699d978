"""The names of a test's internet, and what its resolver answers.

All below these zones have the public address, but for those whose first label says something else:

    to-10-0-0-5, to6-fd00--1    that address
    cname-LABEL, loop           another name of the zone, or itself
    late-…                      a public address, and from the second time on a private one
    both-…                      a private and a public one
    many, truncated, v4         answers that are long, cut short, or for one family
    nx, servfail, refused, nodata, silent
    garbage, foreign, wrongid   answers that are none
"""
import socket, struct, threading

PUBLIC, PUBLIC6, PRIVATE = "93.184.216.34", "2600:1f00:1::34", "10.0.0.5"
ZONES = ("example.com", "example.net", "example.org", "evilexample.com", "good-example.com")
KINDS = {1: "A", 5: "CNAME", 10: "NULL", 15: "MX", 16: "TXT", 28: "AAAA", 33: "SRV", 65: "HTTPS"}

asked, counting = {}, threading.Lock()


def records(name, kind):
    """What the name has of the kind: (TTL, type, value) each, or a word for what is wrong."""
    label, _, rest = name.partition(".")
    what, _, more = label.partition("-")
    if name == "metadata.google.internal":
        label, what, more = "to-169-254-169-254", "to", "169-254-169-254"
    elif name not in ZONES and not name.endswith(tuple("." + zone for zone in ZONES)):
        return "nx"
    if what in ("nx", "servfail", "refused", "truncated", "garbage", "foreign", "wrongid", "silent"):
        return what
    if what == "nodata" or kind not in (1, 28):
        return []
    if what == "cname":
        return [(0, 5, more + "." + rest)] + (records(more + "." + rest, kind) or [])
    if what == "loop":
        return [(0, 5, name)]
    if what == "to":
        return [(0, 1, more.replace("-", "."))] if kind == 1 else []
    if what == "to6":
        return [(0, 28, more.replace("-", ":").replace("_", "."))] if kind == 28 else []
    if what == "late":
        with counting:
            n = asked[name, kind] = asked.get((name, kind), 0) + 1
        if n > 1:
            return [(0, 1, PRIVATE)] if kind == 1 else [(0, 28, "::ffff:" + PRIVATE)]
        return [(0, 1, PUBLIC)] if kind == 1 else []
    if what == "both":
        return [(0, 1, PRIVATE), (0, 1, PUBLIC)] if kind == 1 else []
    if what == "many":
        return [(60, 1, PUBLIC)] * 200 if kind == 1 else []
    if what == "v4":
        return [(60, 1, PUBLIC)] if kind == 1 else []
    return [(60, 1, PUBLIC)] if kind == 1 else [(60, 28, PUBLIC6)]


def encode(name):
    return b"".join(bytes([len(label)]) + label.encode() for label in name.split(".") if label) + b"\0"


def question(data):
    """The name as it was asked, its type, and the bytes of the question."""
    labels, at = [], 12
    while data[at]:
        labels.append(data[at + 1:at + 1 + data[at]].decode("latin-1"))
        at += 1 + data[at]
    return ".".join(labels), struct.unpack("!H", data[at + 1:at + 3])[0], data[12:at + 5]


def noted(data):
    """A question as it is written down."""
    try:
        name, kind, _ = question(data)
        return KINDS.get(kind, kind), name
    except (IndexError, struct.error):
        return "malformed", len(data)


def answer(data, tcp):
    """The answer of a resolver; none where it is silent."""
    name, kind, asks = question(data)
    found = records(name.lower(), kind)
    head = lambda code, n, flags=0x8180, id=data[:2]: id + struct.pack("!5H", flags | code, 1, n, 0, 0)
    codes = {"nx": 3, "servfail": 2, "refused": 5}
    if found == "silent":
        return None
    if found == "garbage":
        return data[:2] + b"\x81\x80" + b"\xff" * 40
    if found == "truncated":
        found = [(60, 1, PUBLIC)] if kind == 1 else []
        if not tcp:
            return head(0, 0, 0x8380) + asks
    if found in ("foreign", "wrongid"):
        value = (0, 1, socket.inet_aton(PUBLIC))
        if found == "foreign":
            asks = encode("www.example.org") + asks[-4:]
        id = data[:2] if found == "foreign" else bytes([data[0] ^ 255, data[1]])
        return head(0, 1, id=id) + asks + b"\xc0\x0c" + struct.pack("!HHIH", 1, 1, 0, 4) + value[2]
    if isinstance(found, str):
        return head(codes[found], 0) + asks
    if len(found) > 20 and not tcp:
        return head(0, 0, 0x8380) + asks
    text, owner = b"", b"\xc0\x0c"
    for ttl, type, value in found:
        packed = encode(value) if type == 5 else socket.inet_pton(
            socket.AF_INET if type == 1 else socket.AF_INET6, value)
        text += owner + struct.pack("!HHIH", type, 1, ttl, len(packed)) + packed
        owner = encode(value) if type == 5 else owner
    return head(0, len(found)) + asks + text
