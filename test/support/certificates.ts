import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import { missing, which } from '../../scripts/provision/command.ts';
import { temporaryDirectory } from '../../scripts/servers.ts';

/** PEM files. */
export type Certificate = { certFile: string; keyFile: string };

/** A certificate authority that nobody knows, as a company has one. Made by openssl, which every JDK package of Debian brings along. */
export class Authority {
  readonly #directory = temporaryDirectory('tls');
  readonly caFile: string;
  readonly #ca: Certificate;

  constructor(name = 'authority') {
    if (which('openssl') === undefined)
      throw missing('certificates are made by openssl', 'install it (Debian: apt-get install openssl)');
    this.#ca = this.#files('ca');
    this.caFile = this.#ca.certFile;
    this.#make(this.#ca, `/CN=${name}`, ['-addext', 'keyUsage=critical,keyCertSign,cRLSign']);
  }

  /** For a server on the loopback interface, or with another `names`; also good for a client. */
  issue(subject: string, names = 'DNS:localhost,IP:127.0.0.1'): Certificate {
    const files = this.#files(subject);
    const issuer = ['-CA', this.#ca.certFile, '-CAkey', this.#ca.keyFile];
    const leaf = ['-addext', `subjectAltName=${names}`, '-addext', 'basicConstraints=critical,CA:FALSE'];
    this.#make(files, `/CN=${subject}`, [...issuer, ...leaf]);
    return files;
  }

  #files(name: string): Certificate {
    return { certFile: join(this.#directory, `${name}.pem`), keyFile: join(this.#directory, `${name}.key`) };
  }

  #make({ certFile, keyFile }: Certificate, subject: string, more: readonly string[]): void {
    const key = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-noenc', '-keyout', keyFile];
    execFileSync('openssl', ['req', '-x509', ...key, '-out', certFile, '-days', '2', '-subj', subject, ...more], {
      stdio: ['ignore', 'ignore', 'pipe'],
    });
  }
}
