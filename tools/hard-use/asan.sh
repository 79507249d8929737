#!/usr/bin/env bash
# The tokenizers' library and the regular-expression engine below it (onig, in C) under AddressSanitizer, on damaged tokenizers:
# asan.sh [INPUTS], 20,000 of each kind where no number is given. Every read and write beyond what was allocated ends it.
#
# The sanitizer of Rust's code needs an option of nightly compilers, which RUSTC_BOOTSTRAP lets the usual one take; that of C's needs gcc
# or clang. What it builds lies in a folder of its own, some 2 GB: nothing else can be linked with it.
set -euo pipefail
cd "$(dirname "$0")/../.."
export COGNATE_FUZZ_INPUTS=${1:-20000}
export RUSTC_BOOTSTRAP=1 RUSTFLAGS="-Zsanitizer=address -Cforce-frame-pointers=yes"
export CFLAGS="-fsanitize=address -fno-omit-frame-pointer -g -O1"
# With --target, build scripts and macros go without it.
exec cargo test --release --locked --target-dir target/asan --target x86_64-unknown-linux-gnu -p cognate-corpus --test damaged_tokenizers
