import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { createServices } from "../../../src/app/services.ts";
import type {
  EvaluateOptions,
  EvaluationRecord,
  Problem,
  Services,
  WorkContext,
} from "../../../src/domain/index.ts";
import { probeTorch, TORCH_FIX } from "../../../src/platform/torch-environment.ts";

/** A warm start of PyTorch on a busy machine, and several processes for each candidate. */
const LONG = 240_000;
const quiet: WorkContext = { signal: new AbortController().signal, report: () => undefined };

let home: string;
let services: Services;
let scale: Problem;

const SCALE = `import torch
class Model(torch.nn.Module):
    def __init__(self, n):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.rand(n))
    def forward(self, x):
        return torch.relu(x * self.weight + 0.5)
def get_inputs():
    return [torch.randn(37, 61)]
def get_init_inputs():
    return [61]
`;
const candidate = (body: string, before = ""): string => `import torch
${before}
class ModelNew(torch.nn.Module):
    def __init__(self, n):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.rand(n))
    def forward(self, x):
${body
  .split("\n")
  .map((line) => `        ${line}`)
  .join("\n")}
`;
const RIGHT = candidate("return torch.addcmul(torch.tensor(0.5), x, self.weight).clamp_min(0)");

const judge = (
  problem: Problem,
  source: string,
  options: EvaluateOptions = { stages: ["verify"] },
  abstraction = "pytorch",
): Promise<EvaluationRecord> =>
  services.evaluations.evaluate({ source, problem, target: "torch-cpu", abstraction }, options, quiet);
const codes = (record: EvaluationRecord): string[] => record.reasons.map((reason) => reason.code);

beforeAll(async () => {
  const environment = await probeTorch();
  expect(environment.python, `these tests need ${TORCH_FIX}: ${environment.detail}`).toBeDefined();
  home = mkdtempSync(join(tmpdir(), "kernelevolve-torch-"));
  services = createServices(home);
  scale = await services.problems.register(
    { origin: { format: "kernelbench", source: SCALE }, name: "1_Scale" },
    "torch-cpu",
    quiet,
  );
}, LONG);

afterAll(async () => {
  await services.close();
  rmSync(home, { recursive: true, force: true });
});

