/** User name and password between a scheme and a host; greedy, so that an unescaped `@` in a password is covered too. */
const CREDENTIALS = /([a-z][a-z0-9+.-]*:\/\/)[^\s/"'?#]*@/gi;

/** The text with the credentials of every URL in it replaced by `***`. Every message and log line that names a host uses this. */
export function safeUrl(text: string): string {
  return text.replace(CREDENTIALS, '$1***@');
}
