//! The attempts, by what is granted: `good.example.com` and all below `wild.example.com` at ports 80
//! and 443, `v4.example.com` at 443; `bad.wild.example.com` is denied. What is never to be heard of
//! outside is of `example.net`, or `evil`.

/// What is granted.
pub const GRANTS: &str = "--net good.example.com,*.wild.example.com,v4.example.com:443 \
    --net-deny bad.wild.example.com";

/// Names that are not granted, as Python's text.
pub const NAMES: [&str; 19] = [
    "www.example.net",
    "example.com",
    "wild.example.com",
    "evilwild.example.com",
    "notgood.example.com",
    "good-example.com",
    "good.example.com.evilexample.com",
    "evilexample.com",
    "bad.wild.example.com",
    "BAD.wild.example.com.",
    "sub.good.example.com",
    "good.example.com.example.net",
    "good.example.com\\x00.example.net",
    "g\\xc3\\xb6od.example.com",
    "xn--gd-jlba.example.com",
    "good.example.com@example.net",
    "example.net#good.example.com",
    "*.wild.example.com",
    "good.example.com example.net",
];

/// Questions for names that are not granted, and to other servers than the sandbox's.
pub const QUESTIONS: &[(&str, &str)] = &[
    ("aaaa", "dns('www.example.net', 28)"),
    ("txt", "dns('www.example.net', 16)"),
    ("null", "dns('www.example.net', 10)"),
    ("mx", "dns('www.example.net', 15)"),
    ("srv", "dns('_http._tcp.example.net', 33)"),
    ("https", "dns('www.example.net', 65)"),
    ("any", "dns('www.example.net', 255)"),
    ("zone transfer", "dns('example.net', 252, tcp=True)"),
    ("of no known kind", "dns('www.example.net', 65399)"),
    ("by tcp", "dns('www.example.net', tcp=True)"),
    ("by the resolver's other address", "dns('www.example.net', server='fd73:7761:7468:6500::1')"),
    ("mixed case", "dns('wWw.ExAmPlE.nEt')"),
    ("a zero in a label", "dns([b'good\\0', b'example', b'net'])"),
    ("a dot in a label", "dns([b'good.example.com', b'example', b'net'])"),
    ("a granted name as one label", "dns([b'good.example.com'])"),
    ("a granted name below another", "dns([b'good', b'example.com'])"),
    ("spaces and controls", "dns([b'a b\\n', b'example', b'net'])"),
    ("bytes that are no text", "dns([b'\\xff\\xfe', b'example', b'net'])"),
    ("longest labels", "dns([b'a' * 63] * 3 + [b'x' * 40, b'example', b'net'])"),
    ("longer than a name may be", "dns([b'a' * 63] * 5 + [b'example', b'net'])"),
    (
        "data as a name",
        "dns(base64.b32encode(os.urandom(30)).decode().strip('=') + '.t.example.net')",
    ),
    ("data as a name, txt", "dns(base64.b32encode(b'secret' * 5).decode() + '.t.example.net', 16)"),
    ("data as a name, null, by tcp", "dns('c2VjcmV0.t.example.net', 10, tcp=True)"),
    (
        "data in the class",
        "dns('', raw=struct.pack('!6H', 7, 256, 1, 0, 0, 0) \
        + wire('www.example.net') + struct.pack('!HH', 1, 0x4142))",
    ),
    (
        "two questions",
        "dns('', raw=struct.pack('!6H', 7, 256, 2, 0, 0, 0) \
        + wire('good.example.com') + b'\\0\\1\\0\\1' + wire('www.example.net') + b'\\0\\1\\0\\1')",
    ),
    ("a reverse name", "dns('5.0.0.10.in-addr.arpa', 12)"),
    ("another reverse name", "dns('34.216.184.93.in-addr.arpa', 12)"),
    ("an update", "dns('good.example.com', flags=0x2800)"),
    ("a notice", "dns('good.example.com', flags=0x2000)"),
    ("to 8.8.8.8", "dns('www.example.net', server='8.8.8.8')"),
    ("to 1.1.1.1 by tcp", "dns('www.example.net', server='1.1.1.1', tcp=True)"),
    ("to the host's", "dns('www.example.net', server='93.184.0.1')"),
    ("to the host's by tcp", "dns('www.example.net', server='93.184.0.1', tcp=True)"),
    ("to the host's by IPv6", "dns('www.example.net', server='2600:1f00::1')"),
    ("to a server at the granted host", "dns('www.example.net', server='93.184.216.34')"),
    ("over TLS", "tcp('93.184.0.1', 853, b'hello\\n')"),
    ("over HTTPS, by address", "tls('1.1.1.1', None)"),
    ("over HTTPS, by address and name", "tls('8.8.8.8', 'dns.example.net')"),
    (
        "over HTTPS, by proxy",
        "secured(tunnel('8.8.8.8:443'), 'dns.example.net', 'dns.example.net')",
    ),
    ("over HTTPS, by name", "tls('dns.example.net', 'dns.example.net')"),
    ("multicast", "dns('host.local', server='224.0.0.251', port=5353)"),
];

