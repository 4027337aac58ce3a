import { z } from "zod";
import type { TraceRow, TraceSummary } from "./summary.ts";

const protonSchema = z.object({
  frame: z.object({ name: z.string() }),
  metrics: z.record(z.string(), z.unknown()).optional(),
  children: z.array(z.unknown()).optional(),
});

/** The nodes of that name, wherever they are in the tree. */
function named(roots: readonly unknown[], name: string): unknown[] {
  const found: unknown[] = [];
  const tasks: unknown[] = [...roots];
  for (let seen = 0; tasks.length > 0 && seen < 2_000_000; seen += 1) {
    const node = protonSchema.safeParse(tasks.pop()).data;
    if (node?.frame.name === name) found.push(node);
    else tasks.push(...(node?.children ?? []));
  }
  return found;
}

/** Scopes inside of kernels (Proton's instrumentation): the leaves by cycles, of one warp on average where it tells that. */
export function protonScopes(json: unknown): TraceRow[] {
  if (!Array.isArray(json)) return [];
  const rows: { name: string; cycles: number }[] = [];
  const tasks: { node: unknown; path: string }[] = json.map((node: unknown) => ({ node, path: "" }));
  for (let seen = 0; tasks.length > 0 && seen < 2_000_000; seen += 1) {
    const task = tasks.pop();
    const node = protonSchema.safeParse(task?.node).data;
    if (task === undefined || node === undefined) continue;
    const path = task.path === "" ? node.frame.name : `${task.path}/${node.frame.name}`;
    for (const child of node.children ?? []) tasks.push({ node: child, path });
    const metrics = node.metrics ?? {};
    const cycles = metrics["normalized_cycles"] ?? metrics["cycles"];
    if (typeof cycles === "number" && cycles > 0 && (node.children ?? []).length === 0)
      rows.push({ name: path.replace(/^ROOT\//, ""), cycles });
  }
  const total = rows.reduce((sum, row) => sum + row.cycles, 0);
  return rows
    .map(({ name, cycles }) => ({ name, share: cycles / total, metrics: { cycles } }))
    .sort((a, b) => b.share - a.share);
}

/** Triton's Proton (a Hatchet tree): the leaves by time; `within` a scope where that is in the tree. */
export function protonTrace(json: unknown, within?: string): TraceSummary | undefined {
  if (!Array.isArray(json) || json.length === 0 || !protonSchema.safeParse(json[0]).success) return undefined;
  const inner = within === undefined ? [] : named(json, within);
  const leaves = new Map<string, { time: number; calls: number; flops: number; bytes: number }>();
  const tasks: unknown[] = inner.length > 0 ? inner : [...json];
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
