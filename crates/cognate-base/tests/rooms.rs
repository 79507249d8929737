//! The table of rooms in ARCHITECTURE.md says of every crate which others it may use. Here it is held to the crates' manifests, and
//! `cognate-run` to the table of its own files, and to having no two of one name. What runs models names the device in one file.

#![expect(clippy::unwrap_used, reason = "a helper that fails is a test that fails")]

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use toml::{Table, Value};

/// What every crate's name but the program's begins with; the table leaves it out in lists.
const PREFIX: &str = "cognate-";
/// The section with the table.
const HEADING: &str = "## The rooms";
/// The section with the table of `cognate-run`'s files.
const INSIDE: &str = "## Inside `cognate-run`";

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// The table's rows from above to below: a crate, and what it may use as it is written.
fn rows(page: &str) -> Vec<(&str, &str)> {
    let section = page.split_once(HEADING).map_or("", |(_, after)| after);
    let section = section.split("\n## ").next().unwrap_or_default();
    section
        .lines()
        .filter_map(|line| {
            let (name, rest) = line.strip_prefix("| `")?.split_once("` |")?;
            let (_, may_use) = rest.trim_end().strip_suffix('|')?.rsplit_once('|')?;
            Some((name, may_use.trim()))
        })
        .collect()
}

/// Everything in which the table on `page` and the manifests, the crates that each depends on, do not agree.
fn disagreements(page: &str, manifests: &BTreeMap<String, BTreeSet<String>>) -> Vec<String> {
    let rows = rows(page);
    let place = |name: &str| rows.iter().position(|(row, _)| *row == name);
    let mut found = Vec::new();
    for name in manifests.keys().filter(|name| place(name).is_none()) {
        found.push(format!("{name} has no row"));
    }
    for (at, &(name, may_use)) in rows.iter().enumerate() {
        if place(name) != Some(at) {
            found.push(format!("{name} has two rows"));
        }
        let Some(uses) = manifests.get(name) else {
            found.push(format!("{name} has a row and no manifest"));
            continue;
        };
        let below = |other: &String| place(other).is_some_and(|other| other > at);
        let listed: BTreeSet<String> = match may_use {
            "all" | "all below" | "nothing" => BTreeSet::new(),
            list => list.split(", ").map(|short| format!("{PREFIX}{short}")).collect(),
        };
        for other in &listed {
            if !below(other) {
                found.push(format!("{name} may use {other}, which is no row below it"));
            } else if !uses.contains(other) {
                found.push(format!("{name} may use {other} and does not"));
            }
        }
        for other in uses {
            let is_drawn = match may_use {
                "all" => true,
                "all below" => below(other),
                _ => listed.contains(other),
            };
            if !is_drawn {
                found.push(format!("{name} uses {other}, which the table does not let it"));
            }
        }
    }
    found
}

/// The workspace's crates that a manifest names as dependencies of any kind, on any target.
fn uses(manifest: &Table) -> BTreeSet<String> {
    let kinds = ["dependencies", "dev-dependencies", "build-dependencies"];
    let of = |table: &Table| -> Vec<String> {
        let tables = kinds.iter().filter_map(|kind| table.get(*kind)?.as_table());
        tables.flat_map(Table::keys).filter(|name| name.starts_with(PREFIX)).cloned().collect()
    };
    let targets = manifest.get("target").and_then(Value::as_table).into_iter().flat_map(Table::values);
    let targets = targets.filter_map(Value::as_table).flat_map(of);
    of(manifest).into_iter().chain(targets).collect()
}

fn manifests() -> BTreeMap<String, BTreeSet<String>> {
    let folders = fs_err::read_dir(root().join("crates")).unwrap().map(|folder| folder.unwrap().path());
    let manifest = |folder: PathBuf| {
        let manifest: Table = fs_err::read_to_string(folder.join("Cargo.toml")).unwrap().parse().unwrap();
        (manifest["package"]["name"].as_str().unwrap().to_owned(), uses(&manifest))
    };
    folders.filter(|folder| folder.is_dir()).map(manifest).collect()
}

