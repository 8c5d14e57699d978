"""One side of a test's network: servers that answer, and an observer that writes down what arrives.

usage: internet.py internet|host DIRECTORY

`internet` has every address there is but those of the link; `host` is the machine that the sandboxes
run on. Both serve the same, so that a connection tells by its greeting where it ended.

DIRECTORY/internet.log or host.log has one line for each packet that arrives and is the first of
something, and one for each thing that a server understood:

    syn ADDRESS PORT        the first packet of a connection by TCP
    udp ADDRESS PORT        a datagram
    echo ADDRESS            a ping
    other PROTOCOL ADDRESS  another protocol of IP
    dns TYPE NAME           a question, by UDP or TCP
    sni NAME                a greeting of TLS
    http PORT METHOD PATH HOST
    said PORT TEXT          a line to one of the other servers

A line on standard input is answered by the same line on standard output, when all that arrived
before it is in the log. It ends with its standard input.
"""
import base64, hashlib, http.server, os, select, socket, socketserver, ssl, struct, subprocess, sys
import threading, time

import names

WHERE, DIR = sys.argv[1], sys.argv[2]
OUT = open(os.path.join(DIR, WHERE + ".log"), "a", buffering=1)
HTTP, HTTPS, PLAIN = (80, 8080), (443, 8443), (7, 22, 853, 3128, 9999)
PUBLIC, ZONES = names.PUBLIC, names.ZONES
lock = threading.Lock()


def log(*words):
    text = " ".join(str(word) for word in words).encode("ascii", "backslashreplace").decode()
    with lock:
        OUT.write(text.replace("\n", "\\n") + "\n")


# --- What arrives -------------------------------------------------------------------------------

observer = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(3))
try:
    observer.setsockopt(socket.SOL_SOCKET, 33, 16 << 20)  # SO_RCVBUFFORCE
except PermissionError:
    observer.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 16 << 20)
observer.setblocking(False)
observing = threading.Lock()


def observe():
    """Writes down all that has arrived."""
    with observing:
        while True:
            try:
                data, (link, protocol, kind, *_) = observer.recvfrom(2048)
            except BlockingIOError:
                return
            # PACKET_HOST: what is sent is not what arrives; nor are answers to the host.
            if kind == 0 and link == ("lo" if WHERE == "host" else "downlink"):
                packet(protocol, data)


def packet(protocol, data):
    if protocol == 0x0800 and len(data) >= 20:
        proto, to, rest = data[9], socket.inet_ntop(socket.AF_INET, data[16:20]), data[(data[0] & 15) * 4:]
        if struct.unpack("!H", data[6:8])[0] & 0x1FFF:
            return  # a later fragment
    elif protocol == 0x86DD and len(data) >= 40:
        proto, to, rest = data[6], socket.inet_ntop(socket.AF_INET6, data[24:40]), data[40:]
    else:
        return
    if proto == 6 and len(rest) >= 14 and rest[13] & 0x12 == 2:
        log("syn", to, struct.unpack("!H", rest[2:4])[0])
    elif proto == 17 and len(rest) >= 8:
        port = struct.unpack("!H", rest[2:4])[0]
        log("udp", to, port)
        if port == 53:
            log("dns", *names.noted(rest[8:]))
    elif (proto, rest[:1]) in ((1, b"\x08"), (58, b"\x80")):
        log("echo", to)
    elif proto not in (0, 1, 6, 17, 58):
        log("other", proto, to)


def watch():
    while True:
        select.select([observer], [], [])
        observe()


# --- Servers ------------------------------------------------------------------------------------

class Server(socketserver.ThreadingTCPServer):
    address_family, daemon_threads, allow_reuse_address = socket.AF_INET6, True, True
    request_queue_size, tls = 512, None

    def server_bind(self):
        self.socket.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        super().server_bind()

    def finish_request(self, request, client):
        if self.tls:
            request.settimeout(20)
            request = self.tls.wrap_socket(request, server_side=True)
        super().finish_request(request, client)
        if self.tls:
            request.close()

    def handle_error(self, request, client):
        pass


