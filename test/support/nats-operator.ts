import { nkeys } from '@nats-io/transport-node';
import { createHash } from 'node:crypto';

type KeyPair = ReturnType<typeof nkeys.createUser>;

const unlimited = {
  subs: -1,
  data: -1,
  payload: -1,
  imports: -1,
  exports: -1,
  wildcards: true,
  conn: -1,
  leaf: -1,
};
/** The system account must not have JetStream. */
const stores = { mem_storage: -1, disk_storage: -1 };

/**
 * An operator with one account, as `nsc` makes them (https://docs.nats.io/running-a-nats-service/configuration/securing_nats/jwt):
 * lines for the configuration of a server, and the text of a user's .creds file.
 */
export function operatorMode(): { config: string; creds: string } {
  const [operator, system, account, user] = [
    nkeys.createOperator(),
    nkeys.createAccount(),
    nkeys.createAccount(),
    nkeys.createUser(),
  ];
  const accounts = [
    [system, claim(system, operator, 'SYS', { type: 'account', version: 2, limits: unlimited })],
    [account, claim(account, operator, 'sync', { type: 'account', version: 2, limits: { ...unlimited, ...stores } })],
  ] as const;
  const rights = { subs: -1, data: -1, payload: -1, pub: {}, sub: {} };
  const userJwt = claim(user, account, 'es-sync', { type: 'user', version: 2, ...rights });
  const preload = accounts.map(([key, jwt]) => `${key.getPublicKey()}: ${jwt}`).join('\n');
  return {
    config: `operator: ${claim(operator, operator, 'op', { type: 'operator', version: 2 })}
      system_account: ${system.getPublicKey()}
      resolver: MEMORY
      resolver_preload { ${preload} }`,
    creds: `${framed('NATS USER JWT', userJwt)}\n${framed('USER NKEY SEED', new TextDecoder().decode(user.getSeed()))}\n`,
  };
}

function claim(of: KeyPair, by: KeyPair, name: string, nats: object): string {
  const claims = { iat: Math.floor(Date.now() / 1000), iss: by.getPublicKey(), name, sub: of.getPublicKey(), nats };
  const jti = createHash('sha256').update(JSON.stringify(claims)).digest('hex');
  const parts = [
    { typ: 'JWT', alg: 'ed25519-nkey' },
    { jti, ...claims },
  ];
  const text = parts.map((part) => Buffer.from(JSON.stringify(part)).toString('base64url')).join('.');
  return `${text}.${Buffer.from(by.sign(Buffer.from(text))).toString('base64url')}`;
}

function framed(name: string, text: string): string {
  return `-----BEGIN ${name}-----\n${text}\n------END ${name}------\n`;
}