describe("a KernelBench problem", () => {
  it("is registered with its workload, graded, and told to proposers", () => {
    expect(scale.id).toMatch(/^1_scale@[0-9a-f]{12}$/);
    expect(scale.workloads.map(({ uuid, role }) => ({ uuid, role }))).toEqual([
      { uuid: "default", role: "timed" },
    ]);
    expect(scale.grading?.degenerate).toBe(false);
    expect(services.problems.prototype(scale, "triton")).toContain("class ModelNew");
  });

  it(
    "has a right candidate verified in the sandbox, with the same weights by name",
    async () => {
      const record = await judge(scale, RIGHT);
      expect(record, JSON.stringify(record.reasons)).toMatchObject({
        verdict: "passed",
        status: "ok",
        target: "torch-cpu",
      });
      expect(record.stages.verify?.workloads[0]).toMatchObject({ workload: "default", passed: true });
      expect(record.versions["torch"]).toBeDefined();
      expect((await judge(scale, RIGHT)).cached).toBe(true);
    },
    LONG,
  );

  it(
    "is timed beside eager, with an interval, and finds no gain in the same computation",
    async () => {
      const same = candidate("return torch.relu(x * self.weight + 0.5)");
      const record = await judge(scale, same, { baselines: ["eager"], benchmark_seconds: 4 });
      expect(["ok", "too_noisy"], JSON.stringify(record.reasons)).toContain(record.status);
      const [speedup] = record.speedups;
      expect(speedup?.baseline).toBe("eager");
      expect(speedup?.low).toBeLessThanOrEqual(speedup?.ratio ?? 0);
      expect(speedup?.credited).toBe(false);
    },
    LONG,
  );

  it(
    "is profiled: who did the work, and what the time goes to",
    async () => {
      const many = candidate("y = x\nfor _ in range(6): y = y + 0\nreturn torch.relu(y * self.weight + 0.5)");
      const record = await judge(scale, many, {
        stages: ["profile"],
        baselines: ["eager"],
        benchmark_seconds: 3,
      });
      // On a busy machine an operator takes longer than a launch, and nothing may be said.
      expect(record.stages.profile, JSON.stringify(record.reasons)).toMatchObject({
        profiler: "pytorch",
        diagnosis: { bottleneck: expect.stringMatching(/^(launch|unknown)$/) },
      });
      expect(record.stages.profile?.metrics["torch_operators"]).toBeGreaterThan(6);
      expect(codes(record)).toContain("no_own_kernel");
    },
    LONG,
  );

  it.each([
    [
      "a wrong answer",
      candidate("return torch.relu(x * self.weight)"),
      "rejected",
      "wrong_answer",
      "value_mismatch",
    ],
    [
      "another shape",
      candidate("return torch.relu(x * self.weight + 0.5)[:-1]"),
      "rejected",
      "wrong_answer",
      "wrong_shape",
    ],
    ["an exception", candidate("raise ValueError('no')"), "rejected", "runtime_error", "exception"],
    ["no Python", "def (", "rejected", "compile_error", "compile_error"],
    ["no ModelNew", "import torch\n", "rejected", "compile_error", "compile_error"],
    [
      "an input that is written to",
      candidate("x.mul_(self.weight).add_(0.5).relu_()\nreturn x.clone()"),
      "rejected",
      "wrong_answer",
      "input_written",
    ],
    [
      "a process of its own",
      candidate("import os\nos.system('true')\nreturn torch.relu(x * self.weight + 0.5)"),
      "rejected",
      "tampered",
      "forbidden_syscall",
    ],
  ])(
    "rejects %s",
    async (_what, source, verdict, status, code) => {
      const record = await judge(scale, source);
      expect(record, JSON.stringify(record.reasons)).toMatchObject({ verdict, status });
      expect(codes(record)).toContain(code);
      expect(record.speedups).toEqual([]);
    },
    LONG,
  );

  it(
    "is not credited where a null candidate passes",
    async () => {
      const source = SCALE.replace("torch.relu(x * self.weight + 0.5)", "x * self.weight * 0");
      const problem = await services.problems.register(
        { origin: { format: "kernelbench", source }, name: "zeros" },
        "torch-cpu",
        quiet,
      );
      expect(problem.grading?.degenerate).toBe(true);
    },
    LONG,
  );

  it(
    "that cannot run is refused with the reason",
    async () => {
      const source = SCALE.replace("torch.randn(37, 61)", "torch.randn(37, 62)");
      await expect(
        services.problems.register(
          { origin: { format: "kernelbench", source }, name: "broken" },
          "torch-cpu",
          quiet,
        ),
      ).rejects.toThrow(/reference.*size of tensor/s);
      await expect(
        services.problems.register(
          { origin: { format: "kernelbench", source: "x = 1" }, name: "empty" },
          "torch-cpu",
          quiet,
        ),
      ).rejects.toThrow(/defines no Model/);
    },
    LONG,
  );
});

