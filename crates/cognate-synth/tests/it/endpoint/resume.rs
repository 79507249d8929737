//! A generation that was interrupted or killed goes on; a damaged one is refused.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use cognate_base::{Monitor, Silent, Unit};
use cognate_synth::generate::files::shards;
use cognate_synth::{EndpointConfig, Error};

use super::{JOURNAL, counts, endpoint};
use crate::contents;
use crate::server::{Act, Server};
use crate::world::World;

/// Interrupts once so many requests have come.
struct StopAt<'a>(&'a Server, usize);

impl Monitor for StopAt<'_> {
    fn begin(&self, _: &str, _: Option<u64>, _: Unit) {}
    fn advance(&self, _: u64, _: &str) {}
    fn end(&self) {}
    fn interrupted(&self) -> bool {
        self.0.asked().len() >= self.1
    }
}

/// Interrupts when it is told to.
struct Flag(AtomicBool);

impl Monitor for Flag {
    fn begin(&self, _: &str, _: Option<u64>, _: Unit) {}
    fn advance(&self, _: u64, _: &str) {}
    fn end(&self) {}
    fn interrupted(&self) -> bool {
        self.0.load(Ordering::SeqCst)
    }
}

#[test]
fn an_interrupted_run_goes_on_where_it_stopped() {
    let world = World::new();
    let (stats, expected) = world.undisturbed();
    for threads in [1, 4] {
        let out = world.out(&threads.to_string());
        let (mut asked, mut stops) = (Vec::new(), 0);
        let resumed = loop {
            let server = Server::faultless();
            let outcome = world.ask(&out, &endpoint(&server, threads), &StopAt(&server, 9));
            let earlier = counts(&asked);
            asked.extend(server.asked());
            // In every run at most as many as there are threads had been under way.
            let twice = counts(&server.asked()).keys().filter(|seed| earlier.contains_key(seed)).count();
            assert!(twice <= threads, "{twice} documents were asked for again");
            match outcome {
                Ok(stats) => break stats,
                Err(Error::Interrupted(_)) => stops += 1,
                Err(error) => panic!("{error}"),
            }
        };
        assert!(stops >= 3, "{stops}");
        assert_eq!((resumed, contents(&out)), (stats.clone(), expected.clone()), "{threads} threads");
    }
}

/// A folder that was left with a shard and some documents in the journal.
fn left_behind(world: &World, name: &str) -> PathBuf {
    let server =
        Server::start(
            |asked| if asked.ordinal < 13 { Act::Answer } else { Act::Say(404, String::new(), String::new()) },
        );
    let out = world.out(name);
    let error = world.ask(&out, &endpoint(&server, 1), &Silent).unwrap_err();
    assert!(matches!(error, Error::Endpoint(_)), "{error}");
    assert_eq!(shards(&out).unwrap().len(), 1);
    assert_eq!(fs_err::read_to_string(out.join(JOURNAL)).unwrap().lines().count(), 5);
    out
}

#[test]
fn a_journal_is_taken_up_wherever_the_kill_came() {
    let world = World::new();
    let (stats, expected) = world.undisturbed();
    let journal = |out: &Path| fs_err::read_to_string(out.join(JOURNAL)).unwrap();
    let save = |out: &Path, text: &str| cognate_base::files::write_atomic(out.join(JOURNAL), text).unwrap();
    // Within a line; before any; between a shard and the shorter journal, whose lines the shard holds; beyond the whole.
    type Damage<'a> = &'a dyn Fn(&Path);
    let kills: [(&str, Damage<'_>, usize); 4] = [
        ("within", &|out| save(out, &journal(out)[..journal(out).len() - 7]), 4),
        ("before", &|out| fs_err::remove_file(out.join(JOURNAL)).unwrap(), 0),
        (
            "between",
            &|out| {
                save(
                    out,
                    &(r#"{"number":6,"text":"in the shard","tokens":3,"finish":"eod"}"#.to_owned()
                        + "\n"
                        + &journal(out)),
                )
            },
            5,
        ),
        ("beyond", &|_| (), 5),
    ];
    for (name, damage, kept) in kills {
        let out = left_behind(&world, name);
        damage(&out);
        // And killed once more, so that what stands in the journal was written by two.
        let server =
            Server::start(
                |asked| if asked.ordinal < 2 { Act::Answer } else { Act::Say(404, String::new(), String::new()) },
            );
        let error = world.ask(&out, &endpoint(&server, 1), &Silent).unwrap_err();
        assert!(matches!(error, Error::Endpoint(_)), "{name}: {error}");
        let server = Server::faultless();
        assert_eq!(world.ask(&out, &endpoint(&server, 1), &Silent).unwrap(), stats, "{name}");
        assert_eq!(contents(&out), expected, "{name}");
        assert_eq!(server.asked().len() as u64, stats.documents - 8 - kept as u64 - 2, "{name}");
    }
}

#[test]
fn a_damaged_or_foreign_folder_is_refused() {
    let world = World::new();
    let server = Server::faultless();
    let refused = |out: &Path, endpoint: &EndpointConfig, expected: &str| {
        let before = contents(out);
        let message = world.ask(out, endpoint, &Silent).unwrap_err().to_string();
        assert!(message.contains(expected), "{message}\nexpected: {expected}");
        assert_eq!(contents(out), before);
    };
    let asking = endpoint(&server, 2);
    let out = left_behind(&world, "a");
    refused(&out, &EndpointConfig { model: "other".into(), ..asking.clone() }, "begun with sampling = ");
    // A server that answers nothing does not hold up an interruption, and nothing is lost by it.
    let stalling = Server::start(|_| Act::Stall);
    let (waiting, stop) = (endpoint(&stalling, 1), Flag(AtomicBool::new(false)));
    let before = contents(&out);
    std::thread::scope(|scope| {
        let asking = scope.spawn(|| world.ask(&out, &waiting, &stop).unwrap_err());
        stalling.wait_for(1);
        stop.0.store(true, Ordering::SeqCst);
        assert!(matches!(asking.join().unwrap(), Error::Interrupted(_)));
    });
    assert_eq!(contents(&out), before);
    let text = fs_err::read_to_string(out.join(JOURNAL)).unwrap();
    let twice = text.clone() + text.lines().next().unwrap() + "\n";
    cognate_base::files::write_atomic(out.join(JOURNAL), twice).unwrap();
    refused(&out, &asking, "line 6: document 13 comes a second time");
    cognate_base::files::write_atomic(out.join(JOURNAL), text.replacen("tokens", "tokes", 1)).unwrap();
    refused(&out, &asking, "journal.jsonl: line 1");
    assert!(server.asked().is_empty());
}