/// Other ports and protocols of hosts that are granted, and their addresses.
pub const PORTS: &[(&str, &str)] = &[
    ("ssh", "tcp('good.example.com', 22, b'x\\n')"),
    ("8080", "tcp('good.example.com', 8080)"),
    ("8443", "tls('good.example.com', 'good.example.com', port=8443)"),
    ("a database", "tcp('good.example.com', 6379, b'*1\\r\\n$4\\r\\nPING\\r\\n')"),
    ("echo", "tcp('good.example.com', 7, b'x\\n')"),
    ("80 where 443 is granted", "tcp('v4.example.com', 80)"),
    ("8080 below the wildcard", "tcp('a.wild.example.com', 8080)"),
    ("8080 by connect", "connect('good.example.com:8080')"),
    ("8080 by proxy", "proxied('http://good.example.com:8080/')"),
    ("8080 by socks", "socks(3, 'good.example.com', 8080)"),
    ("22 by connect", "connect('good.example.com:22')"),
    ("udp 443", "udp('good.example.com', 443)"),
    ("udp 123", "udp('good.example.com', 123)"),
    ("udp 53 of the host", "udp('93.184.216.34', 53, b'hello')"),
    ("udp 443 of an address", "udp('93.184.216.34', 443)"),
    ("udp 7 by IPv6", "udp('2600:1f00:1::34', 7)"),
    ("the address itself", "tcp('93.184.216.34', 80)"),
    ("the address over TLS", "tls('93.184.216.34', 'good.example.com')"),
    ("the address by IPv6", "tcp('2600:1f00:1::34', 80)"),
    ("the address by connect", "connect('93.184.216.34:80')"),
    ("the address by connect, with the name", "connect('93.184.216.34:80', 'good.example.com:80')"),
    ("the address by proxy", "proxied('http://93.184.216.34/', 'good.example.com')"),
    ("the address by socks", "socks(1, '93.184.216.34')"),
    ("the address by socks, IPv6", "socks(4, '2600:1f00:1::34')"),
    ("the address as a mapped one", "tcp('::ffff:93.184.216.34', 80)"),
    ("the address as a name", "socks(3, '93.184.216.34')"),
    ("the address in hexadecimal", "connect('0x5db8d822:80')"),
    ("another address", "tcp('93.184.216.35', 80)"),
    ("a place of the pool that is nobody's", "tcp('198.18.77.1', 80)"),
    ("the last of the pool", "tcp('198.19.255.255', 443)"),
    ("one of the pool by IPv6", "tcp('fd73:7761:7468:6500::4d01', 80)"),
    ("the resolver's port 80", "tcp('198.18.0.1', 80)"),
    ("the proxy's port 80", "tcp('198.18.0.2', 80)"),
    ("a place of the pool by connect", "connect('198.18.77.1:80')"),
    ("a ping of an address", "echo('93.184.216.34')"),
    ("a ping of another", "echo('8.8.8.8')"),
];

