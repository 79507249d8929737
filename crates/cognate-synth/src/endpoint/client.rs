//! One request over HTTP: where to, with which key, for how long, and how much of an answer. Knows no documents.

use std::io::Read;
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use ureq::Agent;
use ureq::http::Uri;
use ureq::http::header::{AUTHORIZATION, CONTENT_TYPE, RETRY_AFTER};
use ureq::tls::{RootCerts, TlsConfig};

use super::Role;
use super::error::Fault;
use super::key::{Discretion, Key};
use crate::error::{Error, Result};

/// Bytes of an answer that are read at a time.
const READ_AT_ONCE: usize = 64 << 10;
/// Bytes of an answer with another status than 200: a message, of which the beginning tells.
const MOST_MESSAGE_BYTES: usize = 64 << 10;
/// Bytes of all answers together that are being read, except the one that may be larger than its share.
const MOST_BYTES: usize = 1 << 30;

/// What came back.
#[derive(Clone, Debug)]
pub(super) struct Reply {
    pub(super) status: u16,
    /// The header's value.
    pub(super) retry_after: Option<String>,
    pub(super) body: Vec<u8>,
}

/// No whole reply.
#[derive(Clone, Debug)]
pub(super) struct NoReply {
    pub(super) fault: Fault,
    pub(super) transient: bool,
}

/// A completion server.
#[derive(Debug)]
pub(super) struct Client {
    agent: Agent,
    url: String,
    discretion: Discretion,
    timeout: Duration,
    /// Bytes that every answer may have at the same time as all others.
    share: usize,
    /// Held by the one that has more.
    large: Mutex<()>,
}

impl Client {
    /// A client for the server at `url`, of which at most `connections` stay open, waiting for `timeout` at most.
    pub(super) fn new(url: &str, role: Role, key: Option<Key>, timeout: Duration, connections: usize) -> Result<Self> {
        let url = completions_url(url, role)?;
        let tls = TlsConfig::builder().root_certs(RootCerts::PlatformVerifier).build();
        let mut config = Agent::config_builder()
            .user_agent(concat!("cognate/", env!("CARGO_PKG_VERSION")))
            .tls_config(tls)
            .http_status_as_error(false)
            // A redirect is told and not followed: the key is meant for the address that was given.
            .max_redirects(0)
            .max_redirects_will_error(false)
            .max_idle_connections(connections)
            .max_idle_connections_per_host(connections)
            .timeout_global(Some(timeout));
        if is_this_machine(&url) {
            // Whatever proxy the environment names, it leads away from here.
            config = config.proxy(None);
        }
        let share = MOST_BYTES / connections.max(1);
        let agent = config.build().new_agent();
        Ok(Self { agent, url, discretion: Discretion(key), timeout, share, large: Mutex::default() })
    }

    pub(super) fn url(&self) -> &str {
        &self.url
    }

    pub(super) fn has_key(&self) -> bool {
        self.discretion.0.is_some()
    }

    /// What may be told of what the server says.
    pub(super) fn discretion(&self) -> &Discretion {
        &self.discretion
    }

    /// Posts a JSON body; an answer of more than `most` bytes is none.
    pub(super) fn post(&self, body: &[u8], most: usize) -> Result<Reply, NoReply> {
        let mut request = self.agent.post(&self.url).header(CONTENT_TYPE, "application/json");
        if let Some(key) = &self.discretion.0 {
            request = request.header(AUTHORIZATION, key.header());
        }
        let mut response = request.send(body).map_err(|error| self.no_reply(&error))?;
        let status = response.status().as_u16();
        let retry_after = response.headers().get(RETRY_AFTER).and_then(|value| value.to_str().ok()).map(str::to_owned);
        let mut reader = response.body_mut().as_reader();
        let body = if status == 200 {
            self.read(&mut reader, most)?
        } else {
            // The status says enough, its message may be cut.
            let mut message = Vec::new();
            let _ = reader.take(MOST_MESSAGE_BYTES as u64).read_to_end(&mut message);
            message
        };
        Ok(Reply { status, retry_after, body })
    }

