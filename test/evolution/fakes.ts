import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { KernelEvolveError } from "../../src/domain/errors.ts";
import type { EvaluationRecord, Speedup, Status } from "../../src/domain/evaluation.ts";
import type { WorkContext } from "../../src/domain/job.ts";
import { type Problem, problemSchema } from "../../src/domain/problem.ts";
import type {
  EvaluateOptions,
  EvaluationService,
  ProblemService,
  TargetService,
} from "../../src/domain/services.ts";
import { type TargetSpec, targetSpecSchema } from "../../src/domain/target.ts";
import { parseHeader } from "../../src/evaluation/candidate/header.ts";
import { Evolution, type Retrieve, type RetrieveKernels } from "../../src/evolution/index.ts";
import { sha256 } from "../../src/platform/hash.ts";
import { Archive, openStore, type Store } from "../../src/store/index.ts";

export const context: WorkContext = { signal: new AbortController().signal, report: () => undefined };

export const problem: Problem = problemSchema.parse({
  id: "scale@0123456789ab",
  content_hash: "a".repeat(64),
  definition: {
    name: "scale",
    op_type: "elementwise",
    description: "y = 2 x",
    axes: { N: { type: "var" } },
    inputs: { x: { shape: ["N"], dtype: "float32" } },
    outputs: { y: { shape: ["N"], dtype: "float32" } },
    reference: "def run(x):\n    return 2 * x\n",
    reference_c:
      "void kernel(const real_t *x, real_t *y, int64_t N) { for (int64_t i = 0; i < N; i++) y[i] = 2 * x[i]; }",
    cost: { flops: "N" },
  },
  workloads: [
    { uuid: "big", axes: { N: 1_000_000 }, inputs: { x: { type: "random" } } },
    { uuid: "small", axes: { N: 1000 }, inputs: { x: { type: "random" } } },
    { uuid: "one", axes: { N: 1 }, inputs: { x: { type: "random" } }, role: "edge" },
  ],
  source: "shipped",
});

export const target: TargetSpec = targetSpecSchema.parse({
  id: "cpu-test",
  title: "A processor for tests",
  vendor: "none",
  kind: "cpu",
  description: "It computes.",
  memory: [{ name: "L1", bytes: 32_768, scope: "core" }],
  abstractions: {
    c: {
      program: "gcc",
      extension: ".c",
      command: ["gcc", "{flags}", "{source}"],
      default_flags: ["-O3"],
      allowed_flags: ["-O[0-3]", "-f[a-z-]+"],
      baselines: { reference: ["-O2"], "compiler-best": ["-O3"] },
    },
  },
  run: { harness: "native", metric: "wall_time" },
  dtypes: ["float32"],
  peaks: { source: "measured" },
  constraints: ["No inline assembly."],
});

/** What a source measures. `undefined` ratio: not measured. */
export interface Outcome {
  readonly status?: Status;
  readonly ratio?: number;
  readonly message?: string;
  readonly diagnostics?: string;
}

/** Answers by a function of the source; counts calls; keeps every record. */
export class FakeEvaluations implements EvaluationService {
  readonly calls: { source: string; options: EvaluateOptions }[] = [];
  readonly records = new Map<string, EvaluationRecord>();
  readonly #judge: (source: string, options: EvaluateOptions) => Outcome;
  /** Awaited by each evaluation: lets a test hold it. */
  gate: (context: WorkContext) => Promise<void> = () => Promise.resolve();
  seconds = 1;
  /** Whether what is asked counts as answered before. */
  cached = false;

  constructor(judge: (source: string, options: EvaluateOptions) => Outcome) {
    this.#judge = judge;
  }

  async evaluate(
    input: { source: string; problem: Problem },
    options: EvaluateOptions,
    work: WorkContext,
  ): Promise<EvaluationRecord> {
    this.calls.push({ source: input.source, options });
    await this.gate(work);
    work.signal.throwIfAborted();
    const measured = recordOf(
      input.source,
      this.#judge(input.source, options),
      `eval_${this.records.size}`,
      this.seconds,
    );
    const record = { ...measured, cached: this.cached };
    this.records.set(record.id, record);
    return record;
  }

  async get(id: string): Promise<EvaluationRecord> {
    const record = this.records.get(id);
    if (record === undefined) throw new KernelEvolveError("not_found", `no evaluation ${id}`);
    return record;
  }
}

export function recordOf(source: string, outcome: Outcome, id: string, seconds: number): EvaluationRecord {
  const status = outcome.status ?? "ok";
  const { ratio } = outcome;
  const verdict = status === "ok" || status === "too_noisy" ? "passed" : "rejected";
  const speedup = (baseline: string, value: number): Speedup => ({
    baseline,
    ratio: value,
    low: value * 0.99,
    high: value * 1.01,
    credited: status === "ok" && value * 0.99 > 1.015,
  });
  const timing = (ns: number) => ({ median_ns: ns, p10_ns: ns * 0.9, p90_ns: ns * 1.2, samples: 50 });
  const speedups =
    verdict === "passed" && ratio !== undefined
      ? [speedup("reference", ratio), speedup("compiler-best", ratio / 2)]
      : [];
  return {
    id,
    candidate: sha256(source),
    problem: problem.id,
    target: target.id,
    abstraction: "c",
    verdict,
    status,
    reasons:
      verdict === "passed"
        ? []
        : [{ code: status, message: outcome.message ?? `it ended as ${status}`, workload: "big" }],
    speedups,
    ...(ratio === undefined ? {} : { roofline: Math.min(1, ratio / 10) }),
    stages: {
      compile: {
        status: status === "compile_error" ? status : "ok",
        seconds: 0.1,
        cached: false,
        artifacts: {},
        ...(outcome.diagnostics === undefined ? {} : { diagnostics: outcome.diagnostics }),
      },
      ...(speedups.length === 0
        ? {}
        : {
            verify: {
              status: "ok" as const,
              seconds: 0.1,
              cached: false,
              artifacts: {},
              workloads: ["big", "small", "one"].map((workload) => ({
                workload,
                trials: 8,
                passed: true,
                worst_error: 0.25,
                failures: [],
              })),
            },
            benchmark: {
              status: "ok" as const,
              seconds,
              cached: false,
              artifacts: {},
              clock: "CLOCK_MONOTONIC_RAW",
              cache: "cold" as const,
              workloads: ["big", "small"].map((workload) => ({
                workload,
                candidate: timing(1e6 / (ratio ?? 1)),
                baselines: { reference: timing(1e6), "compiler-best": timing(5e5) },
                speedups,
                noise_floor: 0.005,
                pairs: 50,
                pairs_rejected: 1,
                outcome: "resolved" as const,
                roofline: 0.3,
              })),
            },
          }),
    },
    sandbox: "full",
    device: "test device",
    versions: { gcc: "12" },
    created_at: "2026-01-01T00:00:00.000Z",
    cached: false,
  };
}

