import { lstatSync, readdirSync, readFileSync } from "node:fs";
import { basename, extname, join, relative } from "node:path";
import {
  type DocumentSummary,
  errorMessage,
  KernelEvolveError,
  OP_FAMILIES,
  type OpFamily,
  type TargetSpec,
} from "../../domain/index.ts";
import { sha256 } from "../../platform/hash.ts";
import { asciidocToMarkdown } from "../ingest/asciidoc.ts";
import { restToMarkdown } from "../ingest/rest.ts";
import { KERNEL_LANGUAGES, splitKernel } from "../sections/kernel.ts";
import { type Section, splitMarkdown } from "../sections/markdown.ts";
import { readFrontMatter } from "../text/front-matter.ts";
import { fillReferences } from "../text/references.ts";
import { numbersDocument } from "./numbers.ts";

/** A folder of documents. */
export interface DocumentRoot {
  readonly path: string;
  /** `targets`: one folder a target; `general`: guidance, constraints, kernels…; `user`: one folder a target, added by the user. */
  readonly layout: "targets" | "general" | "user";
  /** Documents of the package are ours; all others are quoted, never trusted. */
  readonly trusted: boolean;
}

/** A file that holds a document. */
export interface SourceFile {
  readonly id: string;
  readonly file: string;
  /** Changes when the file does. */
  readonly stamp: string;
  readonly form: "markdown" | "asciidoc" | "rest" | "kernel" | "spec";
  readonly trusted: boolean;
  /** Folders between the root and the file. */
  readonly folders: readonly string[];
}

export interface LoadedDocument {
  readonly summary: DocumentSummary;
  readonly hash: string;
  readonly sections: readonly Section[];
}

const PREFIX = { targets: "hardware-docs", general: "knowledge", user: "user" } as const;
const FORMS: Readonly<Record<string, SourceFile["form"]>> = {
  ".md": "markdown",
  ".adoc": "asciidoc",
  ".asciidoc": "asciidoc",
  ".rst": "rest",
};
/** Parts of knowledge/ that other services read. */
const SKIPPED = new Set(["problems", "node_modules"]);
const MAX_BYTES = 16 << 20;

function formOf(
  name: string,
  folders: readonly string[],
  layout: DocumentRoot["layout"],
): SourceFile["form"] | undefined {
  if (name.startsWith(".") || /^readme\./i.test(name)) return undefined;
  if (name === "target.yaml" && layout === "targets" && folders.length === 1) return "spec";
  const extension = extname(name).toLowerCase();
  const kernels = layout === "general" && folders[0] === "kernels";
  return FORMS[extension] ?? (kernels && KERNEL_LANGUAGES.has(extension) ? "kernel" : undefined);
}

/** Every document file below the roots; of two with one id the first root's is kept. Links are not followed. */
export function scanSources(roots: readonly DocumentRoot[]): SourceFile[] {
  const found = new Map<string, SourceFile>();
  const walk = (root: DocumentRoot, folders: readonly string[]): void => {
    const here = join(root.path, ...folders);
    let names: string[];
    try {
      names = readdirSync(here).sort();
    } catch {
      return;
    }
    for (const name of names) {
      const file = join(here, name);
      const stat = lstatSync(file, { throwIfNoEntry: false });
      if (stat?.isDirectory() === true) {
        if (!name.startsWith(".") && !SKIPPED.has(name)) walk(root, [...folders, name]);
        continue;
      }
      const form = stat?.isFile() === true ? formOf(name, folders, root.layout) : undefined;
      if (stat === undefined || form === undefined) continue;
      const path = relative(root.path, file).split(/[\\/]/).join("/");
      const id = `${PREFIX[root.layout]}/${form === "spec" ? `${folders[0]}/numbers` : path.replace(/\.(md|adoc|asciidoc|rst)$/i, "")}`;
      if (found.has(id)) continue;
      const stamp = `${stat.mtimeMs}:${stat.size}`;
      found.set(id, { id, file, stamp, form, trusted: root.trusted, folders });
    }
  };
  for (const root of roots) walk(root, []);
  return [...found.values()];
}

/** Text of a document file. @throws invalid_argument for what is no text. */
export function readTextFile(file: string): string {
  const bytes = readFileSync(file);
  const refuse = (why: string): KernelEvolveError =>
    new KernelEvolveError("invalid_argument", `${file} ${why}`, {
      fix: "add manuals with knowledge_add; remove the file",
    });
  if (bytes.length > MAX_BYTES) throw refuse(`is larger than ${MAX_BYTES >> 20} MiB`);
  if (bytes.includes(0)) throw refuse("is binary, not text");
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch {
    throw refuse("is not UTF-8 text");
  }
}

