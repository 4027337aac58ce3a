import { copyFileSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, expect, test } from "vitest";
import type { ProgressUpdate } from "../../../src/domain/index.ts";
import { sandboxUid } from "../../../src/evaluation/sandbox/run.ts";
import { ask, benchmarkedOf, build, fixture, verifiedOf } from "./harness.ts";

const scratch = mkdtempSync(join(tmpdir(), "kernelevolve-test-judge-"));
afterAll(() => rmSync(scratch, { recursive: true, force: true }));

const body = (type: string, work = ""): string => `#include "kernel.h"
#include <stdlib.h>
void kernel(const ${type} *x, ${type} *y, int64_t N) {
  for (int64_t i = 0; i < N; i++) y[i] = x[i] * 3 + 1;
  ${work}
}
`;
const workloads = [
  { uuid: "small", axes: { N: 2000 } },
  { uuid: "edge", axes: { N: 3 }, role: "edge" },
];
const problemOf = (reference: string) =>
  fixture(
    {
      name: "map",
      op_type: "map",
      axes: { N: { type: "var" } },
      inputs: { x: { shape: ["N"], dtype: "float32" } },
      outputs: { y: { shape: ["N"], dtype: "float32" } },
      reference_c: reference,
    },
    workloads,
  );
const problem = problemOf(body("real_t"));
const quick = { budgetSeconds: 0.2, generations: { min: 2, max: 2 } };

function processesOf(uid: number): string[] {
  return readdirSync("/proc").filter((entry) => {
    try {
      const status = readFileSync(`/proc/${entry}/status`, "utf8");
      return (
        [uid, uid + 10_000].includes(Number(/^Uid:\s+(\d+)/m.exec(status)?.[1])) &&
        !/^State:\s+Z/m.test(status)
      );
    } catch {
      return false;
    }
  });
}

test.each(["cold", "warm"] as const)("only timed workloads are timed, with %s caches", async (cache) => {
  const events = await ask("benchmark", problem, body("float"), { ...quick, cache });
  const timed = benchmarkedOf(events);
  expect(timed.map((one) => one.workload)).toEqual(["small"]);
  expect(timed[0]).toMatchObject({ generations: 2, handshake: "spin" });
  expect(timed[0]?.candidate.samples).toBe(timed[0]?.rounds);
  expect(timed[0]?.checked).toBeGreaterThanOrEqual(4);
  const [speedup] = timed[0]?.baselines ?? [];
  expect(speedup?.low).toBeLessThanOrEqual(speedup?.ratio ?? 0);
  expect(speedup?.high).toBeGreaterThanOrEqual(speedup?.ratio ?? Number.POSITIVE_INFINITY);
  expect(events.at(-1)).toMatchObject({ event: "end", seed: expect.stringMatching(/^[0-9a-f]{16}$/) });
});

test("the seed is another every time", async () => {
  const seeds = await Promise.all(
    [1, 2].map(async () => (await ask("verify", problem, body("float"))).at(-1)),
  );
  expect(seeds[0]).not.toEqual(seeds[1]);
});

test("several baselines are timed in the same rounds", async () => {
  const reference = build(problem, problem.definition.reference_c ?? "", ["-O2", "-DKE_REFERENCE"]);
  const slow = build(
    problem,
    body(
      "float",
      "for (int k = 0; k < 9; k++) for (int64_t i = 0; i < N; i++) *(volatile float *)&y[i] = y[i];",
    ),
  );
  const baselines = [
    { name: "reference", path: reference },
    { name: "slow one", path: slow },
  ];
  const [timed] = benchmarkedOf(await ask("benchmark", problem, body("float"), { ...quick, baselines }));
  expect(timed?.baselines.map((one) => one.name)).toEqual(["reference", "slow one"]);
  expect(timed?.baselines[1]?.ratio).toBeGreaterThan((timed?.baselines[0]?.ratio ?? 0) * 1.5);
});

test("timing is exclusive on a device: the second waits and says so", async () => {
  const lock = join(scratch, "device.lock");
  const told: string[] = [];
  const context = {
    signal: new AbortController().signal,
    report: (progress: ProgressUpdate) => void told.push(progress.message ?? ""),
  };
  const both = [1, 2].map(() => ask("benchmark", problem, body("float"), { ...quick, lock, context }));
  const [first, second] = await Promise.all(both);
  expect([...(first ?? []), ...(second ?? [])].filter((event) => event.event === "waiting")).toHaveLength(1);
  expect(told.filter((message) => /waiting for the device/.test(message))).toHaveLength(1);
  expect(told.some((message) => /timed small/.test(message))).toBe(true);
});

test("a cancelled judge is gone at once, and its hosts with it", async () => {
  const uid = process.getuid?.() === 0 ? sandboxUid() : 0;
  const stop = new AbortController();
  const context = { signal: stop.signal, report: () => undefined };
  const running = ask("verify", problem, body("float", "for (;;) { }"), { context, callSeconds: 60, uid });
  const ended = expect(running).rejects.toMatchObject({ code: "cancelled" });
  await sleep(700);
  stop.abort();
  const started = performance.now();
  await ended;
  expect(performance.now() - started).toBeLessThan(5000);
  await sleep(100);
  if (uid > 0) expect(processesOf(uid)).toEqual([]);
});

test("a reference that crashes is the problem's fault, not the kernel's", async () => {
  const broken = problemOf(body("real_t", "abort();"));
  await expect(ask("verify", broken, body("float"))).rejects.toMatchObject({
    code: "infrastructure",
    message: expect.stringContaining("the problem's reference did not answer on workload small"),
  });
});

test("a baseline that crashes is told as the baseline's", async () => {
  const dead = build(problem, body("float", "abort();"));
  const events = await ask("verify", problem, body("float"), {
    baselines: [{ name: "reference", path: dead }],
  });
  expect(events.find((event) => event.event === "host_failure")).toMatchObject({
    role: "baseline",
    code: "aborted",
  });
  expect(verifiedOf(events).every((one) => one.passed)).toBe(false);
});

test("an object that is no object does not load", async () => {
  const file = join(scratch, "text.so");
  writeFileSync(file, "not an ELF file");
  const events = await ask("verify", problem, body("float"), { candidate: file });
  expect(events.find((event) => event.event === "host_failure")).toMatchObject({
    code: "load_failed",
    role: "candidate",
  });
});

test("paths may hold any character", async () => {
  const file = join(scratch, `odd 100% "quoted" \\ é\n.so`);
  copyFileSync(build(problem, body("float")), file);
  const events = await ask("verify", problem, body("float"), { candidate: file });
  expect(verifiedOf(events).map((one) => one.passed)).toEqual([true, true]);
});

test("a job that names no such file is an infrastructure error", async () => {
  await expect(
    ask("verify", problem, body("float"), { candidate: join(scratch, "absent.so") }),
  ).rejects.toMatchObject({
    code: "infrastructure",
    message: expect.stringContaining("cannot open"),
  });
});

test("a host says how it is confined", async () => {
  const [verified] = verifiedOf(await ask("verify", problem, body("float")));
  // The system-call filter always; the user of its own when there is a root to give it up.
  expect((verified?.confinement ?? 0) & 1).toBe(1);
  if (process.getuid?.() === 0) expect((verified?.confinement ?? 0) & 4).toBe(4);
});
