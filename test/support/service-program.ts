import { GatewayError, UsageError } from '../../src/core/errors.ts';
import { commonSettings } from '../../src/service/common-settings.ts';
import { oneOf, secret } from '../../src/service/kinds.ts';
import { runProgram } from '../../src/service/run.ts';
import { defineSettings, setting } from '../../src/service/settings.ts';

/** The smallest program on the service frame; `--act` says what goes wrong in it. Lines on stderr that begin with `act:` are its own. */
const acts = [
  'work',
  'finish',
  'refuse-start',
  'misuse-start',
  'crash-start',
  'wait-start',
  'fail-work',
  'crash-work',
  'reject',
  'hang-stop',
  'fail-stop',
] as const;

const schema = defineSettings('tiny', 'does next to nothing.', {
  act: setting(oneOf(...acts), { help: 'What it does.', default: 'work' }),
  password: setting(secret(), { help: 'A secret.' }),
  ...commonSettings('127.0.0.1:0'),
});

const tell = (text: string) => process.stderr.write(`act: ${text}\n`);

await runProgram({
  schema,
  async start({ act, password }, frame) {
    tell('start');
    const { promise: done, resolve: end, reject: fail } = Promise.withResolvers<void>();
    const frames = frame.metrics.counter('frames_total', 'Frames.').with({});
    if (act === 'refuse-start')
      throw new GatewayError('PEER_REFUSED', `cannot log in with ${password}`, { hint: 'check --password' });
    if (act === 'misuse-start') throw new UsageError('SETTING_WRONG', 'that cannot be', 'do not');
    if (act === 'crash-start') throw new TypeError('start is broken');
    if (act === 'wait-start')
      await new Promise((_, reject) => frame.stopping.addEventListener('abort', () => reject(new Error('cut short'))));
    let reasons: string[] = ['waiting for the peer'];
    frame.report({ ready: () => reasons, stats: () => ({ frames: frames.value }) });
    process.once('SIGUSR2', () => {
      reasons = [];
      frames.inc(3);
      tell('ready');
    });
    if (act === 'finish') end();
    if (act === 'fail-work') fail(new GatewayError('STREAM_LOST', 'the stream is gone', { hint: 'bring it back' }));
    if (act === 'crash-work') setImmediate(() => (undefined as unknown as { x: () => void }).x());
    if (act === 'reject') void Promise.reject(new Error(`rejected with ${password}`));
    frame.log.info('started');
    return {
      async stop() {
        tell('stop');
        if (act === 'hang-stop') await new Promise(() => undefined);
        if (act === 'fail-stop') throw new GatewayError('FLUSH_FAILED', 'cannot flush');
        end();
      },
      done,
    };
  },
  async check({ act }) {
    return { ok: act === 'work', lines: ['looked', act] };
  },
});
