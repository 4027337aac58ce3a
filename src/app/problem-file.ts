import { existsSync, readdirSync, statSync } from "node:fs";
import { basename, join } from "node:path";
import { parse as parseYaml } from "yaml";
import { z } from "zod";
import {
  definitionSchema,
  errorMessage,
  judgingSchema,
  KernelEvolveError,
  type Problem,
  type ProblemInput,
  workloadSchema,
} from "../domain/index.ts";
import { nearest } from "../platform/nearest.ts";
import { packageRoot } from "../platform/paths.ts";
import { checked, parseJsonText, readText } from "../problems/files.ts";
import { importFlashInferTrace, readProblemFolder } from "../problems/index.ts";

const inlineSchema = z.strictObject({
  definition: definitionSchema,
  workloads: z.array(workloadSchema).min(1),
  cache: z.enum(["cold", "warm"]).optional(),
  judging: judgingSchema.optional(),
});

/**
 * A problem as people keep them: a folder (definition.json, workloads.json, reference.c), one JSON file {definition,
 * workloads, cache?}, a FlashInfer-Trace definition with its workloads at the data set's place, a KernelBench file (.py), or a
 * kernelbot task (task.yml, or its folder).
 * @throws not_found or invalid_argument naming the file and the field.
 */
export function readProblemFile(path: string): ProblemInput {
  const found = statSync(path, { throwIfNoEntry: false });
  if (found === undefined) throw new KernelEvolveError("not_found", `${path}: no such file or folder`);
  if (found.isDirectory())
    return existsSync(join(path, "task.yml"))
      ? kernelbotTask(path)
      : contents(readProblemFolder(path, "registered"));
  if (basename(path) === "task.yml") return kernelbotTask(join(path, ".."));
  if (path.endsWith(".py"))
    return { origin: { format: "kernelbench", source: readText(path) }, name: basename(path, ".py") };
  const raw = parseJsonText(readText(path), path);
  if (raw !== null && typeof raw === "object" && "axes" in raw) return contents(importFlashInferTrace(path));
  const { cache, judging, ...rest } = checked(inlineSchema, raw, path);
  return {
    ...rest,
    ...(cache === undefined ? {} : { cache }),
    ...(judging === undefined ? {} : { judging }),
  };
}

function contents({ definition, workloads, cache, judging }: Problem): ProblemInput {
  return { definition, workloads, cache, ...(judging === undefined ? {} : { judging }) };
}

/** A task.yml as plain data, with the Python files beside it. */
function kernelbotTask(folder: string): ProblemInput {
  const file = join(folder, "task.yml");
  let task: unknown;
  try {
    task = parseYaml(readText(file), { schema: "core", maxAliasCount: 100 });
  } catch (error) {
    throw new KernelEvolveError("invalid_argument", `${file}: ${errorMessage(error)}`);
  }
  const files = Object.fromEntries(
    readdirSync(folder)
      .filter((name) => name.endsWith(".py"))
      .map((name) => [name, readText(join(folder, name))]),
  );
  const given = checked(z.record(z.string(), z.unknown()), task, file);
  return { origin: { format: "kernelbot", task: given, files }, name: basename(join(folder, ".")) };
}

/** `aten:add.Tensor` or `aten:add.Tensor:float16` as a problem; undefined for anything else. */
export function atenProblem(text: string): ProblemInput | undefined {
  const found = /^aten:([A-Za-z_]\w*\.[A-Za-z_]\w*)(?::([a-z0-9_]+))?$/.exec(text);
  if (found?.[1] === undefined) return undefined;
  const schema = z.enum(["float32", "float64", "float16", "bfloat16", "int32", "int64", "bool"]);
  const dtype = checked(schema, found[2] ?? "float32", `${text}: the dtype`);
  return { origin: { format: "aten", overload: found[1], dtype, samples: 4 } };
}

/** The folder of a shipped problem. @throws not_found with the names that there are */
export function shippedProblem(name: string): string {
  const folder = join(packageRoot, "knowledge", "problems");
  const known = readdirSync(folder, { withFileTypes: true }).flatMap((entry) =>
    entry.isDirectory() ? [entry.name] : [],
  );
  if (known.includes(name)) return join(folder, name);
  const close = nearest(name, known);
  throw new KernelEvolveError("not_found", `no problem "${name.slice(0, 80)}" is shipped`, {
    fix: close.length > 0 ? `did you mean ${close.join(" or ")}?` : `use one of ${known.sort().join(", ")}`,
  });
}
