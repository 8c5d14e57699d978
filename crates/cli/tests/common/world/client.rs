//! A client that needs nothing of the system: connects to HOST:PORT by the standard library, asks for
//! `/` and prints what comes.
use std::io::{Read as _, Write as _};

fn main() {
    let target = std::env::args().nth(1).expect("HOST:PORT");
    let mut stream = match std::net::TcpStream::connect(&*target) {
        Ok(stream) => stream,
        Err(e) => {
            eprintln!("cannot connect to {target}: {e}");
            std::process::exit(1);
        }
    };
    let request = format!("GET / HTTP/1.1\r\nHost: {target}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).expect("written");
    let mut text = String::new();
    stream.read_to_string(&mut text).expect("read");
    println!("{text}");
}
