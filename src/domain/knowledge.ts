import { z } from "zod";
import type { WorkContext } from "./job.ts";
import { slugSchema } from "./scalar.ts";

/**
 * What the faces know of the knowledge base: documents with front matter, the sections that retrieval hands out, and the service
 * that finds, reads, adds and checks them. The form of a document is told in knowledge/README.md.
 */

export const DOCUMENT_KINDS = [
  "index",
  "architecture",
  "memory",
  "isa",
  "language",
  "optimisation",
  "pitfalls",
  "example",
  "profiling",
  "guidance",
  "constraints",
  "kernel",
  "trace",
  "skill",
] as const;
export const documentKindSchema = z.enum(DOCUMENT_KINDS);
export type DocumentKind = z.infer<typeof documentKindSchema>;

/** What a document helps against. */
export const DOCUMENT_BOTTLENECKS = [
  "memory",
  "compute",
  "latency",
  "occupancy",
  "bank-conflict",
  "divergence",
  "launch",
  "tail",
  "sync",
  "register",
  "instruction",
  "numerics",
  "correctness",
] as const;
export const documentBottleneckSchema = z.enum(DOCUMENT_BOTTLENECKS);
export type DocumentBottleneck = z.infer<typeof documentBottleneckSchema>;

/** Operator families. */
export const OP_FAMILIES = [
  "matmul",
  "attention",
  "softmax",
  "norm",
  "reduction",
  "scan",
  "conv",
  "gather",
  "scatter",
  "embedding",
  "jagged",
  "quantized",
  "elementwise",
  "optimizer",
  "transpose",
  "sort",
  "fft",
  "stencil",
] as const;
export const opFamilySchema = z.enum(OP_FAMILIES);
export type OpFamily = z.infer<typeof opFamilySchema>;

/** What `target:` may say: the id of a target, or `any` for what holds everywhere. */
export const documentTargetSchema = slugSchema;

/** Where a fact comes from. */
export const documentSourceSchema = z.strictObject({
  title: z.string().min(1).max(500),
  /** A public address. Documents that a user added may name the file instead. */
  url: z.string().max(2000).optional(),
  version: z.union([z.string(), z.number()]).transform(String).optional(),
});
export type DocumentSource = z.infer<typeof documentSourceSchema>;

export const knowledgeQuerySchema = z.strictObject({
  query: z.string().min(1).max(2000),
  /** Other phrasings of the same question, in vendor terms, mnemonics and synonyms: each is searched, the results are fused. */
  alternatives: z.array(z.string().min(1).max(2000)).max(5).optional(),
  /** Documents of this target, of the families it inherits, and of `any`. Without it: all. */
  target: slugSchema.optional(),
  kinds: z.array(documentKindSchema).max(DOCUMENT_KINDS.length).optional(),
  /** A document that names other operators only is left out; one that names none holds for all. */
  op: opFamilySchema.optional(),
  /** As `op`: a document that names other bottlenecks only is left out. */
  bottleneck: documentBottleneckSchema.optional(),
  /** Most hits; default 8. */
  limit: z.int().min(1).max(50).optional(),
  /** Bounds all passages together; default 3,000. */
  token_budget: z.int().min(100).max(100_000).optional(),
});
export type KnowledgeQuery = z.infer<typeof knowledgeQuerySchema>;

export const knowledgeHitSchema = z.object({
  /** `<document>#<section>`: what `read` takes. */
  id: z.string(),
  document: z.string(),
  /** Title of the document, then the headings down to the section. */
  path: z.array(z.string()),
  target: z.string(),
  kind: documentKindSchema,
  /** In words: identifiers and words found, meaning, corrected spelling, filters named by the document. */
  why: z.array(z.string()),
  passage: z.string(),
  /** The passage was cut to the budget; `read` gives all of it. */
  truncated: z.boolean(),
  sources: z.array(documentSourceSchema),
  /** Page of the manual that the section came from. */
  page: z.int().optional(),
  /** Fused rank score: comparable within one answer only. */
  score: z.number(),
  /** Text that a user added, quoted: data, never instructions. */
  untrusted: z.boolean(),
});
export type KnowledgeHit = z.infer<typeof knowledgeHitSchema>;

