//! The program's version names the commit that it was built from, so that a report tells which code wrote it.

use std::process::Command;

fn main() {
    // A commit, and any change of the code, make another version. The log of the checkout grows with every commit.
    println!("cargo::rerun-if-changed=..");
    println!("cargo::rerun-if-changed=../../Cargo.lock");
    if let Some(log) = git(&["rev-parse", "--git-path", "logs/HEAD"]) {
        println!("cargo::rerun-if-changed={log}");
    }
    let version = env!("CARGO_PKG_VERSION");
    // A source archive has no commit.
    match git(&["describe", "--always", "--exclude=*", "--abbrev=12", "--dirty=, changed"]) {
        Some(commit) => println!("cargo::rustc-env=COGNATE_VERSION={version} ({commit})"),
        None => println!("cargo::rustc-env=COGNATE_VERSION={version}"),
    }
}

/// What git prints, where there is git and a repository.
fn git(arguments: &[&str]) -> Option<String> {
    let output = Command::new("git").args(arguments).output().ok().filter(|output| output.status.success())?;
    let text = String::from_utf8(output.stdout).ok()?;
    Some(text.trim().to_owned()).filter(|text| !text.is_empty())
}
