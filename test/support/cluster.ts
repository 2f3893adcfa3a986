import { Agent, type Dispatcher } from 'undici';

/** How to get in where that takes more than an address. */
export type Access = { ca: string; user: string; password: string };
export type Reply = { status: number; body: Buffer };
export type IndexState = { index: string; open: boolean; documents: number };

/** Says that a cluster refused a request; `status` is its own. */
export class Refused extends Error {
  readonly status: number;
  constructor(request: string, reply: Reply) {
    super(`${request} was answered with ${reply.status}: ${reply.body.toString('utf8', 0, 2_000)}`);
    this.status = reply.status;
  }
}

/** A source or target as the tests see it: plain HTTP with JSON text of their own, nothing of the product between. */
export class Cluster {
  readonly url: string;
  readonly #agent: Agent;
  readonly #login: Readonly<Record<string, string>>;

  constructor(url: string, access?: Access) {
    this.url = url;
    const limits = { connections: 16, keepAliveTimeout: 10_000, headersTimeout: 120_000, bodyTimeout: 120_000 };
    this.#agent = new Agent({ ...limits, ...(access === undefined ? {} : { connect: { ca: access.ca } }) });
    const login = Buffer.from(`${access?.user}:${access?.password}`).toString('base64');
    this.#login = access === undefined ? {} : { authorization: `Basic ${login}` };
  }

  async send(method: Dispatcher.HttpMethod, path: string, body?: string | Buffer): Promise<Reply> {
    const type = path.includes('_bulk') ? 'application/x-ndjson' : 'application/json';
    const answer = await this.#agent.request({
      origin: this.url,
      method,
      path,
      headers: { ...this.#login, ...(body === undefined ? {} : { 'content-type': type }) },
      ...(body === undefined ? {} : { body }),
    });
    return { status: answer.statusCode, body: Buffer.from(await answer.body.arrayBuffer()) };
  }

  /** The answer, parsed; throws Refused for a status of 300 or above. */
  async json(method: Dispatcher.HttpMethod, path: string, body?: unknown): Promise<unknown> {
    const text = body === undefined || typeof body === 'string' ? body : JSON.stringify(body);
    const reply = await this.send(method, path, text);
    if (reply.status >= 300) throw new Refused(`${method} ${path}`, reply);
    return reply.body.length === 0 ? undefined : JSON.parse(reply.body.toString('utf8'));
  }

  async version(): Promise<{ number: string; opensearch: boolean }> {
    const { version } = (await this.json('GET', '/')) as { version: { number: string; distribution?: string } };
    return { number: version.number, opensearch: version.distribution === 'opensearch' };
  }

  /** All concrete indices whose names match, hidden and closed ones too, by name. */
  async indices(pattern: string): Promise<IndexState[]> {
    const path = `/_cat/indices/${encodeURIComponent(pattern)}?format=json&h=index,status&expand_wildcards=all`;
    const rows = (await this.json('GET', path)) as { index: string; status: string }[];
    const states: IndexState[] = [];
    for (const { index, status } of rows) {
      const open = status === 'open';
      states.push({ index, open, documents: open ? await this.count(index) : 0 });
    }
    return states.sort((one, other) => (one.index < other.index ? -1 : 1));
  }

  /** Documents that a search sees; nested ones are no documents of their own. */
  async count(index: string): Promise<number> {
    return ((await this.json('GET', `/${encodeURIComponent(index)}/_count`)) as { count: number }).count;
  }

  async refresh(pattern: string): Promise<void> {
    await this.json(
      'POST',
      `/${encodeURIComponent(pattern)}/_refresh?expand_wildcards=all&ignore_unavailable=true&allow_no_indices=true`,
    );
  }

  close(): Promise<void> {
    return this.#agent.destroy();
  }
}
