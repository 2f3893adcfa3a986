import { pbkdf2Sync, randomBytes } from 'node:crypto';
import { copyFileSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Agent, request } from 'undici';

/** Elasticsearch's own security switched on: TLS by this certificate, and a user who may do everything. PEM files. */
export type Security = { caFile: string; certFile: string; keyFile: string; user: string; password: string };

/** Lines for the configuration file of a node, with security or without, and the files that they name. */
export function securityYml(config: string, security: Security | undefined): string[] {
  if (security === undefined) return ['xpack.security.enabled: false'];
  const { user, password, certFile, keyFile } = security;
  copyFileSync(certFile, join(config, 'http.pem'));
  copyFileSync(keyFile, join(config, 'http.key'));
  writeFileSync(join(config, 'users'), `${user}:${hashed(password)}\n`);
  writeFileSync(join(config, 'users_roles'), `superuser:${user}\n`);
  return [
    'xpack.security.enabled: true',
    'xpack.security.enrollment.enabled: false',
    'xpack.security.authc.password_hashing.algorithm: pbkdf2_1000',
    'xpack.security.http.ssl: { enabled: true, certificate: http.pem, key: http.key }',
  ];
}

/** As a file realm stores a password (`bin/elasticsearch-users`). */
function hashed(password: string): string {
  const salt = randomBytes(32);
  const digest = pbkdf2Sync(password, salt, 1_000, 32, 'sha512');
  return `{PBKDF2}1000$${salt.toString('base64')}$${digest.toString('base64')}`;
}

/** Asks a node for JSON, as its first user where it has security. */
export async function getJson(url: string, path: string, security: Security | undefined): Promise<Record<string, unknown>> {
  const dispatcher = new Agent({ connect: security === undefined ? {} : { ca: readFileSync(security.caFile) } });
  const login = Buffer.from(`${security?.user}:${security?.password}`).toString('base64');
  try {
    const { body } = await request(url + path, {
      dispatcher,
      headers: security === undefined ? {} : { authorization: `Basic ${login}` },
      signal: AbortSignal.timeout(10_000),
    });
    return (await body.json()) as Record<string, unknown>;
  } finally {
    await dispatcher.destroy();
  }
}
