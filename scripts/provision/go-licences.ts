import { cpSync, mkdirSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import type { Recipe } from './cache.ts';
import { command } from './command.ts';

export type GoModule = { path: string; version: string };

/** Where a module's licence files lie in what `goLicencesRecipe` leaves. */
export function moduleDirectory({ path, version }: GoModule): string {
  return `${path.replaceAll('/', '__')}@${version}`;
}

/** The licence files of the modules that a Go program is made of: the program carries none of them. */
export function goLicencesRecipe(name: string, modules: readonly GoModule[]): Recipe {
  return {
    name: `licences-${name}`,
    build: async (stage) => {
      for (const module of modules) {
        const answer = await command('go', ['mod', 'download', '-json', `${module.path}@${module.version}`], { cwd: stage });
        const { Dir: directory } = JSON.parse(answer) as { Dir: string };
        const to = join(stage, 'home', moduleDirectory(module));
        mkdirSync(to, { recursive: true });
        for (const file of readdirSync(directory)) {
          if (/^(licen[cs]e|copying|notice)/i.test(file)) cpSync(join(directory, file), join(to, file), { recursive: true });
        }
      }
    },
  };
}
