//! What a browser makes of the pages: Debian's chromium, without a screen. Where it is not installed the tests say that they
//! are skipped, and every runner counts them so.

#![allow(clippy::unwrap_used)] // helpers of tests too; clippy.toml allows it only inside #[test]

#[allow(dead_code, reason = "the other tests need more of it")]
#[path = "it/support.rs"]
mod support;

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitCode, Stdio};

use libtest_mimic::{Arguments, Trial};

use crate::support::{Scratch, corpus, recipe};

fn main() -> ExitCode {
    let arguments = Arguments::from_args();
    let chromium = find();
    if chromium.is_none() {
        #[allow(clippy::print_stderr, reason = "this is a test runner")]
        {
            eprintln!("SKIPPED: chromium is not installed (on Debian: apt install chromium)");
        }
    }
    let trial = |name: &str, test: fn(&Browser)| {
        let browser = chromium.clone().map(Browser);
        let skipped = browser.is_none();
        let run = move || {
            browser.iter().for_each(test);
            Ok(())
        };
        let trial = Trial::test(name, run).with_ignored_flag(skipped);
        if skipped { trial.with_kind("needs chromium") } else { trial }
    };
    let trials = vec![
        trial("a_served_page_follows_its_run", a_served_page_follows_its_run),
        trial("a_report_fits_a_phone_and_prints", a_report_fits_a_phone_and_prints),
        trial("inspected_documents_fit_a_phone_and_a_desk", inspected_documents_fit_a_phone_and_a_desk),
    ];
    libtest_mimic::run(&arguments, trials).exit_code()
}

/// Chromium in the search path.
fn find() -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).map(|folder| folder.join("chromium")).find(|program| program.is_file())
}

struct Browser(PathBuf);

impl Browser {
    /// Runs it without a screen on `url`; what it prints.
    fn run(&self, scratch: &Scratch, arguments: &[&str], url: &str) -> String {
        let profile = format!("--user-data-dir={}", scratch.path("profile").display());
        let mut command = Command::new(&self.0);
        // Its own sandbox needs rights that a container does not give; it opens nothing but our pages.
        command.args(["--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--hide-scrollbars"]);
        let output = command.args([&profile, "--no-first-run"]).args(arguments).arg(url).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    }
}

/// A server that ends with it.
struct Server(Child);

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn ready() -> Scratch {
    let scratch = Scratch::new();
    scratch.write("documents.jsonl", corpus(1200));
    scratch.write("r.toml", recipe(""));
    scratch
}

fn a_served_page_follows_its_run(browser: &Browser) {
    let scratch = ready();
    let mut command = scratch.cognate(&["watch", "runs/tiny", "--serve=127.0.0.1:0"]);
    let mut server = Server(command.stdout(Stdio::piped()).spawn().unwrap());
    let mut url = String::new();
    BufReader::new(server.0.stdout.as_mut().unwrap()).read_line(&mut url).unwrap();
    let shown = browser.run(&scratch, &["--dump-dom"], url.trim());
    assert!(shown.contains("There is no run here yet") && shown.contains("http-equiv=\"refresh\""), "{shown}");
    scratch.succeeds(&["run", "r.toml"]);
    let shown = browser.run(&scratch, &["--dump-dom"], url.trim());
    assert!(shown.contains("tiny: done, 14 of 14 stages done"), "{shown}");
    assert_eq!(shown.matches("<h1").count(), 1);
    assert!(shown.contains("<section id=\"stages\">") && !shown.contains("<script"), "{shown}");
}

fn url(path: &Path) -> String {
    format!("file://{}", path.display())
}

/// How wide a page gets where it has `room`, in pixels. Chromium measures a frame for a page of ours: the page itself has no script
/// that could tell.
fn wide(browser: &Browser, scratch: &Scratch, page: &str, room: u32) -> u32 {
    let frame = format!(
        "<iframe id=f width={room} height=800 src=\"{page}\"></iframe><pre id=o></pre><script>onload=()=>{{\
         const d=f.contentDocument.documentElement;o.textContent='wide '+d.scrollWidth}}</script>"
    );
    let outer = scratch.write("frame.html", frame);
    let shown = browser.run(scratch, &["--allow-file-access-from-files", "--dump-dom"], &url(&outer));
    let wide = shown.split_once("<pre id=\"o\">wide ").and_then(|(_, rest)| rest.split_once('<')).unwrap().0;
    wide.parse().unwrap()
}

fn a_report_fits_a_phone_and_prints(browser: &Browser) {
    let scratch = ready();
    scratch.succeeds(&["run", "r.toml"]);
    assert_eq!(wide(browser, &scratch, "runs/tiny/report.html", 390), 390);
    let report = scratch.path("runs/tiny/report.html");
    let (pages, text) = printed(browser, &scratch, &report);
    assert!(pages >= 4 && text, "{pages} pages, text: {text}");
    // What a style that hides everything on paper would give.
    let html = fs_err::read_to_string(report).unwrap();
    let hidden = scratch.write("hidden.html", html.replace("</style>", "@media print{main{display:none}}</style>"));
    assert_eq!(printed(browser, &scratch, &hidden), (1, false));
}

/// How many pages a document is on paper, and whether there is text on them: a PDF holds the fonts that it sets text in.
fn printed(browser: &Browser, scratch: &Scratch, page: &Path) -> (u32, bool) {
    let pdf = scratch.path("page.pdf");
    browser.run(scratch, &[&format!("--print-to-pdf={}", pdf.display()), "--no-pdf-header-footer"], &url(page));
    let bytes = fs_err::read(pdf).unwrap();
    assert!(bytes.starts_with(b"%PDF-"));
    let text = String::from_utf8_lossy(&bytes);
    // Of every part of the tree of pages; its root has the most.
    let counts = text.split("/Count ").skip(1).filter_map(|rest| rest.split_whitespace().next()?.parse().ok());
    (counts.max().unwrap_or(0), text.contains("/FontDescriptor"))
}

fn inspected_documents_fit_a_phone_and_a_desk(browser: &Browser) {
    let scratch = Scratch::new();
    // A word that is wider than a phone, as formulas and addresses are.
    let long = "x".repeat(400);
    scratch.write("seeds.jsonl", format!("{{\"id\": \"a\", \"text\": \"seed {long}\"}}\n"));
    let document = format!("{{\"id\": \"s\", \"text\": \"new {long}\", \"metadata\": {{\"seed_id\": \"a\"}}}}\n");
    scratch.write("synthetic.jsonl", document);
    let command = "inspect synthetic synthetic.jsonl --documents seeds.jsonl --html page.html";
    scratch.succeeds(&command.split(' ').collect::<Vec<_>>());
    for room in [390, 1440] {
        assert_eq!(wide(browser, &scratch, "page.html", room), room);
    }
}
