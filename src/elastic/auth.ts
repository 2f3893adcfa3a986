import { ElasticError } from './errors.ts';
import { signatureHeaders, type AwsCredentials, type SignableRequest } from './sigv4.ts';

/** How to log in to a cluster. */
export type Auth =
  | { kind: 'none' }
  | { kind: 'basic'; user: string; password: string }
  /** As the cluster gives it out (`encoded`, base64) or as `id:key`. */
  | { kind: 'apiKey'; key: string }
  | {
      kind: 'sigv4';
      /** `es` for domains of Amazon OpenSearch Service, `aoss` for serverless collections. */
      service: 'es' | 'aoss';
      region: string;
      /** Default: AWS's own chain of environment, profile files, web identity, container and instance role. */
      credentials?: () => Promise<AwsCredentials>;
    };

/** The headers that let a request in. */
export type Authenticator = (request: SignableRequest) => Promise<Readonly<Record<string, string>>>;

export function authenticator(auth: Auth, now: () => number): Authenticator {
  switch (auth.kind) {
    case 'basic':
      return always({ authorization: `Basic ${base64(`${auth.user}:${auth.password}`)}` });
    case 'apiKey':
      // base64 has no colon, so one tells the two forms apart.
      return always({ authorization: `ApiKey ${auth.key.includes(':') ? base64(auth.key) : auth.key}` });
    case 'sigv4': {
      const credentials = auth.credentials ?? awsCredentialChain();
      const scope = { service: auth.service, region: auth.region };
      return async (request) => signatureHeaders(request, await credentials(), scope, new Date(now()));
    }
    case 'none':
    default:
      return always({});
  }
}

function always(headers: Readonly<Record<string, string>>): Authenticator {
  return () => Promise.resolve(headers);
}

function base64(text: string): string {
  return Buffer.from(text).toString('base64');
}

/** AWS's own chain, loaded when first needed: it is large, and few need it. It renews what expires and remembers the rest. */
function awsCredentialChain(): () => Promise<AwsCredentials> {
  let provider: Promise<() => Promise<AwsCredentials>> | undefined;
  return async () => {
    provider ??= import('@aws-sdk/credential-provider-node').then((sdk) => sdk.defaultProvider());
    try {
      return await (
        await provider
      )();
    } catch (cause) {
      const reason = cause instanceof Error ? cause.message : String(cause);
      throw new ElasticError('AWS_CREDENTIALS_MISSING', `no AWS credentials to sign requests with: ${reason}`, {
        reason,
        transient: true,
        hint: 'set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY or AWS_PROFILE, or give the instance, task or pod a role',
        cause,
      });
    }
  };
}
