import { S3ObjectStore, type S3Settings } from '../../src/objects/index.ts';
import type { SharedServer } from '../../scripts/servers.ts';

/** A bucket on a test server, which need not exist. `settings.endpoint`: by way of a proxy. */
export function s3Store(
  server: Pick<SharedServer, 'url' | 'credentials'>,
  bucket: string,
  settings: Partial<S3Settings> = {},
): S3ObjectStore {
  const { accessKey = '', secretKey = '', region } = server.credentials ?? {};
  return new S3ObjectStore({
    bucket,
    endpoint: server.url,
    region,
    pathStyle: true,
    credentials: { accessKeyId: accessKey, secretAccessKey: secretKey },
    ...settings,
  });
}
