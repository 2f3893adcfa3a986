import { syncSettings } from '../../src/es-sync/config.ts';
import { watcherSettings } from '../../src/es-watcher/config.ts';
import { writerSettings } from '../../src/es-writer/config.ts';
import { gatewaySettings } from '../../src/nats-gateway/config.ts';
import { nats3Settings } from '../../src/nats3/config.ts';
import type { Schema } from '../../src/service/settings.ts';

/** The settings of every program, for what is generated from them. */
export const schemas = [
  watcherSettings,
  gatewaySettings,
  writerSettings,
  syncSettings,
  nats3Settings,
] as unknown as readonly Schema[];