#[test]
fn crates_use_what_the_table_of_rooms_lets_them() {
    let page = fs_err::read_to_string(root().join("ARCHITECTURE.md")).unwrap();
    let found = disagreements(&page, &manifests());
    assert!(found.is_empty(), "ARCHITECTURE.md, {HEADING:?}, and the manifests disagree:\n{}", found.join("\n"));
}

#[test]
fn every_disagreement_is_seen() {
    let page = "\
## The rooms

| crate | what happens there | may use |
|---|---|---|
| `cognate` | commands | all |
| `cognate-run` | the plan, and `more` | all below |
| `cognate-model` | the decoder | base, ops |
| `cognate-ops` | arithmetic | nothing |
| `cognate-base` | files | nothing |

## Invariants

| `cognate-other` | is no row | all |
";
    let crates: Table = "\
cognate = ['run', 'base']
cognate-run = ['model']
cognate-model = ['base', 'ops']
cognate-ops = []
cognate-base = []"
        .parse()
        .unwrap();
    let check = |changes: &str, page: &str| {
        let mut crates = crates.clone();
        crates.extend(changes.parse::<Table>().unwrap());
        let uses = |names: &Value| -> BTreeSet<String> {
            names.as_array().unwrap().iter().map(|name| format!("{PREFIX}{}", name.as_str().unwrap())).collect()
        };
        disagreements(page, &crates.iter().map(|(name, uses_)| (name.clone(), uses(uses_))).collect())
    };
    assert_eq!(check("", page), [""; 0]);
    let drawn = "which the table does not let it";
    assert_eq!(check("cognate-ops = ['base']", page), [format!("cognate-ops uses cognate-base, {drawn}")]);
    assert_eq!(
        check("cognate-model = ['base', 'ops', 'run']", page),
        [format!("cognate-model uses cognate-run, {drawn}")]
    );
    assert_eq!(check("cognate-model = ['base']", page), ["cognate-model may use cognate-ops and does not"]);
    assert_eq!(check("cognate-eval = []", page), ["cognate-eval has no row"]);
    let without = page.replace("| `cognate-ops` | arithmetic | nothing |\n", "");
    assert_eq!(
        check("", &without),
        ["cognate-ops has no row", "cognate-model may use cognate-ops, which is no row below it",]
    );
    let more = page.replace("| `cognate-ops`", "| `cognate-eval` | scores | nothing |\n| `cognate-ops`");
    assert_eq!(check("", &more), ["cognate-eval has a row and no manifest"]);
    let run = "| `cognate-run` | the plan, and `more` | all below |\n";
    let moved = page.replace(run, "").replace("| `cognate-ops`", &format!("{run}| `cognate-ops`"));
    assert_eq!(check("", &moved), [format!("cognate-run uses cognate-model, {drawn}")]);
    assert_eq!(check("", &page.replace(run, &run.repeat(2))), ["cognate-run has two rows"]);
    assert_eq!(check("", "").len(), 5, "no table is no agreement");
}

#[test]
fn dependencies_of_every_kind_count() {
    let manifest = "\
[dependencies]
cognate-base.workspace = true
serde.workspace = true
[dev-dependencies]
cognate-ops = { path = '../cognate-ops' }
[build-dependencies]
cognate-run.workspace = true
[target.'cfg(unix)'.dependencies]
cognate-pair.workspace = true
";
    let found: Vec<String> = uses(&manifest.parse().unwrap()).into_iter().collect();
    assert_eq!(found, ["cognate-base", "cognate-ops", "cognate-pair", "cognate-run"]);
}

