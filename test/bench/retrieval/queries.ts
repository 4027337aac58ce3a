import { readFileSync } from "node:fs";
import { join } from "node:path";
import { z } from "zod";

export const QUERY_KINDS = ["mnemonic", "concept", "howto", "misspelling"] as const;
export type QueryKind = (typeof QUERY_KINDS)[number];

/**
 * A question with the passages that answer it. Labels name no section of any tool: a retrieved chunk is right when it comes from
 * the document and its text matches. The alternatives are what a calling model would add: the same question in vendors' terms,
 * written before the answer was looked up.
 */
const querySchema = z.strictObject({
  id: z.string().regex(/^[a-z]+\d+$/),
  kind: z.enum(QUERY_KINDS),
  target: z.string().optional(),
  query: z.string().min(3),
  alternatives: z.array(z.string().min(3)).min(2).max(3),
  labels: z
    .array(
      z.strictObject({
        /** Id of a document or page; `*` stands for any characters but `/`. */
        document: z.string().min(1),
        /** Regular expression, tried on the text without backticks and asterisks and with single spaces. */
        text: z.string().min(3),
      }),
    )
    /** None yet: no document answers the question so far; it is left out. */
    .default([]),
});
type RawQuery = z.infer<typeof querySchema>;

export interface Label {
  readonly document: RegExp;
  readonly text: RegExp;
}

export interface LabelledQuery extends Omit<RawQuery, "labels"> {
  readonly labels: readonly Label[];
}

/** What a system hands out: a piece of a document. */
export interface Chunk {
  readonly document: string;
  readonly text: string;
}

export interface PlainDocument {
  readonly name: string;
  readonly text: string;
}

/** Text as labels see it. */
export function plain(text: string): string {
  return text.replace(/[`*]/g, "").replaceAll("\\|", "|").replace(/[“”]/g, '"').replace(/\s+/g, " ");
}

function documentPattern(name: string): RegExp {
  const escaped = name.split("*").map((part) => part.replace(/[.+?^${}()|[\]\\]/g, "\\$&"));
  return new RegExp(`^${escaped.join("[^/]*")}$`);
}

export function loadQueries(name: string): LabelledQuery[] {
  const file = join(import.meta.dirname, name);
  const raw = z.array(querySchema).parse(JSON.parse(readFileSync(file, "utf8")));
  const ids = new Set(raw.map((query) => query.id));
  if (ids.size !== raw.length) throw new Error(`${file}: an id is used twice`);
  return raw.map((query) => ({
    ...query,
    labels: query.labels.map((label) => ({
      document: documentPattern(label.document),
      text: new RegExp(label.text, "i"),
    })),
  }));
}

export function matches(label: Label, chunk: Chunk): boolean {
  return label.document.test(chunk.document) && label.text.test(plain(chunk.text));
}

/**
 * Queries with the labels that some document has. The others, of passages that were rewritten since, would count as misses of every
 * system; they are told.
 */
export function living(
  queries: readonly LabelledQuery[],
  documents: readonly PlainDocument[],
): { queries: LabelledQuery[]; dead: string[] } {
  const texts = documents.map(({ name, text }) => ({ name, text: plain(text) }));
  const lives = (label: Label): boolean =>
    texts.some(({ name, text }) => label.document.test(name) && label.text.test(text));
  const dead: string[] = [];
  const left = queries.map((query) => {
    const labels = query.labels.filter((label) => {
      const alive = lives(label);
      if (!alive) dead.push(`${query.id}: ${label.text.source} in ${label.document.source}`);
      return alive;
    });
    return { ...query, labels };
  });
  return { queries: left.filter((query) => query.labels.length > 0), dead };
}
