import { boolean, duration, listen, oneOf, path } from './kinds.ts';
import { group, setting } from './settings.ts';

const LEVELS = ['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent'] as const;

/** What every program has: settings file, logs, the admin server (on a port of its own a program) and the end of a run. */
export function commonSettings<const A extends string>(adminListen: A) {
  return {
    ...programSettings,
    ...group('Program', {
      adminListen: setting(listen(), {
        help: 'Address of /health, /health/live, /health/ready, /stats and /metrics; port 0 takes a free one, off serves none.',
        default: adminListen,
      }),
    }),
  };
}

/** The same for a program whose admin server has another name: it is its own HTTP server. */
export const programSettings = group('Program', {
  config: setting(path('FILE'), {
    help: 'YAML or TOML file with settings: common ones at the top level, those of a program in the section of its name.',
    elsewhere: 'environment',
  }),
  check: setting(boolean(), {
    help: 'Connect, check versions, permissions and settings, say what would be done, change nothing, and exit.',
    default: 'false',
    elsewhere: 'nowhere',
  }),
  probe: setting(oneOf('live', 'ready'), {
    help: 'Ask the program that runs at the same address whether it is live or ready, print its answer, and exit: 0 yes, 1 no.',
    elsewhere: 'nowhere',
  }),
  logLevel: setting(oneOf(...LEVELS), { help: 'Least level that is logged.', default: 'info', common: true }),
  logFormat: setting(oneOf('auto', 'json', 'pretty'), {
    help: 'JSON lines, or lines for people; auto is pretty on a terminal and JSON elsewhere. Logs go to stdout.',
    default: 'auto',
    common: true,
  }),
  drainTimeout: setting(duration('0', '1h'), {
    help: 'How long a stop by SIGTERM or SIGINT may take to finish what is under way.',
    default: '25s',
    common: true,
  }),
});
