#!/bin/sh
# A stream is archived, verified, and published again to another subject.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
PATH=$here/../bin:$PATH
run() { echo "\$ $*" >&2; "$@"; }

"$here/../scripts/node.sh" "$here/publish.ts" orders orders.eu.new 200
"$here/../scripts/node.sh" "$here/publish.ts" orders orders.us.new 100

run nats3 store create --name orders --stream orders --subject 'orders.>' --bucket archive --create-bucket --until end --wait
run nats3 archive ls --bucket archive
run nats3 archive verify --bucket archive
run nats3 load create --name again --bucket archive --read-stream orders --read-subject 'orders.*.new' --write-subject 'again.{{wildcard(1)}}' --create-stream --wait

echo "messages in stream AGAIN: $("$here/../scripts/node.sh" "$here/count.ts" AGAIN)"
