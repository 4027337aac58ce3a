import { readFileSync } from "node:fs";
import { z } from "zod";
import {
  definitionSchema,
  errorMessage,
  KernelEvolveError,
  type Problem,
  type Workload,
  workloadSchema,
} from "../domain/index.ts";
import { checked, makeProblem } from "./load.ts";

/** A line of a FlashInfer-Trace JSONL file; a workload on its own has no solution and no evaluation. */
const traceSchema = z.object({ definition: z.string(), workload: workloadSchema });

/**
 * Imports a FlashInfer-Trace definition (JSON) with its workloads (JSONL of Trace objects), both as FlashInfer-Bench writes them.
 * Lines that belong to other definitions, and further traces of a workload already seen, are passed over.
 * @throws invalid_argument naming file and line.
 */
export function importFlashInferTrace(definitionFile: string, workloadsFile: string): Problem {
  const parse = (text: string, where: string): unknown => {
    try {
      return JSON.parse(text);
    } catch (error) {
      throw new KernelEvolveError("invalid_argument", `${where}: not JSON (${errorMessage(error)})`);
    }
  };
  const definition = checked(
    definitionSchema,
    parse(readFileSync(definitionFile, "utf8"), definitionFile),
    definitionFile,
  );
  const workloads = new Map<string, Workload>();
  readFileSync(workloadsFile, "utf8")
    .split("\n")
    .forEach((line, index) => {
      if (line.trim() === "") return;
      const where = `${workloadsFile}:${index + 1}`;
      const trace = checked(traceSchema, parse(line, where), where);
      if (trace.definition === definition.name && !workloads.has(trace.workload.uuid))
        workloads.set(trace.workload.uuid, trace.workload);
    });
  if (workloads.size === 0)
    throw new KernelEvolveError("invalid_argument", `${workloadsFile} has no workload of ${definition.name}`);
  return makeProblem(definition, [...workloads.values()], { source: "registered" });
}
