#!/bin/sh
# Builds the image cairn:local. Any further words go to the engine's build, such as --no-cache.
set -eu

usage() {
  echo "Usage: scripts/build.sh [--help] [WORDS FOR THE ENGINE'S BUILD…]
Builds the image cairn:local from this repository, with docker or podman (CONTAINER_ENGINE names another)."
}

# shellcheck source=scripts/engine.sh
. "$(dirname "$0")/engine.sh"
case ${1:-} in --help | -h) usage && exit 0 ;; esac
find_engine
commit=$(git rev-parse --short=12 HEAD 2>/dev/null || true)
exec "$engine" build --file Containerfile --tag cairn:local --build-arg "CAIRN_COMMIT=$commit" "$@" .
