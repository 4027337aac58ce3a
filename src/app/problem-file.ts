import { statSync } from "node:fs";
import { join } from "node:path";
import { z } from "zod";
import {
  type Definition,
  definitionSchema,
  KernelEvolveError,
  type Problem,
  type Workload,
  workloadSchema,
} from "../domain/index.ts";
import { packageRoot } from "../platform/paths.ts";
import { checked, parseJsonText, readText } from "../problems/files.ts";
import { importFlashInferTrace, readProblemFolder } from "../problems/index.ts";

export interface ProblemFile {
  readonly definition: Definition;
  readonly workloads: Workload[];
  readonly cache?: "cold" | "warm";
}

const inlineSchema = z.strictObject({
  definition: definitionSchema,
  workloads: z.array(workloadSchema).min(1),
  cache: z.enum(["cold", "warm"]).optional(),
});

/**
 * A problem as people keep them: a folder (definition.json, workloads.json, reference.c), one JSON file {definition,
 * workloads, cache?}, or a FlashInfer-Trace definition with its workloads at the data set's place.
 * @throws not_found or invalid_argument naming the file and the field.
 */
export function readProblemFile(path: string): ProblemFile {
  const found = statSync(path, { throwIfNoEntry: false });
  if (found === undefined) throw new KernelEvolveError("not_found", `${path}: no such file or folder`);
  if (found.isDirectory()) return contents(readProblemFolder(path, "registered"));
  const raw = parseJsonText(readText(path), path);
  if (raw !== null && typeof raw === "object" && "axes" in raw) return contents(importFlashInferTrace(path));
  const { cache, ...rest } = checked(inlineSchema, raw, path);
  return { ...rest, ...(cache === undefined ? {} : { cache }) };
}

function contents({ definition, workloads, cache }: Problem): ProblemFile {
  return { definition, workloads, cache };
}

/** The folder of a shipped problem. */
export function shippedProblem(name: string): string {
  return join(packageRoot, "knowledge", "problems", name);
}
