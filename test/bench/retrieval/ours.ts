import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { stringify } from "yaml";
import type { TargetSpec, WorkContext } from "../../../src/domain/index.ts";
import { chooseEmbedder } from "../../../src/knowledge/dense/choose.ts";
import type { Embedder } from "../../../src/knowledge/dense/embedder.ts";
import type { IndexReader, StoredDocument } from "../../../src/knowledge/index/reader.ts";
import {
  type DocumentRoot,
  loadDocument,
  readTextFile,
  scanSources,
} from "../../../src/knowledge/index/sources.ts";
import { IndexStore } from "../../../src/knowledge/index/store.ts";
import { firstOfEach } from "../../../src/knowledge/search/fuse.ts";
import { searchIndex } from "../../../src/knowledge/search/search.ts";
import { packageRoot } from "../../../src/platform/paths.ts";
import { Targets } from "../../../src/targets/index.ts";
import type { Chunk, LabelledQuery, PlainDocument } from "./queries.ts";

export const context: WorkContext = { signal: new AbortController().signal, report: () => undefined };
/** Passages are not cut: what is measured is which are found. */
const UNBOUNDED = 100_000;
const POOL = 60;

export interface Corpus {
  readonly name: string;
  readonly roots: readonly DocumentRoot[];
  readonly specs: readonly TargetSpec[];
}

/** Pages as the user's own documents, in the form in which `knowledge_add` writes them. */
export function writePages(
  folder: string,
  pages: Iterable<{ name: string; target: string; title: string; markdown: string }>,
): DocumentRoot {
  for (const { name, target, title, markdown } of pages) {
    const file = join(folder, target, `${name}.md`);
    const matter = { title: title.slice(0, 300), target, kind: "isa", topics: ["manual"] };
    mkdirSync(dirname(file), { recursive: true });
    writeFileSync(file, `---\n${stringify(matter)}---\n${markdown}\n`);
  }
  return { path: folder, layout: "user", trusted: false };
}

/** What ships with the package. */
export async function ownCorpus(): Promise<Corpus> {
  return {
    name: "own documents",
    roots: [
      { path: join(packageRoot, "hardware-docs"), layout: "targets", trusted: true },
      { path: join(packageRoot, "knowledge"), layout: "general", trusted: true },
    ],
    specs: await new Targets().list(),
  };
}

