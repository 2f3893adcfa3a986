#!/bin/sh
# Installs what a checkout needs: Node (see node.sh) and the npm packages, the latter only when package-lock.json has changed.
set -eu
cd "$(dirname "$0")/.."

# npm writes this file last, so it tells a complete installation
done=node_modules/.package-lock.json
if [ -e "$done" ] && [ ! package-lock.json -nt "$done" ]; then
  scripts/node.sh -p '`Node ${process.version} and npm packages … ready`'
  exit 0
fi
if ! command -v npm >/dev/null 2>&1; then
  echo "npm is needed for the packages: install Node, or npm (Debian: apt-get install npm)" >&2
  exit 1
fi
echo "npm packages … fetching"
# Not `npm ci`: the lockfile of a registry that lacks the binaries of some other platform leaves them out, and `ci` then refuses it
# on every platform. This installs the same versions, and changes neither package.json nor the lockfile.
scripts/node.sh --with npm install --no-save --no-audit --no-fund --loglevel=error
touch "$done"
scripts/node.sh -p '`Node ${process.version} and npm packages … ok`'
