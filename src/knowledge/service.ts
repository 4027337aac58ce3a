import { delimiter, join, parse, resolve } from "node:path";
import {
  type DocumentFilter,
  type DocumentSummary,
  errorMessage,
  KernelEvolveError,
  type KnowledgeAdd,
  type KnowledgeAdded,
  type KnowledgePage,
  type KnowledgeQuery,
  type KnowledgeResult,
  type KnowledgeService,
  type KnowledgeStatus,
  knowledgeQuerySchema,
  type LintReport,
  type ReadOptions,
  type TargetSpec,
  type WorkContext,
} from "../domain/index.ts";
import { chooseEmbedder } from "./dense/choose.ts";
import type { Embedder, EmbedderSource } from "./dense/embedder.ts";
import type { IndexReader } from "./index/reader.ts";
import type { DocumentRoot } from "./index/sources.ts";
import { IndexStore } from "./index/store.ts";
import { addDocument, removeDocument } from "./ingest/add.ts";
import { lintDocuments } from "./lint/lint.ts";
import { EmbedderOfIndex } from "./search/embedder-of-index.ts";
import { findDocument, readIndex } from "./search/read.ts";
import { type Chain, passes, searchIndex } from "./search/search.ts";

export interface KnowledgeOptions {
  /** The data home: the index, and the documents that the user adds, lie in it. */
  readonly home: string;
  /** Folders of documents, the package's first. The user's own folder is added. */
  readonly roots: readonly DocumentRoot[];
  /** Every target, with what it inherits filled in. */
  readonly targets: () => Promise<readonly TargetSpec[]>;
  /** Folders from which `add` may read; default the working directory and the data home. */
  readonly allowedFolders?: readonly string[];
  /** Default: what KERNELEVOLVE_EMBEDDER names. */
  readonly embedder?: EmbedderSource;
  readonly vectors?: "auto" | "exact" | "hnsw";
}

const BROKEN = new Set([11, 26]);

/** Whether an error says that the files of an index are not what was written. */
function isDamage(error: unknown): boolean {
  if (error instanceof KernelEvolveError) return error.code === "corrupt";
  return error instanceof Error && "errcode" in error && BROKEN.has(Number(error.errcode) & 0xff);
}

/** The knowledge base over one data home. */
export class Knowledge implements KnowledgeService {
  readonly #options: KnowledgeOptions;
  readonly #store: IndexStore;
  readonly #roots: readonly DocumentRoot[];
  readonly #embedder: EmbedderOfIndex;

