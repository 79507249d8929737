//! No circle of files, of which each uses the next, is large: whoever changes one of them has all of them to think of.

#![expect(clippy::unwrap_used, reason = "a helper that fails is a test that fails")]

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// Files of a circle, at most.
const MOST: usize = 8;

/// A module of a crate by its names from the root: `stages`, `train`.
type Module = Vec<String>;

/// A file's paths to what it uses, and the names that it gives on, each with where that is.
#[derive(Default)]
struct Source {
    uses: Vec<Module>,
    gives_on: BTreeMap<String, Module>,
}

/// The sources of a crate by their modules, its root under no name. Tests may use everything.
fn sources(src: &Path) -> BTreeMap<Module, String> {
    let (mut folders, mut found) = (vec![src.to_path_buf()], BTreeMap::new());
    while let Some(folder) = folders.pop() {
        for entry in fs_err::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            let stem = path.file_stem().unwrap().to_str().unwrap();
            if path.is_dir() {
                folders.extend((stem != "tests").then_some(path));
                continue;
            }
            let is_source = path.extension().is_some_and(|extension| extension == "rs") && !stem.ends_with("tests");
            let mut module: Module = path.strip_prefix(src).unwrap().with_extension("").iter().map(text).collect();
            if module.last().is_some_and(|name| name == "mod") || ["lib", "main"].contains(&stem) {
                module.pop();
            }
            if is_source {
                found.insert(module, fs_err::read_to_string(&path).unwrap());
            }
        }
    }
    found
}

fn text(part: &std::ffi::OsStr) -> String {
    part.to_str().unwrap().to_owned()
}

/// Every path of a tree of `use`, with the name under which it is known.
fn leaves(tree: &str, before: &[&str], found: &mut Vec<(Vec<String>, String)>) {
    let tree = tree.trim();
    let (path, list) = match tree.split_once('{') {
        Some((path, list)) => (path.trim_end_matches("::"), Some(list.strip_suffix('}').unwrap_or(list))),
        None => (tree, None),
    };
    let (path, alias) = path.split_once(" as ").map_or((path, None), |(path, alias)| (path, Some(alias)));
    let names: Vec<&str> = before.iter().copied().chain(path.split("::").filter(|name| !name.is_empty())).collect();
    let Some(list) = list else {
        let names: Vec<String> =
            names.iter().filter(|name| **name != "self" || names[0] == "self").map(|n| (*n).to_owned()).collect();
        if let Some(last) = names.last() {
            found.push((names.clone(), alias.unwrap_or(last).to_owned()));
        }
        return;
    };
    let (mut depth, mut start) = (0, 0);
    for (at, character) in list.char_indices().chain([(list.len(), ',')]) {
        match character {
            '{' => depth += 1,
            '}' => depth -= 1,
            ',' if depth == 0 => {
                leaves(&list[start..at], &names, found);
                start = at + 1;
            }
            _ => {}
        }
    }
}

/// A path from the crate's root; none where it leads out of the crate.
fn absolute(module: &[String], path: &[String], modules: &BTreeSet<Module>) -> Option<Module> {
    let ups = path.iter().take_while(|name| *name == "super").count();
    let below = |base: &[String], rest: &[String]| Some([base, rest].concat());
    match path.first()?.as_str() {
        "crate" => below(&[], &path[1..]),
        "self" => below(module, &path[1..]),
        "super" => below(module.get(..module.len().checked_sub(ups)?)?, &path[ups..]),
        child => modules.contains(&[module, &[child.to_owned()]].concat()).then(|| [module, path].concat()),
    }
}

fn read(module: &[String], source: &str, modules: &BTreeSet<Module>) -> Source {
    let code = source.split("#[cfg(test)]\nmod tests {").next().unwrap_or_default();
    let code: String =
        code.lines().map(|line| line.split("//").next().unwrap_or_default()).collect::<Vec<_>>().join(" ");
    let mut found = Source::default();
    let mut rest = String::new();
    for statement in code.split_inclusive(';') {
        let at = statement
            .rfind(" use ")
            .map(|at| at + 1)
            .or(statement.trim_start().starts_with("use ").then(|| statement.find("use ").unwrap()));
        let Some(at) = at.filter(|_| statement.ends_with(';')) else {
            rest.push_str(statement);
            continue;
        };
        let is_given_on = statement[..at].trim_end().ends_with(')') && statement[..at].contains("pub(")
            || statement[..at].trim_end().ends_with("pub");
        rest.push_str(&statement[..at]);
        let mut paths = Vec::new();
        leaves(statement[at + 4..].trim_end_matches(';'), &[], &mut paths);
        for (path, name) in paths {
            let Some(path) = absolute(module, &path, modules) else { continue };
            if is_given_on {
                found.gives_on.insert(name, path.clone());
            }
            found.uses.push(path);
        }
    }
    // Paths in the code itself, from the root, from above, or from a module that was named by `use`.
    let is_of_path = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == ':';
    for word in rest.split(|c| !is_of_path(c)).filter(|word| word.contains("::")) {
        let path: Module = word.split("::").filter(|name| !name.is_empty()).map(str::to_owned).collect();
        let from_here = path.first().and_then(|_| absolute(module, &path, modules));
        let named = || found.uses.iter().find(|used| modules.contains(*used) && used.last() == path.first());
        let path = from_here.or_else(|| Some([named()?.as_slice(), &path[1..]].concat()));
        found.uses.extend(path);
    }
    found
}

