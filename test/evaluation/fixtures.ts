import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll } from "vitest";
import {
  KernelEvolveError,
  type TargetSpec,
  type Toolchain,
  type WorkContext,
} from "../../src/domain/index.ts";
import { loadTargets } from "../../src/targets/index.ts";

/** The shipped target, read once. */
function cpuTarget(): TargetSpec {
  const found = loadTargets().targets.get("cpu-x86-64");
  if (found === undefined) throw new KernelEvolveError("not_found", "the shipped target cannot be read");
  return found.spec;
}

export const target: TargetSpec = cpuTarget();

function cToolchain(): Toolchain {
  const found = target.abstractions["c"];
  if (found === undefined)
    throw new KernelEvolveError("not_found", "the shipped target has no toolchain for C");
  return found;
}

export const toolchain: Toolchain = cToolchain();

export const context: WorkContext = { signal: new AbortController().signal, report: () => undefined };

/** A folder that is gone when the tests of the file have ended. */
export function testFolder(name: string): string {
  const folder = mkdtempSync(join(tmpdir(), `kernelevolve-test-${name}-`));
  afterAll(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}
