import { existsSync, readdirSync, readFileSync } from "node:fs";
import { basename, join } from "node:path";
import {
  type EvaluationRecord,
  errorMessage,
  KernelEvolveError,
  type Services,
  type Speedup,
  type WorkContext,
} from "../domain/index.ts";

export interface KernelBenchProblem {
  readonly level: number;
  readonly number: number;
  /** The file's name without its ending, e.g. `19_ReLU`. */
  readonly name: string;
  readonly path: string;
}

/** One problem's outcome. Without a candidate it counts as not correct, as KernelBench counts it. */
export interface KernelBenchRow {
  readonly level: number;
  readonly problem: string;
  readonly candidate: string | null;
  readonly verdict: EvaluationRecord["verdict"] | "missing" | "error";
  readonly status: string;
  /** First reason, in words. */
  readonly reason: string | null;
  readonly degenerate: boolean | null;
  readonly speedups: readonly Speedup[];
  readonly evaluation: string | null;
}

export interface KernelBenchScore {
  readonly level: number | "all";
  readonly baseline: string;
  readonly problems: number;
  readonly correct: number;
  /** Share of all problems that are correct and faster than the baseline, by the lower end of the interval. */
  readonly fast_1: number;
  /** The same for twice as fast. */
  readonly fast_2: number;
  /** Of the ratios of the correct ones; null where none is. */
  readonly geometric_mean: number | null;
  /** Problems that a null candidate passes: not counted in anything above. */
  readonly degenerate: number;
}

/** The problems of a KernelBench checkout (its root, or the folder with `level1` …), by level and number. @throws not_found. */
export function kernelBenchProblems(root: string, levels: readonly number[]): KernelBenchProblem[] {
  const base = [join(root, "KernelBench"), root].find((folder) => existsSync(join(folder, "level1")));
  if (base === undefined)
    throw new KernelEvolveError("not_found", `${root}: no folder level1 in it`, {
      fix: "give the path of a KernelBench checkout (https://github.com/ScalingIntelligence/KernelBench)",
    });
  return levels.flatMap((level) => {
    const folder = join(base, `level${level}`);
    if (!existsSync(folder)) throw new KernelEvolveError("not_found", `${folder}: no such level`);
    return readdirSync(folder)
      .flatMap((file) => {
        const found = /^(\d+)_.*\.py$/.exec(file);
        if (found === null) return [];
        return [{ level, number: Number(found[1]), name: basename(file, ".py"), path: join(folder, file) }];
      })
      .sort((a, b) => a.number - b.number);
  });
}

/**
 * The candidate of a problem in a folder: `level1/19_ReLU.py`, any `level1/19_*.py`, or `level_1_problem_19_sample_0_kernel.py` as
 * KernelBench's own scripts write them.
 */
export function candidateFor(problem: KernelBenchProblem, folder: string): string | undefined {
  const inLevel = join(folder, `level${problem.level}`);
  const exact = ENDINGS.map((ending) => join(inLevel, `${problem.name}${ending}`)).find((file) =>
    existsSync(file),
  );
  if (exact !== undefined) return exact;
  const named = existsSync(inLevel)
    ? readdirSync(inLevel).find((file) => new RegExp(`^${problem.number}_.*\\.(py|cu|cpp)$`).test(file))
    : undefined;
  if (named !== undefined) return join(inLevel, named);
  const sample = join(folder, `level_${problem.level}_problem_${problem.number}_sample_0_kernel.py`);
  return existsSync(sample) ? sample : undefined;
}

/** Endings of candidates' files: Python, CUDA, C++. */
const ENDINGS = [".py", ".cu", ".cpp"] as const;

function abstractionOf(file: string | undefined, source: string): string {
  if (file?.endsWith(".cu") === true) return "cuda";
  if (file?.endsWith(".cpp") === true) return "cpp";
  return /^\s*(import|from)\s+triton\b/m.test(source) ? "triton" : "pytorch";
}

export interface KernelBenchOptions {
  readonly target: string;
  readonly seconds: number;
  readonly verifyOnly: boolean;
  /** The problem's own module as its candidate: what must be correct and never faster. */
  readonly modelItself: boolean;
  readonly candidates: string | undefined;
  readonly onRow: (row: KernelBenchRow) => void;
}

/**
 * Judges the candidate of each problem in turn. One that cannot be judged is a row with the reason, never an end of the run.
 * @throws missing_tool or unsupported, where the machine lacks what every one of them needs.
 */
