/** Reads calls out of TypeScript text: enough for the reference pages, and no parser. */

/** The arguments of the call whose opening bracket stands just before `from`, as they are written. */
export function argumentsAt(text: string, from: number): string[] {
  const found: string[] = [];
  let depth = 0;
  let start = from;
  for (let at = from; at < text.length; at++) {
    const sign = text[at]!;
    if (isQuote(sign)) at = endOfLiteral(text, at) - 1;
    else if ('([{'.includes(sign)) depth++;
    else if (')]}'.includes(sign) && depth-- === 0) return [...found, text.slice(start, at).trim()].filter((one) => one !== '');
    else if (sign === ',' && depth === 0) {
      found.push(text.slice(start, at).trim());
      start = at + 1;
    }
  }
  return found;
}

/** The string and template literals of an expression, those within the brackets of calls and objects left out. */
export function literalsOf(expression: string): string[] {
  const found: string[] = [];
  let depth = 0;
  for (let at = 0; at < expression.length; at++) {
    const sign = expression[at]!;
    if (isQuote(sign)) {
      const end = endOfLiteral(expression, at);
      if (depth === 0) found.push(expression.slice(at, end));
      at = end - 1;
    } else if ('([{'.includes(sign)) depth++;
    else if (')]}'.includes(sign)) depth--;
  }
  return found;
}

/** A literal as its readers see it, with `…` where it says what was given. */
export function legible(literal: string): string {
  let text = '';
  const end = literal.length - 1;
  for (let at = 1; at < end; at++) {
    if (literal[0] === '`' && literal.startsWith('${', at)) {
      text += '…';
      at = endOfInsert(literal, at + 2) - 1;
    } else if (literal[at] === '\\') text += literal[++at] === 'n' ? ' ' : literal[at];
    else text += literal[at];
  }
  return text.replaceAll(/…(?: ?…)+/g, '…');
}

function isQuote(sign: string): boolean {
  return sign === "'" || sign === '"' || sign === '`';
}

/** Where the literal that begins at `start` is over. */
function endOfLiteral(text: string, start: number): number {
  const quote = text[start]!;
  for (let at = start + 1; at < text.length; at++) {
    if (text[at] === '\\') at++;
    else if (text[at] === quote) return at + 1;
    else if (quote === '`' && text.startsWith('${', at)) at = endOfInsert(text, at + 2) - 1;
  }
  return text.length;
}

/** Where the `${…}` whose inside begins at `start` is over. */
function endOfInsert(text: string, start: number): number {
  let depth = 0;
  for (let at = start; at < text.length; at++) {
    if (isQuote(text[at]!)) at = endOfLiteral(text, at) - 1;
    else if (text[at] === '{') depth++;
    else if (text[at] === '}' && depth-- === 0) return at + 1;
  }
  return text.length;
}