class Web(http.server.BaseHTTPRequestHandler):
    protocol_version, server_version = "HTTP/1.1", "Test"

    def log_message(self, *_):
        pass

    def reply(self, body, status=200, **headers):
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        self.wfile.write(body)

    def body(self):
        if self.headers.get("Transfer-Encoding", "") != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length") or 0))
        text = b""
        while size := int(self.rfile.readline(), 16):
            text += self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()
        return text

    def parse_request(self):
        good = super().parse_request()
        if good:
            host = ",".join(self.headers.get_all("Host", ["-"])) if self.headers else "-"
            log("http", self.server.server_address[1], self.command, self.path[:200], host)
        return good

    def do_GET(self):
        host = self.headers.get("Host", "-") if self.headers else "-"
        if self.path.startswith("/git/"):
            self.git()
        elif self.path.startswith("/files/"):
            self.file()
        elif self.path == "/forever":
            self.forever()
        elif self.path == "/ws":
            self.websocket()
        else:
            body = self.body()
            self.reply(f"{WHERE} says hello to {host}, {len(body)} bytes\n".encode())

    do_POST = do_PUT = do_GET

    def file(self):
        path = os.path.join(DIR, os.path.normpath(self.path.split("?")[0].lstrip("/")))
        index = os.path.join(path, "index.html")
        try:
            with open(index if os.path.isdir(path) else path, "rb") as file:
                html = os.path.isdir(path)
                self.reply(file.read(), Content_Type="text/html" if html else "application/octet-stream")
        except OSError:
            self.reply(b"no such file\n", 404)

    def forever(self):
        self.send_response(200)
        self.send_header("Connection", "close")
        self.end_headers()
        while True:
            self.wfile.write(b"tick\n")
            self.wfile.flush()
            time.sleep(0.02)

    def git(self):
        path, _, query = self.path[len("/git"):].partition("?")
        env = dict(os.environ, GIT_PROJECT_ROOT=os.path.join(DIR, "git"), GIT_HTTP_EXPORT_ALL="1",
                   PATH_INFO=path, QUERY_STRING=query, REQUEST_METHOD=self.command,
                   CONTENT_TYPE=self.headers.get("Content-Type", ""), REMOTE_ADDR="::1",
                   GIT_PROTOCOL=self.headers.get("Git-Protocol", ""),
                   HTTP_CONTENT_ENCODING=self.headers.get("Content-Encoding", ""),
                   GIT_CONFIG_COUNT="1", GIT_CONFIG_KEY_0="safe.directory", GIT_CONFIG_VALUE_0="*")
        done = subprocess.run(["git", "http-backend"], input=self.body(), env=env, stdout=subprocess.PIPE)
        head, _, text = done.stdout.partition(b"\r\n\r\n")
        fields = dict(line.split(": ", 1) for line in head.decode().split("\r\n") if line)
        status = int(fields.pop("Status", "200").split()[0])
        self.reply(text, status, **{name.replace("-", "_"): value for name, value in fields.items()})

    def websocket(self):
        key = self.headers["Sec-WebSocket-Key"] + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
        self.send_response(101)
        for name, value in (("Upgrade", "websocket"), ("Connection", "Upgrade"), (
                "Sec-WebSocket-Accept", base64.b64encode(hashlib.sha1(key.encode()).digest()).decode())):
            self.send_header(name, value)
        self.end_headers()
        while True:
            first, size = self.rfile.read(2)
            mask, text = self.rfile.read(4), self.rfile.read(size & 127)
            text = bytes(byte ^ mask[i % 4] for i, byte in enumerate(text))
            self.wfile.write(bytes([first, len(text)]) + text)
            if first & 15 == 8:
                return


class Plain(socketserver.StreamRequestHandler):
    """Greets, and gives every line back."""

    def handle(self):
        self.wfile.write(f"{WHERE} says hello\n".encode())
        while line := self.rfile.readline(4096):
            log("said", self.server.server_address[1], line.decode("latin-1").rstrip())
            self.wfile.write(line)


class Names(socketserver.StreamRequestHandler):
    def answer(self, data):
        log("dns", *names.noted(data))
        return names.answer(data, True)

    def handle(self):
        while len(head := self.rfile.read(2)) == 2:
            reply = self.answer(self.rfile.read(struct.unpack("!H", head)[0]))
            if reply is None:
                return
            self.wfile.write(struct.pack("!H", len(reply)) + reply)


class Redis(socketserver.StreamRequestHandler):
    def handle(self):
        while head := self.rfile.readline():
            words = []
            for _ in range(int(head[1:])):
                words.append(self.rfile.read(int(self.rfile.readline()[1:]) + 2)[:-2].decode())
            log("said", 6379, *words)
            self.wfile.write(b"+PONG\r\n" if words[0].upper() == "PING" else b"+OK\r\n")


