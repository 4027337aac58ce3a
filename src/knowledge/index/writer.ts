import { DatabaseSync, type StatementSync } from "node:sqlite";
import { z } from "zod";
import { isStopWord, runs } from "../text/tokens.ts";
import { SCHEMA } from "./schema.ts";
import type { LoadedDocument } from "./sources.ts";

const idRow = z.object({ id: z.int() });
const textRow = z.object({ id: z.int(), path: z.string(), text: z.string() });

/** Words of over four letters that may be offered as a spelling. */
function vocabulary(text: string): Set<string> {
  const found = new Set<string>();
  for (const run of runs(text)) {
    if (run.length > 4 && run.length <= 80 && /[A-Za-z]/.test(run) && !isStopWord(run))
      found.add(run.toLowerCase());
  }
  return found;
}

/** Writes the tables of one generation. Nothing is on disk for good until the generation is sealed. */
export class IndexWriter {
  readonly #db: DatabaseSync;
  readonly #addDocument: StatementSync;
  readonly #addSection: StatementSync;
  readonly #addText: StatementSync;
  readonly #addWord: StatementSync;
  readonly #addSpelling: StatementSync;

  /** Of a copy of an earlier generation, or of nothing (`fresh`). */
  constructor(file: string, fresh: boolean) {
    this.#db = new DatabaseSync(file);
    // A generation that is not whole is thrown away: no journal is needed.
    this.#db.exec("PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF; PRAGMA cache_size = -131072");
    if (fresh) this.#db.exec(SCHEMA);
    this.#db.exec("BEGIN");
    this.#addDocument = this.#db.prepare(
      "INSERT INTO documents (doc, stamp, hash, json) VALUES (?, ?, ?, ?) RETURNING id",
    );
    this.#addSection = this.#db.prepare(
      "INSERT INTO sections (document, slug, heading, path, text, page) VALUES (?, ?, ?, ?, ?, ?) RETURNING id",
    );
    this.#addText = this.#db.prepare("INSERT INTO lexical (rowid, title, path, body) VALUES (?, ?, ?, ?)");
    this.#addWord = this.#db.prepare(
      "INSERT INTO words (name, documents) VALUES (?, 1) ON CONFLICT (name) DO UPDATE SET documents = documents + 1 RETURNING id, documents",
    );
    this.#addSpelling = this.#db.prepare("INSERT INTO spelling (rowid, name) VALUES (?, ?)");
  }

  /** Takes a document out, and the words that only it had. */
  drop(doc: string): void {
    const row = this.#db.prepare("SELECT id FROM documents WHERE doc = ?").get(doc);
    if (row === undefined) return;
    const { id } = idRow.parse(row);
    const sections = this.#db
      .prepare("SELECT id, path, text FROM sections WHERE document = ?")
      .all(id)
      .map((one) => textRow.parse(one));
    const forget = this.#db.prepare("DELETE FROM lexical WHERE rowid = ?");
    for (const section of sections) forget.run(section.id);
    for (const word of vocabulary(sections.map((one) => `${one.path}\n${one.text}`).join("\n"))) {
      const [left] = this.#db
        .prepare("UPDATE words SET documents = documents - 1 WHERE name = ? RETURNING id, documents")
        .all(word);
      if (left === undefined || Number(left["documents"]) > 0) continue;
      this.#db.prepare("DELETE FROM spelling WHERE rowid = ?").run(Number(left["id"]));
      this.#db.prepare("DELETE FROM words WHERE id = ?").run(Number(left["id"]));
    }
    this.#db.prepare("DELETE FROM sections WHERE document = ?").run(id);
    this.#db.prepare("DELETE FROM documents WHERE id = ?").run(id);
  }

  add(document: LoadedDocument, stamp: string): void {
    const { summary, hash, sections } = document;
    const { id } = idRow.parse(this.#addDocument.get(summary.id, stamp, hash, JSON.stringify(summary)));
    const words = new Set<string>();
    for (const section of sections) {
      const path = JSON.stringify(section.path);
      const row = idRow.parse(
        this.#addSection.get(id, section.slug, section.heading, path, section.text, section.page ?? null),
      );
      // What the front matter says of the whole document helps its sections to be found.
      const about = [...section.path.slice(0, -1), ...summary.topics].join("\n");
      this.#addText.run(row.id, section.path.at(-1) ?? "", about, section.text);
      for (const word of vocabulary(`${path}\n${section.text}`)) words.add(word);
    }
    for (const word of words) {
      const row = this.#addWord.get(word);
      if (Number(row?.["documents"]) === 1) this.#addSpelling.run(Number(row?.["id"]), word);
    }
  }

  /** The file changed on disk, its text did not. */
  restamp(doc: string, stamp: string): void {
    this.#db.prepare("UPDATE documents SET stamp = ? WHERE doc = ?").run(stamp, doc);
  }

  /** Id and text to embed of every section, in order of id. */
  *texts(after = 0): Generator<{ id: number; text: string }> {
    const rows = this.#db
      .prepare("SELECT id, path, text FROM sections WHERE id > ? ORDER BY id")
      .iterate(after);
    for (const row of rows) {
      const { id, path, text } = textRow.parse(row);
      yield { id, text: `${z.array(z.string()).parse(JSON.parse(path)).join("\n")}\n${text}` };
    }
  }

  counts(): { documents: number; sections: number; newest: number } {
    const row = this.#db
      .prepare(
        "SELECT (SELECT count(*) FROM documents) AS documents, (SELECT count(*) FROM sections) AS sections, (SELECT coalesce(max(id), 0) FROM sections) AS newest",
      )
      .get();
    return z.object({ documents: z.int(), sections: z.int(), newest: z.int() }).parse(row);
  }

  /** Tables by section id that a reader loads whole; then everything is written out. */
  finish(optimise: boolean): void {
    const { newest } = this.counts();
    const documentOf = new Int32Array(newest + 1);
    const headingOf = new Int32Array(newest + 1);
    const first = new Map<string, number>();
    const rowSchema = z.object({ id: z.int(), document: z.int(), heading: z.string() });
    for (const row of this.#db.prepare("SELECT id, document, heading FROM sections ORDER BY id").iterate()) {
      const { id, document, heading } = rowSchema.parse(row);
      const key = `${document}#${heading}`;
      if (!first.has(key)) first.set(key, id);
      documentOf[id] = document;
      headingOf[id] = first.get(key) ?? id;
    }
    const put = this.#db.prepare("INSERT OR REPLACE INTO blobs (name, data) VALUES (?, ?)");
    put.run("document-of", new Uint8Array(documentOf.buffer));
    put.run("heading-of", new Uint8Array(headingOf.buffer));
    if (optimise) {
      this.#db.exec(
        "INSERT INTO lexical (lexical) VALUES ('optimize'); INSERT INTO spelling (spelling) VALUES ('optimize')",
      );
    }
    this.#db.exec("COMMIT");
    this.close();
  }

  /** Idempotent. */
  close(): void {
    if (this.#db.isOpen) this.#db.close();
  }
}
