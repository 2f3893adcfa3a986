import { join } from 'node:path';
import { command } from '../../scripts/provision/command.ts';
import { install } from '../../scripts/provision/cache.ts';
import { composeRecipe } from '../../scripts/provision/deploy-tools.ts';
import type { ContainerSpec } from './container.ts';

export const composeModes = {
  direct: ['compose.direct.yaml'],
  gateway: ['compose.direct.yaml', 'compose.gateway.yaml'],
  embedded: ['compose.embedded.yaml'],
  nats3: ['compose.nats3.yaml'],
} as const;

/** The part of a service that these files use, as the loader of docker compose gives it out. */
export type Service = {
  image: string;
  command: string[];
  environment?: Record<string, string>;
  user?: string;
  read_only?: boolean;
  cap_drop?: string[];
  security_opt?: string[];
  stop_grace_period?: string;
  volumes?: { type: string; source: string; target: string; read_only?: boolean }[];
  depends_on?: Record<string, { condition: string }>;
};

const folder = join(import.meta.dirname, '../../deploy/docker');

/** Services by name, with `variables` put in. Throws what is wrong with the files, or a variable that must be set and is not. */
export async function composeServices(
  mode: keyof typeof composeModes,
  variables: Readonly<Record<string, string>>,
): Promise<Map<string, Service>> {
  const loader = join(await install(composeRecipe), 'compose-go');
  // Its program, unlike its library, does not hand the environment on: variables are put in here.
  const flags = ['-no-interpolation', '-format', 'json'];
  const text = await command(loader, [...flags, ...composeModes[mode]], { cwd: folder });
  const { services } = JSON.parse(text, (_, value: unknown) =>
    typeof value === 'string' ? interpolate(value, variables) : value,
  ) as {
    services: Record<string, Service>;
  };
  return new Map(Object.entries(services));
}

function interpolate(text: string, variables: Readonly<Record<string, string>>): string {
  return text.replace(/\$\{(\w+)(?::([-?])([^}]*))?\}/g, (_, name: string, how: string | undefined, rest = '') => {
    const value = variables[name] ?? '';
    if (value === '' && how === '?') throw new Error(`${name} is not set: ${rest}`);
    return value === '' && how === '-' ? (rest as string) : value;
  });
}

/** A service as a container. `prefix` keeps names and volumes apart from others. */
export function serviceContainer(prefix: string, name: string, service: Service): ContainerSpec {
  const { image, command: words, environment = {}, volumes = [] } = service;
  return {
    name: `${prefix}-${name}`,
    image,
    command: words,
    env: environment,
    user: service.user,
    readOnly: service.read_only === true,
    capDrop: service.cap_drop ?? [],
    noNewPrivileges: service.security_opt?.includes('no-new-privileges:true') === true,
    mounts: volumes.map(({ source, target, read_only: readOnly = false }) => ({
      source: `${prefix}-${source}`,
      target,
      readOnly,
    })),
  };
}
