#!/bin/sh
# What the programs of net_programs.rs use: run by the user in the project.
set -e
mkdir -p ../world/git ../world/files/apt ../world/files/simple/tiny
git init -q -b main work && cd work && echo from the repository >file && git add file
git commit -q -m one && cd .. && git clone -q --bare work ../world/git/repo.git
cat >../world/files/apt/Packages <<'=='
Package: tiny
Version: 1.0
Architecture: all
Maintainer: Ada <ada@example.org>
Filename: ./tiny.deb
Size: 1
SHA256: ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad
Description: from the mirror
==
: >status
python3 - <<'=='
import zipfile
with zipfile.ZipFile("../world/files/simple/tiny/tiny-1.0-py3-none-any.whl", "w") as wheel:
    wheel.writestr("tiny.py", "")
    wheel.writestr("tiny-1.0.dist-info/METADATA", "Metadata-Version: 2.1\nName: tiny\nVersion: 1.0\n")
    wheel.writestr("tiny-1.0.dist-info/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
    wheel.writestr("tiny-1.0.dist-info/RECORD", "")
==
echo '<a href="tiny-1.0-py3-none-any.whl">tiny</a>' >../world/files/simple/tiny/index.html
cat >websocket.py <<'=='
import socket, ssl, sys
name, text = sys.argv[1], b"through a websocket"
tls = ssl.create_default_context(cafile="ca.pem")
link = tls.wrap_socket(socket.create_connection((name, 443)), server_hostname=name)
link.sendall(f"GET /ws HTTP/1.1\r\nHost: {name}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
             "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n".encode())
stream = link.makefile("rb")
while stream.readline().strip():
    pass
link.sendall(bytes([0x81, 0x80 | len(text)]) + b"\0\0\0\0" + text)
stream.read(2)
print("internet says:", stream.read(len(text)).decode())
==
cat >Fetch.java <<'=='
import java.net.*;
import java.net.http.*;
public class Fetch {
    public static void main(String[] words) throws Exception {
        var old = new URL(words[0]).openConnection().getInputStream();
        System.out.print(new String(old.readAllBytes()));
        var request = HttpRequest.newBuilder(URI.create(words[0])).build();
        var reply = HttpClient.newHttpClient().send(request, HttpResponse.BodyHandlers.ofString());
        System.out.print("again: " + reply.body());
    }
}
==
! command -v javac >/dev/null || javac Fetch.java
cat >fetch.go <<'=='
package main
import ("fmt"; "io"; "net/http"; "os")
func main() {
    reply, err := http.Get(os.Args[1])
    if err != nil { fmt.Println(err); os.Exit(1) }
    io.Copy(os.Stdout, reply.Body)
}
==
