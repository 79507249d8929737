//! One request over HTTP: where to, with which key, for how long. Knows no documents.

use std::net::IpAddr;
use std::time::Duration;

use ureq::Agent;
use ureq::http::Uri;
use ureq::http::header::{AUTHORIZATION, CONTENT_TYPE, HeaderValue, RETRY_AFTER};
use ureq::tls::{RootCerts, TlsConfig};

use super::Role;
use super::error::Fault;
use crate::error::{Error, Result};

/// Bytes from which on a key is a secret that no text holds by chance.
const SHORTEST_SECRET: usize = 8;
/// Bytes of an answer; a document with its log-probabilities takes a few hundred bytes a token.
const MOST_BYTES: u64 = 256 << 20;

/// Characters of a server's message that are passed on.
const MOST_SAID: usize = 300;

/// What stands in a message where the key stood.
const HIDDEN: &str = "(the key)";

/// A server's key. It goes into the request's header and nowhere else: not into a message, a log, a file.
#[derive(Clone)]
pub struct Key {
    text: String,
    header: HeaderValue,
}

impl std::fmt::Debug for Key {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(HIDDEN)
    }
}

impl Key {
    /// As it is, and as JSON writes it.
    fn spellings(&self) -> impl Iterator<Item = String> {
        let json = serde_json::Value::from(self.text.as_str()).to_string();
        [json[1..json.len() - 1].to_owned(), self.text.clone()].into_iter()
    }

