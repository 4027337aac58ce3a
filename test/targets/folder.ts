import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";

/** A folder of files that is gone at the end of its scope. */
export class Folder {
  readonly path = mkdtempSync(join(tmpdir(), "kernelevolve-targets-"));

  write(name: string, text: string | Uint8Array): string {
    const file = join(this.path, name);
    mkdirSync(dirname(file), { recursive: true });
    writeFileSync(file, text);
    return file;
  }

  [Symbol.dispose](): void {
    rmSync(this.path, { recursive: true, force: true });
  }
}

/** A whole spec, as short as one can be; `more` is appended. */
export function spec(id: string, more = ""): string {
  return `id: ${id}
title: ${id}
vendor: any
kind: cpu
description: for a test
dtypes: [float32]
${more}`;
}

/** A spec that is run: a compiler called cc1x that is nowhere installed. */
export const RUN = `programs:
  cc1x:
    program: cc1x
    needed_for: [compile]
    install: { apt: "cc1x cc1x-dev", dnf: cc1x, brew: cc1x, distributions: { ubuntu: cc1x-ubuntu } }
abstractions:
  c:
    program: cc1x
    extension: .c
    command: [cc1x, "{flags}", "-o", "{output}", "{source}"]
    default_flags: [-O2]
    allowed_flags: ["-O[0-3]"]
run: { harness: native, metric: wall_time }
`;
