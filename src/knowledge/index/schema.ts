import { z } from "zod";
import { documentSummarySchema } from "../../domain/index.ts";
import { sealSchema } from "../dense/seal.ts";
import { VECTOR_INDEX_KINDS } from "../dense/vector-index.ts";

/** "KEVI" in the header of the file: tells our index from another program's database. */
export const INDEX_APPLICATION_ID = 0x4b455649;
/** Changes with the tables, with how sections are cut, or with how words are read: an index of another format is made anew. */
export const INDEX_FORMAT = "kernelevolve-index/1";

export const SCHEMA = `
  PRAGMA application_id = ${INDEX_APPLICATION_ID};
  CREATE TABLE documents (
    id INTEGER PRIMARY KEY AUTOINCREMENT, doc TEXT NOT NULL UNIQUE, stamp TEXT NOT NULL, hash TEXT NOT NULL, json TEXT NOT NULL
  ) STRICT;
  CREATE TABLE sections (
    id INTEGER PRIMARY KEY AUTOINCREMENT, document INTEGER NOT NULL, slug TEXT NOT NULL, heading TEXT NOT NULL, path TEXT NOT NULL,
    text TEXT NOT NULL, page INTEGER, UNIQUE (document, slug)
  ) STRICT;
  CREATE VIRTUAL TABLE lexical USING fts5 (
    title, path, body, content='', contentless_delete=1, tokenize='porter unicode61 remove_diacritics 2'
  );
  INSERT INTO lexical (lexical, rank) VALUES ('rank', 'bm25(3.0, 1.5, 1.0)');
  CREATE TABLE words (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, documents INTEGER NOT NULL) STRICT;
  CREATE VIRTUAL TABLE spelling USING fts5 (name, content='', contentless_delete=1, tokenize='trigram');
  CREATE TABLE blobs (name TEXT PRIMARY KEY, data BLOB NOT NULL) STRICT;
`;

/** Written last into a generation's folder: with it the generation is whole. */
export const manifestSchema = z.object({
  format: z.literal(INDEX_FORMAT),
  built_at: z.string(),
  build_seconds: z.number(),
  documents: z.int(),
  sections: z.int(),
  /** Of the specs whose numbers were filled in, and of the list of documents that could not be read. */
  specs: z.string(),
  embedder: z.object({
    name: z.string(),
    id: z.string(),
    dimension: z.int(),
    /** Sections when it was fitted, and sections that came or went since. */
    fitted: z.int(),
    churn: z.int(),
  }),
  vectors: z.enum([...VECTOR_INDEX_KINDS, "none"]),
  /** Why there are no vectors though there should be. */
  dense_error: z.string().optional(),
  changed: z.object({ read: z.int(), kept: z.int(), dropped: z.int() }),
  problems: z.array(z.object({ file: z.string(), message: z.string(), stamp: z.string() })),
  notes: z.array(z.string()),
  database: sealSchema,
  embedder_state: sealSchema.optional(),
});
export type Manifest = z.infer<typeof manifestSchema>;

/** What is kept of a document as JSON. */
export const storedDocumentSchema = documentSummarySchema;
export const documentRow = z.object({
  id: z.int(),
  doc: z.string(),
  stamp: z.string(),
  hash: z.string(),
  json: z.string(),
});
export const sectionRow = z.object({
  id: z.int(),
  document: z.int(),
  slug: z.string(),
  heading: z.string(),
  path: z.string(),
  text: z.string(),
  page: z.int().nullable(),
});
export type SectionRow = z.infer<typeof sectionRow>;
