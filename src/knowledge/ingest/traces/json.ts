import { z } from "zod";
import { type DocumentBottleneck, evaluationRecordSchema } from "../../../domain/index.ts";
import type { TraceRow, TraceSummary } from "./summary.ts";

const eventSchema = z.object({
  name: z.string(),
  cat: z.string().optional(),
  ph: z.string().optional(),
  ts: z.number().optional(),
  dur: z.number().optional(),
});
const chromeSchema = z.object({ traceEvents: z.array(z.unknown()) });

const DEVICE = new Set(["kernel", "gpu_memcpy", "gpu_memset", "hip_kernel"]);
const IDLE = 0.5;

/** PyTorch's profiler (a Chrome trace): device kernels by time, and how much of the span the device worked. */
export function chromeTrace(json: unknown): TraceSummary | undefined {
  const parsed = chromeSchema.safeParse(json);
  if (!parsed.success) return undefined;
  const byName = new Map<string, { calls: number; time: number }>();
  const spans: [number, number][] = [];
  const host = new Map<string, { calls: number; time: number }>();
  for (const one of parsed.data.traceEvents) {
    const event = eventSchema.safeParse(one).data;
    if (event?.dur === undefined || event.ts === undefined) continue;
    const onDevice = DEVICE.has(event.cat?.toLowerCase() ?? "");
    const table = onDevice ? byName : host;
    const known = table.get(event.name) ?? { calls: 0, time: 0 };
    table.set(event.name, { calls: known.calls + 1, time: known.time + event.dur });
    if (onDevice) spans.push([event.ts, event.ts + event.dur]);
  }
  const device = byName.size > 0;
  const used = device ? byName : host;
  if (used.size === 0) return undefined;
  const total = [...used.values()].reduce((sum, one) => sum + one.time, 0);
  const rows = [...used]
    .map(
      ([name, { calls, time }]): TraceRow => ({
        name,
        calls,
        microseconds: time,
        share: total > 0 ? time / total : 0,
      }),
    )
    .sort((a, b) => (b.microseconds ?? 0) - (a.microseconds ?? 0));
  const busy = busyTime(spans);
  const span =
    spans.reduce((most, [, end]) => Math.max(most, end), 0) -
    spans.reduce((least, [from]) => Math.min(least, from), Number.POSITIVE_INFINITY);
  const share = device && span > 0 ? busy / span : undefined;
  const calls = rows.reduce((sum, row) => sum + (row.calls ?? 0), 0);
  const launch = share !== undefined && share < IDLE && calls > 1;
  return {
    profiler: "PyTorch profiler",
    rows,
    metrics: {
      ...(device ? { device_busy_us: busy, device_span_us: span, kernels_launched: calls } : {}),
      ...(share === undefined ? {} : { device_busy_percent: 100 * share }),
    },
    bottleneck: launch ? "launch" : undefined,
    evidence: launch
      ? `the device works ${(100 * (share ?? 0)).toFixed(0)} % of the span; ${calls} launches of ${(total / calls).toFixed(1)} us on average`
      : "",
    notes: device ? [] : ["The trace has no device events: only times on the host are told."],
  };
}

/** Time in which at least one span is open. */
function busyTime(spans: readonly [number, number][]): number {
  let busy = 0;
  let until = Number.NEGATIVE_INFINITY;
  for (const [from, to] of spans.toSorted((a, b) => a[0] - b[0])) {
    if (to <= until) continue;
    busy += to - Math.max(from, until);
    until = to;
  }
  return busy;
}

const protonSchema = z.object({
  frame: z.object({ name: z.string() }),
  metrics: z.record(z.string(), z.unknown()).optional(),
  children: z.array(z.unknown()).optional(),
});

/** Triton's Proton (a Hatchet tree): the leaves by time. */
export function protonTrace(json: unknown): TraceSummary | undefined {
  if (!Array.isArray(json) || json.length === 0 || !protonSchema.safeParse(json[0]).success) return undefined;
  const leaves = new Map<string, { time: number; calls: number; flops: number; bytes: number }>();
  const tasks: unknown[] = [...json];
  for (let seen = 0; tasks.length > 0 && seen < 2_000_000; seen += 1) {
    const node = protonSchema.safeParse(tasks.pop()).data;
    if (node === undefined) continue;
    const children = node.children ?? [];
    tasks.push(...children);
    if (children.length > 0) continue;
    const metrics = Object.entries(node.metrics ?? {}).flatMap(([name, value]): [string, number][] =>
      typeof value === "number" ? [[name.toLowerCase(), value]] : [],
    );
    const sum = (pattern: RegExp): number =>
      metrics.filter(([name]) => pattern.test(name)).reduce((all, [, value]) => all + value, 0);
    const time = sum(/^time \(ns\)|^time \(inc\)/) / 1000;
    if (time <= 0) continue;
    const known = leaves.get(node.frame.name) ?? { time: 0, calls: 0, flops: 0, bytes: 0 };
    leaves.set(node.frame.name, {
      time: known.time + time,
      calls: known.calls + Math.max(1, sum(/^count/)),
      flops: known.flops + sum(/^flops/),
      bytes: known.bytes + sum(/^bytes/),
    });
  }
  if (leaves.size === 0) return undefined;
  const total = [...leaves.values()].reduce((all, one) => all + one.time, 0);
  const rows = [...leaves]
    .map(
      ([name, one]): TraceRow => ({
        name,
        calls: one.calls,
        microseconds: one.time,
        share: one.time / total,
        metrics: {
          ...(one.flops > 0 ? { "TFLOP/s": one.flops / one.time / 1e6 } : {}),
          ...(one.bytes > 0 ? { "GB/s": one.bytes / one.time / 1e3 } : {}),
        },
      }),
    )
    .sort((a, b) => (b.microseconds ?? 0) - (a.microseconds ?? 0));
  const calls = rows.reduce((sum, row) => sum + (row.calls ?? 0), 0);
  const short = total / calls < 5 && calls > 20;
  return {
    profiler: "Proton",
    rows,
    metrics: { total_us: total, calls },
    bottleneck: short ? "launch" : undefined,
    evidence: short ? `${calls} calls of ${(total / calls).toFixed(1)} us on average` : "",
    notes: [],
  };
}

const OF_DIAGNOSIS: Readonly<Record<string, DocumentBottleneck>> = {
  memory: "memory",
  compute: "compute",
  latency: "latency",
  branch: "divergence",
  launch: "launch",
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