    /// Whether `name` may name the variable that holds a key: capitals, digits and `_`. Stricter than the system is, so that a key
    /// that somebody gave by mistake is refused before it is written or shown anywhere.
    pub fn is_variable(name: &str) -> bool {
        let first = name.bytes().next().is_some_and(|byte| byte.is_ascii_uppercase() || byte == b'_');
        first && name.bytes().all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit() || byte == b'_')
    }

    /// The key that the environment variable `name` holds, which the recipe's key of that role gave.
    ///
    /// # Errors
    /// [`Error::Setting`] when `name` is no variable's name, or the variable is not set, empty, or not a header's value.
    pub fn from_environment(name: &str, role: Role) -> Result<Self> {
        let refuse = |value: &str, expected: &str| Error::setting(role.key_env(), value, expected);
        if !Self::is_variable(name) {
            let expected = "the name of an environment variable, in capitals, digits and _: not the key itself";
            return Err(refuse("(not shown)", expected));
        }
        match std::env::var(name) {
            Ok(key) if !key.trim().is_empty() => Self::new(key.trim()),
            Ok(_) => Err(refuse(name, "the name of a variable that holds the key; it is empty")),
            Err(std::env::VarError::NotPresent) => {
                Err(refuse(name, "the name of a variable that holds the key; it is not set"))
            }
            Err(std::env::VarError::NotUnicode(_)) => {
                Err(refuse(name, "the name of a variable that holds the key; its value is not UTF-8"))
            }
        }
    }

    /// This key.
    ///
    /// # Errors
    /// [`Error::Setting`], without the key, when a header cannot hold it.
    pub fn new(key: &str) -> Result<Self> {
        let header = HeaderValue::from_str(&format!("Bearer {key}")).ok().filter(|_| key.is_ascii() && !key.is_empty());
        let expected = "a key of printable ASCII characters";
        let mut header = header.ok_or_else(|| Error::setting("the endpoint's key", "(not shown)", expected))?;
        header.set_sensitive(true);
        Ok(Self { text: key.to_owned(), header })
    }
}

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
#[derive(Clone, Debug)]
pub(super) struct Client {
    agent: Agent,
    url: String,
    key: Option<Key>,
    timeout: Duration,
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
        Ok(Self { agent: config.build().new_agent(), url, key, timeout })
    }

    pub(super) fn url(&self) -> &str {
        &self.url
    }

    pub(super) fn has_key(&self) -> bool {
        self.key.is_some()
    }

    /// Posts a JSON body.
    pub(super) fn post(&self, body: &[u8]) -> Result<Reply, NoReply> {
        let mut request = self.agent.post(&self.url).header(CONTENT_TYPE, "application/json");
        if let Some(key) = &self.key {
            request = request.header(AUTHORIZATION, key.header.clone());
        }
        let mut response = request.send(body).map_err(|error| self.no_reply(&error))?;
        let status = response.status().as_u16();
        let retry_after = response.headers().get(RETRY_AFTER).and_then(|value| value.to_str().ok()).map(str::to_owned);
        let read = response.body_mut().with_config().limit(MOST_BYTES).read_to_vec();
        let body = match read {
            Ok(body) => body,
            // The status says enough, its message may be cut.
            Err(_) if status != 200 => Vec::new(),
            Err(error) => return Err(self.no_reply(&error)),
        };
        Ok(Reply { status, retry_after, body })
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
            ureq::Error::BadUri(_) | ureq::Error::InvalidProxyUrl | ureq::Error::BodyExceedsLimit(_) => false,
            _ => true,
        };
        NoReply { fault: Fault::Transport(self.hide(&what)), transient }
    }

    /// A body as a message: the error's own text where it is JSON that has one, in one line, cut, without the key.
    pub(super) fn said(&self, body: &[u8]) -> String {
        let text = String::from_utf8_lossy(body);
        let json: Option<serde_json::Value> = serde_json::from_str(&text).ok();
        let message = json.as_ref().and_then(|json| {
            let places = ["/error/message", "/message", "/error", "/detail"];
            places.iter().find_map(|place| json.pointer(place)?.as_str())
        });
        // First the key goes, then the rest: half a key at the cut would not be found.
        let text = self.hide(message.unwrap_or(&text));
        let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
        match line.char_indices().nth(MOST_SAID) {
            Some((end, _)) => format!("{}…", &line[..end]),
            None => line,
        }
    }

    /// Whether a body holds the key, which goes into no file. A short word that is no secret may stand in any text.
    pub(super) fn repeats_the_key(&self, body: &[u8]) -> bool {
        let text = String::from_utf8_lossy(body);
        self.key
            .as_ref()
            .is_some_and(|key| key.text.len() >= SHORTEST_SECRET && key.spellings().any(|key| text.contains(&key)))
    }

    fn hide(&self, text: &str) -> String {
        let spellings = self.key.iter().flat_map(Key::spellings);
        spellings.fold(text.to_owned(), |text, key| text.replace(&key, HIDDEN))
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
    Ok(match base {
        _ if base.ends_with("/completions") => base.to_owned(),
        _ if base.ends_with("/v1") => format!("{base}/completions"),
        _ => format!("{base}/v1/completions"),
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

    fn client(key: &str) -> Client {
        let key = Some(Key::new(key).unwrap());
        Client::new("http://127.0.0.1:9", Role::Synthesizer, key, Duration::from_secs(1), 1).unwrap()
    }

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

    #[test]
    fn a_message_is_the_servers_own_without_the_key_in_one_line_and_cut() {
        let client = client("s3cret");
        assert_eq!(client.said(br#"{"error": {"message": "no\n model s3cret", "code": 404}}"#), "no model (the key)");
        assert_eq!(client.said(br#"{"detail": "Not Found"}"#), "Not Found");
        assert_eq!(client.said(b"<html>\n busy </html>"), "<html> busy </html>");
        assert_eq!(client.said(b"\xff"), "\u{fffd}");
        // The key stands across the cut: hidden whole.
        let long = client.said(format!("{}s3cret and more", "x".repeat(297)).as_bytes());
        assert_eq!(long, format!("{}(th…", "x".repeat(297)));
    }

    #[test]
    fn a_key_shows_nowhere() {
        let client = client("s3cret");
        assert!(!format!("{client:?}").contains("s3cret"));
        // Not only hidden by name: what is given in the variable's place is not shown either.
        for wrong in ["s3cret", "hf_s3cret", "sk-s3cret", "", "1KEY", "A-B"] {
            let message = Key::from_environment(wrong, Role::Judge).unwrap_err().to_string();
            assert!(message.contains("(not shown)") && !message.contains("s3cret"), "{message}");
        }
        let unset = Key::from_environment("COGNATE_NO_SUCH_VARIABLE", Role::Judge).unwrap_err().to_string();
        assert!(unset.contains("COGNATE_NO_SUCH_VARIABLE") && unset.contains("not set"), "{unset}");
        let broken = Key::new("s3c\nret").unwrap_err().to_string();
        assert!(!broken.contains("s3c"), "{broken}");
    }
}
