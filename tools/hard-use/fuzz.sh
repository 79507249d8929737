#!/usr/bin/env bash
# Damaged and made-up inputs to every reader: fuzz.sh [INPUTS], 1,000,000 a reader where no number is given; CI tries some 10,000.
# The loops are tests that count to COGNATE_FUZZ_INPUTS; which they are is found by that name.
set -euo pipefail
cd "$(dirname "$0")/../.."
export COGNATE_FUZZ_INPUTS=${1:-1000000}
packages=$(grep -rl COGNATE_FUZZ_INPUTS crates --include='*.rs' | cut -d/ -f2 | sort -u | sed 's/.*/package(&)/' | paste -sd'|')
[ -n "$packages" ] || { echo "no test reads COGNATE_FUZZ_INPUTS" >&2; exit 1; }
# A loop of hours is no test that hangs.
exec cargo nextest run --release --locked -E "($packages) & (test(/fuzz|damage|mutant/) | binary(/damage/))" --no-fail-fast \
    --config-file tools/hard-use/nextest.toml
