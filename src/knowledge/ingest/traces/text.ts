import type { DocumentBottleneck } from "../../../domain/index.ts";
import type { TraceRow, TraceSummary } from "../../../profiling/index.ts";

type Found = { bottleneck: DocumentBottleneck; evidence: string } | undefined;

/** By rates that mean the same under every profiler of a processor. */
function processorBottleneck(metrics: Readonly<Record<string, number>>): Found {
  const misses = metrics["last_level_misses_per_1000_instructions"];
  const branches = metrics["branch_mispredict_rate"];
  const ipc = metrics["instructions_per_cycle"];
  if (misses !== undefined && misses > 5) {
    return {
      bottleneck: "memory",
      evidence: `${misses.toFixed(1)} last-level cache misses in 1,000 instructions`,
    };
  }
  if (branches !== undefined && branches > 0.05) {
    return {
      bottleneck: "divergence",
      evidence: `${(100 * branches).toFixed(1)} % of the branches are mispredicted`,
    };
  }
  if (ipc !== undefined && ipc > 2.5)
    return { bottleneck: "compute", evidence: `${ipc.toFixed(2)} instructions a cycle` };
  if (ipc !== undefined && ipc < 1)
    return { bottleneck: "latency", evidence: `${ipc.toFixed(2)} instructions a cycle, few cache misses` };
  return undefined;
}

function rate(part: number | undefined, of: number | undefined, scale = 1): number | undefined {
  return part === undefined || of === undefined || of <= 0 ? undefined : (scale * part) / of;
}

function known(metrics: Readonly<Record<string, number | undefined>>): Record<string, number> {
  return Object.fromEntries(
    Object.entries(metrics).flatMap(([name, value]) => (value === undefined ? [] : [[name, value]])),
  );
}

/** `perf stat`, as people read it or with `-x,`. */
export function perfStatTrace(text: string): TraceSummary | undefined {
  const counts: Record<string, number> = {};
  for (const line of text.split("\n")) {
    const read = /^\s*([\d.,]+)\s+(?:msec\s+)?([a-zA-Z][\w.:-]+)/.exec(line);
    const listed = /^([\d.]+),[^,]*,([a-zA-Z][\w.:-]+),/.exec(line);
    const [, value, name] = listed ?? read ?? [];
    if (value === undefined || name === undefined) continue;
    const number = Number(value.replaceAll(",", ""));
    if (Number.isFinite(number)) counts[name.replace(/:\w+$/, "")] = number;
  }
  const instructions = counts["instructions"];
  if (instructions === undefined && counts["cycles"] === undefined) return undefined;
  const metrics = {
    ...counts,
    ...known({
      instructions_per_cycle: rate(instructions, counts["cycles"]),
      last_level_misses_per_1000_instructions: rate(
        counts["LLC-load-misses"] ?? counts["cache-misses"],
        instructions,
        1000,
      ),
      branch_mispredict_rate: rate(counts["branch-misses"], counts["branches"]),
    }),
  };
  const found = processorBottleneck(metrics);
  return {
    profiler: "perf stat",
    rows: [],
    metrics,
    bottleneck: found?.bottleneck,
    evidence: found?.evidence ?? "",
    notes: [],
  };
}

/** `perf report --stdio`: symbols by overhead. */
export function perfReportTrace(text: string): TraceSummary | undefined {
  const rows: TraceRow[] = [];
  for (const line of text.split("\n")) {
    const match = /^\s*(\d+\.\d+)%\s+(?:\d+\.\d+%\s+)?(\S+)\s+(\S+)\s+\[[.kugH]\]\s+(.+?)\s*$/.exec(line);
    if (match !== null) rows.push({ name: `${match[4]} (${match[3]})`, share: Number(match[1]) / 100 });
  }
  if (rows.length === 0) return undefined;
  rows.sort((a, b) => (b.share ?? 0) - (a.share ?? 0));
  return { profiler: "perf report", rows, metrics: {}, bottleneck: undefined, evidence: "", notes: [] };
}

/** Callgrind's output file: totals, and the functions by their own instructions. */
export function callgrindTrace(text: string): TraceSummary | undefined {
  const events = /^events: (.*)$/m.exec(text)?.[1]?.trim().split(/\s+/);
  if (events === undefined || !events.includes("Ir")) return undefined;
  const totals = /^(?:totals|summary): (.*)$/m.exec(text)?.[1]?.trim().split(/\s+/).map(Number) ?? [];
  const total = (name: string): number | undefined => totals[events.indexOf(name)];
  const instructions = total("Ir");
  const misses = (total("DLmr") ?? 0) + (total("DLmw") ?? 0);
  const metrics = known({
    instructions,
    loads: total("Dr"),
    stores: total("Dw"),
    l1_misses_per_1000_instructions: rate((total("D1mr") ?? 0) + (total("D1mw") ?? 0), instructions, 1000),
    last_level_misses_per_1000_instructions: events.includes("DLmr")
      ? rate(misses, instructions, 1000)
      : undefined,
    branch_mispredict_rate: events.includes("Bcm")
      ? rate((total("Bcm") ?? 0) + (total("Bim") ?? 0), (total("Bc") ?? 0) + (total("Bi") ?? 0))
      : undefined,
  });
  const all = Math.max(1, instructions ?? 0);
  const rows = [...functionsOf(text, events.indexOf("Ir"))]
    .map(([name, own]): TraceRow => ({ name, share: own / all, metrics: { instructions: own } }))
    .sort((a, b) => (b.share ?? 0) - (a.share ?? 0));
  const found = processorBottleneck(metrics);
  return {
    profiler: "callgrind",
    rows,
    metrics,
    bottleneck: found?.bottleneck,
    evidence: found?.evidence ?? "",
    notes: ["Simulated: instructions are exact, caches are a model."],
  };
}

/** Instructions of each function itself; the line after `calls=` counts what was called. */
function functionsOf(text: string, column: number): Map<string, number> {
  const names = new Map<string, string>();
  const own = new Map<string, number>();
  let current = "";
  let skip = false;
  for (const line of text.split("\n")) {
    const place = /^(c?fn)=(?:\((\d+)\))?(?: ?(.+))?$/.exec(line);
    if (place !== null) {
      const [, kind, id = "", name] = place;
      if (name !== undefined) names.set(id, name);
      if (kind === "fn") current = name ?? names.get(id) ?? "";
      continue;
    }
    if (line.startsWith("calls=")) {
      skip = true;
      continue;
    }
    const cost = /^(?:[+-]?\d+|\*|0x[0-9a-f]+)((?: \d+)+)$/.exec(line);
    if (cost === null) continue;
    if (!skip && current !== "")
      own.set(current, (own.get(current) ?? 0) + Number((cost[1] ?? "").trim().split(" ")[column] ?? 0));
    skip = false;
  }
  return own;
}