/// The rows of the table of `cognate-run`'s files, from above to below: each a list of modules.
fn files(page: &str) -> Vec<Vec<&str>> {
    let section = page.split_once(INSIDE).map_or("", |(_, after)| after);
    let section = section.split("\n## ").next().unwrap_or_default();
    let first = section.lines().filter_map(|line| Some(line.strip_prefix("| `")?.split_once(" |")?.0));
    first.map(|cell| cell.split(['`', ',', ' ']).filter(|name| !name.is_empty()).map(module).collect()).collect()
}

/// The module of the crate that a file or folder is, or is part of.
fn module(path: &str) -> &str {
    let first = path.split('/').next().unwrap_or_default();
    first.strip_suffix(".rs").unwrap_or(first)
}

/// The modules of its own crate that a source names; what its tests name does not count.
fn named(source: &str) -> BTreeSet<&str> {
    let code = source.split("#[cfg(test)]\nmod tests {").next().unwrap_or_default();
    let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let end = |text: &str| text.find(|c| !is_name(c)).unwrap_or(text.len());
    let mut found = BTreeSet::new();
    for (_, text) in code.match_indices("crate::").map(|(at, name)| (at, &code[at + name.len()..])) {
        match text.strip_prefix('{') {
            Some(list) => {
                let list = list.split("};").next().unwrap_or_default().split(',').map(str::trim);
                found.extend(list.map(|name| &name[..end(name)]));
            }
            None => drop(found.insert(&text[..end(text)])),
        }
    }
    found
}

/// Every use of a row above by the sources of `cognate-run`, by their paths below `src`, and every module without a row.
fn upward(page: &str, sources: &BTreeMap<String, String>) -> Vec<String> {
    let rows = files(page);
    let row = |module: &str| rows.iter().position(|row| row.contains(&module));
    let modules: BTreeSet<&str> = sources.keys().map(|path| module(path)).collect();
    let mut found: Vec<String> =
        modules.iter().filter(|module| row(module).is_none()).map(|module| format!("{module} has no row")).collect();
    for (path, source) in sources {
        for other in named(source).into_iter().filter(|other| modules.contains(other)) {
            if row(other) < row(module(path)) {
                found.push(format!("{path} uses {other}, which is above it"));
            }
        }
    }
    found
}

/// Whether a folder holds tests, which may use everything and are named after what they test.
fn is_of_tests(folder: &Path) -> bool {
    folder.file_name().is_some_and(|name| name == "tests")
}

/// The sources below a folder by their paths in it, but for those of tests.
fn sources(src: &Path) -> BTreeMap<String, String> {
    let (mut folders, mut sources) = (vec![src.to_path_buf()], BTreeMap::new());
    while let Some(folder) = folders.pop() {
        for entry in fs_err::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            let name = path.strip_prefix(src).unwrap().to_str().unwrap().to_owned();
            if path.is_dir() {
                folders.extend((!is_of_tests(&path)).then_some(path));
            } else if name.ends_with(".rs") && !name.ends_with("tests.rs") {
                sources.insert(name, fs_err::read_to_string(&path).unwrap());
            }
        }
    }
    sources
}

#[test]
fn no_file_of_cognate_run_uses_what_is_above_it() {
    let page = fs_err::read_to_string(root().join("ARCHITECTURE.md")).unwrap();
    let mut sources = sources(&root().join("crates/cognate-run/src"));
    sources.remove("lib.rs");
    assert!(sources.contains_key("stages/pair.rs"), "the sources are elsewhere");
    let found = upward(&page, &sources);
    assert!(found.is_empty(), "ARCHITECTURE.md, {INSIDE:?}, and the sources disagree:\n{}", found.join("\n"));
}

