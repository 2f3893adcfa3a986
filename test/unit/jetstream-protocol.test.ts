import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { covers, overlaps } from '../../src/core/subject.ts';
import { readOrigin } from '../../src/jetstream/delivery.ts';
import { Fifo } from '../../src/jetstream/fifo.ts';
import { parseServers } from '../../src/jetstream/nats-url.ts';
import { pubAckReader, type PubAck } from '../../src/jetstream/puback.ts';
import { digitsOf, writeDigits } from '../../src/core/json-write.ts';
import { FrameReader, type Frame } from '../../src/jetstream/wire-in.ts';
import { checkName } from '../../src/jetstream/subjects.ts';

function bytes(text: string): Uint8Array {
  return new TextEncoder().encode(text);
}

function stored(sequence: number, stream = 'S', duplicate = false): PubAck {
  return { is: 'stored', stream, sequence, duplicate };
}

describe('publish acknowledgements', () => {
  it('reads plain ones, duplicates, other streams, errors and long sequences alike before and after it has learnt the form', () => {
    const read = pubAckReader();
    for (let round = 0; round < 2; round++) {
      assert.deepEqual(read(bytes('{"stream":"S","seq":7}')), stored(7));
      assert.deepEqual(read(bytes('{"stream":"S", "seq":8}')), stored(8));
      assert.deepEqual(read(bytes('{"stream":"S","seq":123456789012345}')), stored(123456789012345));
      assert.deepEqual(read(bytes('{"stream":"S","seq":9007199254740991}')), stored(9007199254740991));
      assert.deepEqual(read(bytes('{"stream":"S","seq":9,"duplicate": true}')), stored(9, 'S', true));
      assert.deepEqual(read(bytes('{"stream":"T","seq":10}')), stored(10, 'T'));
      assert.deepEqual(read(bytes('{"stream":"S","domain":"hub","seq":11}')), stored(11));
      assert.deepEqual(
        read(bytes('{"error":{"code":503,"err_code":10077,"description":"maximum bytes exceeded"},"stream":"S","seq":0}')),
        { is: 'refused', code: 503, apiCode: 10077, reason: 'maximum bytes exceeded' },
      );
      for (const odd of ['', '{}', '{"stream":"S","seq":}', '{"stream":"S","seq":1x}', '+OK'])
        assert.equal(read(bytes(odd)), undefined);
    }
  });
});

/** What the library was given, and how it would go on. */
class LibraryParser {
  state = 0;
  given = '';

  parse(input: Uint8Array): void {
    this.given += Buffer.from(input).toString('latin1');
  }
}

function described({ bytes, subjectAt, subjectEnd, replyAt, replyEnd, headersAt, payloadAt, end }: Frame): string[] {
  const places = [subjectAt, subjectEnd, replyAt, replyEnd, headersAt, payloadAt, payloadAt, end];
  return [0, 2, 4, 6].map((at) => bytes.toString('latin1', places[at], places[at + 1]));
}

describe('input from the wire', () => {
  const headers = 'NATS/1.0\r\nA: 1\r\n\r\n';
  const large = 'MSG PING\r\n'.repeat(50);
  const operations = [
    'INFO {"server_id":"x"} \r\n',
    'MSG a.b 7 5\r\nhello\r\n',
    `HMSG a.b 7 $JS.ACK.x ${headers.length} ${headers.length + 3}\r\n${headers}one\r\n`,
    'PING\r\n',
    'MSG other 12 reply 2\r\n\r\n\r\n',
    `HMSG a 7 ${headers.length} ${headers.length}\r\n${headers}\r\n`,
    `MSG a.c 7 r ${large.length}\r\n${large}\r\n`,
    'MSG left.to.the.library 7 0\r\n\r\n',
    "-ERR 'Slow Consumer'\r\n",
    'MSG a 7 0\r\n\r\n',
  ];

  it('is cut into the same operations however it comes', () => {
    const wire = operations.join('');
    for (const size of [1, 2, 3, 7, 16, 31, 64, 100, 257, wire.length]) {
      const library = new LibraryParser();
      const reader = new FrameReader(library);
      const frames: string[][] = [];
      reader.takers.set(7, (frame) => {
        const found = described(frame);
        if (found[0] === 'left.to.the.library') return false;
        frames.push(found);
        return true;
      });
      for (let at = 0; at < wire.length; at += size) {
        const chunk = new Uint8Array(bytes(wire.slice(at, at + size)));
        reader.parse(chunk);
        assert.equal(chunk.buffer.byteLength, 0, 'the memory of what was read is given back');
      }
      assert.equal(library.given, [0, 3, 4, 7, 8].map((at) => operations[at]).join(''), `pieces of ${size}`);
      assert.deepEqual(frames, [
        ['a.b', '', '', 'hello'],
        ['a.b', '$JS.ACK.x', headers, 'one'],
        ['a', '', headers, ''],
        ['a.c', 'r', '', large],
        ['a', '', '', ''],
      ]);
    }
  });

  it('waits until the library is done with what it began, and leaves to it what makes no sense', () => {
    const library = new LibraryParser();
    library.state = 1;
    const parse = library.parse.bind(library);
    library.parse = (input) => {
      parse(input);
      if (library.given === 'rest\r\n') library.state = 0;
    };
    const reader = new FrameReader(library);
    let taken = 0;
    reader.takers.set(7, () => ++taken > 0);
    reader.parse(bytes('re'));
    reader.parse(bytes('st\r\nMSG a 7 1\r\nx\r\nMSG a 7 b\r\n'));
    assert.equal(library.given, 'rest\r\nMSG a 7 b\r\n');
    assert.equal(taken, 1);
  });

  it('forgets with a connection what had come of an operation', () => {
    const [first, second] = [new LibraryParser(), new LibraryParser()];
    const reader = new FrameReader(first);
    reader.parse(bytes('MSG a 1 100\r\nbegun'));
    reader.renew(second);
    reader.parse(bytes('PING\r\n'));
    assert.deepEqual([first.given, second.given], ['', 'PING\r\n']);
  });
});

