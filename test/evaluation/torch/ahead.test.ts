import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";
import { createServices } from "../../../src/app/services.ts";
import type { EvaluationRecord, Problem, Services, WorkContext } from "../../../src/domain/index.ts";

const LONG = 300_000;
const quiet: WorkContext = { signal: new AbortController().signal, report: () => undefined };
const SOURCE = `import torch
import triton
import triton.language as tl

@triton.jit
def scaled(x, out, n, BLOCK: tl.constexpr):
    at = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    mask = at < n
    tl.store(out + at, tl.load(x + at, mask=mask) * 3, mask=mask)

class ModelNew(torch.nn.Module):
    def forward(self, x):
        out = torch.empty_like(x)
        scaled[(triton.cdiv(x.numel(), 256),)](x, out, x.numel(), BLOCK=256)
        return out
`;
const PROBLEM = `import torch
class Model(torch.nn.Module):
    def forward(self, x):
        return x * 3
def get_inputs():
    return [torch.randn(1000)]
def get_init_inputs():
    return []
`;

let home: string;
let services: Services;
let problem: Problem;

beforeAll(async () => {
  home = mkdtempSync(join(tmpdir(), "kernelevolve-ahead-"));
  services = createServices(home);
  problem = await services.problems.register(
    { origin: { format: "kernelbench", source: PROBLEM }, name: "scaled" },
    "amd-mi300x",
    quiet,
  );
}, LONG);
afterAll(async () => {
  await services.close();
  rmSync(home, { recursive: true, force: true });
});

const compile = (source: string, target: string): Promise<EvaluationRecord> =>
  services.evaluations.evaluate(
    { source, problem, target, abstraction: "triton" },
    { stages: ["compile"] },
    quiet,
  );

it.each([
  ["nvidia-h100", "ptx", ".target sm_90", ["ttir", "ttgir", "llir", "ptx", "cubin"]],
  ["nvidia-b200", "ptx", ".target sm_100", ["ttir", "ttgir", "llir", "ptx", "cubin"]],
  ["amd-mi300x", "amdgcn", "gfx942", ["ttir", "ttgir", "llir", "amdgcn", "hsaco"]],
  ["amd-mi350", "amdgcn", "gfx950", ["ttir", "ttgir", "llir", "amdgcn", "hsaco"]],
])(
  "compiles a Triton candidate for %s without the device",
  async (target, kind, telling, kinds) => {
    const record = await compile(SOURCE, target);
    expect(record, JSON.stringify(record.reasons)).toMatchObject({ status: "ok", target });
    const stage = record.stages.compile;
    expect(stage?.kernels?.[0]).toMatchObject({ name: "scaled", spill_bytes: 0, exceeds: [] });
    expect(stage?.kernels?.[0]?.registers).toBeGreaterThan(0);
    expect(stage?.kernels?.[0]?.occupancy).toBeGreaterThan(0.5);
    const names = Object.keys(stage?.artifacts ?? {});
    for (const one of kinds)
      expect(
        names.some((name) => name.endsWith(`.${one}`)),
        one,
      ).toBe(true);
    const id = stage?.artifacts[names.find((name) => name.endsWith(`.${kind}`)) ?? ""] ?? "";
    const { text } = await services.artifacts.read(id, { offset: 0, limit: 20_000 });
    expect(text).toContain(telling);
    expect(record.speedups).toEqual([]);
  },
  LONG,
);

it(
  "says where a kernel does not compile",
  async () => {
    const record = await compile(
      SOURCE.replace("tl.load(x + at, mask=mask) * 3", "tl.load(x + at, mask=mask) * nothing"),
      "nvidia-h100",
    );
    expect(record).toMatchObject({ verdict: "rejected", status: "compile_error" });
    expect(JSON.stringify(record.reasons)).toContain("nothing");
  },
  LONG,
);