describe("other formats", () => {
  it(
    "an ATen operator with a Triton kernel through the interpreter",
    async () => {
      const problem = await services.problems.register(
        { origin: { format: "aten", overload: "mul.Tensor", dtype: "float32", samples: 3 } },
        "torch-cpu",
        quiet,
      );
      const source = `import torch
import triton
import triton.language as tl

@triton.jit
def kernel(x, y, out, n, BLOCK: tl.constexpr):
    at = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    mask = at < n
    tl.store(out + at, tl.load(x + at, mask=mask) * tl.load(y + at, mask=mask), mask=mask)

def mul__Tensor_kernel_impl(a, b):
    a, b = torch.broadcast_tensors(a, b)
    a, b = a.contiguous(), b.contiguous()
    out = torch.empty_like(a)
    if out.numel():
        kernel[(triton.cdiv(out.numel(), 256),)](a, b, out, out.numel(), BLOCK=256)
    return out
`;
      const record = await judge(problem, source, { stages: ["verify"] }, "triton");
      expect(record, JSON.stringify(record.reasons)).toMatchObject({ verdict: "passed" });
      const wrong = await judge(
        problem,
        source.replace("at < n", "at < n - 1"),
        { stages: ["verify"] },
        "triton",
      );
      expect(wrong.verdict).toBe("rejected");
    },
    LONG,
  );

  it(
    "a definition with a Python reference, on its workloads and odd ones",
    async () => {
      const definition = {
        name: "row_sum",
        op_type: "reduction",
        axes: { M: { type: "var" as const }, N: { type: "var" as const } },
        inputs: { x: { shape: ["M", "N"], dtype: "float32" as const } },
        outputs: { y: { shape: ["M"], dtype: "float32" as const } },
        reference: "import torch\ndef run(x):\n    return x.sum(-1)\n",
      };
      const workloads = [{ uuid: "w", axes: { M: 17, N: 33 }, inputs: {}, role: "timed" as const }];
      const problem = await services.problems.register({ definition, workloads }, "torch-cpu", quiet);
      const right = await judge(problem, "import torch\ndef run(x):\n    return torch.einsum('mn->m', x)\n");
      expect(right, JSON.stringify(right.reasons)).toMatchObject({ verdict: "passed" });
      // Right for the shown size alone.
      const fixed = await judge(
        problem,
        "import torch\ndef run(x):\n    return x.sum(-1) if x.shape[1] == 33 else x[:, 0]\n",
      );
      expect(fixed.verdict).toBe("rejected");
    },
    LONG,
  );

  it(
    "a kernelbot task with its files",
    async () => {
      const reference = `import torch
def generate_input(size: int, seed: int):
    g = torch.Generator().manual_seed(seed)
    return torch.randn(size, generator=g)
def ref_kernel(data):
    return torch.cumsum(data, 0)
`;
      const task = {
        lang: "py",
        files: [
          { name: "submission.py", source: "@SUBMISSION@" },
          { name: "reference.py", source: "reference.py" },
        ],
        tests: [{ size: 33, seed: 1 }],
        benchmarks: [{ size: 128, seed: 2 }],
      };
      const problem = await services.problems.register(
        { origin: { format: "kernelbot", task, files: { "reference.py": reference } }, name: "scan" },
        "torch-cpu",
        quiet,
      );
      expect(problem.workloads.map((one) => one.role)).toEqual(["edge", "timed"]);
      const record = await judge(
        problem,
        "import torch\ndef custom_kernel(data):\n    return data.cumsum(0)\n",
      );
      expect(record, JSON.stringify(record.reasons)).toMatchObject({ verdict: "passed" });
    },
    LONG,
  );
});

describe("asking for what there is not", () => {
  const ask = (
    target: string,
    source = RIGHT,
    problem = scale,
    options: EvaluateOptions = { stages: ["verify"] },
  ) => services.evaluations.evaluate({ source, problem, target, abstraction: "pytorch" }, options, quiet);

  it("names the device that is missing, and what works without it", async () => {
    const environment = await probeTorch();
    if (environment.devices.some((device) => device.name.includes("A100"))) return;
    await expect(ask("nvidia-a100")).rejects.toThrow(/no NVIDIA A100/);
  });

  it("refuses tunables, unknown baselines and problems without a Python reference", async () => {
    await expect(ask("torch-cpu", RIGHT, scale, { tunables: { TILE: "8" } })).rejects.toThrow(
      /no such tunable/,
    );
    await expect(ask("torch-cpu", RIGHT, scale, { baselines: ["vendor"] })).rejects.toThrow(/baselines/);
    const native = await services.problems.get("matmul");
    const bare = { ...native, definition: { ...native.definition, reference: undefined } };
    await expect(ask("torch-cpu", RIGHT, bare as Problem)).rejects.toThrow(/no Python reference/);
  });

  it(
    "ends every process when cancelled, and answers the next job",
    async () => {
      const abort = new AbortController();
      const hanging = candidate("while True: pass");
      const before = children();
      expect(before).toHaveLength(1);
      const work = services.evaluations.evaluate(
        { source: hanging, problem: scale, target: "torch-cpu", abstraction: "pytorch" },
        { stages: ["verify"], use_cache: false },
        {
          signal: abort.signal,
          report: (update) => {
            if (update.message === "verifying") setTimeout(() => abort.abort(), 2000);
          },
        },
      );
      await expect(work).rejects.toThrow(/cancelled/);
      await expect
        .poll(() => children().filter((pid) => before.includes(pid)), { timeout: 10_000 })
        .toEqual([]);
      expect((await judge(scale, `${RIGHT}\n# again`)).verdict).toBe("passed");
    },
    LONG,
  );
});

/** Warm judges among the direct children of this process. */
function children(): string[] {
  return readFileSync(`/proc/self/task/${process.pid}/children`, "utf8")
    .split(" ")
    .filter((pid) => pid !== "" && isJudge(pid));
}

function isJudge(pid: string): boolean {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, "utf8").includes("ke_torch.judge");
  } catch {
    return false;
  }
}
