/** The programs beside es-sync's own commands. Importing one runs it, with what `process.argv` says. */
export const programs: Readonly<Record<string, () => Promise<unknown>>> = {
  'es-watcher': () => import('../es-watcher/main.ts'),
  'nats-gateway': () => import('../nats-gateway/main.ts'),
  'es-writer': () => import('../es-writer/main.ts'),
  nats3: () => import('../nats3/main.ts'),
};
