import { join } from "node:path";
import { DatabaseSync, type SQLInputValue, type StatementSync } from "node:sqlite";
import { z } from "zod";
import {
  type DocumentSummary,
  documentSummarySchema,
  errorMessage,
  KernelEvolveError,
} from "../../domain/index.ts";
import { ColumnIndex } from "../dense/columns.ts";
import type { ExactIndex } from "../dense/exact.ts";
import { LeaderIndex } from "../dense/leaders.ts";
import { readVectors } from "../dense/vector-file.ts";
import type { Allowed, Neighbour } from "../dense/vector-index.ts";
import { likeness, quoted, trigrams } from "../search/question.ts";
import { documentRow, INDEX_APPLICATION_ID, type Manifest, type SectionRow, sectionRow } from "./schema.ts";

const PATHS = z.array(z.string());
/** Fewer allowed than this share: a scan of those is faster than the graph. */
const SELECTIVE = 0.05;
const MAX_COUNTS = 20_000;
const MAX_FILTERS = 32;

export interface StoredDocument {
  readonly key: number;
  readonly stamp: string;
  readonly hash: string;
  readonly summary: DocumentSummary;
}

export interface StoredSection {
  readonly id: number;
  readonly document: StoredDocument;
  readonly slug: string;
  readonly path: readonly string[];
  readonly text: string;
  readonly page: number | undefined;
}

/** A whole generation of the index, read only. It answers until it is closed, whatever is written meanwhile. */
export class IndexReader {
  readonly folder: string;
  readonly manifest: Manifest;
  readonly documents: ReadonlyMap<string, StoredDocument>;
  readonly #db: DatabaseSync;
  readonly #byKey = new Map<number, StoredDocument>();
  /** By section id: key of its document, and a number that parts of one heading share. */
  readonly #documentOf: Int32Array;
  readonly #headingOf: Int32Array;
  readonly #statements = new Map<string, StatementSync>();
  readonly #counts = new Map<string, number>();
  readonly #nearest = new Map<string, string[]>();
  readonly #allowed = new Map<string, Allowed>();
  #users = 0;
  #closing = false;
  #exact: ExactIndex | undefined;
  #columns: ColumnIndex | undefined;
  #graph: Promise<LeaderIndex> | undefined;

  /** @throws corrupt when the database is not the one that was written. */
  constructor(folder: string, manifest: Manifest) {
    this.folder = folder;
    this.manifest = manifest;
    const file = join(folder, "sections.db");
    this.#db = new DatabaseSync(file, { readOnly: true, timeout: 5000 });
    try {
      const [own] = this.#all("PRAGMA application_id");
      if (own?.["application_id"] !== INDEX_APPLICATION_ID) throw new Error("another program wrote it");
      this.#db.exec("PRAGMA mmap_size = 268435456; PRAGMA cache_size = -65536; PRAGMA query_only = ON");
      const documents = new Map<string, StoredDocument>();
      for (const row of this.#all("SELECT id, doc, stamp, hash, json FROM documents ORDER BY doc")) {
        const { id, doc, stamp, hash, json } = documentRow.parse(row);
        const stored = { key: id, stamp, hash, summary: documentSummarySchema.parse(JSON.parse(json)) };
        documents.set(doc, stored);
        this.#byKey.set(id, stored);
      }
      this.documents = documents;
      this.#documentOf = this.#blob("document-of");
      this.#headingOf = this.#blob("heading-of");
    } catch (error) {
      this.#db.close();
      throw new KernelEvolveError("corrupt", `${file}: ${errorMessage(error)}`, { cause: error });
    }
  }

