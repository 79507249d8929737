//! As much of HTTP/1.1 as a page needs that is only read: one request a connection, without a body, and one answer.
//!
//! Nobody who connects can make this wait, hold memory or read more than the constants here say.

use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::time::{Duration, Instant};

/// Bytes of a request: its line and headers.
const MOST_BYTES: usize = 16 << 10;
/// Headers of a request; browsers send some twenty.
const MOST_HEADERS: usize = 100;
/// Until a request has come, all of it.
const TO_ASK: Duration = Duration::from_secs(5);
/// Until an answer is taken, all of it: a page of megabytes over a slow line.
const TO_READ: Duration = Duration::from_secs(20);
/// What an asker still sends after its answer is read for so long and so much: closing at once would take the answer from it.
const TO_LEAVE: Duration = Duration::from_millis(500);
const MOST_LEFT: usize = 256 << 10;

/// What was asked for.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Request {
    pub(super) method: String,
    /// Path and query, as sent.
    pub(super) target: String,
    /// The one header `Host`.
    pub(super) host: String,
}

/// What is answered.
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) kind: &'static str,
    pub(super) body: String,
}

/// Why there is no request to answer.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Refused {
    /// With this status and these words.
    With(u16, &'static str),
    /// The connection is gone, or nothing came in time: nobody waits for an answer.
    Gone,
}

/// Takes a request from a connection, has it answered, and closes the connection.
///
/// # Errors
/// When the asker goes away or is too slow.
pub(super) fn serve(stream: &TcpStream, answer: impl FnOnce(&Request) -> Answer) -> io::Result<()> {
    let (answer, head_only) = match read(stream) {
        Ok(request) => (answer(&request), request.method == "HEAD"),
        Err(Refused::With(status, words)) => {
            (Answer { status, kind: "text/plain; charset=utf-8", body: format!("{words}\n") }, false)
        }
        Err(Refused::Gone) => return Ok(()),
    };
    let mut bytes = head(&answer).into_bytes();
    if !head_only {
        bytes.extend(answer.body.as_bytes());
    }
    write(stream, &bytes, Instant::now() + TO_READ)?;
    stream.shutdown(Shutdown::Write)?;
    leave(stream);
    Ok(())
}

/// Reads until the headers are whole, and nothing beyond what came with them.
fn read(mut stream: &TcpStream) -> Result<Request, Refused> {
    let until = Instant::now() + TO_ASK;
    let mut bytes = Vec::new();
    let mut piece = [0; 4096];
    loop {
        if let Some(request) = parse(&bytes)? {
            return Ok(request);
        }
        if bytes.len() >= MOST_BYTES {
            return Err(Refused::With(431, "The request is too large."));
        }
        let left = until.saturating_duration_since(Instant::now());
        if left.is_zero() || stream.set_read_timeout(Some(left)).is_err() {
            return Err(Refused::Gone);
        }
        let room = piece.len().min(MOST_BYTES - bytes.len());
        match stream.read(&mut piece[..room]) {
            Ok(0) => return Err(Refused::Gone),
            Ok(count) => bytes.extend(&piece[..count]),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(_) => return Err(Refused::Gone),
        }
    }
}

/// A request, once it is whole.
fn parse(bytes: &[u8]) -> Result<Option<Request>, Refused> {
    let mut headers = [httparse::EMPTY_HEADER; MOST_HEADERS];
    let mut request = httparse::Request::new(&mut headers);
    match request.parse(bytes) {
        Ok(httparse::Status::Complete(_)) => {}
        Ok(httparse::Status::Partial) => return Ok(None),
        Err(httparse::Error::TooManyHeaders) => return Err(Refused::With(431, "The request has too many headers.")),
        Err(_) => return Err(Refused::With(400, "This is no HTTP request.")),
    }
    let named = |name: &str| {
        let name = name.to_owned();
        request.headers.iter().filter(move |header| header.name.eq_ignore_ascii_case(&name))
    };
    let empty = |value: &[u8]| value.trim_ascii() == b"0";
    if named("Content-Length").any(|length| !empty(length.value)) || named("Transfer-Encoding").next().is_some() {
        return Err(Refused::With(413, "A request has no body here."));
    }
    let mut hosts = named("Host").map(|host| std::str::from_utf8(host.value));
    let (Some(Ok(host)), None) = (hosts.next(), hosts.next()) else {
        return Err(Refused::With(400, "A request has one Host here."));
    };
    Ok(Some(Request {
        method: request.method.unwrap_or_default().to_owned(),
        target: request.path.unwrap_or_default().to_owned(),
        host: host.trim().to_owned(),
    }))
}

