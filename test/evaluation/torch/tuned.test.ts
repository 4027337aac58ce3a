import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { autotuneDriver } from "../../../src/agent/autotune/driver.ts";
import { createServices } from "../../../src/app/services.ts";
import type { EvaluationRecord, Problem, Services, WorkContext } from "../../../src/domain/index.ts";
import { parseHeader } from "../../../src/evaluation/candidate/header.ts";
import { probeTorch, TORCH_FIX } from "../../../src/platform/torch-environment.ts";

const LONG = 400_000;
const quiet: WorkContext = { signal: new AbortController().signal, report: () => undefined };

const PROBLEM = `import torch
class Model(torch.nn.Module):
    def forward(self, x):
        return x * 2.0
def get_inputs():
    return [torch.randn(64, 33)]
def get_init_inputs():
    return []
`;
/** Right in blocks of rows, of whatever size; wrong where the factor says so. */
const TORCH = `import torch
ROWS = 16  # ke:tunable int {8,16,32}
FACTOR = "two"  # ke:tunable enum {two,three}
class ModelNew(torch.nn.Module):
    def forward(self, x):
        factor = {"two": 2.0, "three": 3.0}[FACTOR]
        return torch.cat([part * factor for part in x.split(ROWS)])
`;
const TRITON = `import torch
import triton
import triton.language as tl
BLOCK = 64  # ke:tunable int {64,256}
@triton.jit
def double(x, y, n, BLOCK: tl.constexpr):
    at = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    tl.store(y + at, tl.load(x + at, mask=at < n) * 2.0, mask=at < n)
class ModelNew(torch.nn.Module):
    def forward(self, x):
        x = x.contiguous()
        y = torch.empty_like(x)
        double[(triton.cdiv(x.numel(), BLOCK),)](x, y, x.numel(), BLOCK=BLOCK)
        return y
`;

let home: string;
let services: Services;
let problem: Problem;

beforeAll(async () => {
  const environment = await probeTorch();
  expect(environment.python, `these tests need ${TORCH_FIX}: ${environment.detail}`).toBeDefined();
  home = mkdtempSync(join(tmpdir(), "kernelevolve-tuned-"));
  services = createServices(home);
  const origin = { format: "kernelbench" as const, source: PROBLEM };
  problem = await services.problems.register({ origin, name: "2_Double" }, "torch-cpu", quiet);
}, LONG);

afterAll(async () => {
  await services.close();
  rmSync(home, { recursive: true, force: true });
});

const verified = (
  source: string,
  tunables: Record<string, string> | undefined,
  abstraction = "pytorch",
): Promise<EvaluationRecord> =>
  services.evaluations.evaluate(
    { source, problem, target: "torch-cpu", abstraction },
    { stages: ["verify"], ...(tunables === undefined ? {} : { tunables }) },
    quiet,
  );

describe("tunables of candidates in Python", () => {
  it(
    "reach the code: the same source is right or wrong by its value",
    async () => {
      const asked = [{}, { ROWS: "8" }, { FACTOR: "three" }].map((tunables) => verified(TORCH, tunables));
      const records = await Promise.all(asked);
      expect(records.map(({ verdict }) => verdict)).toEqual(["passed", "passed", "rejected"]);
      expect(records[2]?.status).toBe("wrong_answer");
      expect(new Set(records.map(({ id }) => id)).size).toBe(3);
    },
    LONG,
  );

  it(
    "reach a Triton kernel as a constexpr, in the interpreter too",
    async () => {
      const records = await Promise.all(["64", "256"].map((BLOCK) => verified(TRITON, { BLOCK }, "triton")));
      expect(records.map(({ verdict }) => verdict)).toEqual(["passed", "passed"]);
    },
    LONG,
  );

  it.each([
    [
      "a header as in C",
      `# ke:tunable ROWS int 16 {8,16}\n${TORCH.replace(/ {2}# ke.*/, "")}`,
      /reach nothing/,
    ],
    ["flags", `# ke:flags -O3\n${TORCH}`, /ke:flags have no effect/],
    ["a value that is not declared", TORCH.replace("= 16 ", "= 7 "), /not among its values/],
  ])("refuses %s", async (_what, source, message) => {
    await expect(verified(source, undefined)).rejects.toThrow(message);
  });

  it(
    "are what the autotune driver tunes, each configuration judged",
    async () => {
      const { evolution } = services;
      const run = await evolution.start({
        problem: problem.id,
        target: "torch-cpu",
        abstraction: "pytorch",
        policy: "greedy",
        policy_params: { drafts: 1 },
        budget: { nodes: 4 },
      });
      const driver = autotuneDriver({ evolution });
      await expect(driver.drive(run.id, quiet)).rejects.toThrow(/has no kernel yet/);
      const { claim } = await evolution.next(run.id, "agent", { token_budget: 0 });
      const input = { run: run.id, claim: claim.id, source: TORCH, rationale: "rows", proposer: "agent" };
      const { node } = await evolution.submit(input, quiet);
      expect(node.verdict).toBe("passed");
      await driver.drive(run.id, quiet);
      const nodes = await evolution.nodes(run.id);
      expect(nodes).toHaveLength(4);
      const settings = await Promise.all(
        nodes.map(async ({ id, verdict }) => {
          const { tunables } = parseHeader((await evolution.node(id)).source);
          const text = tunables.map(({ value }) => value).join();
          // Wrong exactly where the tunable makes it wrong.
          expect(verdict, text).toBe(text.endsWith("three") ? "rejected" : "passed");
          return text;
        }),
      );
      expect(new Set(settings).size).toBe(4);
    },
    LONG,
  );
});