#[test]
fn every_use_of_what_is_above_is_seen() {
    let page = "\
## Inside `cognate-run`

| files | what happens there |
|---|---|
| `runner.rs`, `plan/` | a run |
| `stages/` | its stages |

## Invariants
";
    let check = |stage: &str| {
        let sources = [("runner.rs", "use crate::{plan, stages};"), ("plan/mod.rs", ""), ("stages/pair.rs", stage)];
        upward(page, &sources.into_iter().map(|(path, text)| (path.to_owned(), text.to_owned())).collect())
    };
    let above = |other: &str| format!("stages/pair.rs uses {other}, which is above it");
    assert_eq!(
        check("use crate::stages::Stage;\n#[cfg(test)]\nmod tests {\n    use crate::runner::run;\n}\n"),
        [""; 0]
    );
    assert_eq!(check("use crate::runner::run;"), [above("runner")]);
    assert_eq!(check("let plan = crate::plan::plan(recipe);"), [above("plan")]);
    assert_eq!(
        check("use crate::{\n    stages::Stage,\n    plan::{Plan, plan},\n    runner,\n};"),
        [above("plan"), above("runner")]
    );
    let sources = BTreeMap::from([("arms.rs".to_owned(), String::new())]);
    assert_eq!(upward(page, &sources), ["arms has no row"]);
}

/// Two files of one name are taken for one another in an editor and in a message. Modules' roots and tests are named by custom.
#[test]
fn no_two_files_of_cognate_run_have_one_name() {
    let mut folders = vec![root().join("crates/cognate-run/src")];
    let mut files: BTreeMap<String, Vec<String>> = BTreeMap::new();
    while let Some(folder) = folders.pop() {
        for entry in fs_err::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_str().unwrap().to_owned();
            if path.is_dir() {
                folders.extend((!is_of_tests(&path)).then_some(path));
            } else if !["mod.rs", "tests.rs"].contains(&name.as_str()) {
                files.entry(name).or_default().push(path.display().to_string());
            }
        }
    }
    assert!(files.contains_key("runner.rs"), "the sources are elsewhere");
    let twice: Vec<_> = files.into_values().filter(|places| places.len() > 1).collect();
    assert!(twice.is_empty(), "{twice:#?}");
}

/// The device that models run on.
const DEVICE: &str = "Cpu";

/// Whether a source names the type of the device. Comments do not count, nor do tests inside of it, nor the kind of device of that name.
fn names_the_device(source: &str) -> bool {
    let code = source.split("#[cfg(test)]\nmod tests {").next().unwrap_or_default();
    let code = code.lines().map(|line| line.split("//").next().unwrap_or_default()).collect::<Vec<_>>().join("\n");
    let is_of_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
    code.match_indices(DEVICE).any(|(at, name)| {
        let (before, behind) = (&code[..at], &code[at + name.len()..]);
        let is_whole = !before.ends_with(is_of_name) && !behind.starts_with(is_of_name);
        is_whole && !before.ends_with("DeviceKind::")
    })
}

/// Another device is then another line in one file.
#[test]
fn one_file_of_what_runs_models_names_the_device() {
    let mut found = Vec::new();
    for name in ["cognate", "cognate-run"] {
        let sources = sources(&root().join("crates").join(name).join("src"));
        assert!(!sources.is_empty(), "the sources are elsewhere");
        let naming = sources.into_iter().filter(|(_, source)| names_the_device(source));
        found.extend(naming.map(|(path, _)| format!("{name}/src/{path}")));
    }
    assert_eq!(found, ["cognate-run/src/device.rs"]);
}

#[test]
fn every_naming_of_the_device_is_seen() {
    for naming in [
        "use cognate_ops::Cpu;",
        "use cognate_ops::{Cpu, Device};",
        "let model: Decoder<cognate_ops::Cpu> = load();",
        "    Cpu::new(1)",
        "let kind = DeviceKind::Cpu; Cpu::new(1)",
    ] {
        assert!(names_the_device(naming), "{naming}");
    }
    for other in [
        "// On a Cpu.",
        "let kind = DeviceKind::Cpu;",
        "struct CpuTime;",
        "type OfCpu = ();",
        "fn a() {}\n#[cfg(test)]\nmod tests {\n    use cognate_ops::Cpu;\n}",
    ] {
        assert!(!names_the_device(other), "{other}");
    }
}