/** Name of a document in labels: its id without the folders that only say that a user added it. */
export function nameOf(id: string): string {
  return id.replace(/^user\/[^/]+\//, "");
}

/** The documents of a corpus as one text each, references to numbers filled in: what a pipeline without an index reads. */
export function documentsOf(corpus: Corpus): PlainDocument[] {
  const specs = new Map(corpus.specs.map((spec) => [spec.id, spec]));
  return scanSources(corpus.roots)
    .filter((source) => source.form !== "spec" || specs.has(source.folders[0] ?? ""))
    .map((source) => {
      if (source.form === "kernel") return { name: nameOf(source.id), text: readTextFile(source.file) };
      const { sections, summary } = loadDocument(source, specs);
      let heading = "";
      const parts = sections.map((section) => {
        const again = section.heading === heading;
        heading = section.heading;
        const title = `${"#".repeat(Math.min(6, section.path.length))} ${section.path.at(-1) ?? ""}`;
        return again ? section.text : `${title}\n\n${section.text}`;
      });
      const title = sections[0]?.path.length === 1 ? [] : [`# ${summary.title}`];
      return { name: nameOf(source.id), text: [...title, ...parts].join("\n\n") };
    });
}

/** Our index over a corpus, and the ways in which it can be asked. */
export class OurIndex {
  readonly #store: IndexStore;
  readonly #reader: IndexReader;
  readonly #embedder: Embedder;
  readonly #specs: ReadonlyMap<string, TargetSpec>;

  private constructor(store: IndexStore, reader: IndexReader, embedder: Embedder, corpus: Corpus) {
    this.#store = store;
    this.#reader = reader;
    this.#embedder = embedder;
    this.#specs = new Map(corpus.specs.map((spec) => [spec.id, spec]));
  }

  static async of(corpus: Corpus, folder: string): Promise<OurIndex> {
    const source = chooseEmbedder({});
    const store = new IndexStore({
      folder,
      roots: corpus.roots,
      specs: async () => corpus.specs,
      vectors: { source, kind: "auto" },
    });
    mkdirSync(folder, { recursive: true });
    const reader = await store.rebuild({ full: true }, context);
    const [problem] = reader.manifest.problems;
    if (problem !== undefined) process.stderr.write(`not indexed: ${problem.file}: ${problem.message}\n`);
    const embedder = await source.open(
      reader.manifest.vectors === "none" ? new Uint8Array() : stateOf(reader),
      context.signal,
    );
    return new OurIndex(store, reader, embedder, corpus);
  }

  get sections(): number {
    return this.#reader.manifest.sections;
  }

  #silent(): Embedder {
    const { id, dimension } = this.#embedder;
    return { id, dimension, embed: async (texts) => texts.map(() => new Float32Array(dimension)) };
  }

  async #search(
    query: LabelledQuery,
    options: { alternatives: boolean; dense: boolean; target: boolean },
    limit: number,
  ): Promise<Chunk[]> {
    const spec = options.target ? this.#specs.get(query.target ?? "") : undefined;
    const result = await searchIndex(
      this.#reader,
      {
        query: {
          query: query.query,
          ...(options.alternatives ? { alternatives: query.alternatives } : {}),
          limit,
          token_budget: UNBOUNDED,
        },
        chain: spec === undefined ? undefined : new Set([spec.id, ...spec.inherits, "any"]),
        embedder: async () => (options.dense ? this.#embedder : this.#silent()),
      },
      context,
    );
    return result.hits.map((hit) => chunkOf(hit.document, hit.path, hit.passage));
  }

  lexical(query: LabelledQuery, limit: number): Promise<Chunk[]> {
    return this.#search(query, { alternatives: false, dense: false, target: false }, limit);
  }

  async dense(query: LabelledQuery, limit: number): Promise<Chunk[]> {
    const [vector] = await this.#embedder.embed([query.query], "query", context.signal);
    if (vector === undefined) return [];
    const every = (_document: StoredDocument): boolean => true;
    const near = await this.#reader.nearest(vector, POOL, this.#reader.allowed("every", every));
    return firstOfEach(near, ({ label }) => this.#reader.headingOf(label))
      .slice(0, limit)
      .flatMap(({ label }) => {
        const section = this.#reader.section(label);
        return section === undefined
          ? []
          : [chunkOf(section.document.summary.id, section.path, section.text)];
      });
  }

  fused(query: LabelledQuery, limit: number): Promise<Chunk[]> {
    return this.#search(query, { alternatives: false, dense: true, target: false }, limit);
  }

  withAlternatives(query: LabelledQuery, limit: number): Promise<Chunk[]> {
    return this.#search(query, { alternatives: true, dense: true, target: false }, limit);
  }

  lexicalWithAlternatives(query: LabelledQuery, limit: number): Promise<Chunk[]> {
    return this.#search(query, { alternatives: true, dense: false, target: false }, limit);
  }

  /** As a caller asks that knows for what device it writes. */
  withTarget(query: LabelledQuery, limit: number): Promise<Chunk[]> {
    return this.#search(query, { alternatives: true, dense: true, target: true }, limit);
  }

  async close(): Promise<void> {
    await this.#store.close();
  }
}

function stateOf(reader: IndexReader): Uint8Array {
  return new Uint8Array(readFileSync(join(reader.folder, "embedder.bin")));
}

/** A passage under its own heading, as it stands in the document; the headings above are left out. */
function chunkOf(document: string, path: readonly string[], text: string): Chunk {
  return { document: nameOf(document), text: `${path.at(-1) ?? ""}\n${text}` };
}
