import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { createServices } from "../../../src/app/services.ts";
import { evaluationRecordSchema, type Services, type WorkContext } from "../../../src/domain/index.ts";
import { joinedProfile } from "../../../src/evaluation/torch/profile.ts";
import { probeTorch, TORCH_FIX } from "../../../src/platform/torch-environment.ts";
import { torchChecks } from "../../../src/targets/torch-status.ts";

/** A warm start of PyTorch on a busy machine, a measurement, and a profiled process. */
const LONG = 300_000;
const quiet: WorkContext = { signal: new AbortController().signal, report: () => undefined };
const PROBLEM = `import torch
class Model(torch.nn.Module):
    def forward(self, x):
        return torch.softmax(x @ x, dim=-1)
def get_inputs():
    return [torch.randn(160, 160)]
def get_init_inputs():
    return []
`;

let home: string;
let services: Services;

beforeAll(async () => {
  const environment = await probeTorch();
  expect(environment.python, `these tests need ${TORCH_FIX}: ${environment.detail}`).toBeDefined();
  home = mkdtempSync(join(tmpdir(), "kernelevolve-profiled-"));
  services = createServices(home);
}, LONG);

afterAll(async () => {
  await services.close();
  rmSync(home, { recursive: true, force: true });
});

describe("profiling on torch-cpu", () => {
  it(
    "answers with the timeline, the operators by their own time and a diagnosis",
    async () => {
      const problem = await services.problems.register(
        { origin: { format: "kernelbench", source: PROBLEM }, name: "1_Soft" },
        "torch-cpu",
        quiet,
      );
      const source = PROBLEM.replace("Model(", "ModelNew(");
      const record = await services.evaluations.evaluate(
        { source, problem, target: "torch-cpu", abstraction: "pytorch" },
        { stages: ["profile"], baselines: ["eager"], benchmark_seconds: 2 },
        quiet,
      );
      const profile = record.stages.profile;
      // A machine that is too busy to time anything is told so instead of a profile.
      if (record.status === "too_noisy") return;
      expect(profile, JSON.stringify(record.reasons)).toBeDefined();
      expect(profile?.profiler).toBe("pytorch");
      expect(profile?.method).toBe("operators of 5 calls");
      expect(profile?.not_measured).toBeUndefined();
      expect(profile?.metrics["operator_us"]).toBeGreaterThan(0);
      expect(profile?.metrics["idle_call_us"]).toBeGreaterThan(0);
      expect(profile?.remarks.join("\n")).toMatch(/aten::mm: [\d.]+ µs of its own in 1/);
      const kept = await services.artifacts.read(profile?.artifacts["pytorch"] ?? "", {
        offset: 0,
        limit: 200_000,
      });
      expect(kept.text).toContain("ke_call");
      expect(record.diagnosis).toEqual(profile?.diagnosis);
      evaluationRecordSchema.parse(record);
    },
    LONG,
  );
});

describe("what is not measured", () => {
  const base = {
    facts: undefined,
    calls: 5,
    compiled: [],
    plainNs: [],
    tensorBytes: 0,
    bandwidth: undefined,
    cold: true,
    seconds: 1,
    artifacts: {},
  };
  const denied = { profiler: "ncu", reason: "ERR_NVGPUCTRPERM", fix: "allow counters" };

  it("is told with how to allow it, while the rest answers", () => {
    const event = { ph: "X", pid: 1, tid: 1 };
    const pytorch = JSON.stringify({
      traceEvents: [
        { ...event, cat: "user_annotation", name: "ke_call", ts: 0, dur: 50 },
        { ...event, cat: "cuda_driver", name: "cuLaunchKernelEx", ts: 5, dur: 4, args: { correlation: 3 } },
        { ...event, cat: "kernel", name: "k", tid: 7, ts: 12, dur: 3, args: { correlation: 3 } },
      ],
    });
    const stage = joinedProfile({ ...base, texts: { pytorch }, missing: [denied] });
    expect(stage).toMatchObject({
      profiler: "pytorch",
      diagnosis: { bottleneck: "launch" },
      not_measured: [denied],
      kernels: [{ name: "k", launches: 1, microseconds: 3 }],
    });
    expect(stage?.remarks.join("\n")).toContain("not measured by ncu: ERR_NVGPUCTRPERM (allow counters)");
  });

  it("is nothing at all where no profiler answered and nothing was timed", () => {
    expect(joinedProfile({ ...base, texts: {}, missing: [denied] })).toBeUndefined();
  });

  it("is in what doctor says of a device's target", async () => {
    const environment = await probeTorch();
    const spec = await services.targets.get("nvidia-h100");
    expect(spec.profilers.map((one) => one.name)).toEqual(["pytorch", "proton", "ncu", "compiler"]);
    const { checks } = torchChecks(spec, {
      ...environment,
      profilers: [
        { name: "ncu", ok: false, detail: "no permission", fix: "allow counters" },
        { name: "proton", ok: null, detail: "only trying tells", fix: null },
      ],
    });
    expect(checks.find((check) => check.name === "profiler ncu")).toMatchObject({
      ok: false,
      optional: true,
      fix: "allow counters",
    });
    expect(checks.find((check) => check.name === "profiler proton")?.ok).toBe(true);
  });
});
