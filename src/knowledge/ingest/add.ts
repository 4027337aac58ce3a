import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { basename, extname, join } from "node:path";
import { stringify } from "yaml";
import { z } from "zod";
import {
  type DocumentSummary,
  errorMessage,
  KernelEvolveError,
  type KnowledgeAdd,
  type KnowledgeAdded,
  type WorkContext,
} from "../../domain/index.ts";
import { canonicalJson, sha256 } from "../../platform/hash.ts";
import { writeAtomically } from "../dense/seal.ts";
import { opFamilyOf } from "../index/sources.ts";
import { KERNEL_LANGUAGES, splitKernel } from "../sections/kernel.ts";
import { slugOf } from "../sections/slugs.ts";
import { type FrontMatter, frontMatterSchema, parseFrontMatter } from "../text/front-matter.ts";
import { asciidocToMarkdown } from "./asciidoc.ts";
import { htmlToMarkdown } from "./html.ts";
import { type Original, readOriginal, textOf } from "./original.ts";
import { cutIntoParts } from "./parts.ts";
import { openPdf } from "./pdf.ts";
import { restToMarkdown } from "./rest.ts";
import { readTrace } from "./traces/index.ts";
import { traceMarkdown } from "./traces/summary.ts";

/** So many pages of a PDF become one document, and are safe when the next ones are read. */
const PAGES_A_PART = 100;
const STATE = "added.json";

/** What is known of an original that is being added, or was. */
const stateSchema = z.object({
  hash: z.string(),
  title: z.string(),
  files: z.array(z.string()),
  /** Pages that are done, for a PDF. */
  pages_done: z.int(),
  pages: z.int().optional(),
  complete: z.boolean(),
  bottleneck: z.string().optional(),
});
type State = z.infer<typeof stateSchema>;

export interface AddPlace {
  /** The user's documents, one folder a target. */
  readonly folder: string;
  /** Folders from which files may be read. */
  readonly allowed: readonly string[];
}

/** Text before it is written, with what was found out about it. */
interface Converted {
  readonly title: string;
  readonly markdown: string;
  readonly matter?: Partial<FrontMatter>;
  readonly bottleneck?: string;
}

/** Everything that the answer depends on. */
function hashOf(original: Original, input: KnowledgeAdd): string {
  const { path: _path, text: _text, ...about } = input;
  return sha256(`${sha256(original.bytes)} ${original.format} ${canonicalJson(about)}`);
}

function readState(folder: string): State | undefined {
  try {
    return stateSchema.parse(JSON.parse(readFileSync(join(folder, STATE), "utf8")));
  } catch {
    return undefined;
  }
}

/** The folder of an original: the one it was added to before, else one by its title. */
function folderFor(root: string, hash: string, title: string): string {
  for (const name of existsSync(root) ? readdirSync(root) : []) {
    if (readState(join(root, name))?.hash === hash) return join(root, name);
  }
  return join(root, slugOf(title, 60));
}

function titleFromName(name: string): string {
  return basename(name, extname(name)).replace(/[_-]+/g, " ").trim() || "Document";
}

/**
 * Turns an original into Markdown documents with front matter in the user's folder for its target. The same content again changes
 * nothing; another content under the same title takes its place; a PDF goes on after the pages that are done.
 */
export async function addDocument(
  input: KnowledgeAdd,
  place: AddPlace,
  context: WorkContext,
): Promise<Omit<KnowledgeAdded, "sections">> {
  const original = readOriginal(input, place.allowed);
  if (input.kernel !== undefined && original.format !== "kernel") {
    throw new KernelEvolveError(
      "invalid_argument",
      `kernel: is only for format kernel, not ${original.format}`,
      {
        fix: "leave it out, or say format kernel",
      },
    );
  }
  const hash = hashOf(original, input);
  const root = join(place.folder, input.target);
  if (original.format === "pdf") return await addPdf(original, hash, root, input, context);
  const before = folderFor(root, hash, input.title ?? "");
  const known = readState(before);
  if (known?.hash === hash && isWhole(before, known)) return answer(before, input, known, true);
  const converted = await convert(original, input);
  const folder = folderFor(root, hash, converted.title);
  context.signal.throwIfAborted();
  replaceFolder(folder, hash);
  const parts = cutIntoParts(converted.markdown);
  const files: string[] = [];
  for (const [at, part] of parts.entries()) {
    const label = parts.length === 1 ? undefined : `${at + 1} of ${parts.length}`;
    files.push(writePart(folder, at, part, matterFor(input, original, converted, hash, label)));
    context.report({
      progress: at + 1,
      total: parts.length,
      message: `writing part ${at + 1} of ${parts.length}`,
    });
  }
  const state: State = {
    hash,
    title: converted.title,
    files,
    pages_done: 0,
    complete: true,
    ...(converted.bottleneck === undefined ? {} : { bottleneck: converted.bottleneck }),
  };
  writeAtomically(join(folder, STATE), JSON.stringify(state));
  return answer(folder, input, state, false);
}