    /// A body, piece by piece. Beyond its share of the memory only one goes on at a time, so that all answers together are bounded.
    fn read(&self, reader: &mut dyn Read, most: usize) -> Result<Vec<u8>, NoReply> {
        let mut body = Vec::new();
        let mut turn = None;
        loop {
            let before = body.len();
            let mut piece = reader.take((READ_AT_ONCE.min(most + 1 - before)) as u64);
            piece.read_to_end(&mut body).map_err(|error| self.no_reply(&error.into()))?;
            if body.len() > most {
                let what = format!("the answer has more than {most} bytes, which is more than was asked for can take");
                let fault = Fault::Answer { what, said: self.discretion.said(&body) };
                return Err(NoReply { fault, transient: false });
            }
            if body.len() == before {
                return Ok(body);
            }
            if body.len() + READ_AT_ONCE > self.share && turn.is_none() {
                turn = Some(self.large.lock().unwrap_or_else(PoisonError::into_inner));
            }
        }
    }

    fn no_reply(&self, error: &ureq::Error) -> NoReply {
        let what = match error {
            ureq::Error::Timeout(_) => format!("no whole answer within {} s", self.timeout.as_secs_f64()),
            ureq::Error::HostNotFound => "the host has no address".into(),
            ureq::Error::Io(error) => format!("no whole answer: {error}"),
            other => format!("no whole answer: {other}"),
        };
        let transient = match error {
            // A certificate that is not trusted, or no TLS at all, will be so again.
            ureq::Error::Io(error) => error.kind() != std::io::ErrorKind::InvalidData,
            ureq::Error::Tls(_) | ureq::Error::Rustls(_) | ureq::Error::TlsRequired => false,
            ureq::Error::BadUri(_) | ureq::Error::InvalidProxyUrl => false,
            _ => true,
        };
        NoReply { fault: Fault::Transport(self.discretion.hide(&what)), transient }
    }
}

/// The address to post to, from a server's, with `/v1` or without, or from that of `/v1/completions` itself.
///
/// # Errors
/// [`Error::Setting`] when it is no http or https address, or holds what may be a secret; that is not shown then.
pub fn completions_url(url: &str, role: Role) -> Result<String> {
    let refuse = || {
        // What stands before an @ or after a ? may be a password.
        let shown = if url.contains(['@', '?', '#']) { "(not shown)" } else { url };
        let expected = format!(
            "http://HOST:PORT or https://HOST, with a path or without, as in http://127.0.0.1:8000/v1; no name, password or \
             query: a key goes into the variable that {} names",
            role.key_env()
        );
        Error::setting(role.url(), shown, expected)
    };
    let uri: Uri = url.parse().map_err(|_| refuse())?;
    let known = matches!(uri.scheme_str(), Some("http" | "https"));
    let host = uri.host().is_some_and(|host| !host.is_empty());
    if !known || !host || url.contains(['@', '?', '#']) {
        return Err(refuse());
    }
    let base = url.trim_end_matches('/');
    let path = role.path();
    // An address that ends with what another role asks by is that server's too.
    let stem = ["/chat/completions", "/completions"].into_iter().find_map(|end| base.strip_suffix(end));
    Ok(match stem {
        Some(stem) => format!("{stem}{path}"),
        None if base.ends_with("/v1") => format!("{base}{path}"),
        None => format!("{base}/v1{path}"),
    })
}

