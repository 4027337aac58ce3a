import type { DocumentBottleneck } from "../../domain/index.ts";
import { parseCsv } from "./csv.ts";
import type { TraceRow, TraceSummary } from "./summary.ts";

const TO_MICROSECONDS: Readonly<Record<string, number>> = {
  nsecond: 1e-3,
  ns: 1e-3,
  usecond: 1,
  us: 1,
  msecond: 1e3,
  ms: 1e3,
  second: 1e6,
  s: 1e6,
};

const TO_BYTES: Readonly<Record<string, number>> = {
  byte: 1,
  kbyte: 1e3,
  mbyte: 1e6,
  gbyte: 1e9,
};

/** Metrics that decide, by the names that Nsight Compute gives them (raw) and in its sections. */
const NAMES: Readonly<Record<string, readonly RegExp[]>> = {
  compute_percent: [/^sm__throughput\.avg\.pct/, /^Compute \(SM\) Throughput$/],
  memory_percent: [/^gpu__compute_memory_throughput/, /^Memory Throughput$/],
  dram_percent: [/^(gpu__)?dram__throughput\.avg\.pct/, /^gpu__dram_throughput/, /^DRAM Throughput$/],
  dram_read_bytes: [/^dram__bytes_read\.sum$/],
  dram_write_bytes: [/^dram__bytes_write\.sum$/],
  l1_hit_percent: [/^l1tex__t_sector_hit_rate\.pct$/],
  l2_hit_percent: [/^lts__t_sector_hit_rate\.pct$/],
  l2_percent: [/^lts__t_sectors\.avg\.pct/, /^L2 Cache Throughput$/],
  occupancy_percent: [/^sm__warps_active\.avg\.pct/, /^Achieved Occupancy$/],
  theoretical_occupancy_percent: [/^Theoretical Occupancy$/, /^sm__maximum_warps/],
  registers_per_thread: [/^launch__registers_per_thread$/, /^Registers Per Thread$/],
  waves: [/^launch__waves_per_multiprocessor$/, /^Waves Per SM$/],
  bank_conflicts: [/^l1tex__data_bank_conflicts_pipe_lsu(_mem_shared)?(_op_\w+)?\.sum$/],
  shared_wavefronts: [/^l1tex__data_pipe_lsu_wavefronts_mem_shared(_op_\w+)?\.sum$/],
  long_scoreboard: [/long_scoreboard.*(ratio|pct)/],
  barrier_stall: [/stalled_barrier.*(ratio|pct)/, /issue_stalled_barrier/],
  threads_per_instruction: [/^smsp__thread_inst_executed_per_inst_executed\.ratio$/],
  tensor_percent: [/^sm__inst_executed_pipe_tensor.*pct/, /^sm__pipe_tensor.*pct/],
};

interface Kernel {
  name: string;
  calls: number;
  microseconds: number;
  readonly sums: Map<string, number>;
  readonly counts: Map<string, number>;
}

function put(kernel: Kernel, metric: string, unit: string, text: string): void {
  const value = Number(text.replaceAll(",", "")) * (TO_BYTES[unit.trim().toLowerCase()] ?? 1);
  if (text.trim() === "" || !Number.isFinite(value)) return;
  if (/^(gpu__time_duration\.sum|Duration)$/.test(metric)) {
    kernel.microseconds += value * (TO_MICROSECONDS[unit.trim()] ?? 1e-3);
    kernel.calls += 1;
    return;
  }
  // "Memory Throughput" is given as a share and in bytes a second: only the share is compared.
  if (metric.endsWith("Throughput") && unit.trim() !== "%") return;
  for (const [name, patterns] of Object.entries(NAMES)) {
    if (!patterns.some((pattern) => pattern.test(metric))) continue;
    kernel.sums.set(name, (kernel.sums.get(name) ?? 0) + value);
    kernel.counts.set(name, (kernel.counts.get(name) ?? 0) + 1);
  }
}

function kernelOf(kernels: Map<string, Kernel>, name: string): Kernel {
  const known = kernels.get(name);
  if (known !== undefined) return known;
  const made: Kernel = { name, calls: 0, microseconds: 0, sums: new Map(), counts: new Map() };
  kernels.set(name, made);
  return made;
}

