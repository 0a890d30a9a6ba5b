#!/bin/sh
# Stops the nodes and removes their containers, also of services that the files no longer have. The data stays in its volumes.
set -eu

usage() {
  echo "Usage: scripts/stop.sh [--production | --validators] [--help]
Stops the nodes that scripts/start.sh started with the same word. Their data stays."
}

# shellcheck source=scripts/engine.sh
. "$(dirname "$0")/engine.sh"
for word in "$@"; do common "$word" || fail "what is $word? See --help." 2; done
find_engine
compose down --remove-orphans
