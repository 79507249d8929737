//! `watch --serve`: the run as a local page. Three addresses, none of them a path in the file system; reading only.

use std::io::Cursor;
use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use cognate_base::Monitor;
use cognate_run::Live;
use tiny_http::{Header, Method, Request, Response, Server};

use super::{Result, print};
use crate::failure::Failure;
use crate::terminal::Terminal;

/// Between two looks for Ctrl-C.
const PATIENCE: Duration = Duration::from_millis(200);
const HTML: &str = "text/html; charset=utf-8";
const JSON: &str = "application/json";
const TEXT: &str = "text/plain; charset=utf-8";

/// Serves until Ctrl-C. Prints the page's address first.
pub(crate) fn serve(dir: &Path, address: SocketAddr, terminal: &Terminal) -> Result {
    let server = Server::http(address).map_err(|error| {
        Failure::setting("--serve", address, &format!("an address that is free, and this is not: {error}"))
    })?;
    if !address.ip().is_loopback() {
        tracing::warn!("everybody who reaches {address} can read this run");
    }
    let bound = server.server_addr().to_ip().unwrap_or(address);
    print(&format!("http://{bound}/\n"))?;
    let mut live = Live::new(dir);
    while !terminal.interrupted() {
        if let Some(request) = server.recv_timeout(PATIENCE)? {
            let (status, kind, body) = answer(&mut live, &request);
            respond(request, status, kind, body);
        }
    }
    Ok(())
}

/// Status code, type and content.
fn answer(live: &mut Live, request: &Request) -> (u16, &'static str, String) {
    if !matches!(request.method(), Method::Get | Method::Head) {
        return (405, TEXT, "Only GET and HEAD.\n".to_owned());
    }
    // A page of another site must not read this one by a name that it has pointed here.
    let host = request.headers().iter().find(|header| header.field.equiv("Host"));
    if !host.is_some_and(|host| names_a_machine(host.value.as_str())) {
        return (403, TEXT, "Ask for this page by its address.\n".to_owned());
    }
    let found = match request.url().split('?').next().unwrap_or_default() {
        "/" => live.page().map(|page| (HTML, page)),
        "/status.json" => live.status().map(|status| (JSON, format!("{status}\n"))),
        "/report.json" => live.json().map(|report| (JSON, format!("{report}\n"))),
        _ => return (404, TEXT, "There are /, /status.json and /report.json.\n".to_owned()),
    };
    match found {
        Ok((kind, body)) => (200, kind, body),
        Err(error) => (500, TEXT, format!("{error}\n")),
    }
}

/// Whether a host is an address or this machine's own name, and not a name that anybody may have registered.
fn names_a_machine(host: &str) -> bool {
    let name = host.rsplit_once(':').filter(|(_, port)| port.bytes().all(|b| b.is_ascii_digit())).map_or(host, |p| p.0);
    let plain = name.trim_start_matches('[').trim_end_matches(']');
    name == "localhost" || plain.parse::<std::net::IpAddr>().is_ok()
}

fn respond(request: Request, status: u16, kind: &str, body: String) {
    let length = body.len();
    let mut headers = Vec::new();
    for (name, value) in [("Content-Type", kind), ("Cache-Control", "no-store"), ("X-Content-Type-Options", "nosniff")]
    {
        headers.extend(Header::from_bytes(name, value));
    }
    if status == 405 {
        headers.extend(Header::from_bytes("Allow", "GET, HEAD"));
    }
    let response = Response::new(status.into(), headers, Cursor::new(body.into_bytes()), Some(length), None)
        // Whole, with its length: what a reader expects who is no browser.
        .with_chunked_threshold(usize::MAX);
    // A reader who has gone away is no failure.
    if let Err(error) = request.respond(response) {
        tracing::debug!("a reader went away: {error}");
    }
}

#[cfg(test)]
mod tests {
    use super::names_a_machine;

    #[test]
    fn only_addresses_and_this_machine_are_answered() {
        for host in ["127.0.0.1:8321", "127.0.0.1", "localhost:80", "localhost", "[::1]:8321", "10.0.0.7:1"] {
            assert!(names_a_machine(host), "{host}");
        }
        for host in ["evil.example", "evil.example:8321", "127.0.0.1.evil.example", "localhost.evil.example:80", ""] {
            assert!(!names_a_machine(host), "{host}");
        }
    }
}