export function fakeProblems(seeds: { name: string; source: string; note: string }[]): ProblemService {
  return {
    list: async () => [],
    get: async (id) => {
      if (id === problem.id || id === "scale") return problem;
      throw new KernelEvolveError("not_found", `problem: there is no ${id}`);
    },
    register: async () => problem,
    graded: async (given) => given,
    prototype: () => "void kernel(const float *x, float *y, int64_t N);",
    seeds: async () => seeds,
  };
}

export const fakeTargets: TargetService = {
  list: async () => [target],
  get: async (id) => {
    if (id === target.id) return target;
    throw new KernelEvolveError("not_found", `target: there is no ${id}`);
  },
  status: async () => ({
    id: target.id,
    title: target.title,
    usable: true,
    capabilities: { compile: true, verify: true, benchmark: true, profile: true },
    sandbox: "full",
    device: "test device",
    checks: [],
  }),
  peaks: async () => ({
    machine: "m",
    measured_at: "2026-01-01T00:00:00.000Z",
    flops: { "float32.scalar": 4e9, "float32.avx2": 6e10 },
    bandwidth: { L1: 2e11, DRAM: 1e10 },
    cores: 2,
    flops_all: {},
    bandwidth_all: {},
  }),
  doctor: async () => {
    throw new KernelEvolveError("unsupported", "no doctor here");
  },
};

/** A data home of its own, with a service over the real store; `reopen` is what a restart after kill -9 sees. */
export class World {
  readonly home = mkdtempSync(join(tmpdir(), "ke-evolution-"));
  readonly evaluations: FakeEvaluations;
  readonly #seeds: { name: string; source: string; note: string }[];
  readonly #retrieve: Retrieve | undefined;
  readonly #retrieveKernels: RetrieveKernels | undefined;
  store: Store;
  evolution: Evolution;

  constructor(
    judge: (source: string, options: EvaluateOptions) => Outcome,
    seeds: { name: string; source: string; note: string }[] = [],
    retrieve?: Retrieve,
    retrieveKernels?: RetrieveKernels,
  ) {
    this.evaluations = new FakeEvaluations(judge);
    this.#seeds = seeds;
    this.#retrieve = retrieve;
    this.#retrieveKernels = retrieveKernels;
    this.store = openStore(this.home);
    this.evolution = this.#service();
  }

  #service(): Evolution {
    return new Evolution({
      graph: this.store.graph,
      archive: new Archive(this.home),
      problems: fakeProblems(this.#seeds),
      targets: fakeTargets,
      evaluations: this.evaluations,
      ...(this.#retrieve === undefined ? {} : { retrieve: this.#retrieve }),
      ...(this.#retrieveKernels === undefined ? {} : { retrieveKernels: this.#retrieveKernels }),
    });
  }

  /** Drops the service without a good-bye, and opens the data home anew. */
  reopen(): void {
    this.store.close();
    this.store = openStore(this.home);
    this.evolution = this.#service();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.evolution.close();
    this.store.close();
    rmSync(this.home, { recursive: true, force: true });
  }
}

/** A candidate with tunables whose code differs by `kind`. */
export function tunable(
  kind: string,
  settings: { tile?: number; unroll?: number; fast?: boolean; pad?: number } = {},
): string {
  const { tile = 8, unroll = 1, fast = false, pad = 0 } = settings;
  return `// ke:flags -O3${fast ? " -ffast-math" : ""}
// ke:tunable TILE int ${tile} {8,16,32,64,128,256}
// ke:tunable UNROLL int ${unroll} {1,2,4,8,16}
// ke:tunable PAD int ${pad} {0,1,2,3,4,5,6,7}
// ke:tunable-flags {-ffast-math}
#include "kernel.h"
void kernel(const float *x, float *y, int64_t N) { ${kind}(x, y, N); }
`;
}

/** The settings that a source declares. */
export function settingsOf(source: string): {
  kind: string;
  tile: number;
  unroll: number;
  pad: number;
  fast: boolean;
} {
  const header = parseHeader(source);
  const value = (name: string): number =>
    Number(header.tunables.find((one) => one.name === name)?.value ?? 0);
  return {
    kind: /\{ (\w+)\(x/.exec(source)?.[1] ?? "",
    tile: value("TILE"),
    unroll: value("UNROLL"),
    pad: value("PAD"),
    fast: header.flags?.includes("-ffast-math") === true,
  };
}
