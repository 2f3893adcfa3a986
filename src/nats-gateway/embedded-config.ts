import { join } from 'node:path';
import { formatListen } from '../service/kinds.ts';

export type EmbeddedSettings = {
  binary: string;
  listen: { host: string; port: number };
  storeDir: string;
  maxMemoryBytes: number;
  maxFileBytes: number;
  sync: string;
  tls: { certFile: string; keyFile: string; caFile: string | undefined } | undefined;
  user: string | undefined;
  password: string | undefined;
  token: string | undefined;
};

export const pidFileOf = (storeDir: string): string => join(storeDir, 'nats-server.pid');
export const configFileOf = (storeDir: string): string => join(storeDir, 'nats-server.conf');

/** The configuration file of the embedded server (https://docs.nats.io/running-a-nats-service/configuration). */
export function embeddedConfig(settings: EmbeddedSettings): string {
  const { listen, storeDir, maxMemoryBytes, maxFileBytes, sync, tls, user, password, token } = settings;
  const lines = [
    '# Written by nats-gateway at each start: changes are lost.',
    `listen: ${quoted(formatListen(listen))}`,
    `pid_file: ${quoted(pidFileOf(storeDir))}`,
    'jetstream {',
    `  store_dir: ${quoted(storeDir)}`,
    `  max_memory_store: ${maxMemoryBytes}`,
    `  max_file_store: ${maxFileBytes}`,
    `  sync_interval: ${quoted(sync)}`,
    '}',
  ];
  if (tls !== undefined) {
    lines.push('tls {', `  cert_file: ${quoted(tls.certFile)}`, `  key_file: ${quoted(tls.keyFile)}`);
    if (tls.caFile !== undefined) lines.push(`  ca_file: ${quoted(tls.caFile)}`, '  verify: true');
    lines.push('}');
  }
  if (user !== undefined) lines.push('authorization {', `  user: ${quoted(user)}`, `  password: ${quoted(password ?? '')}`, '}');
  else if (token !== undefined) lines.push('authorization {', `  token: ${quoted(token)}`, '}');
  return `${lines.join('\n')}\n`;
}

/** In single quotes the server takes no escapes and no variables; a text with one goes in double quotes, as JSON. */
function quoted(text: string): string {
  return text.includes("'") || /[\n\\]/.test(text) ? JSON.stringify(text) : `'${text}'`;
}

/** A line of nats-server's log, `[pid] 2026/11/21 14:00:00.123456 [INF] text`; undefined for the banner and the like. */
export function readServerLine(line: string): { level: 'debug' | 'info' | 'warn' | 'error' | 'fatal'; text: string } | undefined {
  const match = /^\[\d+\] \S+ \S+ \[(\w{3})\] (.*)$/.exec(line);
  if (match === null) return undefined;
  const [, mark, text] = match as unknown as [string, string, string];
  const level = ({ TRC: 'debug', DBG: 'debug', INF: 'info', WRN: 'warn', ERR: 'error', FTL: 'fatal' } as const)[mark];
  return level === undefined ? undefined : { level, text };
}
