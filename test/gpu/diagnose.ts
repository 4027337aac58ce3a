/*
 * Reads what test/gpu/profiling.py wrote and prints, for each case, what limits it, the share of the roof that was reached, its kernels
 * with the figures of all profilers, and what was not measured. Usage: node test/gpu/diagnose.ts results.json
 */
import { readFileSync } from "node:fs";
import { z } from "zod";
import type { CompiledKernel, TargetSpec } from "../../src/domain/index.ts";
import { joinedProfile } from "../../src/evaluation/torch/profile.ts";
import { PROFILE_WAYS } from "../../src/profiling/index.ts";
import { loadTargets } from "../../src/targets/load.ts";

const figure = z.number().nullish();
const resultsSchema = z.object({
  calls: z.int().positive(),
  versions: z.record(z.string(), z.string()),
  cases: z.record(
    z.string(),
    z.object({
      seconds: z.number(),
      texts: z.partialRecord(z.enum(PROFILE_WAYS), z.string()),
      events: z.array(z.looseObject({ event: z.string() })),
      compiled: z.array(z.looseObject({ event: z.string() })),
    }),
  ),
});
const profiledSchema = z.object({
  plain_ns: z.array(z.number()),
  tensor_bytes: z.record(z.string(), z.number()),
});
const missingSchema = z.object({ profiler: z.string(), reason: z.string(), fix: z.string().nullable() });
const kernelSchema = z.object({
  kernel: z.string(),
  threads: figure,
  shared_bytes: figure,
  resources: z.record(z.string(), z.unknown()).nullish(),
  occupancy: z.object({ fraction: z.number(), limited_by: z.array(z.string()) }).nullish(),
  exceeds: z.array(z.string()),
});

function kernelOf(event: unknown): CompiledKernel {
  const kernel = kernelSchema.parse(event);
  const of = (name: string): number | undefined => {
    const value = kernel.resources?.[name];
    return typeof value === "number" ? value : undefined;
  };
  return {
    name: kernel.kernel,
    registers: of("registers"),
    spill_bytes: of("spill_store_bytes"),
    shared_bytes: kernel.shared_bytes ?? undefined,
    threads: kernel.threads ?? undefined,
    occupancy: kernel.occupancy?.fraction,
    limited_by: kernel.occupancy?.limited_by,
    exceeds: kernel.exceeds,
  };
}

/** The target of this device, whose peaks its bytes are held against. */
function targetOf(device: string | undefined): TargetSpec | undefined {
  const specs = [...loadTargets().targets.values()].map((one) => one.spec);
  return specs.find(({ run }) => {
    const name = device?.split(",")[0];
    return (
      run?.device_name !== undefined &&
      name !== undefined &&
      new RegExp(`^(?:${run.device_name})$`).test(name)
    );
  });
}

const [file] = process.argv.slice(2);
if (file === undefined) throw new Error("usage: node test/gpu/diagnose.ts results.json");
const results = resultsSchema.parse(JSON.parse(readFileSync(file, "utf8")));
const target = targetOf(results.versions["device"]);
let undiagnosed = 0;
for (const [name, one] of Object.entries(results.cases)) {
  const of = (kind: string): unknown[] => one.events.filter((event) => event.event === kind);
  const told = of("profiled").map((event) => profiledSchema.parse(event));
  const missing = of("unprofiled").map((event) => missingSchema.parse(event));
  const stage = joinedProfile({
    facts: undefined,
    texts: one.texts,
    calls: results.calls,
    compiled: one.compiled.filter((event) => event.event === "kernel").map(kernelOf),
    missing: missing.map(({ fix, ...rest }) => ({ ...rest, ...(fix === null ? {} : { fix }) })),
    plainNs: told.flatMap((event) => event.plain_ns),
    tensorBytes: Object.values(told[0]?.tensor_bytes ?? {}).reduce((sum, bytes) => sum + bytes, 0),
    bandwidth: target?.peaks.declared?.["bandwidth.dram"],
    cold: true,
    seconds: one.seconds,
    artifacts: {},
  });
  if (stage === undefined || stage.diagnosis.bottleneck === "unknown") undiagnosed += 1;
  process.stdout.write(
    `${JSON.stringify({
      case: name,
      target: target?.id,
      bottleneck: stage?.diagnosis.bottleneck,
      evidence: stage?.diagnosis.evidence,
      reached: stage?.reached,
      profiler: stage?.profiler,
      metrics: stage?.metrics,
      kernels: stage?.kernels?.slice(0, 4),
      not_measured: stage?.not_measured,
    })}\n`,
  );
}
process.exitCode = undiagnosed > 0 ? 1 : 0;
