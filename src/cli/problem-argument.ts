import { existsSync } from "node:fs";
import type { Problem, Services, WorkContext } from "../domain/index.ts";

/** A problem by name or id, or from a file or folder (anything with a `.` or `/` that exists), which is then registered. */
export async function problemArgument(
  value: string,
  target: string,
  services: Services,
  work: WorkContext,
): Promise<Problem> {
  if (!/[./]/.test(value) || !existsSync(value)) return await services.problems.get(value);
  const { readProblemFile } = await import("../app/problem-file.ts");
  return await services.problems.register(readProblemFile(value), target, work);
}