class Postgres(socketserver.StreamRequestHandler):
    """The protocol of version 3: no TLS, no password, and every query has one row."""

    def message(self, kind, body):
        return kind + struct.pack("!I", len(body) + 4) + body

    def handle(self):
        while True:
            size, code = struct.unpack("!II", self.rfile.read(8))
            self.rfile.read(size - 8)
            if code == 196608:
                break
            self.wfile.write(b"N")
        ready = self.message(b"Z", b"I")
        version = self.message(b"S", b"server_version\0" + b"15.0\0")
        encoding = self.message(b"S", b"client_encoding\0UTF8\0")
        self.wfile.write(self.message(b"R", struct.pack("!I", 0)) + version + encoding + ready)
        while (kind := self.rfile.read(1)) not in (b"", b"X"):
            text = self.rfile.read(struct.unpack("!I", self.rfile.read(4))[0] - 4)
            log("said", 5432, text.rstrip(b"\0").decode())
            value = f"{WHERE} says hello".encode()
            column = struct.pack("!H", 1) + b"greeting\0" + struct.pack("!IHIHIH", 0, 0, 25, 65535, 2**32 - 1, 0)
            row = struct.pack("!HI", 1, len(value)) + value
            self.wfile.write(self.message(b"T", column) + self.message(b"D", row)
                             + self.message(b"C", b"SELECT 1\0") + ready)


def datagrams(port):
    """Answers from the address that was asked: names at port 53, else what was sent."""
    server = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
    server.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
    server.setsockopt(socket.IPPROTO_IPV6, 49, 1)  # IPV6_RECVPKTINFO
    server.setsockopt(socket.IPPROTO_IPV6, 78, 1)  # IPV6_FREEBIND: the addresses are routes only
    server.bind(("::", port))

    def serve():
        while True:
            data, extra, _, client = server.recvmsg(65536, 256)
            try:
                reply = names.answer(data, False) if port == 53 else WHERE.encode() + b" " + data
            except Exception:  # a question that is none
                continue
            if reply is not None:
                extra = [(level, kind, value[:16] + b"\0\0\0\0") for level, kind, value in extra]
                server.sendmsg([reply], extra, 0, client)

    threading.Thread(target=serve, daemon=True).start()


def serve(port, handler, tls=None):
    server = Server(("::", port), handler)
    server.tls = tls
    threading.Thread(target=server.serve_forever, daemon=True).start()


def certificates():
    """An authority of this test's own, and one certificate for all names."""
    openssl = lambda *words: subprocess.run(["openssl", *words], cwd=DIR, check=True, capture_output=True)
    curve = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "30")
    names = ",".join(f"DNS:{zone},DNS:*.{zone}" for zone in ZONES) + f",IP:{PUBLIC}"
    openssl("req", "-x509", *curve, "-subj", "/CN=Test Authority", "-keyout", "ca.key", "-out", "ca.pem",
            "-addext", "keyUsage=critical,keyCertSign")
    openssl("req", "-x509", *curve, "-subj", "/CN=server", "-keyout", "server.key", "-out", "server.pem",
            "-CA", "ca.pem", "-CAkey", "ca.key", "-addext", "subjectAltName=" + names,
            "-addext", "basicConstraints=critical,CA:FALSE")


def secured():
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(os.path.join(DIR, "server.pem"), os.path.join(DIR, "server.key"))
    tls.set_alpn_protocols(["http/1.1"])
    tls.sni_callback = lambda _, name, __: log("sni", name or "-")
    return tls


def main():
    if WHERE == "internet":
        certificates()
    config = os.path.join(DIR, "sshd_config")
    has_ssh = WHERE == "internet" and os.path.exists(config)
    for port in HTTP:
        serve(port, Web)
    tls = secured()
    for port in HTTPS:
        serve(port, Web, tls)
    for port in PLAIN:
        if port != 22 or not has_ssh:
            serve(port, Plain)
    serve(53, Names)
    serve(5432, Postgres)
    serve(6379, Redis)
    for port in (7, 53, 123, 443):
        datagrams(port)
    if has_ssh:
        subprocess.Popen(["/usr/sbin/sshd", "-D", "-f", config], stdin=subprocess.DEVNULL)
    threading.Thread(target=watch, daemon=True).start()
    print("ready", flush=True)
    for line in sys.stdin:
        observe()
        print(line, end="", flush=True)
    os._exit(0)


main()
