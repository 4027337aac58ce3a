import { existsSync, readdirSync } from "node:fs";
import { delimiter, join, resolve } from "node:path";
import { z } from "zod";
import { definitionSchema, errorMessage, type Problem, workloadSchema } from "../domain/index.ts";
import { packageRoot } from "../platform/paths.ts";
import { checked, parseJsonText, readText } from "./files.ts";
import { makeProblem } from "./make.ts";
import { importFlashInferTrace, traceDefinitions } from "./trace.ts";

/**
 * Folders of problems: the package's, and those of KERNELEVOLVE_PROBLEMS (separated as in PATH). Each holds one problem
 * a subfolder, or is a FlashInfer-Trace data set with `definitions/` and `workloads/`.
 */
export function problemFolders(): string[] {
  const extra = (process.env["KERNELEVOLVE_PROBLEMS"] ?? "")
    .split(delimiter)
    .filter((folder) => folder !== "");
  return [join(packageRoot, "knowledge", "problems"), ...extra.map((folder) => resolve(folder))];
}

const workloadsFileSchema = z.union([
  z.array(workloadSchema),
  z.object({ cache: z.enum(["cold", "warm"]).optional(), workloads: z.array(workloadSchema) }),
]);

/**
 * Reads `definition.json`, `workloads.json` and, where they stand beside it, `reference.c` and `reference.py`.
 * @throws invalid_argument naming the file and the field.
 */
export function readProblemFolder(folder: string, source: Problem["source"] = "shipped"): Problem {
  const definitionFile = join(folder, "definition.json");
  const raw = checked(
    z.record(z.string(), z.unknown()),
    parseJsonText(readText(definitionFile), definitionFile),
    definitionFile,
  );
  const beside = { reference_c: join(folder, "reference.c"), reference: join(folder, "reference.py") };
  for (const [field, file] of Object.entries(beside)) {
    if (existsSync(file)) raw[field] = readText(file);
  }
  const definition = checked(definitionSchema, raw, definitionFile);
  const file = join(folder, "workloads.json");
  const given = checked(workloadsFileSchema, parseJsonText(readText(file), file), file);
  const list = Array.isArray(given) ? { workloads: given } : given;
  return makeProblem(definition, list.workloads, {
    source,
    ...(list.cache === undefined ? {} : { cache: list.cache }),
  });
}

export interface LoadedProblems {
  readonly problems: ReadonlyMap<string, Problem>;
  /** Folders that could not be read, and why: one bad problem never hides the others. */
  readonly faults: readonly string[];
}

/** Every problem of `folders`, by name. A name that an earlier folder has already is a fault, not a replacement. */
export function loadProblems(folders: readonly string[] = problemFolders()): LoadedProblems {
  const problems = new Map<string, Problem>();
  const faults: string[] = [];
  const add = (where: string, read: () => Problem): void => {
    try {
      const problem = read();
      const { name } = problem.definition;
      if (problems.has(name)) faults.push(`${where}: the name "${name}" is taken by another problem`);
      else problems.set(name, problem);
    } catch (error) {
      const message = errorMessage(error);
      faults.push(message.startsWith(where) ? message : `${where}: ${message}`);
    }
  };
  for (const root of folders) {
    try {
      for (const file of traceDefinitions(root)) add(file, () => importFlashInferTrace(file));
      for (const name of readdirSync(root).sort()) {
        const folder = join(root, name);
        if (existsSync(join(folder, "definition.json"))) add(folder, () => readProblemFolder(folder));
      }
    } catch (error) {
      faults.push(`${root}: ${errorMessage(error)}`);
    }
  }
  return { problems, faults };
}
