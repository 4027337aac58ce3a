import { z } from "zod";
import {
  type EvaluationRecord,
  type Node,
  type RunOverview,
  type Speedup,
  verdictSchema,
} from "../domain/index.ts";
import { quoteInline, visible } from "../domain/quotation.ts";
import { counted } from "../platform/text.ts";

/** A speedup in words: `3.21x [3.15, 3.27]`, with what it lacks to be credited. */
export function speedupText(speedup: Speedup): string {
  const interval = `${speedup.ratio.toFixed(3)}x [${speedup.low.toFixed(3)}, ${speedup.high.toFixed(3)}]`;
  return `${interval} over ${speedup.baseline}${speedup.credited ? "" : " (not credited)"}`;
}

const round = (value: number, digits = 4): number => Number(value.toPrecision(digits));

/**
 * The record in a form that fits a model's context. Listed by its leading fields; what else it has is that of the evaluation
 * record, whole under its id with artifact_read.
 */
export const recordSchema = z.looseObject({
  id: z.string(),
  verdict: verdictSchema,
  status: z.string(),
  speedups: z.array(z.looseObject({ ratio: z.number() })),
});
export type CompactRecord = z.input<typeof recordSchema>;

export function compactRecord(record: EvaluationRecord): CompactRecord {
  const { compile, verify, benchmark, profile } = record.stages;
  const base = (stage: {
    status: string;
    seconds: number;
    artifacts: Record<string, string>;
  }): Record<string, unknown> => ({
    status: stage.status,
    seconds: round(stage.seconds, 3),
    ...(Object.keys(stage.artifacts).length === 0 ? {} : { artifacts: stage.artifacts }),
  });
  const rounded = (speedup: Speedup): Speedup => ({
    ...speedup,
    ratio: round(speedup.ratio, 5),
    low: round(speedup.low, 5),
    high: round(speedup.high, 5),
  });
  return {
    id: record.id,
    candidate: record.candidate,
    problem: record.problem,
    target: record.target,
    verdict: record.verdict,
    status: record.status,
    reasons: record.reasons,
    speedups: record.speedups.map(rounded),
    ...(record.roofline === undefined ? {} : { roofline: round(record.roofline, 3) }),
    ...(record.diagnosis === undefined ? {} : { diagnosis: record.diagnosis }),
    stages: {
      ...(compile === undefined
        ? {}
        : {
            compile: {
              ...base(compile),
              cached: compile.cached,
              ...(compile.binary_bytes === undefined ? {} : { binary_bytes: compile.binary_bytes }),
              ...(compile.diagnostics === undefined ? {} : { diagnostics: compile.diagnostics }),
            },
          }),
      ...(verify === undefined
        ? {}
        : {
            verify: {
              ...base(verify),
              passed: verify.workloads.filter((one) => one.passed).map((one) => one.workload),
              failed: verify.workloads.filter((one) => !one.passed).map((one) => one.workload),
              worst_error_over_tolerance: round(
                Math.max(0, ...verify.workloads.map((one) => one.worst_error ?? 0)),
                3,
              ),
            },
          }),
      ...(benchmark === undefined
        ? {}
        : {
            benchmark: {
              ...base(benchmark),
              clock: benchmark.clock,
              cache: benchmark.cache,
              workloads: benchmark.workloads.map((one) => ({
                workload: one.workload,
                outcome: one.outcome,
                candidate_us: round(one.candidate.median_ns / 1000),
                p10_us: round(one.candidate.p10_ns / 1000),
                p90_us: round(one.candidate.p90_ns / 1000),
                ...(one.roofline === undefined ? {} : { roofline: round(one.roofline, 3) }),
                noise_floor: round(one.noise_floor, 2),
                pairs: one.pairs,
                speedups: one.speedups.map(
                  (speedup) =>
                    `${speedup.baseline} ${speedup.ratio.toFixed(3)} [${speedup.low.toFixed(3)}, ${speedup.high.toFixed(3)}]`,
                ),
              })),
            },
          }),
      ...(profile === undefined
        ? {}
        : {
            profile: {
              ...base(profile),
              profiler: profile.profiler,
              method: profile.method,
              metrics: Object.fromEntries(
                Object.entries(profile.metrics).map(([name, value]) => [name, round(value)]),
              ),
              remarks: profile.remarks,
            },
          }),
    },
    sandbox: record.sandbox,
    device: record.device,
    versions: record.versions,
    cached: record.cached,
  };
}

