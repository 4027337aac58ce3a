import { existsSync } from "node:fs";
import { KernelEvolveError, type Problem, type Services, type WorkContext } from "../domain/index.ts";

/**
 * A problem by name or id; or from a file or folder (anything with a `.` or `/` that exists); or an ATen operator as
 * `aten:add.Tensor`. The latter two are registered.
 */
export async function problemArgument(
  value: string,
  target: string,
  services: Services,
  work: WorkContext,
): Promise<Problem> {
  if (value.startsWith("aten:")) {
    const { atenProblem } = await import("../app/problem-file.ts");
    const input = atenProblem(value);
    if (input !== undefined) return await services.problems.register(input, target, work);
  }
  if (!/[./]/.test(value) || !existsSync(value)) {
    if (/\/|\.(py|json|ya?ml)$/.test(value))
      throw new KernelEvolveError("not_found", `--problem ${value}: there is no such file or folder`, {
        fix: "give the path from here, or a name that kernelevolve problems lists",
      });
    return await services.problems.get(value);
  }
  const { readProblemFile } = await import("../app/problem-file.ts");
  return await services.problems.register(readProblemFile(value), target, work);
}

const BY_ENDING: readonly (readonly [RegExp, string])[] = [
  [/\.(cpp|cc|cxx)$/, "cpp"],
  [/\.cu$/, "cuda"],
  [/\.c$/, "c"],
];

/** The language of a candidate's file: by its ending, and of Python by what it imports. */
export function abstractionOf(file: string, source: string): string {
  if (file.endsWith(".py")) return /^\s*(import|from)\s+triton\b/m.test(source) ? "triton" : "pytorch";
  return BY_ENDING.find(([ending]) => ending.test(file))?.[1] ?? "c";
}
