//! `watch` and `report` of several runs, from outside.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use serde_json::Value;

use crate::support::{Scratch, corpus, recipe};

/// A page being served; the server ends with it.
struct Served {
    child: Child,
    address: String,
}

impl Served {
    fn start(scratch: &Scratch, dir: &str) -> Self {
        let mut command = scratch.cognate(&["watch", dir, "--serve=127.0.0.1:0"]);
        let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
        let address = line.trim().strip_prefix("http://").unwrap().trim_end_matches('/').to_owned();
        Self { child, address }
    }

    /// Status code and body.
    fn ask(&self, method: &str, path: &str, host: &str) -> (u16, String) {
        let mut stream = TcpStream::connect(&self.address).unwrap();
        // Far more than anybody may be held up; a page that never comes is a failure.
        stream.set_read_timeout(Some(Duration::from_secs(120))).unwrap();
        write!(stream, "{method} {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n").unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        (head.split(' ').nth(1).unwrap().parse().unwrap(), body.to_owned())
    }

    fn get(&self, path: &str) -> (u16, String) {
        self.ask("GET", path, &self.address)
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn ready() -> Scratch {
    let scratch = Scratch::new();
    scratch.write("documents.jsonl", corpus(1200));
    scratch.write("r.toml", recipe(""));
    scratch
}

#[test]
fn a_run_is_watched_whatever_state_it_is_in() {
    let scratch = ready();
    let (code, stderr) = scratch.fails(&["watch", "runs/tiny"]);
    assert_eq!(code, 1);
    assert!(stderr.starts_with("error: runs/tiny"), "{stderr}");
    let served = Served::start(&scratch, "runs/tiny");
    let (status, page) = served.get("/");
    assert_eq!(status, 200);
    assert!(page.contains("There is no run here yet") && page.contains("<meta http-equiv=\"refresh\""), "{page}");
    assert_eq!(served.get("/status.json").0, 500);

    scratch.succeeds(&["run", "r.toml"]);
    let whole = scratch.succeeds(&["watch", "runs/tiny"]);
    assert!(whole.starts_with("tiny: done\n14 of 14 stages  ████████████████████ 100 %\n"), "{whole}");
    assert!(whole.contains("loss, nats per token: r repetition   s sbp   o oracle\n"), "{whole}");
    assert!(whole.contains("train sbp               done") && whole.contains("Synthetic documents "), "{whole}");
    assert!(whole.lines().all(|line| line.chars().count() <= 100), "{whole}");
    // The same server, without having been told.
    let (status, page) = served.get("/");
    assert_eq!(status, 200);
    assert!(
        page.contains("tiny: done, 14 of 14 stages done") && page.contains("Validation loss over training tokens"),
        "{page}"
    );
    let status: Value = serde_json::from_str(&served.get("/status.json").1).unwrap();
    assert_eq!(status["stages"].as_array().unwrap().len(), 14);
    let report: Value = serde_json::from_str(&served.get("/report.json").1).unwrap();
    assert_eq!(report["arms"].as_array().unwrap().len(), 3);

    // A report that cannot be read hides nothing that can.
    scratch.write("runs/tiny/report.json", "{");
    let damaged = scratch.succeeds(&["watch", "runs/tiny"]);
    assert!(damaged.starts_with("tiny: not running") && damaged.contains("13 of 14 stages"), "{damaged}");
    let fresh = Served::start(&scratch, "runs/tiny");
    assert_eq!(fresh.get("/").0, 200);
    drop(fresh);

    // Interrupted in the middle of a training stage.
    for gone in ["train/oracle/manifest.json", "report.json"] {
        fs_err::remove_file(scratch.path(&format!("runs/tiny/{gone}"))).unwrap();
    }
    fs_err::remove_dir_all(scratch.path("runs/tiny/evaluate")).unwrap();
    scratch.write("runs/tiny/train/oracle/started.json", "{}");
    let half = scratch.succeeds(&["watch", "runs/tiny"]);
    assert!(half.starts_with("tiny: not running; `cognate run` continues it\n9 of 14 stages  "), "{half}");
    assert!(half.contains("train oracle            stopped"), "{half}");
    assert!(half.contains("· train oracle, training   r repetition   s sbp   o oracle"), "{half}");
    assert!(served.get("/").1.contains("This run is not finished. Missing: train oracle, evaluate"));
    scratch.write("runs/tiny/train/sbp/manifest.json", "{");
    let (status, error) = served.get("/");
    assert_eq!(status, 500);
    assert!(error.contains("runs/tiny/train/sbp/manifest.json is damaged"), "{error}");
}

#[test]
fn the_page_is_read_only_and_holds_no_files() {
    let scratch = ready();
    scratch.write("secret.txt", "a secret");
    let mut served = Served::start(&scratch, ".");
    for path in ["/secret.txt", "/../secret.txt", "/%2e%2e/secret.txt", "//secret.txt", "/./r.toml", "/etc/passwd"] {
        let (status, body) = served.get(path);
        assert_eq!(status, 404, "{path}");
        assert!(!body.contains("secret"), "{body}");
    }
    for method in ["POST", "PUT", "DELETE"] {
        assert_eq!(served.ask(method, "/", &served.address).0, 405, "{method}");
    }
    assert_eq!(served.ask("HEAD", "/", &served.address), (200, String::new()));
    assert_eq!(served.ask("GET", "/", "evil.example").0, 403);
    // A second server cannot have the same place, and says so.
    let output = scratch.cognate(&["watch", ".", &format!("--serve={}", served.address)]).output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert!(
        stderr.starts_with(&format!("error: --serve = {}: expected an address that is free", served.address)),
        "{stderr}"
    );
    // Ctrl-C is how it ends, and no failure.
    let status = Command::new("kill").args(["-INT", &served.child.id().to_string()]).status().unwrap();
    assert!(status.success());
    assert_eq!(served.child.wait().unwrap().code(), Some(0));
}

#[test]
fn nobody_who_connects_holds_up_the_page() {
    let scratch = ready();
    let mut served = Served::start(&scratch, ".");
    let connect = |text: &str| {
        let mut stream = TcpStream::connect(&served.address).unwrap();
        stream.write_all(text.as_bytes()).unwrap();
        stream
    };
    let status = |mut stream: TcpStream| -> u16 {
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer.split(' ').nth(1).unwrap().parse().unwrap()
    };
    // A body is refused by what is announced of it, and never waited for.
    for length in ["1", "5000", "100000000000", "18446744073709551615", "99999999999999999999", "-1"] {
        let announced = connect(&format!("POST / HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: {length}\r\n\r\n"));
        assert_eq!(status(announced), 413, "{length}");
    }
    assert_eq!(status(connect(&format!("GET / HTTP/1.1\r\nHost: {}", "a".repeat(1 << 16)))), 431);
    assert_eq!(status(connect(&format!("GET / HTTP/1.1\r\n{}", "X: y\r\n".repeat(1000)))), 431);
    assert_eq!(status(connect("GET / HTTP/1.1\r\n\r\n")), 400);
    // Askers who say half of what they want, and one who takes no answer, stand beside the others and not before them.
    let slow: Vec<TcpStream> = (0..20).map(|_| connect("GET / HTTP/1.1\r\nHost: 127")).collect();
    let deaf = connect(&"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n".repeat(60));
    assert_eq!(served.get("/").0, 200);
    for mut stream in &slow {
        stream.set_nonblocking(true).unwrap();
        let waiting = stream.read(&mut [0]).unwrap_err();
        assert_eq!(
            waiting.kind(),
            std::io::ErrorKind::WouldBlock,
            "it was answered only after the others were sent away"
        );
    }
    // More than are served at a time: then it is their time to ask that ends, and the page comes.
    let stalled: Vec<TcpStream> = (0..40).map(|_| connect("GET / HTTP/1.1\r\nHost: 127")).collect();
    assert_eq!(served.get("/").0, 200);
    drop(stalled);
    let slow: Vec<TcpStream> = (0..20).map(|_| connect("GET / HTTP/1.1\r\nHost: 127")).collect();
    // Nor do they hold up the end.
    let killed = Command::new("kill").args(["-TERM", &served.child.id().to_string()]).status().unwrap();
    assert!(killed.success());
    assert_eq!(served.child.wait().unwrap().code(), Some(0));
    drop((slow, deaf));
}

#[test]
fn runs_are_compared_and_left_as_they_are() {
    let scratch = ready();
    scratch.succeeds(&["run", "r.toml"]);
    scratch.write("other.toml", recipe("[generate]\ntemperature = 0.5\n"));
    scratch.succeeds(&["run", "other.toml", "--out", "runs/other"]);
    let before = fs_err::read(scratch.path("runs/tiny/report.json")).unwrap();
    let table = scratch.succeeds(&["report", "runs/tiny", "runs/other"]);
    let words = |start: &str| {
        let line = table.lines().find(|line| line.starts_with(start)).unwrap_or_else(|| panic!("{start}\n{table}"));
        line.split_whitespace().map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(words("nats per token")[3..], ["tiny", "other"]);
    let repetition = words("repetition");
    assert_eq!(repetition[1], repetition[2], "the same but for generation");
    assert_eq!(words("[generate] temperature")[2..], ["1.0", "0.5"]);
    assert!(
        table.ends_with("comparison: comparison/comparison.html\n") && !table.contains("cannot be compared"),
        "{table}"
    );
    let page = fs_err::read_to_string(scratch.path("comparison/comparison.html")).unwrap();
    assert!(page.contains("2 runs compared: tiny, other"));
    let json: Value =
        serde_json::from_slice(&fs_err::read(scratch.path("comparison/comparison.json")).unwrap()).unwrap();
    assert_eq!(json["runs"][1]["comparable"], "yes");
    assert_eq!(fs_err::read(scratch.path("runs/tiny/report.json")).unwrap(), before);
    // A report alone will do; a folder with other things in it is not written into.
    let alone = scratch.succeeds(&["report", "runs/tiny/report.json", "runs/other", "--json", "--out", "again"]);
    assert_eq!(serde_json::from_str::<Value>(&alone).unwrap(), json);
    let (code, stderr) = scratch.fails(&["report", "runs/tiny", "runs/other", "--out", "runs"]);
    assert_eq!(code, 2);
    assert!(stderr.starts_with("error: --out = runs: expected a folder that is new, empty"), "{stderr}");
    let (code, stderr) = scratch.fails(&["report", "runs/tiny", "nowhere"]);
    assert_eq!(code, 1);
    assert!(stderr.starts_with("error: nowhere"), "{stderr}");
}
