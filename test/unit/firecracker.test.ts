import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { z } from 'zod';
import { readVmConfig } from '../../scripts/servers/microvm.ts';
import { shellLinesOf } from '../support/guide.ts';

/**
 * What Firecracker takes as a configuration file, as far as ours uses it; it refuses keys that it does not know. From the definitions of
 * its API: FullVmConfiguration, BootSource, Drive, NetworkInterface, MachineConfiguration, EntropyDevice (src/firecracker/swagger/firecracker.yaml
 * in its repository).
 */
const fullVmConfiguration = z.strictObject({
  'boot-source': z.strictObject({
    kernel_image_path: z.string(),
    boot_args: z.string().optional(),
    initrd_path: z.string().optional(),
  }),
  drives: z.array(
    z.strictObject({
      drive_id: z.string(),
      path_on_host: z.string(),
      is_root_device: z.boolean(),
      is_read_only: z.boolean(),
      cache_type: z.enum(['Unsafe', 'Writeback']).optional(),
      io_engine: z.enum(['Sync', 'Async']).optional(),
    }),
  ),
  'network-interfaces': z.array(
    z.strictObject({ iface_id: z.string(), host_dev_name: z.string(), guest_mac: z.string().optional() }),
  ),
  'machine-config': z.strictObject({
    vcpu_count: z
      .int()
      .min(1)
      .max(32)
      .refine((count) => count === 1 || count % 2 === 0),
    mem_size_mib: z.int().min(1),
    smt: z.boolean().optional(),
  }),
  entropy: z.strictObject({}).optional(),
});

/** Options of firectl (its README) that take a value. */
const firectlOptions = (
  'firecracker-binary kernel kernel-opts root-drive root-partition add-drive tap-device vsock-device vmm-log-fifo log-level ' +
  'metrics-fifo ncpus cpu-template memory metadata firecracker-log socket-path'
).split(' ');

const guide = shellLinesOf('docs/deploy/firecracker.md');

describe('the configuration of the microVM', () => {
  const config = fullVmConfiguration.parse(readVmConfig());

  it('is what Firecracker’s API takes, with one root drive and a data drive that is durable', () => {
    assert.deepEqual(
      config.drives.map(({ is_root_device, is_read_only, cache_type }) => ({ is_root_device, is_read_only, cache_type })),
      [
        { is_root_device: true, is_read_only: true, cache_type: undefined },
        { is_root_device: false, is_read_only: false, cache_type: 'Writeback' },
      ],
    );
  });

  it('is what the firectl line of the guide asks for', () => {
    const line = guide.find((command) => command.startsWith('firectl '))!;
    const given = new Map(
      [...line.matchAll(/ --([\w-]+)=(?:'([^']*)'|(\S+))/g)].map(([, name, quoted, bare]) => [name!, quoted ?? bare!]),
    );
    assert.deepEqual(
      [...given.keys()].filter((name) => !firectlOptions.includes(name)),
      [],
    );
    const [rootDrive, dataDrive] = config.drives;
    assert.deepEqual(Object.fromEntries([...given].filter(([name]) => name !== 'socket-path')), {
      kernel: config['boot-source'].kernel_image_path,
      'root-drive': `${rootDrive!.path_on_host}:ro`,
      'add-drive': `${dataDrive!.path_on_host}:rw`,
      'tap-device': `${config['network-interfaces'][0]!.host_dev_name}/06:00:ac:10:00:02`,
      ncpus: String(config['machine-config'].vcpu_count),
      memory: String(config['machine-config'].mem_size_mib),
      'kernel-opts': config['boot-source'].boot_args,
    });
  });
});