export async function runKernelBench(
  problems: readonly KernelBenchProblem[],
  options: KernelBenchOptions,
  services: Services,
  context: WorkContext,
): Promise<KernelBenchRow[]> {
  const rows: KernelBenchRow[] = [];
  for (const [index, problem] of problems.entries()) {
    if (context.signal.aborted) break;
    const label = `level ${problem.level} ${problem.name}`;
    const inner: WorkContext = {
      signal: context.signal,
      report: (update) =>
        context.report({ progress: index, total: problems.length, message: `${label}: ${update.message}` }),
    };
    inner.report({ progress: index, total: problems.length, message: `${index + 1} of ${problems.length}` });
    const row = await judgeOne(problem, options, services, inner).catch((error: unknown) => {
      if (context.signal.aborted) return undefined;
      // What the machine lacks it lacks for all of them: said once, with how to get it.
      if (error instanceof KernelEvolveError && LACKING.has(error.code)) throw error;
      return {
        ...empty(problem),
        verdict: "error" as const,
        status: codeOf(error),
        reason: errorMessage(error),
      };
    });
    if (row === undefined) break;
    rows.push(row);
    options.onRow(row);
  }
  return rows;
}

const LACKING: ReadonlySet<string> = new Set(["missing_tool", "unsupported"]);

function codeOf(error: unknown): string {
  return error instanceof KernelEvolveError ? error.code : "infrastructure";
}

function empty(problem: KernelBenchProblem): KernelBenchRow {
  return {
    level: problem.level,
    problem: problem.name,
    candidate: null,
    verdict: "missing",
    status: "missing",
    reason: null,
    degenerate: null,
    speedups: [],
    evaluation: null,
  };
}

async function judgeOne(
  problem: KernelBenchProblem,
  options: KernelBenchOptions,
  services: Services,
  context: WorkContext,
): Promise<KernelBenchRow> {
  const file = options.candidates === undefined ? undefined : candidateFor(problem, options.candidates);
  if (file === undefined && !options.modelItself) return empty(problem);
  const text = readFileSync(problem.path, "utf8");
  const source = file === undefined ? `${text}\n\nModelNew = Model\n` : readFileSync(file, "utf8");
  const registered = await services.problems.register(
    { origin: { format: "kernelbench", source: text }, name: problem.name },
    options.target,
    context,
  );
  const record = await services.evaluations.evaluate(
    { source, problem: registered, target: options.target, abstraction: abstractionOf(file, source) },
    { stages: options.verifyOnly ? ["verify"] : ["verify", "benchmark"], benchmark_seconds: options.seconds },
    context,
  );
  return {
    level: problem.level,
    problem: problem.name,
    candidate: file ?? "Model itself",
    verdict: record.verdict,
    status: record.status,
    reason: record.verdict === "passed" ? null : (record.reasons[0]?.message ?? null),
    degenerate: registered.grading?.degenerate ?? null,
    speedups: record.speedups,
    evaluation: record.id,
  };
}

/** The table per level and over all, against each baseline: degenerate problems apart. */
export function kernelBenchScores(rows: readonly KernelBenchRow[]): KernelBenchScore[] {
  const baselines = [...new Set(rows.flatMap((row) => row.speedups.map((one) => one.baseline)))];
  const levels = [...new Set(rows.map((row) => row.level))].sort((a, b) => a - b);
  const groups: (readonly [number | "all", readonly KernelBenchRow[]])[] = [
    ...levels.map((level) => [level, rows.filter((row) => row.level === level)] as const),
    ...(levels.length > 1 ? [["all", rows] as const] : []),
  ];
  return groups.flatMap(([level, all]) =>
    (baselines.length === 0 ? ["eager"] : baselines).map((baseline) => {
      const counted = all.filter((row) => row.degenerate !== true);
      const correct = counted.filter((row) => row.verdict === "passed");
      const ratios = correct.flatMap((row) => row.speedups.filter((one) => one.baseline === baseline));
      const share = (least: number): number =>
        counted.length === 0 ? 0 : ratios.filter((one) => one.low > least).length / counted.length;
      return {
        level,
        baseline,
        problems: counted.length,
        correct: correct.length,
        fast_1: share(1),
        fast_2: share(2),
        geometric_mean:
          ratios.length === 0
            ? null
            : Math.exp(ratios.reduce((sum, one) => sum + Math.log(one.ratio), 0) / ratios.length),
        degenerate: all.length - counted.length,
      };
    }),
  );
}
