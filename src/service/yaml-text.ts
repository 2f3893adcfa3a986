/** Plain where every YAML reader takes it for the same text; quoted otherwise (a JSON string is a YAML string). */
function scalar(value: string): string {
  const plain = /^[\w./$][\w./$@+:=*-]*$/.test(value) && !value.endsWith(':') && !value.startsWith('---');
  return plain ? value : JSON.stringify(value);
}

/** A value behind `key: `, lists in one line. */
export function yamlValue(value: string | readonly string[]): string {
  return typeof value === 'string' ? scalar(value) : `[${value.map(scalar).join(', ')}]`;
}
