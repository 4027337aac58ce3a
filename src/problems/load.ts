import { existsSync, readdirSync, readFileSync, statSync } from "node:fs";
import { delimiter, join, resolve } from "node:path";
import { z } from "zod";
import {
  type Definition,
  definitionSchema,
  errorMessage,
  KernelEvolveError,
  MAX_SOURCE_BYTES,
  type Problem,
  problemSchema,
  type Workload,
  workloadSchema,
} from "../domain/index.ts";
import { canonicalJson, sha256 } from "../platform/hash.ts";
import { packageRoot } from "../platform/paths.ts";
import { resolveWorkload } from "./resolve.ts";

const MAX_FILE = 8 * MAX_SOURCE_BYTES;

/** Folders with one problem a subfolder: the package's, and those of KERNELEVOLVE_PROBLEMS (colon separated). */
export function problemFolders(): string[] {
  const extra = (process.env["KERNELEVOLVE_PROBLEMS"] ?? "")
    .split(delimiter)
    .filter((folder) => folder !== "");
  return [join(packageRoot, "knowledge", "problems"), ...extra.map((folder) => resolve(folder))];
}

function readText(file: string): string {
  if (statSync(file).size > MAX_FILE)
    throw new KernelEvolveError("invalid_argument", `${file}: larger than ${MAX_FILE} bytes`);
  return readFileSync(file, "utf8");
}

function readJson(file: string): unknown {
  const text = readText(file);
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new KernelEvolveError("invalid_argument", `${file}: not JSON (${errorMessage(error)})`);
  }
}

/** The value as `schema` has it. @throws invalid_argument naming where (a file or an argument) and the field. */
export function checked<T>(schema: z.ZodType<T>, value: unknown, where: string): T {
  const parsed = schema.safeParse(value);
  if (parsed.success) return parsed.data;
  const issues = parsed.error.issues
    .slice(0, 5)
    .map((issue) => `${issue.path.join(".") || "(root)"}: ${issue.message}`);
  throw new KernelEvolveError("invalid_argument", `${where}: ${issues.join("; ")}`);
}

/**
 * Makes a problem of its parts: checks every workload against the definition and names it by content.
 * @throws invalid_argument naming the workload and field.
 */
export function makeProblem(
  definition: Definition,
  workloads: readonly Workload[],
  options: { cache?: "cold" | "warm"; source: Problem["source"] },
): Problem {
  const cache = options.cache ?? "cold";
  const uuids = new Set<string>();
  for (const workload of workloads) {
    if (uuids.has(workload.uuid))
      throw new KernelEvolveError("invalid_argument", `workloads: the uuid ${workload.uuid} stands twice`);
    uuids.add(workload.uuid);
    resolveWorkload(definition, workload);
  }
  const hash = sha256(canonicalJson({ definition, workloads, cache }));
  return checked(
    problemSchema,
    {
      id: `${definition.name}@${hash.slice(0, 12)}`,
      content_hash: hash,
      definition,
      workloads,
      cache,
      source: options.source,
    },
    `problem ${definition.name}`,
  );
}

const workloadsFileSchema = z.union([
  z.array(workloadSchema),
  z.object({ cache: z.enum(["cold", "warm"]).optional(), workloads: z.array(workloadSchema) }),
]);

/** Reads `definition.json`, `workloads.json` and, where they stand beside it, `reference.c` and `reference.py`. */
export function readProblemFolder(folder: string, source: Problem["source"] = "shipped"): Problem {
  const raw = checked(
    z.record(z.string(), z.unknown()),
    readJson(join(folder, "definition.json")),
    join(folder, "definition.json"),
  );
  const beside = { reference_c: join(folder, "reference.c"), reference: join(folder, "reference.py") };
  for (const [field, file] of Object.entries(beside)) {
    if (existsSync(file)) raw[field] = readText(file);
  }
  const definition = checked(definitionSchema, raw, join(folder, "definition.json"));
  const file = join(folder, "workloads.json");
  const given = checked(workloadsFileSchema, readJson(file), file);
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

/** Every shipped problem, by name. */
export function loadProblems(folders: readonly string[] = problemFolders()): LoadedProblems {
  const problems = new Map<string, Problem>();
  const faults: string[] = [];
  for (const root of folders) {
    if (!existsSync(root)) continue;
    for (const name of readdirSync(root).sort()) {
      const folder = join(root, name);
      if (!existsSync(join(folder, "definition.json"))) continue;
      try {
        const problem = readProblemFolder(folder);
        problems.set(problem.definition.name, problem);
      } catch (error) {
        faults.push(errorMessage(error));
      }
    }
  }
  return { problems, faults };
}
