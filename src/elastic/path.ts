/** RFC 3986 percent-encoding, stricter than `encodeURIComponent`: signatures of requests depend on it. */
export function percentEncode(text: string): string {
  return encodeURIComponent(text).replaceAll(/[!'()*]/g, (c) => `%${c.charCodeAt(0).toString(16).toUpperCase()}`);
}

/** `/index/rest` with the index name encoded: it may hold `%`, `+`, `=` and any letter. Several names: joined by commas beforehand. */
export function indexPath(index: string, rest = ''): string {
  return `/${percentEncode(index)}${rest === '' ? '' : `/${rest}`}`;
}

/** `a=1&b=2`, encoded and sorted by key; empty without any. */
export function queryString(query: Readonly<Record<string, string | number | boolean>> | undefined): string {
  if (query === undefined) return '';
  return Object.entries(query)
    .map(([key, value]) => [percentEncode(key), percentEncode(String(value))] as const)
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([key, value]) => `${key}=${value}`)
    .join('&');
}
