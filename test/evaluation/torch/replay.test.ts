import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";
import { createServices } from "../../../src/app/services.ts";
import type {
  EvaluateOptions,
  EvaluationRecord,
  Problem,
  Services,
  WorkContext,
} from "../../../src/domain/index.ts";
import { probeTorch } from "../../../src/platform/torch-environment.ts";

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

const evaluate = (
  target: string,
  options: EvaluateOptions,
  abstraction = "triton",
): Promise<EvaluationRecord> =>
  services.evaluations.evaluate({ source: SOURCE, problem, target, abstraction }, options, quiet);

async function lowered(target: string, kind: string): Promise<string> {
  const record = await evaluate(target, { stages: ["compile"] });
  const artifacts = record.stages.compile?.artifacts ?? {};
  const name = Object.keys(artifacts).find((one) => one.endsWith(`.${kind}`)) ?? "";
  const id = artifacts[name];
  if (id === undefined) throw new Error(`no ${kind} among ${Object.keys(artifacts).join()}`);
  return (await services.artifacts.read(id, { offset: 0, limit: 1_000_000 })).text;
}

beforeAll(async () => {
  home = mkdtempSync(join(tmpdir(), "kernelevolve-replay-"));
  services = createServices(home);
  problem = await services.problems.register(
    { origin: { format: "kernelbench", source: PROBLEM }, name: "scaled" },
    "nvidia-h100",
    quiet,
  );
}, LONG);
afterAll(async () => {
  await services.close();
  rmSync(home, { recursive: true, force: true });
});

it.each([
  ["nvidia-h100", "ptx", "cubin", "// by hand\n"],
  ["amd-mi300x", "amdgcn", "hsaco", "; by hand\n"],
])(
  "an edited text for %s is assembled in its kernel's place",
  async (target, kind, binary, comment) => {
    const text = `${comment}${await lowered(target, kind)}`;
    const record = await evaluate(target, { stages: ["compile"], replace: { kernel: "scaled", text } });
    expect(record, JSON.stringify(record.reasons)).toMatchObject({ status: "ok", verdict: "passed" });
    expect(record.stages.compile?.kernels?.map((one) => one.name)).toEqual(["scaled (edited)", "scaled"]);
    const artifacts = record.stages.compile?.artifacts ?? {};
    expect(Object.keys(artifacts)).toContain(`replaced_scaled.${binary}`);
    const kept = await services.artifacts.read(artifacts[`replaced_scaled.${kind}`] ?? "", {
      offset: 0,
      limit: 100,
    });
    expect(kept.text.startsWith(comment)).toBe(true);
  },
  LONG,
);

it(
  "an edited text that does not assemble is answered with its line",
  async () => {
    const lines = (await lowered("nvidia-h100", "ptx")).split("\n");
    const at = lines.findIndex((line) => /^\s*ret;/.test(line));
    lines[at] = "\tnonsense %r1;";
    const replace = { kernel: "", text: lines.join("\n") };
    const record = await evaluate("nvidia-h100", { stages: ["compile"], replace });
    expect(record).toMatchObject({ status: "compile_error", verdict: "rejected" });
    expect(record.reasons.map((one) => one.message).join()).toContain(`(line ${at + 1})`);
    const other = await evaluate("nvidia-h100", {
      stages: ["compile"],
      replace: { kernel: "", text: lines.join("\n").replaceAll("scaled", "other") },
    });
    expect(other.reasons[0]?.message).toContain("defines the kernel other, not scaled");
  },
  LONG,
);

it("says what is missing to run it", async () => {
  const replace = { kernel: "", text: ".version 8.0" };
  const environment = await probeTorch();
  if (!environment.devices.some((device) => device.name.includes("H100")))
    await expect(evaluate("nvidia-h100", { stages: ["verify"], replace })).rejects.toMatchObject({
      code: "unsupported",
      message: expect.stringContaining("H100"),
      fix: expect.stringContaining("kernel_compile"),
    });
  await expect(evaluate("torch-cpu", { replace })).rejects.toMatchObject({
    code: "unsupported",
    message: "replace: triton on torch-cpu is not compiled to PTX or AMDGCN",
  });
  await expect(evaluate("cpu-x86-64", { replace }, "c")).rejects.toMatchObject({
    code: "unsupported",
    message: expect.stringContaining("compiles no PTX"),
  });
});
