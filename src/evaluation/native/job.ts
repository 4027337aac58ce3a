import type { ResolvedFill, ResolvedWorkload } from "../../problems/resolve.ts";

/** What the judge is asked: one mode over some workloads. Paths are of this machine. */
export interface JudgeJob {
  readonly mode: "verify" | "benchmark" | "grade";
  readonly host: string;
  readonly oracle: string;
  readonly candidate: string;
  readonly baselines: readonly { readonly name: string; readonly path: string }[];
  readonly sandbox: readonly string[] | undefined;
  readonly cgroups: readonly string[];
  /** 0: the hosts keep the user they have. */
  readonly uid: number;
  readonly threads: number;
  readonly limits: {
    readonly addressSpaceBytes: number;
    readonly cpuSeconds: number;
    readonly fileBytes: number;
  };
  readonly callSeconds: number;
  readonly lock: string;
  readonly cache: "cold" | "warm";
  readonly trials: number;
  /** Benchmark only: seconds a workload, and the relative width of the interval at which it may stop. */
  readonly budgetSeconds: number;
  readonly targetWidth: number;
  readonly generations: { readonly min: number; readonly max: number };
  readonly workloads: readonly ResolvedWorkload[];
}

/** A string as one word: everything but plain characters as %XX. */
function word(text: string): string {
  const encoded = [...Buffer.from(text, "utf8")]
    .map((byte) =>
      /[A-Za-z0-9._/=:,@+-]/.test(String.fromCharCode(byte))
        ? String.fromCharCode(byte)
        : `%${byte.toString(16).padStart(2, "0")}`,
    )
    .join("");
  return encoded === "" ? "%" : encoded;
}

function fillWords(fill: ResolvedFill): string {
  switch (fill.kind) {
    case "normal":
      return `normal ${fill.mean} ${fill.std}`;
    case "offsets":
      return `offsets ${fill.total} 0`;
    case "constant":
      return `constant ${fill.value} 0`;
    default:
      return `${fill.kind} ${fill.low} ${fill.high}`;
  }
}

function dims(shape: readonly number[] | null): string {
  return shape === null ? "-1" : [shape.length, ...shape].join(" ");
}

/** The lines of one workload; names are identifiers and uuids plain words by their schemas. */
export function workloadLines(workload: ResolvedWorkload): string[] {
  return [
    `workload ${workload.uuid} ${workload.role}`,
    ...workload.axes.map((axis) => `axis ${axis.value}`),
    ...workload.inputs.map(
      (tensor) => `in ${tensor.name} ${tensor.dtype} ${dims(tensor.shape)} ${fillWords(tensor.fill)}`,
    ),
    ...workload.outputs.map(
      (tensor) =>
        `out ${tensor.name} ${tensor.dtype} ${dims(tensor.shape)} ${tensor.tolerance.rtol} ${tensor.tolerance.atol_rms}`,
    ),
  ];
}

/** The job as the judge reads it (tools/native/job.c). */
export function jobText(job: JudgeJob): string {
  return `${[
    "ke-job 1",
    `mode ${job.mode}`,
    `host ${word(job.host)}`,
    `oracle ${word(job.oracle)}`,
    `candidate ${word(job.candidate)}`,
    ...job.baselines.map((baseline) => `baseline ${word(baseline.name)} ${word(baseline.path)}`),
    ...(job.sandbox ?? []).map((argument) => `sandbox ${word(argument)}`),
    ...job.cgroups.map((file) => `cgroup ${word(file)}`),
    `uid ${job.uid}`,
    `threads ${job.threads}`,
    `limits ${job.limits.addressSpaceBytes} ${job.limits.cpuSeconds} ${job.limits.fileBytes}`,
    `call-seconds ${job.callSeconds}`,
    `lock ${word(job.lock)}`,
    `cache ${job.cache}`,
    `trials ${job.trials}`,
    `budget ${job.budgetSeconds}`,
    `target-width ${job.targetWidth}`,
    `generations ${job.generations.min} ${job.generations.max}`,
    ...job.workloads.flatMap(workloadLines),
    "end",
  ].join("\n")}\n`;
}
