import { MemoryObjectStore } from '../../src/objects/index.ts';
import { objectStoreContract } from './object-store.ts';

objectStoreContract('in memory', async (name) => new MemoryObjectStore({ name, exists: false }));
