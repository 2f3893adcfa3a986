/**
 * Does the work of coming items while the result of one is used: `width` at once at most, results in order. The first failure ends it
 * in its turn.
 */
export async function* workAhead<Item, Result>(
  items: Iterable<Item> | AsyncIterable<Item>,
  width: number,
  work: (item: Item) => Promise<Result>,
): AsyncGenerator<Result> {
  const underWay: Promise<Result>[] = [];
  for await (const item of items) {
    const result = work(item);
    // Whoever reads that far is told.
    result.catch(() => undefined);
    underWay.push(result);
    if (underWay.length >= width) yield await underWay.shift()!;
  }
  for (const result of underWay) yield await result;
}
