import { fork } from 'node:child_process';
import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { killAtEnd, spareAtEnd } from '../scripts/servers/watchdog.ts';
import { filledPlaces } from './documents.ts';

/**
 * A search engine that does nothing but read and write bytes, in a process of its own: the other end of watcher or writer where their own
 * speed is measured. It answers what they ask of Elasticsearch 8.19, with one index of two shards, and takes every bulk request.
 */
export type StubEngine = { url: string; pid: number; end: () => Promise<void> };

/** `documents` a shard. */
type Contents = { index: string; documents: number; documentBytes: number };

export const stubShards = 2;

export async function startStubEngine(contents: Contents): Promise<StubEngine> {
  const child = fork(import.meta.filename, [JSON.stringify(contents)], { execArgv: ['--disable-warning=ExperimentalWarning'] });
  const pid = child.pid!;
  killAtEnd(pid);
  const [port] = (await once(child, 'message')) as [number];
  const end = async (): Promise<void> => {
    const exit = once(child, 'exit');
    child.kill('SIGKILL');
    await exit;
    spareAtEnd(pid);
  };
  return { url: `http://127.0.0.1:${port}`, pid, end };
}

type Answer = (request: IncomingMessage, url: URL, body: Buffer[]) => readonly (string | Buffer)[];

const root = JSON.stringify({
  name: 'stub',
  cluster_name: 'stub',
  cluster_uuid: 'stub-cluster-uuid',
  version: { number: '8.19.0', build_flavor: 'default', lucene_version: '9.12.2' },
  tagline: 'You Know, for Search',
});

/** All hits one after another, so that a page is a slice of them. */
function hitsOf({ index, documents, documentBytes }: Contents): (first: number, count: number) => Buffer {
  const lines: Buffer[] = [];
  const offsets = [0];
  let at = 0;
  let seqNo = 0;
  for (const { id, source } of filledPlaces(documents, documentBytes)) {
    const head = `"_index":"${index}","_id":${JSON.stringify(id)},"_version":1,"_seq_no":${seqNo},"_primary_term":1,"_score":null`;
    const line = Buffer.from(`${seqNo === 0 ? '' : ','}{${head},"_source":${source},"sort":[${seqNo}]}`);
    lines.push(line);
    at += line.length;
    offsets.push(at);
    seqNo++;
  }
  const all = Buffer.concat(lines);
  return (first, count) => {
    const last = Math.min(first + count, documents);
    return first >= last ? Buffer.alloc(0) : all.subarray(offsets[first]! + (first === 0 ? 0 : 1), offsets[last]);
  };
}

const json =
  (value: unknown): Answer =>
  () => [JSON.stringify(value)];

function answersOf(contents: Contents): [method: string, path: RegExp, answer: Answer][] {
  const { index, documents } = contents;
  const hits = hitsOf(contents);
  const settings = {
    'index.uuid': 'stub-index-uuid',
    'index.creation_date': '1700000000000',
    'index.number_of_shards': `${stubShards}`,
  };
  const shard = {
    routing: { state: 'STARTED', primary: true, node: 'stub-node' },
    seq_no: { max_seq_no: documents - 1, local_checkpoint: documents - 1, global_checkpoint: documents - 1 },
    commit: { user_data: { history_uuid: 'stub-history' } },
  };
  const shards = Object.fromEntries(Array.from({ length: stubShards }, (_, number) => [number, [shard]]));
  const whole = { total: stubShards, successful: stubShards, failed: 0 };
  const items = new Map<number, Buffer>();
  return [
    ['GET', /^\/$/, () => [root]],
    ['GET', /^\/_resolve/, json({ indices: [{ name: index, attributes: ['open'] }], aliases: [], data_streams: [] })],
    ['GET', /\/_settings/, json({ [index]: { settings: { ...settings, 'index.gc_deletes': '1h' } } })],
    ['GET', /\/_mapping/, json({})],
    ['GET', /\/_stats/, json({ _shards: whole, indices: { [index]: { uuid: 'stub-index-uuid', shards } } })],
    ['POST', /\/_refresh$/, json({ _shards: whole })],
    [
      'POST',
      /\/_search$/,
      (_request, _url, body) => {
        const { size, query } = JSON.parse(Buffer.concat(body).toString()) as {
          size: number;
          query: { range: { _seq_no: { gt: number; lte: number } } };
        };
        const { gt, lte } = query.range._seq_no;
        return [
          '{"took":1,"timed_out":false,"_shards":{"total":1,"successful":1,"skipped":0,"failed":0},"hits":{"max_score":null,"hits":[',
          hits(gt + 1, Math.min(size, lte - gt)),
          ']}}',
        ];
      },
    ],
    [
      'POST',
      /\/_bulk$/,
      (_request, _url, body) => {
        let lines = 0;
        for (const part of body) for (let at = part.indexOf(10); at >= 0; at = part.indexOf(10, at + 1)) lines++;
        let answer = items.get(lines / 2);
        if (answer === undefined) {
          answer = Buffer.from(
            `{"took":1,"errors":false,"items":[${Array.from({ length: lines / 2 }, () => '{"index":{"status":201}}').join(',')}]}`,
          );
          items.set(lines / 2, answer);
        }
        return [answer];
      },
    ],
  ];
}

function serve(contents: Contents): void {
  const answers = answersOf(contents);
  const reply = (request: IncomingMessage, response: ServerResponse, body: Buffer[]): void => {
    const url = new URL(request.url ?? '/', 'http://stub');
    const found = answers.find(([method, path]) => method === request.method && path.test(url.pathname));
    const parts = found?.[2](request, url, body) ?? ['{"error":{"type":"stub","reason":"it does not answer this"}}'];
    response.writeHead(found === undefined ? 404 : 200, {
      'content-type': 'application/json',
      'content-length': parts.reduce((sum, part) => sum + Buffer.byteLength(part), 0),
    });
    for (const part of parts) response.write(part);
    response.end();
  };
  const server = createServer((request, response) => {
    const body: Buffer[] = [];
    request.on('data', (part: Buffer) => body.push(part));
    request.on('end', () => reply(request, response, body));
  });
  server.listen(0, '127.0.0.1', () => process.send!((server.address() as AddressInfo).port));
}

if (import.meta.main) serve(JSON.parse(process.argv[2]!) as Contents);