fn head(answer: &Answer) -> String {
    let reason = match answer.status {
        200 => "OK",
        400 => "Bad Request",
        403 => "Forbidden",
        404 => "Not Found",
        405 => "Method Not Allowed",
        413 => "Content Too Large",
        431 => "Request Header Fields Too Large",
        _ => "Internal Server Error",
    };
    let allow = if answer.status == 405 { "Allow: GET, HEAD\r\n" } else { "" };
    format!(
        "HTTP/1.1 {} {reason}\r\nContent-Type: {}\r\nContent-Length: {}\r\nCache-Control: no-store\r\n\
         X-Content-Type-Options: nosniff\r\n{allow}Connection: close\r\n\r\n",
        answer.status,
        answer.kind,
        answer.body.len()
    )
}

/// Writes all of it before `until`.
fn write(mut stream: &TcpStream, mut bytes: &[u8], until: Instant) -> io::Result<()> {
    while !bytes.is_empty() {
        let left = until.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(io::ErrorKind::TimedOut.into());
        }
        stream.set_write_timeout(Some(left))?;
        match stream.write(bytes) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(count) => bytes = &bytes[count..],
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// Waits a moment for the asker to close its side. It has its answer: whatever goes wrong now does not matter.
fn leave(mut stream: &TcpStream) {
    let until = Instant::now() + TO_LEAVE;
    let mut piece = [0; 4096];
    let mut taken = 0;
    while taken < MOST_LEFT {
        let left = until.saturating_duration_since(Instant::now());
        if left.is_zero() || stream.set_read_timeout(Some(left)).is_err() {
            return;
        }
        match stream.read(&mut piece) {
            Ok(0) | Err(_) => return,
            Ok(count) => taken += count,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_taken_once_its_headers_are_whole_and_only_without_a_body() {
        let whole = "GET /a?b HTTP/1.1\r\nHost: localhost:1\r\nAccept: */*\r\n\r\n";
        let request = Request { method: "GET".into(), target: "/a?b".into(), host: "localhost:1".into() };
        assert_eq!(parse(whole.as_bytes()), Ok(Some(request)));
        for end in 0..whole.len() {
            assert_eq!(parse(&whole.as_bytes()[..end]), Ok(None), "{end}");
        }
        let status = |headers: &str| match parse(format!("POST / HTTP/1.1\r\n{headers}\r\n").as_bytes()) {
            Ok(Some(_)) => 200,
            Err(Refused::With(status, _)) => status,
            other => panic!("{headers}: {other:?}"),
        };
        assert_eq!(status("Host: a\r\nContent-Length: 0\r\n"), 200);
        for length in ["1", "100000000000", "99999999999999999999999", "-1", "x", ""] {
            assert_eq!(status(&format!("Host: a\r\ncontent-length: {length}\r\n")), 413, "{length}");
        }
        assert_eq!(status("Host: a\r\nContent-Length: 0\r\nContent-Length: 7\r\n"), 413);
        assert_eq!(status("Host: a\r\nTransfer-Encoding: chunked\r\n"), 413);
        assert_eq!(status(""), 400);
        assert_eq!(status("Host: a\r\nHost: b\r\n"), 400);
        assert_eq!(status(&"X: y\r\n".repeat(MOST_HEADERS + 1)), 431);
        assert_eq!(parse(b"\x16\x03\x01 not http"), Err(Refused::With(400, "This is no HTTP request.")));
    }

    #[test]
    fn who_takes_no_answer_is_left_when_the_time_is_over() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let deaf = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (stream, _) = listener.accept().unwrap();
        // More than the system takes for somebody who reads nothing: without an end, this would wait for ever.
        let page = vec![b'x'; 64 << 20];
        let error = write(&stream, &page, Instant::now() + Duration::from_millis(100)).unwrap_err();
        assert!(matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut), "{error}");
        // Once the time is over, nothing is begun.
        let error = write(&stream, b"x", Instant::now()).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        drop(deaf);
    }

    /// A page that is taken slowly is taken whole.
    #[test]
    fn who_reads_in_time_has_all_of_an_answer() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let mut reader = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (stream, _) = listener.accept().unwrap();
        let page = vec![b'x'; 16 << 20];
        let read = std::thread::scope(|scope| {
            let reading = scope.spawn(move || {
                let mut read = Vec::new();
                reader.read_to_end(&mut read).map(|_| read.len())
            });
            write(&stream, &page, Instant::now() + TO_READ).unwrap();
            stream.shutdown(Shutdown::Write).unwrap();
            reading.join().unwrap().unwrap()
        });
        assert_eq!(read, page.len());
    }
}
