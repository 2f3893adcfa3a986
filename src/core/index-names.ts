/** An index name at the source, with `*` for any text, and the name at the target, with `$1`, `$2` … for what each `*` stood for. */
export type RenameRule = { readonly from: string; readonly to: string };

/** Where an index goes: its name at the target, and whether other indices of the source may go to the same one. */
export type TargetIndex = { name: string; shared: boolean };

type Compiled = { matches: RegExp; to: string; shared: boolean };

/** Names known at once; beyond that they are worked out again. */
const remembered = 10_000;

/** Applies the rename rules: the first that fits is taken, without one the name stays. */
export class IndexNames {
  readonly #rules: readonly Compiled[];
  readonly #known = new Map<string, TargetIndex>();

  constructor(rules: readonly RenameRule[]) {
    this.#rules = rules.map(compile);
  }

  target(index: string): TargetIndex {
    let target = this.#known.get(index);
    if (target === undefined) {
      target = this.#apply(index);
      if (this.#known.size >= remembered) this.#known.clear();
      this.#known.set(index, target);
    }
    return target;
  }

  /** Number of the rule that fits first, from 0, and where it sends the index; undefined without one. */
  find(index: string): { rule: number; target: TargetIndex } | undefined {
    for (const [rule, { matches, to, shared }] of this.#rules.entries()) {
      const parts = matches.exec(index);
      if (parts === null) continue;
      return { rule, target: { name: to.replace(/\$(\d+)/g, (_, number: string) => parts[Number(number)] ?? ''), shared } };
    }
    return undefined;
  }

  #apply(index: string): TargetIndex {
    return this.find(index)?.target ?? { name: index, shared: false };
  }
}

function compile({ from, to }: RenameRule): Compiled {
  const source = from.replace(/[\\^$.|+()[\]{}/*?]/g, (sign) => (sign === '*' ? '(.*)' : `\\${sign}`));
  const stars = from.split('*').length - 1;
  const used = new Set([...to.matchAll(/\$(\d+)/g)].map(([, number]) => Number(number)));
  return { matches: new RegExp(`^${source}$`, 'su'), to, shared: used.size < stars };
}
