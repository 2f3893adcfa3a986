/** The name most like the one given, or undefined where none is near enough to be meant. */
export function nearest(given: string, names: Iterable<string>): string | undefined {
  const distanceMax = Math.max(2, Math.floor(given.length / 3));
  let best: { name: string; distance: number } | undefined;
  for (const name of names) {
    const distance = editDistance(given, name);
    if (distance <= distanceMax && distance < (best?.distance ?? Infinity)) best = { name, distance };
  }
  if (best !== undefined) return best.name;
  // A name cut short or carried too far: --es-host-list, --poll.
  const kin = [...names].filter((name) => given.length >= 3 && (name.startsWith(given) || given.startsWith(name)));
  return kin.length === 1 ? kin[0] : undefined;
}

/** ` (did you mean X?)` or nothing, ready to be put behind a message. */
export function didYouMean(given: string, names: Iterable<string>, show: (name: string) => string = (name) => name): string {
  const name = nearest(given, names);
  return name === undefined ? '' : `; did you mean ${show(name)}?`;
}

/** Insertions, deletions, replacements and swaps of neighbours, each counted as one. */
function editDistance(a: string, b: string): number {
  let before: number[] = [];
  let last = Array.from({ length: b.length + 1 }, (_, j) => j);
  for (let i = 1; i <= a.length; i++) {
    const row = [i];
    for (let j = 1; j <= b.length; j++) {
      const replaced = last[j - 1]! + (a[i - 1] === b[j - 1] ? 0 : 1);
      let cost = Math.min(replaced, last[j]! + 1, row[j - 1]! + 1);
      if (i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1]) cost = Math.min(cost, before[j - 2]! + 1);
      row.push(cost);
    }
    before = last;
    last = row;
  }
  return last[b.length]!;
}
