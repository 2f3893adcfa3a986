/** One soak run as it stands in docs/reliability.jsonl. */
export type SoakResult = {
  date: string;
  seed: string;
  commit: string;
  machine: string;
  source: string;
  target: string;
  minutes: number;
  rounds: number;
  operations: number;
  deletes: number;
  kills: number;
  /** Documents compared and found equal. */
  documents: number;
  /** `different`: a round failed, and its documents and operations are not counted. */
  outcome: 'exact' | 'different';
};

/** One run of round trips as it stands in docs/round-trips.jsonl. */
export type RoundTripResult = {
  date: string;
  seed: string;
  commit: string;
  machine: string;
  nats: string;
  s3: string;
  minutes: number;
  /** Compared and found equal, and the bytes of their payloads. */
  messages: number;
  bytes: number;
  kills: number;
  /** `different`: a round failed, and its messages are not counted. */
  outcome: 'exact' | 'different';
};

const INTRODUCTION = `# Reliability

The claim: once the changes have gone through, the target holds the documents of the source, byte for byte: none missing, none extra, none
different, whatever was killed or cut meanwhile. This page says how that is checked, and on how much it has been.

## How it is checked

Clients write to a real source cluster at random, several at once: index with and without an id, partial update by document, script and
upsert, delete, bulk requests of all of these, delete-by-query, update-by-query, indices deleted and created again, aliases and data streams
rolled over; over 1 to 5 shards, with ids of every kind of character up to 512 bytes, custom routing, nested fields, numbers beyond 2^53, \`1.0\`,
\`1e3\`, \`-0\`, escapes, pretty-printed sources, documents of 300 KB and of 3 MB. Meanwhile watcher, writer and nats-server are killed by SIGKILL at
random moments, with documents created and deleted right before and after. Then all documents of both sides are read by a scroll (the watcher reads
by sequence number), and id, routing and the raw text of \`_source\` are compared. Line ends within a document count as spaces.

- \`test/e2e/\`: every server version as a source and as a target; the life of indices; bad input.
- \`test/faults/\`: kills, also in the middle of a flood, connections cut by a proxy between every pair, a stream that is full, lost, or set back to an older state, engines
  killed, documents moved between shards, passive refresh.
- \`test/faults/soak.ts\`: the same over and over, by \`MINUTES=30 make soak\`. Each run prints its seed (\`SEED=… make soak\` repeats its choices) and
  appends its totals to [reliability.jsonl](reliability.jsonl).

The comparison itself is tested with planted differences: \`test/e2e/harness.test.ts\`.

## What was compared
`;

const ROUND_TRIPS = `## Round trips of nats3

\`test/faults/soak-nats3.ts\`, by \`make soak-nats3\`: messages of every kind, empty ones and such of 8 MB among them, with headers, on 500 subjects a stream, are
stored in S3 and loaded into another stream, while the server is killed by SIGKILL at random moments. Then both streams are read, and compared in
order: payload and headers byte for byte, subject, and the original's sequence and time.
`;

/** The page, from the texts of reliability.jsonl and round-trips.jsonl. */
export function reliabilityPage(results: string, roundTrips: string): string {
  return `${INTRODUCTION}\n${soaks(parse(results))}\n${ROUND_TRIPS}\n${trips(parse(roundTrips))}`;
}

function parse<Run>(lines: string): Run[] {
  return lines
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as Run);
}

function trips(runs: readonly RoundTripResult[]): string {
  const head = '| date | commit | servers | minutes | messages | MB | kills | outcome | seed | machine |';
  const rows = runs.map((run) => {
    const figures = [run.minutes, run.messages, Math.round(run.bytes / 1e6), run.kills].map(grouped);
    return `| ${[run.date, run.commit, `${run.nats}, ${run.s3}`, ...figures, run.outcome, `\`${run.seed}\``, run.machine].join(' | ')} |`;
  });
  return `${[head, '|---|---|---|--:|--:|--:|--:|---|---|---|', ...rows].join('\n')}\n`;
}

function soaks(runs: readonly SoakResult[]): string {
  const exact = runs.filter((run) => run.outcome === 'exact');
  const sum = (key: 'operations' | 'deletes' | 'kills' | 'documents'): string =>
    grouped(exact.reduce((all, run) => all + run[key], 0));
  const totals =
    `${runs.length} soak runs, ${exact.length} of them exact: ${sum('operations')} operations, ${sum('deletes')} of them deletes, ` +
    `${sum('kills')} kills, ${sum('documents')} documents compared and equal.`;
  const head =
    '| date | commit | source → target | minutes | rounds | operations | deletes | kills | documents | outcome | seed | machine |';
  const rows = runs.map((run) => {
    const figures = [run.minutes, run.rounds, run.operations, run.deletes, run.kills, run.documents].map(grouped);
    return `| ${[run.date, run.commit, `${run.source} → ${run.target}`, ...figures, run.outcome, `\`${run.seed}\``, run.machine].join(' | ')} |`;
  });
  return `${[totals, '', head, '|---|---|---|--:|--:|--:|--:|--:|--:|---|---|---|', ...rows].join('\n')}\n`;
}

function grouped(value: number): string {
  return value.toLocaleString('en-US');
}