  constructor(options: KnowledgeOptions) {
    this.#options = options;
    this.#roots = [...options.roots, { path: this.userFolder(), layout: "user", trusted: false }];
    const source = options.embedder ?? chooseEmbedder();
    this.#embedder = new EmbedderOfIndex(source);
    this.#store = new IndexStore({
      folder: join(options.home, "index"),
      roots: this.#roots,
      specs: options.targets,
      vectors: { source, kind: options.vectors ?? "auto" },
    });
  }

  /** Where documents that were added lie, one folder a target. */
  userFolder(): string {
    return join(this.#options.home, "documents");
  }

  /** Answers from a whole index: one that turns out to be damaged is made anew, once. */
  async #answer<T>(
    context: WorkContext,
    work: (reader: IndexReader, note: string | undefined) => Promise<T> | T,
  ): Promise<T> {
    const { reader, note } = await this.#reader(context);
    try {
      return await reader.use(() => work(reader, note));
    } catch (error) {
      if (!isDamage(error)) throw error;
      this.#store.discard(reader);
      const again = await this.#reader(context);
      const told = `the index was damaged (${errorMessage(error)}) and has been made anew`;
      return await again.reader.use(() => work(again.reader, told));
    }
  }

  /** A reader that nobody closed on the way here. */
  async #reader(context: WorkContext): Promise<{ reader: IndexReader; note?: string }> {
    for (;;) {
      const ready = await this.#store.ready(context);
      if (!ready.reader.closed) return ready;
    }
  }

  /** @throws not_found for a target that nobody knows. */
  async #chain(target: string | undefined, exact = false): Promise<Chain | undefined> {
    if (target === undefined) return undefined;
    if (target === "any") return new Set(["any"]);
    const specs = await this.#options.targets();
    const spec = specs.find((one) => one.id === target);
    if (spec === undefined) {
      throw new KernelEvolveError("not_found", `target "${target}" is unknown`, {
        fix: `known: any, ${specs
          .map((one) => one.id)
          .sort()
          .join(", ")}; new hardware is described first, in hardware-docs/<id>/target.yaml`,
      });
    }
    return new Set(exact ? [target] : [target, ...spec.inherits, "any"]);
  }

  async search(query: KnowledgeQuery, context: WorkContext): Promise<KnowledgeResult> {
    const checked = knowledgeQuerySchema.safeParse(query);
    if (!checked.success) {
      const issue = checked.error.issues[0];
      throw new KernelEvolveError(
        "invalid_argument",
        `${issue?.path.join(".") || "query"}: ${issue?.message ?? "malformed"}`,
      );
    }
    const chain = await this.#chain(query.target);
    return await this.#answer(context, async (reader, note) => {
      const embedder = (): Promise<Embedder> => this.#embedder.open(reader, context.signal);
      const result = await searchIndex(reader, { query: checked.data, chain, embedder }, context);
      return note === undefined ? result : { ...result, notes: [note, ...result.notes] };
    });
  }

  async read(id: string, options: ReadOptions, context: WorkContext): Promise<KnowledgePage> {
    return await this.#answer(context, (reader) => readIndex(reader, id, options));
  }

  async list(filter: DocumentFilter, context: WorkContext): Promise<DocumentSummary[]> {
    const chain = await this.#chain(filter.target, filter.exact);
    const { kinds, op, bottleneck } = filter;
    const wanted = {
      ...(kinds === undefined ? {} : { kinds: [...kinds] }),
      ...(op === undefined ? {} : { op }),
      ...(bottleneck === undefined ? {} : { bottleneck }),
    };
    return await this.#answer(context, (reader) =>
      [...reader.documents.values()]
        .filter((document) => passes(document, wanted, chain))
        .map((document) => document.summary)
        .sort((a, b) => compare(a.target, b.target) || compare(a.kind, b.kind) || compare(a.id, b.id)),
    );
  }

  async outline(document: string, context: WorkContext): Promise<{ id: string; path: string[] }[]> {
    return await this.#answer(context, (reader) =>
      reader
        .sectionsOf(findDocument(reader, document))
        .filter((section) => !section.slug.includes("~"))
        .map((section) => ({ id: `${document}#${section.slug}`, path: [...section.path] })),
    );
  }

  async add(input: KnowledgeAdd, context: WorkContext): Promise<KnowledgeAdded> {
    // The target must be one that questions can name.
    await this.#chain(input.target);
    const added = await addDocument(
      input,
      {
        folder: this.userFolder(),
        allowed: [...(this.#options.allowedFolders ?? allowedByEnvironment()), this.#options.home],
      },
      context,
    );
    const reader = await this.#store.refresh(context);
    const sections = added.documents.reduce(
      (sum, id) => sum + (reader.documents.get(id)?.summary.sections ?? 0),
      0,
    );
    const lost = reader.manifest.problems.filter((problem) =>
      problem.file.startsWith(join(added.folder, "/")),
    );
    return { ...added, sections, notes: [...added.notes, ...lost.map((problem) => problem.message)] };
  }

  async remove(document: string, context: WorkContext): Promise<{ removed: string[] }> {
    const known = await this.list({}, context);
    const removed = removeDocument(document, this.userFolder(), known);
    await this.#store.refresh(context);
    return { removed };
  }

  async rebuild(options: { full?: boolean }, context: WorkContext): Promise<KnowledgeStatus> {
    return statusOf(await this.#store.rebuild({ full: options.full === true }, context), this.#store.folder);
  }

  async status(): Promise<KnowledgeStatus | null> {
    const reader = this.#store.current();
    if (reader === undefined) return null;
    const stale = await this.#store.staleness(reader);
    const status = statusOf(reader, this.#store.folder);
    return stale === undefined ? status : { ...status, notes: [...status.notes, `out of date: ${stale}`] };
  }

  async lint(
    options: { folders?: readonly string[]; compile?: boolean },
    context: WorkContext,
  ): Promise<LintReport> {
    const roots =
      options.folders === undefined
        ? this.#roots
        : options.folders.map((path) => this.#roots.find((root) => root.path === path) ?? guessRoot(path));
    return await lintDocuments(
      roots,
      await this.#options.targets(),
      { compile: options.compile !== false },
      context,
    );
  }

  async close(): Promise<void> {
    await this.#store.close();
  }
}

/** The working directory, unless that is everything, and the folders of KERNELEVOLVE_ALLOWED_PATHS. */
function allowedByEnvironment(): string[] {
  const extra = (process.env["KERNELEVOLVE_ALLOWED_PATHS"] ?? "")
    .split(delimiter)
    .filter((path) => path !== "");
  const here = process.cwd();
  return [...(parse(here).root === here ? [] : [here]), ...extra].map((path) => resolve(path));
}

/** What kind of tree a folder is that no root names. */
function guessRoot(path: string): DocumentRoot {
  return { path, layout: /knowledge\/?$/.test(path) ? "general" : "targets", trusted: true };
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

function statusOf(reader: IndexReader, folder: string): KnowledgeStatus {
  const { manifest } = reader;
  return {
    folder,
    documents: manifest.documents,
    sections: manifest.sections,
    bytes: manifest.database.bytes + manifest.sections * 4 * manifest.embedder.dimension,
    built_at: manifest.built_at,
    build_seconds: manifest.build_seconds,
    embedder: manifest.embedder.id,
    vectors: manifest.vectors,
    changed: manifest.changed,
    problems: manifest.problems.map(({ file, message }) => ({ file, message })),
    notes: [
      ...manifest.notes,
      ...(manifest.dense_error === undefined ? [] : [`no vectors: ${manifest.dense_error}`]),
    ],
  };
}