/// Whether a checked address is this machine's own.
fn is_this_machine(url: &str) -> bool {
    let uri: Option<Uri> = url.parse().ok();
    let host = uri.as_ref().and_then(Uri::host).unwrap_or_default().trim_matches(['[', ']']);
    host == "localhost" || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_usual_way_to_write_the_address_is_understood() {
        let cases = [
            ("http://127.0.0.1:8000", "http://127.0.0.1:8000/v1/completions"),
            ("http://127.0.0.1:8000/", "http://127.0.0.1:8000/v1/completions"),
            ("https://host/llm/v1", "https://host/llm/v1/completions"),
            ("https://host/v1/completions/", "https://host/v1/completions"),
            ("http://[::1]:8000/v1/", "http://[::1]:8000/v1/completions"),
        ];
        for (given, expected) in cases {
            assert_eq!(completions_url(given, Role::Synthesizer).unwrap(), expected);
            assert_eq!(completions_url(given, Role::Judge).unwrap(), expected);
            let chat = expected.replace("/completions", "/chat/completions");
            assert_eq!(completions_url(given, Role::Writer).unwrap(), chat);
            assert_eq!(completions_url(&chat, Role::Writer).unwrap(), chat);
        }
        for bad in ["", "host:8000", "ftp://host", "http://", "/v1", "http://me:pass@host", "http://host/v1?key=s3cret"]
        {
            for (role, field) in [(Role::Synthesizer, "endpoint_url = "), (Role::Judge, "judge_url = ")] {
                let message = completions_url(bad, role).unwrap_err().to_string();
                assert!(message.starts_with(field), "{message}");
                assert!(!message.contains("pass@") && !message.contains("s3cret"), "{message}");
            }
        }
    }

    #[test]
    fn only_loopback_addresses_are_this_machine() {
        for here in ["http://127.0.0.1:1/v1", "http://localhost/v1", "http://[::1]:8000/v1", "http://127.3.2.1"] {
            assert!(is_this_machine(here), "{here}");
        }
        for there in ["http://10.0.0.1/v1", "http://localhost.example/v1", "http://[::2]/v1"] {
            assert!(!is_this_machine(there), "{there}");
        }
    }

    /// A client of which each answer has a share of `share` bytes.
    fn client(share: usize) -> Client {
        let client = Client::new("http://127.0.0.1:9", Role::Synthesizer, None, Duration::from_secs(1), 1).unwrap();
        Client { share, ..client }
    }

    #[test]
    fn an_answer_is_read_up_to_its_limit_and_not_beyond() {
        let body = vec![b'x'; 3 * READ_AT_ONCE + 7];
        for share in [1, READ_AT_ONCE, 1 << 30] {
            let client = client(share);
            for most in [body.len(), body.len() + 1, 1 << 30] {
                assert!(client.read(&mut &body[..], most).unwrap() == body);
            }
            // An endless one takes no more memory than the limit.
            for most in [0, 100, READ_AT_ONCE, body.len() - 1] {
                let refused = client.read(&mut std::io::repeat(b'x'), most).unwrap_err();
                assert!(!refused.transient && refused.fault.to_string().contains(&format!("more than {most} bytes")));
            }
        }
    }

    /// Gives its bytes one after the other, and counts how many others are beyond their share in the meantime.
    struct Counted<'a> {
        left: usize,
        given: usize,
        share: usize,
        beyond: &'a std::sync::atomic::AtomicUsize,
        most: &'a std::sync::atomic::AtomicUsize,
    }

    impl Read for Counted<'_> {
        fn read(&mut self, out: &mut [u8]) -> std::io::Result<usize> {
            use std::sync::atomic::Ordering::SeqCst;
            // The others' turn, if they can take it.
            std::thread::yield_now();
            let give = self.left.min(out.len()).min(1000);
            out[..give].fill(b'x');
            let before = self.given;
            (self.given, self.left) = (self.given + give, self.left - give);
            if before <= self.share && self.given > self.share {
                self.most.fetch_max(self.beyond.fetch_add(1, SeqCst) + 1, SeqCst);
            }
            if give == 0 && self.given > self.share {
                self.beyond.fetch_sub(1, SeqCst);
            }
            Ok(give)
        }
    }

    #[test]
    fn one_answer_at_a_time_is_larger_than_its_share() {
        let share = 4 * READ_AT_ONCE;
        let client = client(share);
        let (beyond, most) = (Default::default(), std::sync::atomic::AtomicUsize::default());
        std::thread::scope(|scope| {
            for _ in 0..8 {
                let mut reader = Counted { left: 3 * share, given: 0, share, beyond: &beyond, most: &most };
                let client = &client;
                scope.spawn(move || {
                    assert_eq!(client.read(&mut reader, 4 * share).unwrap().len(), 3 * share);
                });
            }
        });
        assert_eq!(most.into_inner(), 1);
    }
}