describe('decimal digits', () => {
  it('are written as text has them', () => {
    const buffer = Buffer.alloc(20);
    for (const value of [0, 9, 10, 4_294_967_296, 2_147_483_647, 2_147_483_648, 99_999_999_999, Number.MAX_SAFE_INTEGER]) {
      const end = writeDigits(buffer, 1, value, digitsOf(value));
      assert.equal(buffer.toString('latin1', 1, end), String(value));
    }
    assert.equal(buffer.toString('latin1', 0, writeDigits(buffer, 0, 42, 9)), '000000042');
  });
});

describe('reply subjects of deliveries', () => {
  it('reads both forms', () => {
    assert.deepEqual(readOrigin(bytes('$JS.ACK.S.d.1.13.2.1795268856023186310.4')), {
      sequence: 13,
      timestamp: 1795268856023,
      nanos: 186310,
      deliveries: 1,
      consumerSequence: 2,
      pending: 4,
    });
    assert.deepEqual(readOrigin(bytes('$JS.ACK.hub.ACCHASH.S.d.3.13.2.1795268856023186310.4')), {
      sequence: 13,
      timestamp: 1795268856023,
      nanos: 186310,
      deliveries: 3,
      consumerSequence: 2,
      pending: 4,
    });
    assert.deepEqual(readOrigin(bytes('$JS.ACK._.ACCHASH.S.d.3.13.2.1795268856023186310.4.rnd')), {
      sequence: 13,
      timestamp: 1795268856023,
      nanos: 186310,
      deliveries: 3,
      consumerSequence: 2,
      pending: 4,
    });
  });

  it('takes nothing else for one', () => {
    for (const reply of ['', '_INBOX.a.1', '$JS.ACK.S.d.1', '$JS.ACK.S.d.x.13.2.1.4'])
      assert.equal(readOrigin(bytes(reply)), undefined);
  });
});

describe('subjects', () => {
  it('knows which pattern covers and which overlaps', () => {
    const cases: [string, string, boolean, boolean][] = [
      ['es.>', 'es.a.b', true, true],
      ['es.>', 'es.>', true, true],
      ['es.>', 'es', false, false],
      ['es.*', 'es.a', true, true],
      ['es.*', 'es.a.b', false, false],
      ['es.*.x', 'es.a.>', false, true],
      ['es.a', 'es.*', false, true],
      ['dlq.es.>', 'es.>', false, false],
      ['>', 'es.>', true, true],
    ];
    for (const [pattern, subject, covered, overlapping] of cases) {
      assert.equal(covers(pattern, subject), covered, `${pattern} covers ${subject}`);
      assert.equal(overlaps(pattern, subject), overlapping, `${pattern} overlaps ${subject}`);
      assert.equal(overlaps(subject, pattern), overlapping, `${subject} overlaps ${pattern}`);
    }
  });

  it('refuses names the server would refuse, naming the setting', () => {
    checkName('ES_CHANGES-1', '--stream');
    for (const name of ['', 'a.b', 'a b', 'a*', '>', 'a/b']) {
      assert.throws(
        () => checkName(name, '--stream (STREAM)'),
        (error: Error & { code?: string; hint?: string }) => {
          assert.equal(error.code, 'NAME_INVALID');
          assert.match(error.hint ?? '', /--stream/);
          return true;
        },
      );
    }
  });
});

describe('NATS URLs', () => {
  it('takes hosts, ports, schemes and percent-encoded credentials apart', () => {
    assert.deepEqual(parseServers(['nats://a', 'nats://b:4333', 'c', '[::1]:4300']), {
      servers: ['a:4222', 'b:4333', 'c:4222', '[::1]:4300'],
      tls: false,
    });
    assert.deepEqual(parseServers(['tls://me:p%40ss@a:1']), { servers: ['a:1'], tls: true, user: 'me', password: 'p@ss' });
    assert.deepEqual(parseServers(['nats://t0ken@a', 'nats://b']), { servers: ['a:4222', 'b:4222'], tls: false, token: 't0ken' });
  });

  it('refuses what it cannot use without showing a password', () => {
    const bad = [
      ['ws://me:secret@a'],
      ['nats://me:secret@'],
      ['nats://me:secret@a:70000'],
      ['nats://u:secret@a', 'nats://v:secret@b'],
      [],
    ];
    for (const urls of bad) {
      assert.throws(
        () => parseServers(urls),
        (error: Error & { code?: string }) => {
          assert.equal(error.code, 'NATS_URL_INVALID', urls.join());
          assert.ok(!error.message.includes('secret'), error.message);
          return true;
        },
      );
    }
  });
});

describe('the queue', () => {
  it('gives back in order, over many more items than it keeps room for', () => {
    const queue = new Fifo<number>();
    let taken = 0;
    for (let item = 1; item <= 10_000; item++) {
      queue.push(item);
      if (item % 3 !== 0) assert.equal(queue.shift(), ++taken);
    }
    assert.equal(queue.size, 10_000 - taken);
    assert.deepEqual([...queue].slice(0, 2), [taken + 1, taken + 2]);
    while (queue.size > 0) assert.equal(queue.shift(), ++taken);
    assert.equal(queue.shift(), undefined);
    assert.equal(taken, 10_000);
  });
});
