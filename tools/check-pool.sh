#!/usr/bin/env bash
# Tries the thread pool (crates/cognate-ops/src/pool.rs) in every order in which its threads' steps can follow each other, with every
# value that the memory model lets a load see: loom (https://docs.rs/loom), an exhaustive search up to a number of preemptions.
#
#   tools/check-pool.sh [PREEMPTIONS]
#
# Two preemptions (the default) are 20,000 executions in three seconds, three are 840,000 in under a minute. It builds into target/loom.
set -euo pipefail
cd "$(dirname "$0")/.."

export RUSTFLAGS="--cfg loom" LOOM_MAX_PREEMPTIONS=${1:-2}
cargo test --release --locked --target-dir target/loom -p cognate-ops --lib pool::models:: -- --nocapture
