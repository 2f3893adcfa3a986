#!/bin/sh
# The change stream of es-watcher is archived, and a fresh cluster is filled from the archive. The changes come from es-watcher, which runs
# against the source; here they are already in the stream ES_CHANGES. TARGET is the fresh cluster. (Documents too large for a message travel beside the
# stream, and are not in the archive.)
set -eu
here=$(cd "$(dirname "$0")" && pwd)
PATH=$here/../bin:$PATH
target=${TARGET:-http://localhost:9201}
admin=${ADMIN_LISTEN:-127.0.0.1:8082}
run() { echo "\$ $*" >&2; "$@"; }

run nats3 store create --name changes --stream ES_CHANGES --subject 'es.>' --bucket changes --create-bucket --until end --wait
# The archived changes go into a stream of their own, under the subjects that the writer expects.
run nats3 load create --name restore --bucket changes --read-stream ES_CHANGES --read-subject 'es.>' --write-subject 'restore.es.>' --write-stream ES_RESTORE --create-stream --wait
es-writer --stream ES_RESTORE --consumer restore --es-hosts "$target" --admin-listen "$admin" &
writer=$! # es-writer itself: its launcher becomes it
trap 'kill $writer' EXIT
until curl -sf "http://$admin/stats" | grep -q '"pending":0,"ackPending":0'; do sleep 1; done
echo "restored into $target"
