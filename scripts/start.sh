#!/bin/sh
# Builds if need be and starts the nodes in the background.
set -eu

usage() {
  echo "Usage: scripts/start.sh [--production | --validators] [--help]
Starts three nodes in the background: of development, in production mode (docs/deployment.md), or authorities that take turns."
}

# shellcheck source=scripts/engine.sh
. "$(dirname "$0")/engine.sh"
for word in "$@"; do common "$word" || fail "what is $word? See --help." 2; done
find_engine
compose up --detach --build
echo "Page and API: http://localhost:8080, http://localhost:8081, http://localhost:8082"
