import { UsageError } from '../core/errors.ts';
import { safeUrl } from '../core/safe-url.ts';

export type ServerList = {
  /** `host:port`, as the client library takes them and as messages may show them. */
  servers: readonly string[];
  /** A `tls://` URL was among them. */
  tls: boolean;
  user?: string;
  password?: string;
  token?: string;
};

const defaultPort = 4222;

function refuse(url: string, why: string): never {
  const shown = safeUrl(url);
  throw new UsageError(
    'NATS_URL_INVALID',
    `NATS URL ${JSON.stringify(shown)}: ${why}`,
    'write --nats-url (NATS_URL) as nats://host:4222',
  );
}

/**
 * Takes NATS URLs apart: `nats://user:password@host:port`, `nats://token@host`, `tls://host`, `host:port`; parts are percent-decoded.
 * The client library ignores credentials in URLs, so they are taken out here. All URLs together may carry one set of credentials.
 * Throws NATS_URL_INVALID.
 */
export function parseServers(urls: readonly string[]): ServerList {
  if (urls.length === 0) refuse('', 'there is none');
  const parsed = urls.map((text) => parseOne(text.trim()));
  const logins = new Map(parsed.filter((one) => one.login !== undefined).map((one) => [JSON.stringify(one.login), one.login]));
  if (logins.size > 1) refuse(urls.join(','), 'the URLs carry different credentials');
  const [login] = logins.values();
  return { servers: parsed.map((one) => one.server), tls: parsed.some((one) => one.tls), ...login };
}

function parseOne(text: string): {
  server: string;
  tls: boolean;
  login: { user?: string; password?: string; token?: string } | undefined;
} {
  const scheme = /^([a-z][a-z0-9+.-]*):\/\//i.exec(text)?.[1]?.toLowerCase() ?? 'nats';
  if (scheme !== 'nats' && scheme !== 'tls') refuse(text, `the scheme is ${scheme}, and only nats and tls are served`);
  const rest = text.replace(/^[a-z][a-z0-9+.-]*:\/\//i, '');
  let url: URL;
  try {
    // A scheme without a default port keeps the port as written.
    url = new URL(`nats://${rest}`);
  } catch {
    refuse(text, 'not a URL');
  }
  if (url.hostname === '') refuse(text, 'the host is missing');
  const server = `${url.hostname}:${url.port === '' ? defaultPort : url.port}`;
  const name = decode(text, url.username);
  if (name === '') return { server, tls: scheme === 'tls', login: undefined };
  const login = url.password === '' ? { token: name } : { user: name, password: decode(text, url.password) };
  return { server, tls: scheme === 'tls', login };
}

function decode(url: string, part: string): string {
  try {
    return decodeURIComponent(part);
  } catch {
    return refuse(url, 'user or password is not percent-encoded rightly');
  }
}
