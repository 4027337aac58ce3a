import { existsSync, readdirSync } from "node:fs";
import { join, sep } from "node:path";
import { z } from "zod";
import {
  definitionSchema,
  KernelEvolveError,
  type Problem,
  type Workload,
  workloadSchema,
} from "../domain/index.ts";
import { checked, parseJsonText, readText } from "./files.ts";
import { makeProblem } from "./make.ts";

/** A line of a FlashInfer-Trace JSONL file; a workload on its own has no solution and no evaluation. */
const traceSchema = z.object({ definition: z.string(), workload: workloadSchema });

/** Optional fields that its writer leaves as null are absent here; `shape: null` is the one null with a meaning. */
function withoutNulls(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(withoutNulls);
  if (value === null || typeof value !== "object") return value;
  return Object.fromEntries(
    Object.entries(value)
      .filter(([key, inner]) => inner !== null || key === "shape")
      .map(([key, inner]) => [key, withoutNulls(inner)]),
  );
}

/** The definitions of a FlashInfer-Trace data set at `root` (`definitions/**.json`), sorted; none where it is not one. */
export function traceDefinitions(root: string): string[] {
  const folder = join(root, "definitions");
  if (!existsSync(folder) || !existsSync(join(root, "workloads"))) return [];
  return readdirSync(folder, { recursive: true, encoding: "utf8" })
    .filter((name) => name.endsWith(".json"))
    .sort()
    .map((name) => join(folder, name));
}

/** `…/definitions/gemm/x.json` has its workloads in `…/workloads/gemm/x.jsonl`. */
function workloadsBeside(definitionFile: string): string {
  const parts = definitionFile.split(sep);
  const at = parts.lastIndexOf("definitions");
  if (at === -1) {
    throw new KernelEvolveError(
      "invalid_argument",
      `${definitionFile}: not in a folder "definitions", so its workloads cannot be found`,
      { fix: "name the workloads file" },
    );
  }
  return [...parts.slice(0, at), "workloads", ...parts.slice(at + 1)].join(sep).replace(/\.json$/, ".jsonl");
}

/**
 * Imports a FlashInfer-Trace definition (JSON) with its workloads (JSONL of Trace objects), both as FlashInfer-Bench
 * writes them; without `workloadsFile`, the one at the data set's usual place. Lines of other definitions, and further
 * traces of a workload already seen, are passed over. Safetensors inputs stay named but are never opened: a native
 * target refuses such a workload, for the judge makes its own inputs.
 * @throws invalid_argument naming file, line and field.
 */
export function importFlashInferTrace(
  definitionFile: string,
  workloadsFile: string = workloadsBeside(definitionFile),
): Problem {
  const definition = checked(
    definitionSchema,
    withoutNulls(parseJsonText(readText(definitionFile), definitionFile)),
    definitionFile,
  );
  const workloads = new Map<string, Workload>();
  readText(workloadsFile)
    .split("\n")
    .forEach((line, index) => {
      if (line.trim() === "") return;
      const where = `${workloadsFile}:${index + 1}`;
      const trace = checked(traceSchema, withoutNulls(parseJsonText(line, where)), where);
      if (trace.definition === definition.name && !workloads.has(trace.workload.uuid))
        workloads.set(trace.workload.uuid, trace.workload);
    });
  if (workloads.size === 0)
    throw new KernelEvolveError("invalid_argument", `${workloadsFile}: no workload of ${definition.name}`);
  return makeProblem(definition, [...workloads.values()], { source: "registered" });
}