/** The operator family that a folder or problem name belongs to. */
export function opFamilyOf(name: string): OpFamily | undefined {
  const words = name.toLowerCase().replaceAll("_", "-");
  const direct = OP_FAMILIES.find(
    (family) => words === family || words.split("-").some((word) => word === family),
  );
  if (direct !== undefined) return direct;
  const hints: readonly [RegExp, OpFamily][] = [
    [/gemm|bmm|linear|mat-?mul|pffn/, "matmul"],
    [/sdpa|flash/, "attention"],
    [/norm/, "norm"],
    [/reduc|sum|mean|argm/, "reduction"],
    [/conv/, "conv"],
    [/cum|prefix/, "scan"],
    [/truncat|jagged|ragged/, "jagged"],
    [/gelu|relu|silu|act/, "elementwise"],
    [/quant/, "quantized"],
    [/adam|sgd/, "optimizer"],
  ];
  return hints.find(([pattern]) => pattern.test(words))?.[1];
}

/**
 * Reads one file into sections, numbers filled in.
 * @throws invalid_argument with file and line.
 */
export function loadDocument(source: SourceFile, specs: ReadonlyMap<string, TargetSpec>): LoadedDocument {
  try {
    if (source.form === "spec") return loadNumbers(source, specs);
    const text = readTextFile(source.file);
    return source.form === "kernel" ? loadKernel(source, text) : loadText(source, text, specs);
  } catch (error) {
    if (error instanceof KernelEvolveError) throw error;
    throw new KernelEvolveError("invalid_argument", `${source.file}: ${errorMessage(error)}`);
  }
}

function loadText(source: SourceFile, text: string, specs: ReadonlyMap<string, TargetSpec>): LoadedDocument {
  const { matter, body } = readFrontMatter(text, source.file);
  const markdown =
    source.form === "asciidoc"
      ? asciidocToMarkdown(body)
      : source.form === "rest"
        ? restToMarkdown(body)
        : body;
  // Only our own documents refer to numbers; in others two braces are just that.
  const filled = source.trusted ? fillReferences(markdown, matter.target, specs).text : markdown;
  const sections = splitMarkdown(filled, matter.title);
  return {
    summary: {
      id: source.id,
      title: matter.title,
      target: matter.target,
      kind: matter.kind,
      topics: matter.topics,
      bottlenecks: matter.bottlenecks,
      op: matter.op,
      abstractions: matter.abstractions,
      sources: matter.sources,
      sections: sections.length,
      untrusted: !source.trusted,
      file: source.file,
    },
    hash: sha256(`${JSON.stringify(matter)}\n${filled}`),
    sections,
  };
}

/** A seed or verified kernel: what its `ke:` lines say, its folder's target and operator. */
function loadKernel(source: SourceFile, text: string): LoadedDocument {
  const [, target = "any", op = ""] = source.folders;
  const language = KERNEL_LANGUAGES.get(extname(source.file).toLowerCase()) ?? "c";
  const field = (name: string): string =>
    new RegExp(`^\\W*ke:${name}\\s+(.*)$`, "m").exec(text)?.[1]?.trim() ?? "";
  const techniques = field("technique")
    .split(/\s*,\s*/)
    .filter((one) => one !== "");
  const problem = field("problem") || op;
  const name = basename(source.file, extname(source.file));
  const family = opFamilyOf(op) ?? opFamilyOf(problem);
  const title = `Kernel ${problem} for ${target}: ${name}`;
  const sections = splitKernel(text, title, language);
  return {
    summary: {
      id: source.id,
      title,
      target,
      kind: "kernel",
      topics: [problem, ...techniques],
      bottlenecks: [],
      op: family === undefined ? [] : [family],
      abstractions: [language],
      sources: [],
      sections: sections.length,
      untrusted: !source.trusted,
      file: source.file,
    },
    hash: sha256(text),
    sections,
  };
}

/** The limits and peaks of a target's spec as a document of their own. */
function loadNumbers(source: SourceFile, specs: ReadonlyMap<string, TargetSpec>): LoadedDocument {
  const spec = specs.get(source.folders[0] ?? "");
  if (spec === undefined) {
    throw new KernelEvolveError("invalid_argument", `${source.file}: the target cannot be read`, {
      fix: "kernelevolve doctor tells what is wrong with it",
    });
  }
  const { title, text, sources } = numbersDocument(spec);
  const sections = splitMarkdown(text, title);
  return {
    summary: {
      id: source.id,
      title,
      target: spec.id,
      kind: "architecture",
      topics: ["limits", "peaks", "memory hierarchy", "numbers"],
      bottlenecks: [],
      op: [],
      abstractions: [],
      sources,
      sections: sections.length,
      untrusted: !source.trusted,
      file: source.file,
    },
    hash: sha256(text),
    sections,
  };
}
