import { existsSync, readdirSync, readFileSync, statSync } from "node:fs";
import { delimiter, join, resolve } from "node:path";
import { isNode, LineCounter, parseDocument } from "yaml";
import { errorMessage, KernelEvolveError, type TargetSpec, targetSpecSchema } from "../domain/index.ts";
import { packageRoot } from "../platform/paths.ts";

const MAX_SPEC_BYTES = 1 << 20;

/** A target folder that could not be read, with the reason: one bad target never hides the others. */
export interface TargetProblem {
  readonly folder: string;
  readonly message: string;
}

export interface LoadedTargets {
  readonly targets: ReadonlyMap<string, { readonly spec: TargetSpec; readonly folder: string }>;
  readonly problems: readonly TargetProblem[];
}

/** Where targets are looked for, later ones first on equal ids: the package, KERNELEVOLVE_TARGETS, ./hardware-docs. */
export function targetFolders(): string[] {
  const extra = (process.env["KERNELEVOLVE_TARGETS"] ?? "")
    .split(delimiter)
    .filter((folder) => folder !== "");
  const own = join(packageRoot, "hardware-docs");
  const here = resolve("hardware-docs");
  return [...new Set([own, ...extra.map((folder) => resolve(folder)), here])];
}

/**
 * Reads and checks one target.yaml.
 * @throws invalid_argument with file, line, column and field.
 */
export function readTargetSpec(file: string): TargetSpec {
  if (statSync(file).size > MAX_SPEC_BYTES)
    throw new KernelEvolveError("invalid_argument", `${file}: larger than ${MAX_SPEC_BYTES} bytes`);
  const counter = new LineCounter();
  const document = parseDocument(readFileSync(file, "utf8"), { lineCounter: counter, uniqueKeys: true });
  const at = (offset: number): string => {
    const { line, col } = counter.linePos(offset);
    return `${file}:${line}:${col}`;
  };
  const fault = document.errors[0];
  if (fault !== undefined)
    throw new KernelEvolveError("invalid_argument", `${at(fault.pos[0])}: ${fault.message.split("\n")[0]}`);
  let value: unknown;
  try {
    value = document.toJS({ maxAliasCount: 100 });
  } catch (error) {
    throw new KernelEvolveError("invalid_argument", `${file}: ${errorMessage(error)}`);
  }
  const parsed = targetSpecSchema.safeParse(value);
  if (parsed.success) return parsed.data;
  const lines = parsed.error.issues.slice(0, 10).map((issue) => {
    // The deepest part of the path that the file has tells the line.
    let offset = 0;
    for (let depth = issue.path.length; depth >= 0; depth -= 1) {
      const node = document.getIn(issue.path.slice(0, depth), true);
      if (isNode(node) && node.range != null) {
        offset = node.range[0];
        break;
      }
    }
    return `${at(offset)}: ${issue.path.join(".") || "(root)"}: ${issue.message}`;
  });
  throw new KernelEvolveError("invalid_argument", lines.join("\n"), {
    fix: "the fields are described in docs/architecture.md",
  });
}

/** Every target of the given folders. */
export function loadTargets(folders: readonly string[] = targetFolders()): LoadedTargets {
  const targets = new Map<string, { spec: TargetSpec; folder: string }>();
  const problems: TargetProblem[] = [];
  for (const root of folders) {
    if (!existsSync(root)) continue;
    for (const name of readdirSync(root).sort()) {
      const folder = join(root, name);
      const file = join(folder, "target.yaml");
      if (!existsSync(file)) continue;
      try {
        const spec = readTargetSpec(file);
        if (spec.id !== name) {
          throw new KernelEvolveError(
            "invalid_argument",
            `${file}: id is "${spec.id}", but the folder is "${name}"`,
            { fix: "give both the same name" },
          );
        }
        targets.set(spec.id, { spec, folder });
      } catch (error) {
        problems.push({ folder, message: errorMessage(error) });
      }
    }
  }
  return { targets, problems };
}
