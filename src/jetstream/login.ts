import { readFile } from 'node:fs/promises';
import { type Authenticator, credsAuthenticator, nkeyAuthenticator } from '@nats-io/transport-node';
import { GatewayError } from '../core/errors.ts';

/** Files that a login to NATS may need. */
export type LoginFiles = {
  /** A .creds file (JWT and seed). */
  credsFile?: string;
  /** A file holding an nkey seed. */
  nkeyFile?: string;
  tls?: { caFile?: string; certFile?: string; keyFile?: string; handshakeFirst?: boolean };
};

/** How a user proves who he is, where that takes more than a password. Throws NATS_CREDENTIALS_FILE. */
export async function authenticatorOf({ credsFile, nkeyFile }: LoginFiles): Promise<Authenticator | undefined> {
  if (credsFile !== undefined) return proven('--nats-creds-file', credsFile, (content) => credsAuthenticator(content));
  if (nkeyFile === undefined) return undefined;
  return proven('--nats-nkey-file', nkeyFile, (content) => nkeyAuthenticator(Buffer.from(content.toString().trim())));
}

/** The client library reads these anew for every connection, and takes one that is not there for a server that is not there. */
export async function checkTlsFiles({ tls }: LoginFiles): Promise<void> {
  const files = { '--nats-ca-file': tls?.caFile, '--nats-cert-file': tls?.certFile, '--nats-key-file': tls?.keyFile };
  for (const [setting, path] of Object.entries(files)) if (path !== undefined) await contentOf(setting, path);
}

async function proven(setting: string, path: string, make: (content: Buffer) => Authenticator): Promise<Authenticator> {
  const content = await contentOf(setting, path);
  try {
    const authenticator = make(content);
    authenticator('the library looks at the content only when it has something to sign');
    return authenticator;
  } catch (cause) {
    throw new GatewayError('NATS_CREDENTIALS_FILE', `the file ${path} holds no credentials of a NATS user`, {
      hint: `check the file of ${setting}: .creds files go with --nats-creds-file, bare seeds with --nats-nkey-file`,
      cause,
    });
  }
}

async function contentOf(setting: string, path: string): Promise<Buffer> {
  try {
    return await readFile(path);
  } catch (cause) {
    throw new GatewayError('NATS_CREDENTIALS_FILE', `reading the file of ${setting}: ${String(cause)}`, {
      hint: 'check the path and its permissions',
      cause,
    });
  }
}
