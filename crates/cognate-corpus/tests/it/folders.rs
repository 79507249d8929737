//! Folders as data sets are downloaded and crawls are kept: what is read of them, in which order, and by which names.

use std::path::PathBuf;

use cognate_base::Silent;
use cognate_corpus::input::expand;
use cognate_corpus::{Document, Error, ReadOptions, Result};

use crate::support::{Folder, document, gzip, line, read, read_file, zstandard};

fn names(paths: &[PathBuf]) -> Vec<String> {
    expand(paths, &Silent).unwrap().iter().map(|input| input.name.to_string()).collect()
}

fn complaint<T: std::fmt::Debug>(folder: &Folder, result: Result<T, Error>) -> String {
    folder.message(&result.unwrap_err())
}

#[test]
fn a_downloaded_data_set_is_its_data() {
    let folder = Folder::new();
    for (name, bytes) in [
        ("README.md", "---\nlicense: mit\n---\n{}"),
        ("LICENSE", "MIT"),
        ("LICENSE.txt", "MIT"),
        (".gitattributes", "*.parquet filter=lfs"),
        (".cache/huggingface/a.jsonl", "not JSON"),
        ("_SUCCESS", ""),
        ("_metadata", "PAR1"),
        ("data/_temporary/a.jsonl", "not JSON"),
        ("dataset_infos.json", "{\"default\": {}}"),
        ("SHA256SUMS", "abc  data/train-00000-of-00002.jsonl"),
        ("md5sums.txt", "abc"),
        ("load.py", "{\"print\"}"),
    ] {
        folder.write(&format!("set/{name}"), bytes);
    }
    // Runs where their documents lie: at work, interrupted, finished.
    for (run, mark) in [("first", "lock"), ("second", "ingest/started.json"), ("third", "ingest/manifest.json")] {
        for name in ["recipe.toml", mark] {
            folder.write(&format!("set/runs/{run}/{name}"), "");
        }
        folder.write(&format!("set/runs/{run}/ingest/unique.jsonl.zst"), zstandard(line("z", "made").as_bytes()));
    }
    folder.write("set/data/train-00001-of-00002.jsonl", line("b", "y"));
    folder.write("set/data/train-00000-of-00002.jsonl.gz", gzip(line("a", "x").as_bytes()));
    folder.write("set/a.jsonl", "{\"text\": \"z\"}");
    assert_eq!(names(&[folder.path("set")]), ["a", "data/train-00000-of-00002", "data/train-00001-of-00002"]);
    let found: Vec<Document> =
        read(&[folder.path("set")], &ReadOptions::default()).unwrap().into_iter().map(|(_, found)| found).collect();
    assert_eq!(found, [document("a:1", "z"), document("a", "x"), document("b", "y")]);
}

#[test]
fn a_folder_of_texts_is_a_document_a_file() {
    let folder = Folder::new();
    folder.write("notes/b.txt", "second\n");
    folder.write("notes/a/first.txt", "\u{feff}{\"text\": 1}\r\n");
    folder.write("notes/c.txt.gz", gzip(b"third"));
    folder.write("notes/readme.txt", "about");
    let found: Vec<Document> =
        read(&[folder.path("notes")], &ReadOptions::default()).unwrap().into_iter().map(|(_, found)| found).collect();
    assert_eq!(
        found,
        [document("a/first.txt", "{\"text\": 1}\r\n"), document("b.txt", "second\n"), document("c.txt", "third")]
    );
    // Beside records they are something else.
    folder.write("notes/z.jsonl", line("z", "z"));
    assert_eq!(names(&[folder.path("notes")]), ["z"]);
    assert_eq!(names(&[folder.path("notes/b.txt")]), ["b.txt"]);
}

#[test]
fn files_without_an_ending_are_read_where_their_content_says_so() {
    let folder = Folder::new();
    folder.write("out/part-00001", gzip(b" \n{ \"text\": \"b\"}"));
    folder.write("out/part-00000", "{\"text\": \"a\"}");
    folder.write("out/log", "2024: done");
    folder.write("out/broken", &gzip(b"{\"text\": 1}")[..12]);
    assert_eq!(names(&[folder.path("out")]), ["part-00000", "part-00001"]);
}

