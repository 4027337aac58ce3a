import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { createServices } from "../../src/app/services.ts";
import type { Services } from "../../src/domain/index.ts";
import { parseHeader } from "../../src/evaluation/index.ts";
import { loadProblems } from "../../src/problems/index.ts";

const home = mkdtempSync(join(tmpdir(), "kernelevolve-seeds-"));
let services: Services;
beforeAll(() => {
  services = createServices(home);
});
afterAll(async () => {
  await services.close();
  rmSync(home, { recursive: true, force: true });
});

/** Problems for which at least three seeds ship: naive, blocked, vectorised (the reference itself is one more). */
const TUNED = [
  "matmul",
  "softmax",
  "layer-norm",
  "row-reduction",
  "conv1d",
  "batched-event-truncation",
  "scaled-dot-product-attention",
];
const work = { signal: new AbortController().signal, report: () => undefined };

test("every tuned problem has three seeds with tunables or flags to tune", async () => {
  for (const name of TUNED) {
    const seeds = (
      await services.problems.seeds(await services.problems.get(name), "cpu-x86-64", "c")
    ).filter((seed) => seed.name !== "reference");
    expect(seeds.length, name).toBeGreaterThanOrEqual(3);
    for (const seed of seeds) {
      const header = parseHeader(seed.source);
      expect(header.techniques.length, `${name}/${seed.name}`).toBeGreaterThan(0);
      expect(header.tunables.length + header.tunableFlags.length, `${name}/${seed.name}`).toBeGreaterThan(0);
    }
  }
});

const names = [...loadProblems().problems.keys()];
test.each(names)("every seed of %s is right on every workload", async (name) => {
  const problem = await services.problems.get(name);
  for (const seed of await services.problems.seeds(problem, "cpu-x86-64", "c")) {
    const record = await services.evaluations.evaluate(
      { source: seed.source, problem, target: "cpu-x86-64", abstraction: "c" },
      { stages: ["compile", "verify"] },
      work,
    );
    expect(
      `${seed.name}: ${record.verdict} ${record.reasons.map((reason) => reason.message).join("; ")}`,
    ).toBe(`${seed.name}: passed `);
  }
});

test("extreme values of the tunables are right too", async () => {
  for (const name of TUNED) {
    const problem = await services.problems.get(name);
    for (const seed of await services.problems.seeds(problem, "cpu-x86-64", "c")) {
      const { tunables } = parseHeader(seed.source);
      for (const end of [0, -1]) {
        const values = Object.fromEntries(
          tunables.map((tunable) => [tunable.name, tunable.values.at(end) ?? tunable.value]),
        );
        const record = await services.evaluations.evaluate(
          { source: seed.source, problem, target: "cpu-x86-64", abstraction: "c" },
          { stages: ["compile", "verify"], tunables: values },
          work,
        );
        // A value that a seed refuses with #error (a tile below the vector length) is an answer as well.
        const text = `${name}/${seed.name} ${JSON.stringify(values)}: ${record.status} ${record.reasons.map((reason) => reason.message).join("; ")}`;
        expect(["ok", "compile_error"], text).toContain(record.status);
        if (record.status === "compile_error") expect(text).toContain("must be a multiple");
      }
    }
  }
});
