#!/bin/sh
# Runs the tests in a container that goes with them: nothing of this machine is needed but the engine.
set -eu

usage() {
  echo "Usage: scripts/test.sh [--help] [COMMAND…]
Builds the stage with the sources and runs its tests; with a COMMAND, runs that instead, such as: npx -y bun@1.4.5 test src/ledger"
}

# shellcheck source=scripts/engine.sh
. "$(dirname "$0")/engine.sh"
case ${1:-} in --help | -h) usage && exit 0 ;; esac
find_engine
"$engine" build --file Containerfile --target test --tag cairn:test .
"$engine" run --rm cairn:test "$@"