#[test]
fn a_folder_without_documents_says_what_it_holds() {
    let folder = Folder::new();
    fs_err::create_dir_all(folder.path("empty")).unwrap();
    let expected = "holds no documents: expected files that end in .jsonl, .ndjson, .json, .parquet, .csv, .tsv or .txt (the \
                    text ones plain, .gz or .zst), found ";
    let found = |name: &str| complaint(&folder, expand(&[folder.path(name)], &Silent));
    assert_eq!(found("empty"), format!("the folder DIR/empty {expected}nothing"));
    folder.write("saved/data-00000-of-00001.arrow", "ARROW1");
    folder.write("saved/state.json", "{}");
    folder.write("saved/.hidden/a.jsonl", "");
    assert_eq!(
        found("saved"),
        format!("the folder DIR/saved {expected}.hidden, data-00000-of-00001.arrow, state.json")
    );
    (0..20).for_each(|i| drop(folder.write(&format!("many/{i:02}.pdf"), "%PDF")));
    assert!(
        found("many").ends_with("found 00.pdf, 01.pdf, 02.pdf, 03.pdf, 04.pdf, 05.pdf, 06.pdf, 07.pdf, and 12 more")
    );
}

#[cfg(unix)]
#[test]
fn links_are_followed_once_and_loops_end() {
    use std::os::unix::fs::symlink;
    let folder = Folder::new();
    let blob = folder.write("blobs/4d7a", line("a", "x"));
    fs_err::create_dir_all(folder.path("snapshot/data")).unwrap();
    symlink(&blob, folder.path("snapshot/data/train.jsonl")).unwrap();
    symlink("..", folder.path("snapshot/data/up")).unwrap();
    symlink(folder.path("snapshot"), folder.path("snapshot/again")).unwrap();
    assert_eq!(names(&[folder.path("snapshot")]), ["data/train"]);
    assert_eq!(read_file(&folder.path("snapshot")).unwrap(), [document("a", "x")]);
    fs_err::remove_file(&blob).unwrap();
    assert_eq!(
        complaint(&folder, expand(&[folder.path("snapshot")], &Silent)),
        "DIR/snapshot/data/train.jsonl is a link to a file that does not exist: fetch the file, or remove the link"
    );
}

#[test]
fn files_of_one_name_have_ids_of_their_own_wherever_they_lie() {
    let ids = |folder: &Folder, names: [&str; 2]| -> Vec<String> {
        let paths = names.map(|name| folder.path(name));
        let mut ids: Vec<String> =
            read(&paths, &ReadOptions::default()).unwrap().into_iter().map(|(_, found)| found.id).collect();
        ids.sort();
        ids
    };
    let at = |root: &str| {
        let folder = Folder::new();
        for month in ["2024-10", "2024-18"] {
            folder.write(&format!("{root}/{month}/000.jsonl"), "{\"text\": \"a\"}\n{\"text\": \"b\"}\n");
        }
        folder
    };
    let expected = ["2024-10/000:1", "2024-10/000:2", "2024-18/000:1", "2024-18/000:2"];
    for root in ["crawl", "elsewhere/deeper"] {
        let folder = at(root);
        let [first, second] = [format!("{root}/2024-10"), format!("{root}/2024-18")];
        assert_eq!(ids(&folder, [&first, &second]), expected);
        assert_eq!(ids(&folder, [&second, &format!("{first}/000.jsonl")]), expected, "in any order");
        let whole: Vec<String> = read(&[folder.path(root)], &ReadOptions::default())
            .unwrap()
            .into_iter()
            .map(|(_, found)| found.id)
            .collect();
        assert_eq!(whole, expected, "and as one folder");
    }
}

#[test]
fn one_file_given_twice_is_an_error() {
    let folder = Folder::new();
    let path = folder.write("in/a.jsonl", line("a", "x"));
    assert_eq!(
        complaint(&folder, expand(&[folder.path("in"), path], &Silent)),
        "DIR/in/a.jsonl is given twice, by itself or in a folder: name it once"
    );
}
