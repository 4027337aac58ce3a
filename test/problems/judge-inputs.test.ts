import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { createServices } from "../../src/app/services.ts";
import { definitionSchema, type Services, workloadSchema } from "../../src/domain/index.ts";
import { makeProblem } from "../../src/problems/index.ts";

/**
 * What a workload promises of its inputs, the judge must keep: the reference here counts broken promises in what it is
 * handed, and the candidate says there are none.
 */
const definition = definitionSchema.parse({
  name: "promises",
  op_type: "check",
  axes: { R: { type: "var" }, C: { type: "var" }, P: { type: "var" }, Four: { type: "const", value: 4 } },
  inputs: {
    table: { shape: ["R", "C"], dtype: "int64" },
    borders: { shape: ["R", "C"], dtype: "float32" },
    offsets: { shape: ["P"], dtype: "int32" },
    ids: { shape: ["C"], dtype: "uint8" },
  },
  outputs: { broken: { shape: ["Four"], dtype: "int32" } },
  reference_c: `#include "kernel.h"
void kernel(const int64_t *table, const real_t *borders, const int32_t *offsets, const uint8_t *ids, int32_t *broken, int64_t R,
            int64_t C, int64_t P, int64_t Four) {
  for (int64_t i = 0; i < Four; i++) broken[i] = 0;
  for (int64_t i = 0; i < R * C; i++) {
    broken[0] += table[i] < -3 || table[i] > 2 * C - 3 || (i % C > 0 && table[i] <= table[i - 1]);
    broken[1] += borders[i] < -2 || borders[i] > 2 || (i % C > 0 && borders[i] <= borders[i - 1]);
  }
  broken[2] += offsets[0] != 0 || offsets[P - 1] != R * C;
  for (int64_t i = 1; i < P; i++) broken[2] += offsets[i] < offsets[i - 1];
  for (int64_t i = 0; i < C; i++) broken[3] += ids[i] < 5 || ids[i] > 9;
}
`,
});

const random = (generator: Record<string, unknown>) => ({ type: "random", generator });
const workloads = [
  [4, 97],
  [1, 4099],
  [7, 1],
].map(([R = 1, C = 1], index) =>
  workloadSchema.parse({
    uuid: `w${index}`,
    axes: { R, C, P: 31 },
    inputs: {
      table: random({ distribution: "sorted", low: -3, high: 2 * C - 3 }),
      borders: random({ distribution: "sorted", low: -2, high: 2 }),
      offsets: random({ distribution: "offsets", total: "R*C" }),
      ids: random({ distribution: "integers", low: "5", high: "9" }),
    },
  }),
);

const candidate = (answer: number): string => `#include "kernel.h"
void kernel(const int64_t *table, const float *borders, const int32_t *offsets, const uint8_t *ids, int32_t *broken, int64_t R,
            int64_t C, int64_t P, int64_t Four) {
  (void)table; (void)borders; (void)offsets; (void)ids; (void)R; (void)C; (void)P;
  for (int64_t i = 0; i < Four; i++) broken[i] = ${answer};
}
`;

describe("the inputs that the judge makes", () => {
  const home = mkdtempSync(join(tmpdir(), "ke-inputs-"));
  let services: Services;
  beforeAll(() => {
    services = createServices(home);
  });
  afterAll(async () => {
    await services.close();
    rmSync(home, { recursive: true, force: true });
  });

  const status = async (answer: number): Promise<string> => {
    const problem = makeProblem(definition, workloads, { source: "registered" });
    const record = await services.evaluations.evaluate(
      { source: candidate(answer), problem, target: "cpu-x86-64", abstraction: "c" },
      { stages: ["compile", "verify"] },
      { signal: new AbortController().signal, report: () => undefined },
    );
    return record.status;
  };

  it("keep every promise of their generators", async () => {
    expect(await status(0)).toBe("ok");
  });

  it("and this test would notice if not", async () => {
    expect(await status(1)).toBe("wrong_answer");
  });
});
