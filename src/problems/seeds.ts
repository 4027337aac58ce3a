import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import type { Problem } from "../domain/index.ts";
import { packageRoot } from "../platform/paths.ts";

export interface Seed {
  readonly name: string;
  readonly source: string;
  readonly note: string;
}

const EXTENSIONS: Readonly<Record<string, string>> = { c: ".c", cpp: ".cpp" };

/**
 * Kernels to start from: files of `knowledge/kernels/<target>/<op_type>/` whose header says `ke:problem` with this problem's name.
 * The first comment line that is no `ke:` line is the note.
 */
export function findSeeds(problem: Problem, targets: readonly string[], abstraction: string): Seed[] {
  const extension = EXTENSIONS[abstraction];
  if (extension === undefined) return [];
  const { name, op_type } = problem.definition;
  const seeds: Seed[] = [];
  for (const target of targets) {
    const folder = join(packageRoot, "knowledge", "kernels", target, op_type);
    if (!existsSync(folder)) continue;
    for (const file of readdirSync(folder).sort()) {
      if (!file.endsWith(extension)) continue;
      const source = readFileSync(join(folder, file), "utf8");
      const meant = /^\/\/ ke:problem (\S+)/m.exec(source)?.[1];
      if (meant !== name) continue;
      const note = /^\/\/ (?!ke:)(.*)$/m.exec(source)?.[1] ?? file;
      seeds.push({ name: file.slice(0, -extension.length), source, note });
    }
  }
  return seeds;
}
