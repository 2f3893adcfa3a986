import { safeUrl } from '../core/safe-url.ts';

/** Shorter texts than this appear by chance in any line; no secret worth the name is. */
const SECRET_LENGTH_MIN = 4;

/** The text without the given secrets and without the credentials of URLs; in plain text and within JSON. */
export function hideSecrets(text: string, secrets: readonly string[]): string {
  let hidden = safeUrl(text);
  for (const secret of secrets) {
    if (secret.length < SECRET_LENGTH_MIN) continue;
    hidden = hidden.replaceAll(secret, '***').replaceAll(JSON.stringify(secret).slice(1, -1), '***');
  }
  return hidden;
}
