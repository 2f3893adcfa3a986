import { retryingStore } from '../../src/objects/index.ts';
import { s3Store } from '../support/s3.ts';
import { sharedS3 } from '../support/servers.ts';
import { objectStoreContract, pageKeys } from './object-store.ts';

objectStoreContract('S3', async (bucket) => s3Store(await sharedS3(), bucket, { pageKeys }));

objectStoreContract('S3, with retries', async (bucket) =>
  retryingStore(s3Store(await sharedS3(), `retrying-${bucket}`, { pageKeys }), { triesMax: 3 }),
);
