import { existsSync, mkdirSync, readFileSync, truncateSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { join, resolve } from 'node:path';
import { aptGet, canAptGet, command, missing, which } from '../provision/command.ts';
import { freePort } from './ports.ts';
import { Server } from './process.ts';

/** The parts of Firecracker's configuration file that another hypervisor needs too. */
export type VmConfig = {
  'boot-source': { kernel_image_path: string; boot_args: string };
  drives: readonly { path_on_host: string; is_read_only: boolean }[];
  'machine-config': { vcpu_count: number; mem_size_mib: number };
};

export type MicrovmOptions = {
  /** Where the files are that the configuration names: a data drive that is not there is made, blank. */
  imageDir: string;
  /** Data drive, console and control socket; kept across restarts. */
  dataDir: string;
  memoryMb?: number;
  dataBytes?: number;
  /** Further kernel arguments. */
  bootArgs?: string;
};

export type Microvm = {
  server: Server;
  natsUrl: string;
  adminUrl: string;
  console: () => string;
  ctrlAltDel: () => Promise<void>;
};

export function readVmConfig(): VmConfig {
  return JSON.parse(readFileSync(join(import.meta.dirname, '../../deploy/firecracker/vm.json'), 'utf8')) as VmConfig;
}

/** Emulation takes its time where others are at work too. */
const readyWithinMs = 10 * 60_000;

/** Addresses in QEMU's user-mode network: the machine's, the host's, the name server's. */
const network = 'ip=10.0.2.15::10.0.2.2:255.255.255.0:es-sync:eth0:off:10.0.2.3';

/**
 * Boots what `deploy/firecracker/vm.json` describes in QEMU's microvm machine, by emulation: it has the same devices (virtio over MMIO described by ACPI,
 * a serial console, the keyboard's controller for Ctrl-Alt-Del) and needs no /dev/kvm. `kill('SIGKILL')` is a power cut.
 */
export async function startMicrovm(options: MicrovmOptions): Promise<Microvm> {
  const qemu = await qemuSystem();
  const dataDir = resolve(options.dataDir);
  mkdirSync(dataDir, { recursive: true });
  const [nats, admin] = [await freePort(), await freePort()];
  const control = join(dataDir, 'control.sock');
  const logFile = join(dataDir, 'console.log');
  const server = await Server.start({
    name: 'microVM',
    version: (await command(qemu, ['--version'])).split('\n')[0] ?? '',
    url: `nats://127.0.0.1:${nats}`,
    port: nats,
    dataDir,
    logFile,
    program: qemu,
    args: [
      ...machine(options, dataDir),
      ...forwarded({ [nats]: 4222, [admin]: 8080 }),
      '-qmp',
      `unix:${control},server=on,wait=off`,
    ],
    readyWithinMs,
    ready: async () => (await fetch(`http://127.0.0.1:${admin}/health/ready`, { signal: AbortSignal.timeout(5_000) })).ok,
  });
  return {
    server,
    natsUrl: server.url,
    adminUrl: `http://127.0.0.1:${admin}`,
    console: () => readFileSync(logFile, 'utf8'),
    ctrlAltDel: () => sendKeys(control, ['ctrl', 'alt', 'delete']),
  };
}

/** QEMU's machine of Firecracker's kind; it ends where it would start again, as Firecracker does. */
const emulated = (
  '-M microvm,acpi=on,rtc=on -accel tcg -cpu max -nodefaults -no-user-config -no-reboot -display none -serial stdio ' +
  '-device i8042 -device virtio-rng-device'
).split(' ');

function machine({ imageDir, memoryMb, dataBytes = 2 ** 30, bootArgs = '' }: MicrovmOptions, dataDir: string): string[] {
  const { 'boot-source': boot, drives, 'machine-config': size } = readVmConfig();
  const given = boot.boot_args.split(' ').filter((argument) => !argument.startsWith('ip='));
  // What Firecracker adds by itself: that there is no PCI, and the root drive.
  const args = [...given, 'pci=off', 'root=/dev/vda', 'ro', network, clock(), bootArgs].join(' ');
  return [
    ...emulated,
    '-m',
    `${memoryMb ?? size.mem_size_mib}M`,
    '-smp',
    String(size.vcpu_count),
    '-kernel',
    join(imageDir, boot.kernel_image_path),
    '-append',
    args,
    ...drives.flatMap((drive, at) => {
      const file = drive.is_read_only ? join(imageDir, drive.path_on_host) : blank(join(dataDir, drive.path_on_host), dataBytes);
      const access = drive.is_read_only ? 'readonly=on' : 'cache=writeback';
      return [
        '-drive',
        `id=drive${at},if=none,format=raw,file=${file},${access}`,
        '-device',
        `virtio-blk-device,drive=drive${at}`,
      ];
    }),
  ];
}

/** Under emulation nobody tells the kernel how fast its counter runs, as a hypervisor does, and this machine has nothing to measure it by. */
function clock(): string {
  const mhz = /^cpu MHz\s*: ([\d.]+)$/m.exec(readFileSync('/proc/cpuinfo', 'latin1'))?.[1];
  return `tsc_early_khz=${Math.round(Number(mhz ?? 2_000) * 1_000)} tsc=reliable`;
}

function blank(file: string, bytes: number): string {
  if (!existsSync(file)) {
    writeFileSync(file, '');
    truncateSync(file, bytes);
  }
  return file;
}

function forwarded(ports: Readonly<Record<number, number>>): string[] {
  const rules = Object.entries(ports).map(([here, there]) => `,hostfwd=tcp:127.0.0.1:${here}-:${there}`);
  return ['-netdev', `user,id=net${rules.join('')}`, '-device', 'virtio-net-device,netdev=net'];
}

/** Presses keys by QEMU's control protocol (QMP): a JSON object a line, and nothing is taken before `qmp_capabilities`. */
async function sendKeys(control: string, keys: readonly string[]): Promise<void> {
  const { promise, resolve: done, reject } = Promise.withResolvers<void>();
  const socket = connect(control);
  let text = '';
  const order = { execute: 'send-key', arguments: { keys: keys.map((key) => ({ type: 'qcode', data: key })) } };
  socket.on('data', (chunk) => {
    text += chunk.toString('latin1');
    if (text.split('"return"').length > 2) socket.end(() => done());
  });
  socket.on('error', reject);
  socket.write(`{"execute":"qmp_capabilities"}\n${JSON.stringify(order)}\n`);
  return promise;
}

async function qemuSystem(): Promise<string> {
  const name = 'qemu-system-x86_64';
  if (which(name) === undefined && canAptGet()) await aptGet('qemu-system-x86');
  const found = which(name);
  if (found === undefined)
    throw missing(`${name} is not in PATH; it boots the microVM`, 'Debian: apt-get install qemu-system-x86');
  return found;
}