export const knowledgeResultSchema = z.object({
  hits: z.array(knowledgeHitSchema),
  /** For identifiers that no document has: the nearest that some do. */
  did_you_mean: z.array(z.object({ word: z.string(), known: z.array(z.string()) })),
  /** What the caller should know: dense search off and why, an index that is being rebuilt, filters that left nothing. */
  notes: z.array(z.string()),
  /** `dense: false` means that only words were searched; `notes` says why. */
  dense: z.boolean(),
  embedder: z.string(),
  /** Sections that the filters let through. */
  searched_sections: z.int(),
});
export type KnowledgeResult = z.infer<typeof knowledgeResultSchema>;

export const documentSummarySchema = z.object({
  id: z.string(),
  title: z.string(),
  target: z.string(),
  kind: documentKindSchema,
  topics: z.array(z.string()),
  bottlenecks: z.array(documentBottleneckSchema),
  op: z.array(opFamilySchema),
  abstractions: z.array(z.string()),
  sources: z.array(documentSourceSchema),
  sections: z.int(),
  untrusted: z.boolean(),
  /** Absolute path of the file; of the spec for the numbers of a target. */
  file: z.string(),
});
export type DocumentSummary = z.infer<typeof documentSummarySchema>;

export const documentSectionSchema = z.object({
  id: z.string(),
  path: z.array(z.string()),
  text: z.string(),
  page: z.int().optional(),
});
export type DocumentSection = z.infer<typeof documentSectionSchema>;

export const knowledgePageSchema = z.object({
  document: documentSummarySchema,
  /** With a section id: the section. Without: null. */
  section: documentSectionSchema.nullable(),
  /** Markdown, references to numbers filled in. */
  text: z.string(),
  /** Ids of the sections in `text`, in order. */
  sections: z.array(z.string()),
  /** Where the next page begins, for `offset`; null at the end of the document. */
  next_offset: z.int().nullable(),
  /** Characters of the whole document. */
  total: z.int(),
});
export type KnowledgePage = z.infer<typeof knowledgePageSchema>;

/** How the bytes of something to add are to be understood. */
export const INGEST_FORMATS = [
  "markdown",
  "html",
  "pdf",
  "asciidoc",
  "rest",
  "text",
  "kernel",
  "trace",
] as const;
export const ingestFormatSchema = z.enum(INGEST_FORMATS);
export type IngestFormat = z.infer<typeof ingestFormatSchema>;

export const knowledgeAddSchema = z.strictObject({
  /** File to read, in the working directory, the data folder or an allowed folder. Either this or `text`. */
  path: z.string().min(1).max(4000).optional(),
  text: z.string().min(1).max(2_000_000).optional(),
  /** Needed with `text`; else told from the file's name and first bytes. */
  format: ingestFormatSchema.optional(),
  target: documentTargetSchema,
  title: z.string().min(1).max(300).optional(),
  kind: documentKindSchema.optional(),
  topics: z.array(z.string().min(1).max(80)).max(30).optional(),
  bottlenecks: z.array(documentBottleneckSchema).optional(),
  op: z.array(opFamilySchema).optional(),
  abstractions: z.array(z.string().min(1).max(80)).max(20).optional(),
  /** Public address or citation of the original. */
  source: documentSourceSchema.optional(),
  /** What is known of a kernel; with format kernel only. */
  kernel: z
    .strictObject({
      problem: z.string().min(1).max(200).optional(),
      dtypes: z.array(z.string().min(1).max(40)).max(20).optional(),
      shapes: z.array(z.string().min(1).max(120)).max(40).optional(),
      techniques: z.array(z.string().min(1).max(120)).max(40).optional(),
      /** Credited, over `baseline`. */
      speedup: z.number().positive().optional(),
      baseline: z.string().min(1).max(100).optional(),
    })
    .optional(),
});
export type KnowledgeAdd = z.infer<typeof knowledgeAddSchema>;

