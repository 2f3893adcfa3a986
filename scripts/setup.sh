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
scripts/node.sh --with npm ci --no-audit --no-fund --loglevel=error
touch "$done"
scripts/node.sh -p '`Node ${process.version} and npm packages … ok`'