/** The record for people, in a few lines. */
export function recordText(record: EvaluationRecord): string {
  const lines = [
    `${record.verdict.toUpperCase()} (${record.status}) ${record.problem} on ${record.target}${record.cached ? ", from the cache" : ""}`,
  ];
  const { verify, benchmark } = record.stages;
  if (record.verdict === "passed" && verify === undefined)
    lines.push("compiled only: not verified, not measured");
  else if (record.verdict === "passed" && benchmark === undefined)
    lines.push("compiled and verified: not measured");
  for (const speedup of record.speedups) lines.push(`speedup ${speedupText(speedup)}`);
  if (record.roofline !== undefined) lines.push(`${(record.roofline * 100).toFixed(1)} % of the roofline`);
  for (const reason of record.reasons)
    lines.push(
      `- ${reason.code}${reason.workload === undefined ? "" : ` (${reason.workload})`}: ${reason.message}`,
    );
  if (record.diagnosis !== undefined) {
    lines.push(`bottleneck: ${record.diagnosis.bottleneck}; ${record.diagnosis.evidence}`);
    lines.push(...record.diagnosis.advice.map((advice) => `  try: ${advice}`));
  }
  const compile = record.stages.compile;
  if (compile?.kernels !== undefined && compile.kernels.length > 0 && record.status === "ok")
    lines.push("compiled kernels:", compile.diagnostics ?? "");
  if (compile?.diagnostics !== undefined && record.status === "compile_error")
    lines.push("compiler (untrusted text):", compile.diagnostics);
  lines.push(`sandbox ${record.sandbox}; ${record.device}; evaluation ${record.id}`);
  return lines.join("\n");
}

/** Listed by its leading fields, to keep the list of tools small; `nodeSummary` gives the rest. */
export const nodeSummarySchema = z.looseObject({
  node: z.string(),
  verdict: z.string(),
  fitness: z.number(),
});

export interface NodeSummary {
  [key: string]: unknown;
  node: string;
  step: number;
  operator: string;
  parents: string[];
  verdict: string;
  status: string;
  fitness: number;
  speedup?: string;
  rationale: string;
  evaluation: string;
}

export function nodeSummary(node: Node): NodeSummary {
  return {
    node: node.id,
    step: node.step,
    operator: node.operator,
    parents: [...node.parents],
    verdict: node.verdict,
    status: node.status,
    fitness: round(node.fitness, 5),
    ...(node.speedup === undefined ? {} : { speedup: speedupText(node.speedup) }),
    rationale: visible(node.rationale.slice(0, 160)),
    evaluation: node.evaluation,
  };
}

/** A node on one line, what its proposer and the compiler wrote as quotations. */
export function nodeLine(node: Node): string {
  const { parents, speedup, reasons } = node;
  return [
    `step ${node.step}: ${node.id}, ${node.operator}${parents.length === 0 ? "" : ` of ${parents.join(", ")}`}`,
    `${node.verdict} (${node.status})${speedup === undefined ? "" : ` ${speedupText(speedup)}`}`,
    quoteInline(node.rationale, 160),
    ...reasons.slice(0, 3).map((reason) => `${reason.code}: ${quoteInline(reason.message)}`),
  ].join("; ");
}

/** Listed by its leading fields; `overviewOf` gives the rest: what is spent and left, the best node. */
export const overviewSchema = z.looseObject({ run: z.string(), state: z.string(), nodes: z.number() });

export interface Overview {
  [key: string]: unknown;
  run: string;
  problem: string;
  target: string;
  state: string;
  stop_reason?: string;
  policy: string;
  control_of?: string;
  baseline: string;
  spent: Record<string, number>;
  left: Record<string, number>;
  nodes: number;
  passed: number;
  open_claims: number;
  seeds_left: number;
  best: NodeSummary | null;
}

export function overviewOf(overview: RunOverview): Overview {
  const { run } = overview;
  const numbers = (values: object): Record<string, number> =>
    Object.fromEntries(
      Object.entries(values).flatMap(([name, value]) =>
        typeof value === "number" ? [[name, round(value)]] : [],
      ),
    );
  return {
    run: run.id,
    problem: run.problem,
    target: run.target,
    state: run.state,
    ...(run.stop_reason === undefined ? {} : { stop_reason: run.stop_reason }),
    policy: run.policy,
    ...(run.control_of === undefined ? {} : { control_of: run.control_of }),
    baseline: run.baseline,
    spent: numbers(overview.spent),
    left: numbers(overview.left),
    nodes: overview.nodes,
    passed: overview.passed,
    open_claims: overview.open_claims,
    seeds_left: overview.seeds_left,
    best: overview.best === null ? null : nodeSummary(overview.best),
  };
}

export function overviewText(overview: RunOverview): string {
  const shown = overviewOf(overview);
  const pairs = (values: Record<string, number>): string =>
    Object.entries(values)
      .map(([name, value]) => `${name} ${value}`)
      .join(", ") || "unbounded";
  return [
    `run ${shown.run}: ${shown.problem} on ${shown.target}, ${shown.state}${shown.stop_reason === undefined ? "" : ` (${shown.stop_reason})`}`,
    `${counted(shown.nodes, "node")}, ${shown.passed} passed; spent ${pairs(shown.spent)}; left ${pairs(shown.left)}`,
    shown.best === null
      ? "no credited speedup yet"
      : `best: step ${shown.best.step}, ${shown.best.speedup ?? ""} (node ${shown.best.node})`,
  ].join("\n");
}
