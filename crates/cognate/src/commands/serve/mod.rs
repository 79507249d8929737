//! `watch --serve`: the run as a local page. Three addresses, none of them a path in the file system; reading only.

mod http;

use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use cognate_base::Monitor;
use cognate_report::{live_page, waiting_page};
use cognate_results::{Progress, Report};
use cognate_run::Live;
use http::{Answer, Request};

use super::shared::{Result, print};
use crate::failure::Failure;
use crate::terminal::Terminal;

/// Askers served at the same time; more wait until one of these has gone, which each has after some seconds.
const AT_ONCE: usize = 32;
/// Between two looks for Ctrl-C.
const PATIENCE: Duration = Duration::from_millis(100);
const HTML: &str = "text/html; charset=utf-8";
const JSON: &str = "application/json";
const TEXT: &str = "text/plain; charset=utf-8";

/// Serves until Ctrl-C. Prints the page's address first.
pub(crate) fn serve(dir: &Path, address: SocketAddr, terminal: &Terminal) -> Result {
    let listener = TcpListener::bind(address).map_err(|error| {
        Failure::setting("--serve", address, &format!("an address that is free, and this is not: {error}"))
    })?;
    if !address.ip().is_loopback() {
        tracing::warn!("everybody who reaches {address} can read this run");
    }
    print(&format!("http://{}/\n", listener.local_addr()?))?;
    let (listener, live) = (Arc::new(listener), Arc::new(Mutex::new(Live::new(dir))));
    for asker in 0..AT_ONCE {
        let (listener, live) = (Arc::clone(&listener), Arc::clone(&live));
        std::thread::Builder::new().name(format!("serve-{asker}")).spawn(move || accept(&listener, &live))?;
    }
    // The threads end with the process: none of them holds anything that must be put away.
    while !terminal.interrupted() {
        std::thread::sleep(PATIENCE);
    }
    Ok(())
}

/// Serves one asker after another.
fn accept(listener: &TcpListener, live: &Mutex<Live>) {
    loop {
        let served = listener.accept().and_then(|(stream, _)| http::serve(&stream, |request| answer(live, request)));
        if let Err(error) = served {
            // An asker who has gone away is no failure. Where there are no more connections to be had, some time helps.
            tracing::debug!("a reader went away: {error}");
            std::thread::sleep(PATIENCE);
        }
    }
}

fn answer(live: &Mutex<Live>, request: &Request) -> Answer {
    let told = |status, words: &str| Answer { status, kind: TEXT, body: format!("{words}\n") };
    if !matches!(request.method.as_str(), "GET" | "HEAD") {
        return told(405, "Only GET and HEAD.");
    }
    // A page of another site must not read this one by a name that it has pointed here.
    if !names_a_machine(&request.host) {
        return told(403, "Ask for this page by its address.");
    }
    let mut live = live.lock().unwrap_or_else(PoisonError::into_inner);
    let found = match request.target.split('?').next().unwrap_or_default() {
        "/" => live.look().map(|found| (HTML, page(found))),
        "/status.json" => live.status().map(|status| (JSON, format!("{status}\n"))),
        "/report.json" => live.json().map(|report| (JSON, format!("{report}\n"))),
        _ => return told(404, "There are /, /status.json and /report.json."),
    };
    match found {
        Ok((kind, body)) => Answer { status: 200, kind, body },
        Err(error) => told(500, &error.to_string()),
    }
}

/// The page of a run, or one that waits for it.
fn page(found: Option<(&Report, Progress)>) -> String {
    found.map_or_else(waiting_page, |(report, progress)| live_page(report, &progress))
}

/// Whether a host is an address or this machine's own name, and not a name that anybody may have registered.
fn names_a_machine(host: &str) -> bool {
    let name = host.rsplit_once(':').filter(|(_, port)| port.bytes().all(|b| b.is_ascii_digit())).map_or(host, |p| p.0);
    let plain = name.trim_start_matches('[').trim_end_matches(']');
    name == "localhost" || plain.parse::<std::net::IpAddr>().is_ok()
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