async function addPdf(
  original: Original,
  hash: string,
  root: string,
  input: KnowledgeAdd,
  context: WorkContext,
): Promise<Omit<KnowledgeAdded, "sections">> {
  const folder0 = folderFor(root, hash, input.title ?? titleFromName(original.name));
  const known = readState(folder0);
  if (known?.hash === hash && isWhole(folder0, known)) return answer(folder0, input, known, true);
  const pdf = await openPdf(original.bytes, original.name, context.signal);
  try {
    const title = input.title ?? (pdf.title.length > 3 ? pdf.title : titleFromName(original.name));
    const folder = known?.hash === hash ? folder0 : folderFor(root, hash, title);
    const resumed = readState(folder);
    const goesOn = resumed?.hash === hash && resumed.files.every((file) => existsSync(join(folder, file)));
    if (!goesOn) replaceFolder(folder, hash);
    let state: State =
      goesOn && resumed !== undefined
        ? resumed
        : { hash, title, files: [], pages_done: 0, pages: pdf.pages, complete: false };
    while (state.pages_done < pdf.pages) {
      const from = state.pages_done + 1;
      const to = Math.min(pdf.pages, state.pages_done + PAGES_A_PART);
      const markdown = await pdf.markdown(from, to, context);
      const label = pdf.pages > PAGES_A_PART ? `pages ${from} to ${to}` : undefined;
      const matter = matterFor(input, original, { title, markdown }, hash, label);
      const file = writePart(folder, state.files.length, markdown, matter);
      state = { ...state, files: [...state.files, file], pages_done: to, complete: to === pdf.pages };
      writeAtomically(join(folder, STATE), JSON.stringify(state));
    }
    return answer(folder, input, state, false);
  } finally {
    await pdf.close();
  }
}

function isWhole(folder: string, state: State): boolean {
  return state.complete && state.files.every((file) => existsSync(join(folder, file)));
}

/** An older content of the same title goes; its place is taken. */
function replaceFolder(folder: string, hash: string): void {
  if (readState(folder)?.hash !== hash) rmSync(folder, { recursive: true, force: true });
  mkdirSync(folder, { recursive: true });
}

function answer(
  folder: string,
  input: KnowledgeAdd,
  state: State,
  unchanged: boolean,
): Omit<KnowledgeAdded, "sections"> {
  const base = `user/${input.target}/${basename(folder)}`;
  return {
    documents: state.files.map((file) => `${base}/${file.replace(/\.md$/, "")}`),
    ...(state.pages === undefined ? {} : { pages: state.pages }),
    unchanged,
    folder,
    ...(state.bottleneck === undefined ? {} : { bottleneck: state.bottleneck }),
    notes: [],
  };
}

function writePart(folder: string, at: number, markdown: string, matter: FrontMatter): string {
  const file = `${String(at + 1).padStart(3, "0")}.md`;
  writeAtomically(join(folder, file), `---\n${stringify(matter)}---\n\n${markdown.trim()}\n`);
  return file;
}

