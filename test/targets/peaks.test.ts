import { execFile } from "node:child_process";
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { promisify } from "node:util";
import { afterEach, beforeEach, expect, it } from "vitest";
import type { WorkContext } from "../../src/domain/index.ts";
import { readMachine } from "../../src/targets/machine.ts";
import { measurePeaks } from "../../src/targets/peaks.ts";
import { Folder } from "./folder.ts";

let folder: Folder;
const before = process.env["KERNELEVOLVE_CACHE"];

beforeEach(() => {
  folder = new Folder();
  process.env["KERNELEVOLVE_CACHE"] = folder.path;
});
afterEach(() => {
  if (before === undefined) delete process.env["KERNELEVOLVE_CACHE"];
  else process.env["KERNELEVOLVE_CACHE"] = before;
  folder[Symbol.dispose]();
});

const machine = readMachine();

function watched(): { context: WorkContext; said: string[] } {
  const said: string[] = [];
  const report = (update: { message?: string | undefined }): void => void said.push(update.message ?? "");
  return { context: { signal: new AbortController().signal, report }, said };
}

it("measures once, keeps it, measures a damaged file anew, and never lowers a figure", async () => {
  const first = watched();
  // Two at once: the second waits for the first.
  const [one, two] = await Promise.all([
    measurePeaks(machine, first.context),
    measurePeaks(machine, first.context),
  ]);
  expect(two).toEqual(one);
  expect(first.said.filter((text) => text.startsWith("measuring"))).toHaveLength(1);
  const fastest = Math.max(...Object.values(one.flops));
  expect(fastest).toBeGreaterThanOrEqual(one.flops["float32.scalar"] ?? Number.POSITIVE_INFINITY);
  expect(one.bandwidth["L1"]).toBeGreaterThan(one.bandwidth["DRAM"] ?? Number.POSITIVE_INFINITY);

  const again = watched();
  expect(await measurePeaks(machine, again.context)).toEqual(one);
  expect(again.said).toEqual([]);

  const cache = join(folder.path, "peaks");
  const [name = ""] = readdirSync(cache).filter((file) => file.endsWith(".json"));
  const file = join(cache, name);
  const high = {
    ...one,
    bandwidth: { ...one.bandwidth, DRAM: 9e15 },
    flops: { ...one.flops, "float32.scalar": 1 },
  };
  writeFileSync(file, JSON.stringify(high));
  const fresh = await measurePeaks(machine, watched().context, true);
  expect(fresh.bandwidth["DRAM"]).toBe(9e15);
  expect(fresh.flops["float32.scalar"]).toBeGreaterThan(1e8);

  writeFileSync(file, readFileSync(file, "utf8").slice(0, 40));
  const repaired = await measurePeaks(machine, watched().context);
  expect(repaired.bandwidth["DRAM"]).toBeLessThan(9e15);
  expect(readdirSync(cache)).toEqual([name]);
}, 120_000);

it("is measured by one of several processes; the others take its answer", async () => {
  const script = join(import.meta.dirname, "children", "measure.ts");
  const argv = ["--disable-warning=ExperimentalWarning", script];
  const env = { ...process.env, KERNELEVOLVE_CACHE: folder.path };
  const ended = await Promise.all(
    Array.from({ length: 3 }, async () => await promisify(execFile)(process.execPath, argv, { env })),
  );
  const answers = ended.map(({ stdout }): unknown => JSON.parse(stdout));
  const times = new Set(answers.map((one) => JSON.stringify(one).replace(/.*"at":/, "")));
  expect(answers.filter((one) => JSON.stringify(one).includes('"measured":true'))).toHaveLength(1);
  expect(times.size).toBe(1);
}, 120_000);
