#!/usr/bin/env bash
# Plants one small bug at a time and sees whether a test turns red: cargo-mutants (https://mutants.rs).
#
#   cargo install cargo-mutants --locked
#   tools/mutants.sh cognate-train                                  a crate, by its own tests
#   tools/mutants.sh cognate-eval --shard 0/8                       a part of it; any flag of cargo-mutants
#   tools/mutants.sh cognate-run --file 'crates/cognate-run/src/stages/**'
#
# Results lie in target/mutants/CRATE/mutants.out: missed.txt names what no test saw. What is left out, and why, is in
# .cargo/mutants.toml. Each mutant is built and tested in place of the sources of a copy of the tree; half a minute each on two cores.
set -euo pipefail
cd "$(dirname "$0")/.."

crate=${1:?the crate to plant bugs in, such as cognate-train}
shift
mkdir -p "target/mutants/$crate"
# Optimised like the tests, but with what is built again each time kept.
export CARGO_INCREMENTAL=1
exec cargo mutants --package "$crate" --test-package "$crate" --profile release --test-tool nextest --timeout 120 --build-timeout 600 \
    --output "target/mutants/$crate" --colors never "$@"
