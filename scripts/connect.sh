#!/bin/sh
# A shell in a running node's container, in its data folder, as the user that the node runs as.
set -eu

usage() {
  echo "Usage: scripts/connect.sh [--production | --validators] [--help] [SERVICE]
Opens a shell in the container of a service: one (if none is named), two, three."
}

# shellcheck source=scripts/engine.sh
. "$(dirname "$0")/engine.sh"
service=one
for word in "$@"; do common "$word" || service=$word; done
find_engine
compose exec "$service" /bin/sh
