import { copyFileSync, existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { install } from '../provision/cache.ts';
import { elasticsearchRecipe, elasticsearchRelease, type ElasticsearchLine } from '../provision/elasticsearch.ts';
import { jdkHome } from '../provision/java.ts';
import { opensearchRecipe, opensearchRelease, type OpenSearchLine } from '../provision/opensearch.ts';
import { freePort } from './ports.ts';
import { Server, type ServerPlan } from './process.ts';
import { getJson, securityYml, type Security } from './security.ts';
import { unprivileged } from './unprivileged.ts';

export type SearchOptions = {
  /** data, configuration, log; kept across restarts */
  dataDir: string;
  /** undefined or 0: a free one */
  port?: number | undefined;
  /** default 512m */
  heap?: string;
  /** further lines for the configuration file */
  extraYml?: string;
  /** further JVM options */
  jvm?: string[];
  /** `test`: quick to start, small. `bench`: the JVM's default collector and compiler, mapped files. Default `test` */
  profile?: 'test' | 'bench';
  stays?: boolean;
};

/** Security is off unless it is given; 7.17 has none here. */
export type ElasticsearchOptions = SearchOptions & { version: ElasticsearchLine; security?: Security | undefined };

/** A JVM started for us must not take options from the caller's own environment. */
const NO_JAVA_ENV = {
  JAVA_HOME: undefined,
  JAVA_TOOL_OPTIONS: undefined,
  _JAVA_OPTIONS: undefined,
  JAVA_OPTS: undefined,
  ES_JAVA_OPTS: undefined,
};

/** Starts a single-node Elasticsearch of the given line on the loopback interface. */
export async function startElasticsearch(options: ElasticsearchOptions): Promise<Server> {
  const release = elasticsearchRelease(options.version);
  const java = await jdkHome(release.java);
  const home = await install(elasticsearchRecipe(options.version));
  const node = await layOut(options, 'es');
  const { dataDir } = node;
  copyFileSync(join(home, 'config', 'log4j2.properties'), join(dataDir, 'config', 'log4j2.properties'));
  mkdirSync(join(dataDir, 'config', 'jvm.options.d'), { recursive: true });
  const hasSecurity = existsSync(join(home, 'modules', 'x-pack-core'));
  const security = hasSecurity ? securityYml(join(dataDir, 'config'), options.security) : [];
  const yml = [...node.yml, "reindex.remote.whitelist: ['127.0.0.1:*', 'localhost:*']", ...security, options.extraYml ?? ''];
  writeFileSync(join(dataDir, 'config', 'elasticsearch.yml'), `${yml.join('\n')}\n`);
  writeFileSync(join(dataDir, 'config', 'jvm.options'), `${node.jvm.join('\n')}\n`);
  const launch = elasticsearchCommand(options.version, home, java, node);
  const [program = '', ...args] = unprivileged(launch.command, dataDir);
  const paths = {
    ES_PATH_CONF: join(dataDir, 'config'),
    ES_JAVA_HOME: java,
    ES_TMPDIR: join(dataDir, 'tmp'),
    LIBFFI_TMPDIR: join(dataDir, 'tmp'),
  };
  return Server.start({
    ...planOf('Elasticsearch', release.version, node, options),
    program,
    args,
    cwd: home,
    env: { ...NO_JAVA_ENV, ...paths, ...launch.env },
    ...(launch.pidFile === undefined ? {} : { pidFile: launch.pidFile }),
  });
}

type Launch = { command: string[]; env: Record<string, string>; pidFile?: string };

/** 7.x runs its main class; 8.x and 9.x have a launcher (`-d`: it ends once the server is up) that hands over the settings. */
function elasticsearchCommand(line: ElasticsearchLine, home: string, java: string, node: NodeLayout): Launch {
  const program = join(java, 'bin', 'java');
  if (line === '7.17') {
    const properties = ['-Djna.nosys=true', '-Djava.locale.providers=SPI,COMPAT', '-Djava.security.manager=allow'];
    const paths = [`-Des.path.home=${home}`, `-Des.path.conf=${join(node.dataDir, 'config')}`, '-Des.bundled_jdk=false'];
    const distribution = ['-Des.distribution.flavor=default', '-Des.distribution.type=zip', '-cp', join(home, 'lib', '*')];
    const main = 'org.elasticsearch.bootstrap.Elasticsearch';
    return { command: [program, ...node.jvm, ...SERVER_JVM, ...properties, ...paths, ...distribution, main], env: {} };
  }
  const pidFile = join(node.dataDir, 'pid');
  const launcherJvm = ['-Xms4m', '-Xmx64m', '-XX:+UseSerialGC', '-XX:TieredStopAtLevel=1'];
  if (line === '8.19') {
    const env = { CLI_NAME: 'server', CLI_LIBS: 'lib/tools/server-cli', CLI_JAVA_OPTS: launcherJvm.join(' ') };
    return { command: [join(home, 'bin', 'elasticsearch-cli'), '-d', '-p', pidFile], env, pidFile };
  }
  const env = { ES_HOME: home, ES_DISTRIBUTION_TYPE: 'zip', JAVA: program, JAVA_TYPE: 'ES_JAVA_HOME' };
  const launcher = [
    '-cp',
    join(home, 'lib', 'tools', 'server-launcher', '*'),
    'org.elasticsearch.server.launcher.ServerLauncher',
  ];
  return { command: [program, ...launcherJvm, ...launcher, '-d', '-p', pidFile], env, pidFile };
}

/** Starts a single-node OpenSearch of the given line on the loopback interface, without plugins. */
export async function startOpenSearch(options: SearchOptions & { version: OpenSearchLine }): Promise<Server> {
  const release = opensearchRelease(options.version);
  const java = await jdkHome(release.java);
  const home = await install(opensearchRecipe(options.version));
  const node = await layOut(options, 'os');
  const config = join(node.dataDir, 'config');
  const yml = [...node.yml, "reindex.remote.allowlist: ['127.0.0.1:*', 'localhost:*']", options.extraYml ?? ''];
  writeFileSync(join(config, 'opensearch.yml'), `${yml.join('\n')}\n`);
  writeFileSync(join(config, 'log4j2.properties'), LOG_TO_CONSOLE);
  const classes = ['-cp', [join(home, 'launcher'), join(home, 'lib', '*')].join(':'), 'OpenSearchNode', home, config];
  return Server.start({
    ...planOf('OpenSearch', release.version, node, options),
    program: join(java, 'bin', 'java'),
    args: [
      ...node.jvm,
      ...SERVER_JVM,
      '-XX:+IgnoreUnrecognizedVMOptions',
      '--enable-native-access=ALL-UNNAMED',
      `-Dopensearch.path.home=${home}`,
      ...classes,
    ],
    cwd: home,
    env: NO_JAVA_ENV,
  });
}

const LOG_TO_CONSOLE = `status = error
appender.console.type = Console
appender.console.name = console
appender.console.layout.type = PatternLayout
appender.console.layout.pattern = [%d{ISO8601}][%-5p][%-25c{1.}] %m%n
rootLogger.level = info
rootLogger.appenderRef.console.ref = console
`;

/** What the stock start scripts give every server JVM. */
const SERVER_JVM = [
  '-Xss1m',
  '-XX:-OmitStackTraceInFastThrow',
  '-Djava.awt.headless=true',
  '-Dfile.encoding=UTF-8',
  '-Dio.netty.noUnsafe=true',
  '-Dio.netty.noKeySetOptimization=true',
  '-Dio.netty.recycler.maxCapacityPerThread=0',
  '-Dio.netty.allocator.numDirectArenas=0',
  '-Dlog4j.shutdownHookEnabled=false',
  '-Dlog4j2.disable.jmx=true',
];

type NodeLayout = { dataDir: string; port: number; yml: string[]; jvm: string[] };

/** Directories, settings and JVM options that every engine shares. */
async function layOut(options: SearchOptions, kind: string): Promise<NodeLayout> {
  const dataDir = resolve(options.dataDir);
  const port = options.port || (await freePort());
  for (const directory of ['data', 'logs', 'config', 'tmp']) mkdirSync(join(dataDir, directory), { recursive: true });
  const bench = options.profile === 'bench';
  const heap = options.heap ?? '512m';
  const yml = [
    `cluster.name: ${kind}-${port}`,
    `node.name: ${kind}-${port}`,
    `path.data: ${JSON.stringify(join(dataDir, 'data'))}`,
    `path.logs: ${JSON.stringify(join(dataDir, 'logs'))}`,
    'network.host: 127.0.0.1',
    `http.port: ${port}`,
    'transport.port: 0',
    'discovery.type: single-node',
    'action.auto_create_index: true',
    'cluster.routing.allocation.disk.threshold_enabled: false',
    `node.store.allow_mmap: ${bench}`,
  ];
  const jvm = [
    `-Xms${heap}`,
    `-Xmx${heap}`,
    ...(bench ? ['-XX:+UseG1GC'] : ['-XX:+UseSerialGC', '-XX:TieredStopAtLevel=1']),
    `-Djava.io.tmpdir=${join(dataDir, 'tmp')}`,
    `-Djna.tmpdir=${join(dataDir, 'tmp')}`,
    '-XX:+ExitOnOutOfMemoryError',
    `-XX:ErrorFile=${join(dataDir, 'logs', 'hs_err_pid%p.log')}`,
    ...(options.jvm ?? []),
  ];
  return { dataDir, port, yml, jvm };
}

function planOf(
  product: string,
  version: string,
  node: NodeLayout,
  options: SearchOptions & { security?: Security | undefined },
): Omit<ServerPlan, 'program' | 'args'> {
  const { security } = options;
  const url = `${security === undefined ? 'http' : 'https'}://127.0.0.1:${node.port}`;
  return {
    name: `${product} ${version}`,
    version,
    url,
    port: node.port,
    dataDir: node.dataDir,
    logFile: join(node.dataDir, 'server.log'),
    ready: () => isHealthy(url, version, security),
    ...(options.stays === undefined ? {} : { stays: options.stays }),
  };
}

/** Ready: the right version answers, and every primary is assigned. */
async function isHealthy(url: string, version: string, security: Security | undefined): Promise<boolean> {
  const health = await getJson(url, '/_cluster/health?wait_for_status=yellow&timeout=5s', security);
  if (health['timed_out'] !== false) return false;
  const found = (await getJson(url, '/', security))['version'] as { number?: string } | undefined;
  if (found?.number !== version) throw new Error(`${url} is ${found?.number}, not ${version}`);
  return true;
}