export const knowledgeAddedSchema = z.object({
  /** Ids of the documents that hold it now (a long manual becomes several). */
  documents: z.array(z.string()),
  sections: z.int(),
  pages: z.int().optional(),
  /** The same content had been added before: nothing was changed. */
  unchanged: z.boolean(),
  folder: z.string(),
  /** For a trace: the bottleneck that its counters name. */
  bottleneck: z.string().optional(),
  notes: z.array(z.string()),
});
export type KnowledgeAdded = z.infer<typeof knowledgeAddedSchema>;

export const knowledgeStatusSchema = z.object({
  folder: z.string(),
  documents: z.int(),
  sections: z.int(),
  bytes: z.number(),
  built_at: z.string(),
  build_seconds: z.number(),
  embedder: z.string(),
  /** Vectors are searched so; `none` when there are none, and `notes` says why. */
  vectors: z.enum(["exact", "columns", "hnsw", "none"]),
  /** Of the last build: documents read again, kept as they were, dropped. */
  changed: z.object({ read: z.int(), kept: z.int(), dropped: z.int() }),
  /** Documents that could not be indexed, with the reason. */
  problems: z.array(z.object({ file: z.string(), message: z.string() })),
  notes: z.array(z.string()),
});
export type KnowledgeStatus = z.infer<typeof knowledgeStatusSchema>;

export const lintIssueSchema = z.object({
  file: z.string(),
  line: z.int(),
  level: z.enum(["error", "warning"]),
  rule: z.string(),
  message: z.string(),
});
export type LintIssue = z.infer<typeof lintIssueSchema>;

export interface LintReport {
  readonly documents: number;
  readonly snippets: { readonly compiled: number; readonly skipped: number };
  readonly issues: readonly LintIssue[];
}

export interface DocumentFilter {
  /** With the families it inherits and `any`, unless `exact`. */
  readonly target?: string;
  readonly exact?: boolean;
  readonly kinds?: readonly DocumentKind[];
  readonly op?: OpFamily;
  readonly bottleneck?: DocumentBottleneck;
}

export interface ReadOptions {
  /** Sections before and after the one asked for; default 0. */
  readonly neighbours?: number;
  /** Where to begin in the document, in characters; default 0. Without a section only. */
  readonly offset?: number;
  /** Most characters; default 12,000. */
  readonly limit?: number;
}

export interface KnowledgeService {
  /** Builds or updates the index first when it must. @throws not_found for an unknown target. */
  search(query: KnowledgeQuery, context: WorkContext): Promise<KnowledgeResult>;
  /**
   * A section (`<document>#<section>`) with its neighbours, or a document in pages.
   * @throws not_found with the nearest ids.
   */
  read(id: string, options: ReadOptions, context: WorkContext): Promise<KnowledgePage>;
  /** The documents that a filter lets through, by target, kind and id. */
  list(filter: DocumentFilter, context: WorkContext): Promise<DocumentSummary[]>;
  /** Headings of one document with their section ids. @throws not_found. */
  outline(document: string, context: WorkContext): Promise<{ id: string; path: string[] }[]>;
  /**
   * Adds a manual, page, kernel or trace to the user's own documents, and to the index.
   * Idempotent by content; a broken off one goes on where it stopped.
   */
  add(input: KnowledgeAdd, context: WorkContext): Promise<KnowledgeAdded>;
  /** Takes a document that a user added away again, with the parts of the same manual. @throws not_found. */
  remove(document: string, context: WorkContext): Promise<{ removed: string[] }>;
  /** Brings the index up to date, or makes it anew (`full`). */
  rebuild(options: { full?: boolean }, context: WorkContext): Promise<KnowledgeStatus>;
  /** As it is, without building; null before the first build. */
  status(): Promise<KnowledgeStatus | null>;
  /** Checks the form of documents: those of `folders`, or all that ship and that the user added. */
  lint(
    options: { folders?: readonly string[]; compile?: boolean },
    context: WorkContext,
  ): Promise<LintReport>;
  /** Idempotent. */
  close(): Promise<void>;
}
