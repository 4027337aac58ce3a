import { type DocumentBottleneck, evaluationRecordSchema } from "../../../domain/index.ts";
import type { TraceSummary } from "../../../profiling/index.ts";

const OF_DIAGNOSIS: Readonly<Record<string, DocumentBottleneck>> = {
  memory: "memory",
  compute: "compute",
  latency: "latency",
  branch: "divergence",
  launch: "launch",
  occupancy: "occupancy",
  register: "register",
  "bank-conflict": "bank-conflict",
  divergence: "divergence",
  tail: "tail",
  unvectorised: "instruction",
};

/** An evaluation record of our own. */
export function recordTrace(json: unknown): TraceSummary | undefined {
  const parsed = evaluationRecordSchema.safeParse(json);
  if (!parsed.success) return undefined;
  const record = parsed.data;
  const { profile, benchmark } = record.stages;
  const diagnosis = profile?.diagnosis;
  return {
    profiler: profile?.profiler ?? "none",
    rows: (benchmark?.workloads ?? []).map((one) => ({
      name: `${record.problem} ${one.workload}`,
      microseconds: one.candidate.median_ns / 1000,
      calls: one.candidate.samples,
      metrics: Object.fromEntries(one.speedups.map((speedup) => [`over ${speedup.baseline}`, speedup.ratio])),
    })),
    metrics: profile?.metrics ?? {},
    bottleneck: diagnosis === undefined ? undefined : OF_DIAGNOSIS[diagnosis.bottleneck],
    evidence: diagnosis?.evidence ?? "",
    notes: [
      `Candidate ${record.candidate.slice(0, 12)} of ${record.problem} on ${record.target}: ${record.verdict}, ${record.status}.`,
      ...(diagnosis?.advice ?? []),
    ],
  };
}