/** Reads `ncu --csv`: one metric a row, or (`--page raw`) one kernel a row with a row of units below the names. */
function kernelsOf(rows: readonly (readonly string[])[]): Map<string, Kernel> {
  const kernels = new Map<string, Kernel>();
  const at = rows.findIndex((row) => row.includes("Kernel Name"));
  const head = rows[at] ?? [];
  const name = head.indexOf("Kernel Name");
  const metric = head.indexOf("Metric Name");
  if (name < 0) return kernels;
  const body = rows.slice(at + 1);
  if (metric >= 0) {
    const unit = head.indexOf("Metric Unit");
    const value = head.indexOf("Metric Value");
    for (const row of body)
      put(kernelOf(kernels, row[name] ?? ""), row[metric] ?? "", row[unit] ?? "", row[value] ?? "");
    return kernels;
  }
  const [units = [], ...more] = (body[0]?.[name] ?? "") === "" ? body : [[], ...body];
  for (const row of more) {
    const kernel = kernelOf(kernels, row[name] ?? "");
    for (const [column, title] of head.entries()) put(kernel, title, units[column] ?? "", row[column] ?? "");
  }
  return kernels;
}

/** What limits a kernel, by the figures of its profile. */
export function ncuBottleneck(
  figures: Readonly<Record<string, number>>,
): { bottleneck: DocumentBottleneck; evidence: string } | undefined {
  const of = (name: string): number | undefined => figures[name];
  const percent = (name: string): string => `${(of(name) ?? 0).toFixed(0)} %`;
  const memory = Math.max(of("memory_percent") ?? -1, of("dram_percent") ?? -1);
  const compute = of("compute_percent") ?? -1;
  const conflicts = (of("bank_conflicts") ?? 0) / Math.max(1, of("shared_wavefronts") ?? 0);
  if ((of("shared_wavefronts") ?? 0) > 0 && conflicts > 0.3) {
    return {
      bottleneck: "bank-conflict",
      evidence: `${(100 * conflicts).toFixed(0)} % of the shared-memory wavefronts are bank conflicts`,
    };
  }
  if ((of("threads_per_instruction") ?? 32) < 16) {
    return {
      bottleneck: "divergence",
      evidence: `${(of("threads_per_instruction") ?? 0).toFixed(1)} of 32 threads are active an instruction`,
    };
  }
  if (memory >= 60 && memory >= compute) {
    return {
      bottleneck: "memory",
      evidence: `memory at ${memory.toFixed(0)} % of its peak, compute at ${Math.max(0, compute).toFixed(0)} %`,
    };
  }
  if (compute >= 60) {
    return {
      bottleneck: "compute",
      evidence: `compute at ${compute.toFixed(0)} % of its peak, memory at ${Math.max(0, memory).toFixed(0)} %`,
    };
  }
  if ((of("waves") ?? 1) < 0.9) {
    return {
      bottleneck: "tail",
      evidence: `${(of("waves") ?? 0).toFixed(2)} waves a multiprocessor: the device is not filled`,
    };
  }
  const occupancy = of("occupancy_percent");
  if (occupancy !== undefined && occupancy < 30) {
    return {
      bottleneck: (of("registers_per_thread") ?? 0) >= 128 ? "register" : "occupancy",
      evidence: `achieved occupancy is ${percent("occupancy_percent")}${of("registers_per_thread") === undefined ? "" : ` with ${of("registers_per_thread")?.toFixed(0)} registers a thread`}`,
    };
  }
  if (compute < 0 && memory < 0) return undefined;
  return {
    bottleneck: "latency",
    evidence: `neither compute (${Math.max(0, compute).toFixed(0)} %) nor memory (${Math.max(0, memory).toFixed(0)} %) is near its peak`,
  };
}

/** Nsight Compute's CSV as a summary; undefined when it is none. */
export function ncuTrace(text: string): TraceSummary | undefined {
  const kernels = [...kernelsOf(parseCsv(text)).values()].filter((kernel) => kernel.name !== "");
  if (kernels.length === 0) return undefined;
  const total = kernels.reduce((sum, kernel) => sum + kernel.microseconds, 0);
  const rows = kernels
    .map((kernel): TraceRow & { metrics: Record<string, number> } => ({
      name: kernel.name,
      share: total > 0 ? kernel.microseconds / total : undefined,
      calls: kernel.calls === 0 ? undefined : kernel.calls,
      microseconds: kernel.calls === 0 ? undefined : kernel.microseconds,
      metrics: Object.fromEntries(
        [...kernel.sums].map(([name, sum]) => [name, sum / (kernel.counts.get(name) ?? 1)]),
      ),
    }))
    .sort((a, b) => (b.microseconds ?? 0) - (a.microseconds ?? 0));
  const [first] = rows;
  const found = ncuBottleneck(first?.metrics ?? {});
  return {
    profiler: "Nsight Compute",
    rows,
    metrics: {},
    bottleneck: found?.bottleneck,
    evidence: found === undefined ? "" : `in \`${(first?.name ?? "").slice(0, 100)}\` ${found.evidence}`,
    notes:
      found === undefined
        ? [
            "The file has no throughput metrics: collect the sections SpeedOfLight, Occupancy and MemoryWorkloadAnalysis.",
          ]
        : [],
  };
}
