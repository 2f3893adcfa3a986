#!/bin/sh
# One subject as it was between two moments.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
PATH=$here/../bin:$PATH
run() { echo "\$ $*" >&2; "$@"; }
now() { date -u +%Y-%m-%dT%H:%M:%SZ; }

"$here/../scripts/node.sh" "$here/publish.ts" events events.a 50
sleep 1
from=$(now)
"$here/../scripts/node.sh" "$here/publish.ts" events events.a 30
"$here/../scripts/node.sh" "$here/publish.ts" events events.b 30
sleep 1
to=$(now)
"$here/../scripts/node.sh" "$here/publish.ts" events events.a 20

run nats3 store create --name events --stream events --subject 'events.>' --bucket events --create-bucket --until end --wait
run nats3 load create --name then --bucket events --read-stream events --read-subject events.a --from "$from" --to "$to" --write-subject then --create-stream --wait

echo "messages in stream THEN: $("$here/../scripts/node.sh" "$here/count.ts" THEN)"
