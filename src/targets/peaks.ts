import {
  closeSync,
  existsSync,
  mkdirSync,
  openSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { z } from "zod";
import { KernelEvolveError, type Peaks, peaksSchema, type WorkContext } from "../domain/index.ts";
import { sha256 } from "../platform/hash.ts";
import { cacheHome, packageRoot } from "../platform/paths.ts";
import { runProcess } from "../platform/subprocess.ts";
import type { Machine } from "./machine.ts";

const outputSchema = z.object({
  flops: z.record(z.string(), z.number().positive()),
  flops_all: z.record(z.string(), z.number().positive()),
  bandwidth: z.record(z.string(), z.number().positive()),
  bandwidth_all: z.record(z.string(), z.number().positive()),
  cores: z.int().positive(),
});

/** Names what the figures depend on: the same machine and the same program give the same file. */
function identity(machine: Machine, source: string): string {
  return sha256(
    JSON.stringify([machine.model, machine.microcode, machine.cores, machine.memory, source]),
  ).slice(0, 24);
}

function readCached(file: string): Peaks | undefined {
  try {
    const parsed = peaksSchema.safeParse(JSON.parse(readFileSync(file, "utf8")));
    return parsed.success ? parsed.data : undefined;
  } catch {
    return undefined;
  }
}

/** The higher of each figure: a peak is an upper bound, and either time the machine may have been busy. */
function higher(
  now: Readonly<Record<string, number>>,
  before: Readonly<Record<string, number>> = {},
): Record<string, number> {
  return Object.fromEntries(
    Object.entries(now).map(([name, value]) => [name, Math.max(value, before[name] ?? 0)]),
  );
}

/** Holds `file` for the time of `work`; a lock older than a minute was left by a dead process. */
async function locked<T>(file: string, context: WorkContext, work: () => Promise<T>): Promise<T> {
  for (let attempt = 0; ; attempt += 1) {
    try {
      closeSync(openSync(file, "wx"));
      break;
    } catch (error) {
      if (!existsSync(file)) {
        if (attempt > 5) throw error;
        continue;
      }
      const age = Date.now() - (statSync(file, { throwIfNoEntry: false })?.mtimeMs ?? Date.now());
      if (age > 60_000) rmSync(file, { force: true });
      else {
        context.report({ progress: 0, message: "another process is measuring this machine's peaks" });
        await sleep(200, undefined, { signal: context.signal });
      }
    }
  }
  try {
    return await work();
  } finally {
    rmSync(file, { force: true });
  }
}

/**
 * Multiply-adds and bytes a second of this machine, measured once (about 4 s) and kept in the machine's cache.
 * A damaged cache file is measured anew. `fresh` measures again and keeps the higher of each figure.
 * @throws missing_tool without gcc.
 */
export async function measurePeaks(machine: Machine, context: WorkContext, fresh = false): Promise<Peaks> {
  const source = readFileSync(join(packageRoot, "tools", "peaks", "peaks.c"), "utf8");
  const folder = join(cacheHome(), "peaks");
  mkdirSync(folder, { recursive: true });
  const file = join(folder, `${identity(machine, source)}.json`);
  const started = Date.now();
  const known = fresh ? undefined : readCached(file);
  if (known !== undefined) return known;
  return await locked(`${file}.lock`, context, async () => {
    // Another process may have measured while this one waited for the lock.
    const meanwhile = readCached(file);
    if (meanwhile !== undefined && (!fresh || Date.parse(meanwhile.measured_at) >= started)) return meanwhile;
    context.report({ progress: 0, message: "measuring this machine's peaks (once, about 4 s)" });
    const program = join(folder, `ke-peaks-${process.pid}`);
    try {
      const argv = ["gcc", "-O2", "-pthread", "-o", program, join(packageRoot, "tools", "peaks", "peaks.c")];
      const built = await runProcess({ argv, timeoutMs: 60_000, signal: context.signal }).catch(
        (error: unknown) => {
          throw new KernelEvolveError("missing_tool", "measuring peaks needs gcc", {
            fix: "apt-get install gcc libc6-dev",
            cause: error,
          });
        },
      );
      if (built.code !== 0)
        throw new KernelEvolveError(
          "infrastructure",
          `the peaks program does not build: ${built.stderr.slice(0, 500)}`,
        );
      const sizes = ["L1", "L2", "L3"].map((level) => String(machine.memory[level] ?? 0));
      const result = await runProcess({
        argv: [program, ...sizes],
        timeoutMs: 60_000,
        signal: context.signal,
      });
      if (result.code !== 0)
        throw new KernelEvolveError(
          "infrastructure",
          `the peaks program failed: ${result.stderr.slice(0, 300)}`,
        );
      const measured = outputSchema.parse(JSON.parse(result.stdout));
      const before = fresh ? readCached(file) : undefined;
      const peaks: Peaks = {
        machine: machine.model,
        measured_at: new Date().toISOString(),
        cores: measured.cores,
        flops: higher(measured.flops, before?.flops),
        flops_all: higher(measured.flops_all, before?.flops_all),
        bandwidth: higher(measured.bandwidth, before?.bandwidth),
        bandwidth_all: higher(measured.bandwidth_all, before?.bandwidth_all),
      };
      writeFileSync(`${file}.${process.pid}.part`, `${JSON.stringify(peaks, null, 1)}\n`);
      renameSync(`${file}.${process.pid}.part`, file);
      return peaks;
    } finally {
      rmSync(program, { force: true });
    }
  });
}
