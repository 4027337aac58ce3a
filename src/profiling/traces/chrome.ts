import { z } from "zod";
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
