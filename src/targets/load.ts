import { existsSync, lstatSync, readdirSync, realpathSync, statSync } from "node:fs";
import { delimiter, join, resolve, sep } from "node:path";
import { z } from "zod";
import { errorMessage, KernelEvolveError, type TargetSpec, targetSpecSchema } from "../domain/index.ts";
import { packageRoot } from "../platform/paths.ts";
import { checkSpec } from "./check.ts";
import { readDocument, type SpecDocument, specError, zodIssues } from "./document.ts";
import { inherit } from "./inherit.ts";

const SPEC = "target.yaml";

/** A target folder that could not be read, with the reason: one bad target never hides the others. */
export interface TargetProblem {
  readonly folder: string;
  readonly message: string;
  readonly fix?: string;
}

export interface LoadedTarget {
  readonly spec: TargetSpec;
  /** Where its documents are. */
  readonly folder: string;
}

export interface LoadedTargets {
  readonly targets: ReadonlyMap<string, LoadedTarget>;
  readonly problems: readonly TargetProblem[];
  readonly folders: readonly { readonly path: string; readonly targets: number }[];
}

/**
 * Where targets are looked for, in this order: the package, the folders of KERNELEVOLVE_TARGETS, ./hardware-docs.
 * The first folder that has an id keeps it: a checkout that the server happens to run in cannot change a shipped target
 * (a target names programs that are run). To vary one, give it a new id and let it inherit.
 */
export function targetFolders(): string[] {
  const extra = (process.env["KERNELEVOLVE_TARGETS"] ?? "")
    .split(delimiter)
    .filter((folder) => folder !== "")
    .map((folder) => resolve(folder));
  return [...new Set([join(packageRoot, "hardware-docs"), ...extra, resolve("hardware-docs")])];
}

/** The field names of the mapping at `path` of a spec, for hints. */
function fieldsAt(path: readonly (string | number)[]): readonly string[] {
  let schema: unknown = targetSpecSchema;
  for (const part of path) {
    schema = unwrapped(schema);
    if (schema instanceof z.ZodObject) schema = schema.shape[part];
    else if (schema instanceof z.ZodRecord) schema = schema.valueType;
    else if (schema instanceof z.ZodArray) schema = schema.element;
    else return [];
  }
  schema = unwrapped(schema);
  return schema instanceof z.ZodObject ? Object.keys(schema.shape) : [];
}

function unwrapped(schema: unknown): unknown {
  let inner = schema;
  while (inner instanceof z.ZodDefault || inner instanceof z.ZodOptional) inner = inner.unwrap();
  return inner;
}

/** @throws invalid_argument with file, line, column and field. */
function parseSpec(document: SpecDocument, value: unknown): TargetSpec {
  const parsed = targetSpecSchema.safeParse(value, { reportInput: true });
  if (!parsed.success) throw specError(document, zodIssues(parsed.error, fieldsAt));
  const issues = checkSpec(parsed.data);
  if (issues.length > 0) throw specError(document, issues);
  return parsed.data;
}

/**
 * Reads and checks one target.yaml on its own; `inherits` must be empty.
 * @throws invalid_argument with file, line, column and field.
 */
export function readTargetSpec(file: string): TargetSpec {
  const document = readDocument(file);
  return parseSpec(document, inherit(document, { ids: [], resolved: () => ({ reason: "" }) }, []));
}

function problem(folder: string, error: unknown): TargetProblem {
  const fix = error instanceof KernelEvolveError ? error.fix : undefined;
  return { folder, message: errorMessage(error), ...(fix === undefined ? {} : { fix }) };
}

function listing(folder: string): string[] {
  return existsSync(folder) ? readdirSync(folder).sort() : [];
}

function isFolder(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false })?.isDirectory() === true;
}

/** The file, when it lies in its target's folder: a link to elsewhere would show parts of any file in an error. */
function within(folder: string, file: string): string {
  let real: string;
  try {
    real = realpathSync(file);
  } catch (error) {
    throw new KernelEvolveError("invalid_argument", `${file}: cannot be read: ${errorMessage(error)}`);
  }
  if (real.startsWith(realpathSync(folder) + sep)) return file;
  throw new KernelEvolveError("invalid_argument", `${file}: is a link to a file outside of its folder`, {
    fix: "put the file itself there",
  });
}

/** Every target of the given folders. Never throws for what is in them: what cannot be read is a problem. */
export function loadTargets(folders: readonly string[] = targetFolders()): LoadedTargets {
  const problems: TargetProblem[] = [];
  const documents = new Map<string, { document: SpecDocument; folder: string; root: string }>();
  for (const root of folders) {
    let names: string[] = [];
    try {
      names = listing(root);
    } catch (error) {
      problems.push(problem(root, error));
    }
    for (const name of names) {
      const folder = join(root, name);
      try {
        // A file beside the folders is no target; a dead link is one with a fault.
        if (!isFolder(folder) || lstatSync(join(folder, SPEC), { throwIfNoEntry: false }) === undefined) {
          if (existsSync(join(folder, "target.yml")))
            throw new KernelEvolveError("invalid_argument", `${folder}: target.yml must be called ${SPEC}`);
          continue;
        }
        const document = readDocument(within(folder, join(folder, SPEC)));
        const { id } = document.value;
        if (id !== name)
          throw specError(document, [
            {
              path: ["id"],
              message: id === undefined ? "is missing" : `must be the name of its folder, "${name}"`,
            },
          ]);
        const first = documents.get(name);
        if (first !== undefined)
          throw specError(document, [
            {
              path: ["id"],
              message: `there is a target "${name}" already, in ${first.folder}; this one is left out`,
            },
          ]);
        documents.set(name, { document, folder, root });
      } catch (error) {
        problems.push(problem(folder, error));
      }
    }
  }
  const targets = resolveAll(documents, problems);
  const count = (root: string): number =>
    [...targets.keys()].filter((id) => documents.get(id)?.root === root).length;
  return { targets, problems, folders: folders.map((path) => ({ path, targets: count(path) })) };
}

function resolveAll(
  documents: ReadonlyMap<string, { document: SpecDocument; folder: string }>,
  problems: TargetProblem[],
): Map<string, LoadedTarget> {
  type Answer = { value: Readonly<Record<string, unknown>> } | { reason: string };
  const ids = [...documents.keys()].sort();
  const targets = new Map<string, LoadedTarget>();
  const done = new Map<string, Answer>();
  const resolved = (id: string, line: readonly string[]): Answer => {
    const known = done.get(id);
    const found = documents.get(id);
    if (known !== undefined) return known;
    if (found === undefined) return { reason: "unknown" };
    let answer: Answer;
    try {
      const value = inherit(found.document, { ids, resolved }, line);
      targets.set(id, { spec: parseSpec(found.document, value), folder: found.folder });
      answer = { value };
    } catch (error) {
      answer = { reason: errorMessage(error).split("\n")[0] ?? "" };
      problems.push(problem(found.folder, error));
    }
    done.set(id, answer);
    return answer;
  };
  for (const id of ids) resolved(id, []);
  return targets;
}
