#!/usr/bin/env bash
# Runs the ops of the processor's device under tools that see every read and write: none may fall outside of what it may touch.
#
# - Miri, by the portable path, since it knows no vector instructions: bounds, uninitialised memory, races between tasks, and the rules of
#   references. It needs a nightly toolchain: rustup toolchain install nightly --component miri --component rust-src
# - valgrind, by the AVX2 path (it knows no AVX-512): bounds of allocations and uninitialised memory.
set -euo pipefail
cd "$(dirname "$0")/.."

# Miri leaves out the clock and the environment unless asked.
MIRIFLAGS="-Zmiri-disable-isolation" cargo +nightly miri test --locked --target-dir target/miri -p cognate-ops --test it -- operands
CARGO_TARGET_X86_64_UNKNOWN_LINUX_GNU_RUNNER="valgrind -q --error-exitcode=9" COGNATE_SIMD=avx2 \
    cargo test --release --locked -p cognate-ops -- operands isas pack int8 pool::tests::a_ --test-threads 1
