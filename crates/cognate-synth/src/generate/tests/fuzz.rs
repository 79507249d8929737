//! Damaged folders: whatever stands in the files of an earlier generation, the next one ends with an error or with whole files.

use cognate_base::random::{self, Rng};

use super::*;
use crate::fuzz::{inputs, mutated};

/// Each folder is written anew, and synced: as many inputs take so many times longer than an answer's.
const WRITES: u64 = 10;

fn short(slots: usize) -> GenerateConfig {
    GenerateConfig { target: Target::Tokens(150), shard_documents: 3, max_new_tokens: 12, ..config(slots) }
}

/// Copies files into a new folder, one of them mutated; returns which.
fn damage(files: &BTreeMap<String, Vec<u8>>, out: &Path, stream: &mut impl Rng) -> String {
    let _ = fs_err::remove_dir_all(out);
    fs_err::create_dir_all(out).unwrap();
    let at = stream.next_u64() as usize % files.len();
    for (index, (name, bytes)) in files.iter().enumerate() {
        let bytes = if index == at { mutated(bytes, stream) } else { bytes.clone() };
        fs_err::write(out.join(name), bytes).unwrap();
    }
    files.keys().nth(at).unwrap().clone()
}

#[test]
fn a_damaged_folder_is_refused_or_finished() {
    let world = World::new();
    let left = world.out("left");
    assert!(matches!(world.run(&left, &short(5), &Stopper::after(24)), Err(Error::Interrupted(_))));
    let files = contents(&left);
    assert!(files.contains_key("partial.jsonl") && files.len() >= 4, "{:?}", files.keys());
    let (mut refused, mut finished) = (0, 0);
    let out = world.out("damaged");
    for number in 0..inputs() / WRITES {
        let mut stream = random::stream(1, "damaged folder", number);
        let name = damage(&files, &out, &mut stream);
        match world.run(&out, &short(5), &Silent) {
            Ok(stats) => {
                finished += 1;
                let found = documents(&out);
                assert_eq!(stats.documents, found.len() as u64, "{number}: {name}");
                let numbers = found.iter().zip(0..).all(|(document, n)| document.id == format!("synthetic-{n}"));
                assert!(numbers && stats.tokens >= 150, "{number}: {name}");
            }
            Err(error) => {
                refused += 1;
                assert!(!error.to_string().is_empty());
            }
        }
    }
    assert!(refused > finished / 4 && finished > 0, "{refused} refused, {finished} finished");
}

#[test]
fn damaged_parts_are_refused_or_joined() {
    let world = World::new();
    let target = Target::Documents(14);
    let parts: Vec<PathBuf> = (0..2).map(|index| world.out(&format!("part-{index}"))).collect();
    for (index, part) in (0..).zip(&parts) {
        let config = GenerateConfig { target, shard: Some(Part { index, of: 2 }), ..short(5) };
        world.run(part, &config, &Silent).unwrap();
    }
    let files = contents(&parts[1]);
    let (damaged, joined) = (world.out("damaged"), world.out("joined"));
    let (mut refused, mut finished) = (0, 0);
    for number in 0..inputs() / WRITES {
        let mut stream = random::stream(2, "damaged part", number);
        damage(&files, &damaged, &mut stream);
        let _ = fs_err::remove_dir_all(&joined);
        match join::join(&[parts[0].clone(), damaged.clone()], &joined, &Silent) {
            Ok(joined_documents) => {
                finished += 1;
                assert_eq!(documents(&joined).len() as u64, joined_documents, "{number}");
            }
            Err(_) => refused += 1,
        }
    }
    assert!(refused > finished && finished > 0, "{refused} refused, {finished} joined");
}