/// Other names, said to a host that is granted: nothing of them may be heard there.
pub const MISMATCHES: &[(&str, &str)] = &[
    ("sni", "tls('good.example.com', 'www.example.net')"),
    ("sni of a look-alike", "tls('good.example.com', 'evilexample.com')"),
    ("sni of another below", "tls('a.wild.example.com', 'evil.wild.example.com')"),
    ("sni with more behind", "tls('good.example.com', 'good.example.com.evilexample.com')"),
    (
        "sni in pieces",
        "(lambda g: greet('good.example.com', g[:3], g[3:60], g[60:]))(greeting('www.example.net'))",
    ),
    (
        "sni in single bytes",
        "(lambda g: greet('good.example.com', *(g[i:i+1] for i in range(9)), g[9:]))(greeting('www.example.net'))",
    ),
    ("sni in many records", "greet('good.example.com', greeting('www.example.net', 20))"),
    ("sni over port 80", "greet('good.example.com', greeting('www.example.net'), port=80)"),
    ("sni behind connect", "secured(tunnel('good.example.com:443'), 'www.example.net', 'x')"),
    (
        "sni with connect",
        "tcp(*PROXY, b'CONNECT good.example.com:443 HTTP/1.1\\r\\n\\r\\n' + greeting('www.example.net'))",
    ),
    ("sni with socks", "socks(3, 'good.example.com', 443, say=greeting('www.example.net'))"),
    ("host", "tcp('good.example.com', 80, request('www.example.net'))"),
    ("host with a port", "tcp('good.example.com', 80, request('www.example.net:80'))"),
    (
        "host with a look-alike",
        "tcp('good.example.com', 80, request('good.example.com.evilexample.com'))",
    ),
    (
        "host behind a user",
        "tcp('good.example.com', 80, request('good.example.com@www.example.net'))",
    ),
    ("host of another below", "tcp('a.wild.example.com', 80, request('evil.wild.example.com'))"),
    (
        "two hosts",
        "tcp('good.example.com', 80, request('good.example.com', more='Host: www.example.net\\r\\n'))",
    ),
    (
        "two hosts, the other first",
        "tcp('good.example.com', 80, request('www.example.net', more='Host: good.example.com\\r\\n'))",
    ),
    (
        "two hosts in one",
        "tcp('good.example.com', 80, request('good.example.com, www.example.net'))",
    ),
    (
        "host in odd letters",
        "tcp('good.example.com', 80, b'GET / HTTP/1.1\\r\\nhOsT:www.example.net\\r\\n\\r\\n')",
    ),
    (
        "host and a space",
        "tcp('good.example.com', 80, b'GET / HTTP/1.1\\r\\nHost : www.example.net\\r\\n\\r\\n')",
    ),
    (
        "host in a folded line",
        "tcp('good.example.com', 80, b'GET / HTTP/1.1\\r\\nHost:\\r\\n www.example.net\\r\\n\\r\\n')",
    ),
    (
        "host behind a folded line",
        "tcp('good.example.com', 80, b'GET / HTTP/1.1\\r\\nX: a\\r\\n\\tHost: good.example.com\\r\\nHost: www.example.net\\r\\n\\r\\n')",
    ),
    (
        "host of HTTP/1.0",
        "tcp('good.example.com', 80, b'GET / HTTP/1.0\\r\\nHost: www.example.net\\r\\n\\r\\n')",
    ),
    (
        "bare line feeds",
        "tcp('good.example.com', 80, b'GET / HTTP/1.1\\nHost: www.example.net\\n\\n')",
    ),
    (
        "bare carriage returns",
        "tcp('good.example.com', 80, b'GET / HTTP/1.1\\r\\nX: a\\rHost: good.example.com\\r\\nHost: www.example.net\\r\\n\\r\\n')",
    ),
    (
        "empty lines first",
        "tcp('good.example.com', 80, b'\\r\\n\\r\\n' + request('www.example.net'))",
    ),
    (
        "a line in pieces",
        "pieces('good.example.com', 80, b'G', b'E', b'T / HTTP/1.1\\r\\nHost: www.exa', b'mple.net\\r\\n\\r\\n')",
    ),
    (
        "another method",
        "tcp('good.example.com', 80, b'PROPFIND / HTTP/1.1\\r\\nHost: www.example.net\\r\\n\\r\\n')",
    ),
    (
        "a whole address",
        "tcp('good.example.com', 80, request('good.example.com', 'http://www.example.net/'))",
    ),
    (
        "a whole address, secured",
        "tcp('good.example.com', 80, request('good.example.com', 'https://www.example.net/'))",
    ),
    (
        "a path of two slashes",
        "tcp('good.example.com', 80, request('www.example.net', '//good.example.com/'))",
    ),
    (
        "the second request",
        "twice('good.example.com', 80, request('good.example.com'), request('www.example.net'))",
    ),
    (
        "the second request, at once",
        "late('good.example.com', 80, request('good.example.com', '/1') + request('www.example.net'))",
    ),
    (
        "behind a body",
        "twice('good.example.com', 80, request('good.example.com', more='Content-Length: 3\\r\\n') + b'abc', request('www.example.net'))",
    ),
    (
        "behind a body in chunks",
        "twice('good.example.com', 80, request('good.example.com', more='Transfer-Encoding: chunked\\r\\n') + b'3;x=y\\r\\nabc\\r\\n0\\r\\n\\r\\n', request('www.example.net'))",
    ),
    (
        "two lengths",
        "late('good.example.com', 80, request('good.example.com', more='Content-Length: 0\\r\\nContent-Length: 44\\r\\n') + request('www.example.net'))",
    ),
    (
        "a length and chunks",
        "late('good.example.com', 80, request('good.example.com', more='Content-Length: 60\\r\\nTransfer-Encoding: chunked\\r\\n') + b'0\\r\\n\\r\\n' + request('www.example.net'))",
    ),
    (
        "chunks by another word",
        "late('good.example.com', 80, request('good.example.com', more='Transfer-Encoding: xchunked\\r\\nContent-Length: 99\\r\\n') + request('www.example.net'))",
    ),
    (
        "a negative length",
        "late('good.example.com', 80, request('good.example.com', more='Content-Length: -1\\r\\n') + request('www.example.net'))",
    ),
    (
        "a length with a sign",
        "late('good.example.com', 80, request('good.example.com', more='Content-Length: +0\\r\\n') + request('www.example.net'))",
    ),
    (
        "a length that wraps",
        "late('good.example.com', 80, request('good.example.com', more='Content-Length: 18446744073709551616\\r\\n') + request('www.example.net'))",
    ),
    (
        "a chunk that wraps",
        "late('good.example.com', 80, request('good.example.com', more='Transfer-Encoding: chunked\\r\\n') + b'10000000000000000\\r\\n\\r\\n0\\r\\n\\r\\n' + request('www.example.net'))",
    ),
    (
        "behind an upgrade",
        "late('good.example.com', 80, request('good.example.com', more='Upgrade: x\\r\\nConnection: upgrade\\r\\n') + request('www.example.net'))",
    ),
    (
        "behind connect",
        "tcp('good.example.com', 80, b'CONNECT www.example.net:80 HTTP/1.1\\r\\nHost: www.example.net\\r\\n\\r\\n')",
    ),
    (
        "connect, then host",
        "tcp(*PROXY, b'CONNECT good.example.com:80 HTTP/1.1\\r\\n\\r\\n' + request('www.example.net'))",
    ),
    ("socks, then host", "socks(3, 'good.example.com', say=request('www.example.net'))"),
    (
        "by proxy, then another",
        "twice(*PROXY, request('good.example.com', 'http://good.example.com/'), request('www.example.net', 'http://www.example.net/'))",
    ),
    (
        "by proxy, then another host",
        "twice(*PROXY, request('good.example.com', 'http://good.example.com/'), request('www.example.net', '/'))",
    ),
    (
        "by proxy, at once",
        "late(*PROXY, request('good.example.com', 'http://good.example.com/') + request('www.example.net', 'http://www.example.net/'))",
    ),
    (
        "by proxy, in the body",
        "late(*PROXY, request('good.example.com', 'http://good.example.com/', 'Content-Length: 0\\r\\nTransfer-Encoding: chunked\\r\\n') + request('www.example.net', 'http://www.example.net/'))",
    ),
    ("by proxy, a foreign host", "connect('www.example.net:80', 'good.example.com:80')"),
    ("by proxy, a foreign host again", "proxied('http://www.example.net/', 'good.example.com')"),
    ("by proxy, a user", "proxied('http://good.example.com@www.example.net/', 'good.example.com')"),
    (
        "by proxy, a backslash",
        "proxied('http://www.example.net\\\\@good.example.com/', 'good.example.com')",
    ),
    ("by proxy, no port", "connect('good.example.com')"),
    ("by proxy, port 0", "connect('good.example.com:0')"),
    ("by proxy, port 65616", "connect('good.example.com:65616')"),
    ("by proxy, port +80", "connect('good.example.com:+8080')"),
    ("by proxy, port -1", "connect('good.example.com:-1')"),
    ("by proxy, two ports", "connect('good.example.com:80:8080')"),
    ("by proxy, no name", "connect(':80')"),
    ("by proxy, ftp", "proxied('ftp://good.example.com/')"),
    ("by proxy, a file", "proxied('file:///etc/passwd', 'good.example.com')"),
    ("by proxy, a path", "tcp(*PROXY, request('www.example.net'))"),
    ("socks, listening", "socks(3, 'good.example.com', command=2)"),
    ("socks, datagrams", "socks(3, 'good.example.com', command=3)"),
    ("socks, no name", "socks(3, b'')"),
    ("socks, 255 bytes", "socks(3, b'a' * 255)"),
    ("socks 4", "tcp(*SOCKS, b'\\x04\\x01\\0\\x50' + socket.inet_aton('93.184.216.34') + b'\\0')"),
    ("socks 4a", "tcp(*SOCKS, b'\\x04\\x01\\0\\x50\\0\\0\\0\\x01\\0www.example.net\\0')"),
];
