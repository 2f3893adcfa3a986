const DURATION_MS = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 } as const;
const SIZE_POWER = { b: 0, k: 1, m: 2, g: 3, t: 4 } as const;

/** Milliseconds: a plain number (`100`), or numbers with units (`100ms`, `30s`, `5m`, `1h30m`, `1.5h`, `7d`). Undefined if the text is none. */
export function parseDuration(text: string): number | undefined {
  if (/^\d+$/.test(text)) return safe(Number(text));
  if (!/^(\d+(\.\d+)?(ms|s|m|h|d))+$/.test(text)) return undefined;
  let ms = 0;
  for (const [, amount, unit] of text.matchAll(/(\d+(?:\.\d+)?)(ms|s|m|h|d)/g)) {
    ms += Number(amount) * DURATION_MS[unit as keyof typeof DURATION_MS];
  }
  return safe(ms);
}

/** The shortest exact text in one unit: 90000 is `90s`, 3600000 is `1h`. */
export function formatDuration(ms: number): string {
  if (ms === 0) return '0';
  for (const unit of ['d', 'h', 'm', 's'] as const) {
    if (ms % DURATION_MS[unit] === 0) return `${ms / DURATION_MS[unit]}${unit}`;
  }
  return `${ms}ms`;
}

/**
 * Bytes: a plain number, or a number with K, M, G, T (also KB, KiB, MB, MiB …; letter case does not matter).
 * A unit is a power of 1024, whatever its spelling: so are nats-server's and Elasticsearch's own settings.
 */
export function parseBytes(text: string): number | undefined {
  const match = /^(\d+(?:\.\d+)?)\s*(?:([kmgt])(?:i?b)?|b)?$/i.exec(text);
  if (match === null) return undefined;
  const power = SIZE_POWER[(match[2] ?? 'b').toLowerCase() as keyof typeof SIZE_POWER];
  return safe(Number(match[1]) * 1024 ** power);
}

/** The shortest exact text: 8388608 is `8MB`. */
export function formatBytes(bytes: number): string {
  if (bytes === 0) return '0';
  for (const unit of ['t', 'g', 'm', 'k'] as const) {
    const size = 1024 ** SIZE_POWER[unit];
    if (bytes % size === 0) return `${bytes / size}${unit.toUpperCase()}B`;
  }
  return `${bytes}`;
}

/** A fraction of a millisecond or byte, or a number too large to be exact, is a slip of the pen rather than a wish. */
function safe(value: number): number | undefined {
  return Number.isSafeInteger(value) ? value : undefined;
}