/// The file that holds what a path names: names that a module gives on are followed.
fn holder<'a>(path: &[String], sources: &'a BTreeMap<Module, Source>, steps: usize) -> Option<&'a Module> {
    let at = (0..=path.len()).rev().find(|&at| sources.contains_key(&path[..at]))?;
    let (module, source) = sources.get_key_value(&path[..at])?;
    let item = path.get(at)?;
    match source.gives_on.get(item) {
        Some(elsewhere) if steps > 0 => holder(&[elsewhere.as_slice(), &path[at + 1..]].concat(), sources, steps - 1),
        // The root only names what others may see.
        _ => Some(module).filter(|module| !module.is_empty()),
    }
}

/// The circles of a crate, each with its files.
fn circles(sources: &BTreeMap<Module, String>) -> Vec<BTreeSet<Module>> {
    let modules: BTreeSet<Module> = sources.keys().cloned().collect();
    let sources: BTreeMap<Module, Source> =
        sources.iter().map(|(module, source)| (module.clone(), read(module, source, &modules))).collect();
    let next: BTreeMap<&Module, BTreeSet<&Module>> = sources
        .iter()
        .filter(|(module, _)| !module.is_empty())
        .map(|(module, source)| (module, source.uses.iter().filter_map(|path| holder(path, &sources, 9)).collect()))
        .collect();
    let reached = |start: &Module| -> BTreeSet<Module> {
        let (mut open, mut seen) = (vec![start], BTreeSet::new());
        while let Some(module) = open.pop() {
            open.extend(next[module].iter().filter(|other| seen.insert((**other).clone())));
        }
        seen
    };
    let reached: BTreeMap<&Module, BTreeSet<Module>> = next.keys().map(|module| (*module, reached(module))).collect();
    let circle = |module: &Module| -> BTreeSet<Module> {
        reached[module].iter().filter(|other| reached[*other].contains(module)).cloned().collect()
    };
    let found: BTreeSet<BTreeSet<Module>> =
        next.keys().map(|module| circle(module)).filter(|circle| circle.len() > 1).collect();
    found.into_iter().collect()
}

#[test]
fn no_circle_of_files_is_large() {
    let crates = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let (mut seen, mut found) = (0, Vec::new());
    for folder in fs_err::read_dir(&crates).unwrap().map(|folder| folder.unwrap().path().join("src")) {
        let sources = sources(&folder);
        seen += sources.len();
        let large = circles(&sources).into_iter().filter(|circle| circle.len() > MOST);
        found.extend(large.map(|circle| {
            let files: Vec<String> = circle.iter().map(|module| module.join("/")).collect();
            format!("{}: {} files: {}", folder.display(), files.len(), files.join(", "))
        }));
    }
    assert!(seen > 200, "the sources are elsewhere: {seen} files");
    assert!(found.is_empty(), "circles of more than {MOST} files:\n{}", found.join("\n"));
}

#[test]
fn circles_are_seen_however_a_file_names_another() {
    let check = |files: &[(&str, &str)]| -> Vec<Vec<String>> {
        let module =
            |path: &str| path.split('/').filter(|part| !part.is_empty()).map(str::to_owned).collect::<Module>();
        let sources = files.iter().map(|(path, source)| (module(path), (*source).to_owned())).collect();
        circles(&sources).into_iter().map(|circle| circle.iter().map(|module| module.join("/")).collect()).collect()
    };
    let ring = [vec!["a".to_owned(), "b".to_owned()]];
    assert_eq!(check(&[("a", "use crate::b::B;"), ("b", "use crate::a::A;")]), ring);
    assert_eq!(
        check(&[("a", "use crate::{\n    b::B,\n    c,\n};"), ("b", "fn f() { super::a::f() }"), ("c", "")]),
        ring
    );
    assert_eq!(check(&[("a", "use crate::b;\nfn f() { b::own() }"), ("b", "pub use super::a::{f, g as h};")]), ring);
    // What the root gives on is held where it comes from; the root is no part of the way.
    let root = "mod a;\nmod b;\npub use a::A;\npub use b::{B as C, f};\nfn main() { a::run() }";
    let files = [("", root), ("a", "use crate::C;"), ("b", "use crate::{A, Other};")];
    assert_eq!(check(&files), ring);
    assert_eq!(check(&[("", root), ("a", "fn g() { crate::f() }"), ("b", "use super::A;")]), ring);
    // A module that gives on what its child holds is no part of the way.
    let parent = "mod b;\npub use b::B;\npub fn f() {}";
    let files = [("a", parent), ("a/b", "use crate::c::C;"), ("c", "use crate::a::B;")];
    assert_eq!(check(&files), [vec!["a/b".to_owned(), "c".to_owned()]]);
    let files = [("a", parent), ("a/b", "use super::f;"), ("c", "")];
    assert_eq!(check(&files), [vec!["a".to_owned(), "a/b".to_owned()]]);
    assert!(check(&[("a", "use crate::b::B;"), ("b", "use std::a::A;\n// use crate::a::A;\n")]).is_empty());
    let of_tests = "#[cfg(test)]\nmod tests {\n    use crate::a::A;\n}\n";
    assert!(check(&[("a", "use crate::b::B;"), ("b", of_tests)]).is_empty());
}
