import { mkdirSync, writeFileSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { parseAllDocuments } from 'yaml';
import { install } from '../../scripts/provision/cache.ts';
import { command } from '../../scripts/provision/command.ts';
import { helmRecipe } from '../../scripts/provision/deploy-tools.ts';
import type { ContainerSpec } from './container.ts';

export const chart = join(import.meta.dirname, '../../deploy/helm/es-sync-gateway');

export type Manifest = {
  apiVersion: string;
  kind: string;
  metadata: { name: string };
  data?: Record<string, string>;
  spec?: unknown;
};

type Key = { name: string; key: string };
type Volume = {
  name: string;
  configMap?: { name: string };
  emptyDir?: object;
  secret?: { secretName: string };
  projected?: { sources: { secret: { name: string; items: { key: string; path: string }[] } }[] };
};
type Container = {
  name: string;
  image: string;
  command: string[];
  args?: string[];
  env?: { name: string; value?: string; valueFrom?: { secretKeyRef: Key } }[];
  volumeMounts: { name: string; mountPath: string; subPath?: string; readOnly?: boolean }[];
  securityContext: { readOnlyRootFilesystem: boolean; allowPrivilegeEscalation: boolean; capabilities: { drop: string[] } };
};
type PodSpec = { containers: [Container]; volumes: Volume[]; securityContext: { runAsUser: number; runAsGroup: number } };

export async function helm(...args: string[]): Promise<string> {
  return command(join(await install(helmRecipe), 'helm'), args);
}

/** What `helm template` makes of the chart. */
export async function render(...args: string[]): Promise<Manifest[]> {
  const text = await helm('template', 'sync', chart, ...args);
  return parseAllDocuments(text).flatMap((document) => {
    if (document.errors.length > 0) throw document.errors[0]!;
    return (document.toJS() as Manifest | null) ?? [];
  });
}

/** Where a pod is made in place of a kubelet: its secrets, and a directory for what is mounted. */
export type Node = { secrets: Readonly<Record<string, Record<string, string>>>; directory: string };

/** The container of each StatefulSet, with its configuration and secrets as files. `edit` changes text of a settings file before it is written. */
export function podContainers(manifests: readonly Manifest[], node: Node, edit: (text: string) => string): ContainerSpec[] {
  return manifests
    .filter(({ kind }) => kind === 'StatefulSet')
    .map((set) => {
      const { template } = set.spec as { template: { spec: PodSpec } };
      return podContainer(set.metadata.name, template.spec, manifests, node, edit);
    });
}

function podContainer(
  name: string,
  pod: PodSpec,
  manifests: readonly Manifest[],
  node: Node,
  edit: (text: string) => string,
): ContainerSpec {
  const [container] = pod.containers;
  const secret = ({ name: of, key }: Key): string => {
    const value = node.secrets[of]?.[key];
    if (value === undefined) throw new Error(`there is no secret ${of} with ${key}`);
    return value;
  };
  const filesOf = (volume: Volume): Record<string, string> => {
    const map = manifests.find(({ kind, metadata }) => kind === 'ConfigMap' && metadata.name === volume.configMap?.name);
    if (map !== undefined) return Object.fromEntries(Object.entries(map.data!).map(([file, text]) => [file, edit(text)]));
    if (volume.secret !== undefined) return node.secrets[volume.secret.secretName] ?? {};
    const items = (volume.projected?.sources ?? []).flatMap(({ secret: of }) =>
      of.items.map(({ key, path }) => [path, secret({ name: of.name, key })] as const),
    );
    return Object.fromEntries(items);
  };
  const mounts = container.volumeMounts.map(({ name: of, mountPath: target, subPath, readOnly = false }) => {
    const volume = pod.volumes.find((one) => one.name === of);
    // A claim of the set has no volume in the template.
    if (volume === undefined) return { source: `${name}-${of}`, target, readOnly };
    if (volume.emptyDir !== undefined) return { source: undefined, target, readOnly };
    const directory = join(node.directory, name, of);
    write(directory, filesOf(volume));
    return { source: subPath === undefined ? directory : join(directory, subPath), target, readOnly };
  });
  const env = (container.env ?? []).map(({ name: variable, value, valueFrom }) => [
    variable,
    valueFrom === undefined ? (value ?? '') : secret(valueFrom.secretKeyRef),
  ]);
  return {
    name,
    image: container.image,
    command: [...container.command, ...(container.args ?? [])],
    env: Object.fromEntries(env) as Record<string, string>,
    user: `${pod.securityContext.runAsUser}:${pod.securityContext.runAsGroup}`,
    readOnly: container.securityContext.readOnlyRootFilesystem,
    capDrop: container.securityContext.capabilities.drop,
    noNewPrivileges: !container.securityContext.allowPrivilegeEscalation,
    mounts,
  };
}

function write(directory: string, files: Readonly<Record<string, string>>): void {
  for (const [file, text] of Object.entries(files)) {
    mkdirSync(join(directory, dirname(file)), { recursive: true });
    // Readable for the container's user, whom a kubelet would make the group of it (fsGroup).
    writeFileSync(join(directory, dirname(file), basename(file)), text, { mode: 0o644 });
  }
}
