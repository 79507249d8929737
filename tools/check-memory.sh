#!/usr/bin/env bash
# Runs every op of the processor's device under Miri, which finds reads and writes outside of what they may touch, races between tasks,
# and broken rules of references; by the portable path, since Miri knows no vector instructions. It needs a nightly toolchain:
#
#   rustup toolchain install nightly --component miri --component rust-src
#   tools/check-memory.sh
set -euo pipefail
cd "$(dirname "$0")/.."

# The clock and the environment of the machine are left out; proptest looks for its file of failures in a folder that is not there.
export MIRIFLAGS="-Zmiri-disable-isolation" COGNATE_SIMD=portable PROPTEST_CASES=1
cargo +nightly miri test --locked --target-dir target/miri -p cognate-ops --test it
cargo +nightly miri test --locked --target-dir target/miri -p cognate-ops --lib pool::tests::a_panic pool::tests::a_loop matmul::pack \
    matmul::int8::tests::what
