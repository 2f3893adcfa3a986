import { createHash, timingSafeEqual } from 'node:crypto';

/** Whether a request carries `Authorization: Bearer TOKEN`; how long the answer takes tells nothing of the token. */
export function carriesToken(request: { headers: { authorization?: string | undefined } }, token: string): boolean {
  const given = /^Bearer (.+)$/i.exec(request.headers.authorization ?? '')?.[1] ?? '';
  return timingSafeEqual(digest(given), digest(token));
}

function digest(text: string): Buffer {
  return createHash('sha256').update(text).digest();
}
