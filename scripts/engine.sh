# shellcheck shell=sh
# Sourced by the scripts beside it: goes to the root of the repository, finds the container engine, and reads what all scripts take.
# After it: $engine, "$@" holds the words that are left, and `compose` runs the engine's compose with the chosen files.
cd "$(dirname "$0")/.." || exit 1

fail() {
  echo "$(basename "$0"): $1" >&2
  exit "${2:-1}"
}

engine=${CONTAINER_ENGINE:-}
find_engine() {
  if [ -z "$engine" ]; then
    for one in docker podman; do
      if command -v "$one" >/dev/null 2>&1; then
        engine=$one
        break
      fi
    done
  fi
  command -v "${engine:-docker}" >/dev/null 2>&1 || fail "neither docker nor podman is there; CONTAINER_ENGINE names another" 3
}

production=no
validators=no
compose() {
  if [ "$validators" = yes ]; then
    "$engine" compose --file compose.validators.yaml "$@"
  elif [ "$production" = yes ]; then
    "$engine" compose --file compose.yaml --file compose.production.yaml "$@"
  else
    "$engine" compose --file compose.yaml "$@"
  fi
}

# Reads one word: 0 if it is one that all scripts take.
common() {
  case $1 in
    --help | -h)
      usage
      exit 0
      ;;
    --production) production=yes ;;
    --validators) validators=yes ;;
    -*)
      usage >&2
      fail "there is no $1" 2
      ;;
    *) return 1 ;;
  esac
  if [ "$production$validators" = yesyes ]; then fail "--production and --validators exclude each other" 2; fi
}
