import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Judging, Origin, Problem } from "../../domain/index.ts";

/** What the judge is told about a problem: its format's own form. `folder` holds files for those formats that need them. */
export function problemField(problem: Problem, wanted: readonly string[] | undefined): object {
  const { definition, origin } = problem;
  if (origin !== undefined) return originField(origin, definition.name);
  const workloads =
    wanted === undefined
      ? problem.workloads
      : problem.workloads.filter((workload) => wanted.includes(workload.uuid));
  return { format: "flashinfer", definition, workloads, odd_shapes: wanted === undefined };
}

/** As `problemField`, of a problem that is not registered yet. Kernelbot's files are given by `withFiles`. */
export function originField(origin: Origin, name: string): object {
  switch (origin.format) {
    case "kernelbench":
      return { format: "kernelbench", source: origin.source, name };
    case "aten":
      return { format: "aten", overload: origin.overload, dtype: origin.dtype, samples: origin.samples };
    case "backendbench":
      return {
        format: "backendbench",
        overload: origin.overload,
        trace: origin.trace,
        samples: origin.samples,
      };
    case "kernelbot":
      return { format: "kernelbot", task: { name, ...origin.task } };
  }
}

/** Runs `work` with the problem's field, and with a folder of its files while that lasts where the format has any. */
export async function withFiles<T>(
  field: object,
  origin: Origin | undefined,
  work: (field: object) => Promise<T>,
): Promise<T> {
  if (origin?.format !== "kernelbot") return await work(field);
  const root = mkdtempSync(join(tmpdir(), "kernelevolve-task-"));
  try {
    // The schema lets no name leave the folder.
    for (const [name, text] of Object.entries(origin.files)) writeFileSync(join(root, name), text);
    return await work({ ...field, root });
  } finally {
    rmSync(root, { recursive: true, force: true });
  }
}

/** The job's fields that follow from how a problem is judged. */
export function judgingFields(problem: Problem): object {
  const judging: Judging = problem.judging ?? {};
  const tolerances = Object.values(problem.definition.tolerance ?? {});
  // One pair holds for all outputs of a torch problem: the strictest that the definition gives.
  const rtol = judging.rtol ?? least(tolerances.map((one) => one.rtol));
  const atol = judging.atol_rms ?? least(tolerances.map((one) => one.atol_rms));
  return {
    cache: problem.cache,
    ...(rtol === undefined ? {} : { rtol }),
    ...(atol === undefined ? {} : { atol }),
    ...(judging.backward === undefined ? {} : { backward: judging.backward }),
    ...(judging.require_own_kernel === undefined ? {} : { require_own_kernel: judging.require_own_kernel }),
    ...(judging.dtype === undefined ? {} : { dtype: judging.dtype }),
    ...(judging.oracle === undefined ? {} : { oracle: judging.oracle }),
  };
}

function least(values: readonly number[]): number | undefined {
  return values.length === 0 ? undefined : Math.min(...values);
}