async function convert(original: Original, input: KnowledgeAdd): Promise<Converted> {
  const named = input.title ?? titleFromName(original.name);
  const text = textOf(original).replace(/\r\n?/g, "\n");
  switch (original.format) {
    case "html": {
      const { title, markdown } = await htmlToMarkdown(text);
      return whole({ title: input.title ?? (title || named), markdown }, original);
    }
    case "asciidoc":
      return whole(
        {
          title: input.title ?? (/^= (.+)$/m.exec(text)?.[1]?.trim() || named),
          markdown: asciidocToMarkdown(text),
        },
        original,
      );
    case "rest": {
      const markdown = restToMarkdown(text);
      return whole({ title: input.title ?? (/^# (.+)$/m.exec(markdown)?.[1] || named), markdown }, original);
    }
    case "kernel":
      return kernelPage(original, text, named, input.kernel ?? {});
    case "trace": {
      const summary = readTrace(text, original.name);
      const title = input.title ?? `Profile ${named}`;
      return {
        title,
        markdown: traceMarkdown(summary, title),
        matter: {
          kind: "trace",
          topics: [
            summary.profiler,
            ...(summary.rows[0] === undefined ? [] : [summary.rows[0].name.slice(0, 80)]),
          ],
          bottlenecks: summary.bottleneck === undefined ? [] : [summary.bottleneck],
        },
        ...(summary.bottleneck === undefined ? {} : { bottleneck: summary.bottleneck }),
      };
    }
    default: {
      // Front matter of the original is taken over where it has our form.
      const { document } = parseFrontMatter(text);
      const body = document?.body ?? text.replace(/^---\n[\s\S]*?\n---\n/, "");
      const title =
        input.title ??
        document?.matter.title ??
        (original.format === "markdown" ? /^# (.+)$/m.exec(body)?.[1]?.trim() : undefined) ??
        named;
      return whole(
        { title, markdown: body, ...(document === undefined ? {} : { matter: document.matter }) },
        original,
      );
    }
  }
}

/** @throws invalid_argument for an original in which no text was found. */
function whole(converted: Converted, original: Original): Converted {
  if (converted.markdown.replace(/[\s#|-]+/g, "") !== "")
    return { ...converted, title: converted.title.slice(0, 300) };
  throw new KernelEvolveError(
    "invalid_argument",
    `${original.name}: no text was found in it as ${original.format}`,
    {
      fix: "look whether the page is made by a script in the browser: save it as rendered, or add its Markdown source",
    },
  );
}

/** A kernel as a page: what is known of it in words, then its functions, each under a heading. */
function kernelPage(
  original: Original,
  text: string,
  named: string,
  facts: NonNullable<KnowledgeAdd["kernel"]>,
): Converted {
  const language = KERNEL_LANGUAGES.get(extname(original.name).toLowerCase()) ?? "c";
  const field = (name: string): string =>
    new RegExp(`^\\W*ke:${name}\\s+(.*)$`, "m").exec(text)?.[1]?.trim() ?? "";
  const problem = facts.problem ?? field("problem");
  const own = field("technique")
    .split(/\s*,\s*/)
    .filter((one) => one !== "");
  const techniques = facts.techniques ?? own;
  const family = opFamilyOf(problem === "" ? named : problem);
  const { speedup, baseline, dtypes = [], shapes = [] } = facts;
  const words = [
    ...(problem === "" ? [] : [`Problem: ${problem}.`]),
    ...(shapes.length === 0 ? [] : [`Shapes: ${shapes.join(", ")}.`]),
    ...(dtypes.length === 0 ? [] : [`Types: ${dtypes.join(", ")}.`]),
    ...(techniques.length === 0 ? [] : [`Techniques: ${techniques.join(", ")}.`]),
    ...(speedup === undefined ? [] : [`Credited speedup: ${speedup} over ${baseline ?? "the baseline"}.`]),
  ].join(" ");
  const functions = splitKernel(text, named, language).map((section) => {
    const title =
      section.path.length > 1 && !section.slug.includes("~") ? `## ${section.path.at(-1) ?? ""}\n\n` : "";
    return `${title}${section.text}`;
  });
  return {
    title: named,
    markdown: `# ${named}\n\n${words}\n\n${functions.join("\n\n")}\n`,
    matter: {
      kind: "kernel",
      topics: [...(problem === "" ? [] : [problem]), ...techniques].slice(0, 30),
      ...(techniques.length === 0 ? {} : { techniques }),
      ...(problem === "" ? {} : { problem }),
      ...(dtypes.length === 0 ? {} : { dtypes }),
      ...(shapes.length === 0 ? {} : { shapes }),
      ...(speedup === undefined ? {} : { speedup }),
      ...(baseline === undefined ? {} : { baseline }),
      ...(family === undefined ? {} : { op: [family] }),
      abstractions: [language],
    },
  };
}

/** What the caller says counts; then what the original says of itself; then what can be told from its title. */
function matterFor(
  input: KnowledgeAdd,
  original: Original,
  converted: Converted,
  hash: string,
  part: string | undefined,
): FrontMatter {
  const { matter = {}, title } = converted;
  const words = title.split(/[^\p{L}\p{N}_.]+/u).filter((word) => word.length > 2);
  const topics =
    input.topics ??
    (matter.topics !== undefined && matter.topics.length > 0 ? matter.topics : words.slice(0, 8));
  const made = {
    ...matter,
    title: (part === undefined ? title : `${title}, ${part}`).slice(0, 300),
    target: input.target,
    kind: input.kind ?? matter.kind ?? "architecture",
    topics: topics.length > 0 ? topics : ["document"],
    bottlenecks: input.bottlenecks ?? matter.bottlenecks ?? [],
    op: input.op ?? matter.op ?? [],
    abstractions: input.abstractions ?? matter.abstractions ?? [],
    sources:
      input.source !== undefined
        ? [input.source]
        : (matter.sources?.length ?? 0) > 0
          ? matter.sources
          : [{ title: original.name.slice(0, 500) }],
    original: hash,
    ...(part === undefined ? {} : { part }),
  };
  const parsed = frontMatterSchema.safeParse(made);
  if (parsed.success) return parsed.data;
  throw new KernelEvolveError(
    "invalid_argument",
    `front matter: ${errorMessage(parsed.error.issues[0]?.message ?? "malformed")}`,
  );
}

/**
 * Takes a document that was added away, with the other parts of the same original.
 * @throws not_found for one that was not added by the user.
 */
export function removeDocument(id: string, folder: string, known: readonly DocumentSummary[]): string[] {
  const [kind, target, name] = id.split("/");
  const safe = (part: string | undefined): part is string =>
    part !== undefined && part !== "" && part !== "." && part !== "..";
  const place = safe(target) && safe(name) ? join(folder, target, name) : undefined;
  if (kind !== "user" || place === undefined || readState(place) === undefined) {
    throw new KernelEvolveError("not_found", `"${id.slice(0, 200)}" is no document that was added`, {
      fix: "list the documents; those that begin with user/ can be taken away",
    });
  }
  const removed = known.filter((one) => one.id.startsWith(`user/${target}/${name}/`)).map((one) => one.id);
  rmSync(place, { recursive: true, force: true });
  return removed;
}