  #statement(sql: string): StatementSync {
    const known = this.#statements.get(sql);
    if (known !== undefined) return known;
    const made = this.#db.prepare(sql);
    this.#statements.set(sql, made);
    return made;
  }

  #all(sql: string, ...values: SQLInputValue[]): Record<string, unknown>[] {
    return this.#statement(sql).all(...values);
  }

  #blob(name: string): Int32Array {
    const data = this.#statement("SELECT data FROM blobs WHERE name = ?").get(name)?.["data"];
    if (!(data instanceof Uint8Array)) throw new Error(`the table ${name} is missing`);
    return new Int32Array(data.buffer.slice(data.byteOffset, data.byteOffset + data.byteLength));
  }

  /** Sections of the documents that pass. Kept by the filter's name: agents ask with the same few again and again. */
  allowed(filter: string, passes: (document: StoredDocument) => boolean): Allowed {
    const known = this.#allowed.get(filter);
    if (known !== undefined) return known;
    const made = this.#allowedBy(passes);
    if (this.#allowed.size >= MAX_FILTERS) this.#allowed.clear();
    this.#allowed.set(filter, made);
    return made;
  }

  #allowedBy(passes: (document: StoredDocument) => boolean): Allowed {
    const keys = new Set<number>();
    for (const document of this.documents.values()) if (passes(document)) keys.add(document.key);
    const bits = new Uint8Array(this.#documentOf.length);
    let count = 0;
    for (let id = 0; id < bits.length; id += 1) {
      const key = this.#documentOf[id] ?? 0;
      if (key === 0 || !keys.has(key)) continue;
      bits[id] = 1;
      count += 1;
    }
    return { bits, count };
  }

  headingOf(section: number): number {
    return this.#headingOf[section] ?? section;
  }

  documentOf(section: number): StoredDocument | undefined {
    return this.#byKey.get(this.#documentOf[section] ?? 0);
  }

  /** In how many sections a term is, or several together. Kept: common words are asked for again and again. */
  frequency(...terms: readonly string[]): number {
    const query = terms.map(quoted).join(" AND ");
    const known = this.#counts.get(query);
    if (known !== undefined) return known;
    const row = this.#statement("SELECT count(*) AS n FROM lexical WHERE lexical MATCH ?").get(query);
    const count = Number(row?.["n"] ?? 0);
    if (this.#counts.size >= MAX_COUNTS) this.#counts.clear();
    this.#counts.set(query, count);
    return count;
  }

  /** The best sections that have any of the terms, or all that are common; by BM25 with titles weighed more. */
  lexical(
    terms: readonly string[],
    limit: number,
    allowed: Allowed,
    together: readonly string[] = [],
  ): number[] {
    if (terms.length + together.length === 0 || allowed.count === 0) return [];
    const found: number[] = [];
    const all = together.length === 0 ? [] : [`(${together.map(quoted).join(" AND ")})`];
    const query = [...terms.map(quoted), ...all].join(" OR ");
    for (const row of this.#statement(
      "SELECT rowid AS id FROM lexical WHERE lexical MATCH ? ORDER BY rank",
    ).iterate(query)) {
      const id = Number(row["id"]);
      if (allowed.bits[id] !== 1) continue;
      found.push(id);
      if (found.length >= limit) break;
    }
    return found;
  }

  /** Known words nearest to one that is not known, best first. Kept, as the frequencies are. */
  nearestWords(word: string, limit: number, least = 0.4): string[] {
    const key = `${limit} ${least} ${word}`;
    const known = this.#nearest.get(key);
    if (known !== undefined) return known;
    const found = this.#lookUpSpelling(word, limit, least);
    if (this.#nearest.size >= MAX_COUNTS) this.#nearest.clear();
    this.#nearest.set(key, found);
    return found;
  }

  #lookUpSpelling(word: string, limit: number, least: number): string[] {
    const grams = [...trigrams(word.toLowerCase())].slice(0, 60);
    if (grams.length === 0) return [];
    const rows = this.#all(
      "SELECT words.name AS name FROM (SELECT rowid AS id FROM spelling WHERE spelling MATCH ? ORDER BY rank LIMIT 150) AS near JOIN words ON words.id = near.id",
      grams.map(quoted).join(" OR "),
    );
    return rows
      .map((row) => String(row["name"]))
      .map((name) => ({ name, like: likeness(word.toLowerCase(), name) }))
      .filter(({ like }) => like >= least)
      .sort((a, b) => b.like - a.like || (a.name < b.name ? -1 : 1))
      .slice(0, limit)
      .map(({ name }) => name);
  }

  /** All vectors, row by row; read from disk on first use. @throws corrupt. */
  exact(): ExactIndex {
    this.#exact ??=
      this.manifest.vectors === "columns"
        ? this.columns().rows()
        : readVectors(join(this.folder, "vectors.f32"), this.manifest.embedder.id);
    return this.#exact;
  }

  /** The columns; each is read from disk on first use. @throws corrupt. */
  columns(): ColumnIndex {
    const { embedder, sections } = this.manifest;
    this.#columns ??= ColumnIndex.load(join(this.folder, "vectors.col"), {
      embedder: embedder.id,
      dimension: embedder.dimension,
      count: sections,
    });
    return this.#columns;
  }

  /** The graph; read from disk on first use. @throws corrupt, or missing_tool without the library. */
  async graph(): Promise<LeaderIndex> {
    const { id, dimension } = this.manifest.embedder;
    this.#graph ??= LeaderIndex.load(
      join(this.folder, "vectors.hnsw"),
      { embedder: id, dimension },
      this.exact(),
    );
    return await this.#graph;
  }

  /** Nearest sections by meaning: columns, or the graph where there is one and the filter lets enough through, else a scan of rows. */
  async nearest(query: Float32Array, limit: number, allowed: Allowed): Promise<Neighbour[]> {
    const { vectors, sections } = this.manifest;
    if (vectors === "none" || allowed.count === 0) return [];
    if (vectors === "columns") return this.columns().search(query, limit, allowed);
    if (vectors === "exact" || allowed.count < SELECTIVE * sections) {
      return this.exact().search(query, limit, allowed);
    }
    let graph: LeaderIndex;
    try {
      graph = await this.graph();
    } catch (error) {
      if (!(error instanceof KernelEvolveError) || error.code !== "missing_tool") throw error;
      // Built where the library was: the same vectors are scanned.
      return this.exact().search(query, limit, allowed);
    }
    return allowed.count === sections ? graph.search(query, limit) : graph.search(query, limit, allowed);
  }

  #section(row: SectionRow): StoredSection {
    const document = this.#byKey.get(row.document);
    if (document === undefined)
      throw new KernelEvolveError("corrupt", `${this.folder}: a section has no document`);
    return {
      id: row.id,
      document,
      slug: row.slug,
      path: PATHS.parse(JSON.parse(row.path)),
      text: row.text,
      page: row.page ?? undefined,
    };
  }

  section(id: number): StoredSection | undefined {
    const [row] = this.#all(
      "SELECT id, document, slug, heading, path, text, page FROM sections WHERE id = ?",
      id,
    );
    return row === undefined ? undefined : this.#section(sectionRow.parse(row));
  }

  /** All sections of a document, in order. */
  sectionsOf(document: StoredDocument): StoredSection[] {
    return this.#all(
      "SELECT id, document, slug, heading, path, text, page FROM sections WHERE document = ? ORDER BY id",
      document.key,
    ).map((row) => this.#section(sectionRow.parse(row)));
  }

  get closed(): boolean {
    return this.#closing;
  }

  /** Keeps the reader open while `work` runs, also when the next generation takes its place meanwhile. */
  async use<T>(work: () => Promise<T> | T): Promise<T> {
    this.#users += 1;
    try {
      return await work();
    } finally {
      this.#users -= 1;
      if (this.#closing) this.close();
    }
  }

  /** At once, or when the last user is done. Idempotent. */
  close(): void {
    this.#closing = true;
    if (this.#users === 0 && this.#db.isOpen) this.#db.close();
  }
}
