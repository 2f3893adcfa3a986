import { retryingStore } from '../../src/objects/index.ts';
import { s3Store } from '../support/s3.ts';
import { sharedS3 } from '../support/servers.ts';
import { objectStoreContract, pageKeys } from './object-store.ts';

objectStoreContract('S3', async (bucket) => s3Store(await sharedS3(), bucket, { pageKeys }));

objectStoreContract('S3, with retries', async (bucket) =>
  retryingStore(s3Store(await sharedS3(), `retrying-${bucket}`, { pageKeys }), { triesMax: 3 }),
);

const { TEST_S3_ENDPOINT: url, AWS_ACCESS_KEY_ID: accessKey = 'test', AWS_SECRET_ACCESS_KEY: secretKey = 'test' } = process.env;
if (url !== undefined) {
  const credentials = { accessKey, secretKey, region: 'us-east-1' };
  const names = `other-${Date.now()}`;
  objectStoreContract(`S3 at ${url}`, (bucket) =>
    Promise.resolve(s3Store({ url, credentials }, `${names}-${bucket}`, { pageKeys })),
  );
}
