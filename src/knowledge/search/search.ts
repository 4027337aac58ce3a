import {
  errorMessage,
  type KnowledgeHit,
  type KnowledgeQuery,
  type KnowledgeResult,
  type WorkContext,
} from "../../domain/index.ts";
import { log } from "../../platform/log.ts";
import type { Embedder } from "../dense/embedder.ts";
import type { Allowed } from "../dense/vector-index.ts";
import type { IndexReader, StoredDocument, StoredSection } from "../index/reader.ts";
import { lightStem, runs } from "../text/tokens.ts";
import { cutTo, firstOfEach, fuse, type RankedList, tokensOf } from "./fuse.ts";
import { parseQuestion } from "./question.ts";
import { POOL, type Searched, searchWords } from "./words.ts";

/** A dense side at the weight of the words makes answers worse; measured. */
const DENSE_WEIGHT = 0.3;
/** Less is the rounding of sums in single precision. */
const LEAST_SIMILARITY = 1e-6;
/** Sections that have an identifier of the question as it stands come before those that have its parts. */
const EXACT_WEIGHT = 0.5;
/** Documents that name the operator or bottleneck asked for come a little before those that name none. */
const NAMED = 1.1;
const MIN_PASSAGE_TOKENS = 60;
/** The ids of a target and of everything that it inherits, with `any`. */
export type Chain = ReadonlySet<string>;

export interface SearchInput {
  readonly query: KnowledgeQuery;
  /** Undefined: every target. */
  readonly chain: Chain | undefined;
  /** Opened when the index has vectors. @throws what keeps it from working. */
  readonly embedder: () => Promise<Embedder>;
}

/** Whether a document may answer a query. */
export function passes(
  document: StoredDocument,
  filter: Pick<KnowledgeQuery, "kinds" | "op" | "bottleneck">,
  chain: Chain | undefined,
): boolean {
  const { target, kind, op, bottlenecks } = document.summary;
  if (chain !== undefined && !chain.has(target)) return false;
  if (filter.kinds !== undefined && filter.kinds.length > 0 && !filter.kinds.includes(kind)) return false;
  if (filter.op !== undefined && op.length > 0 && !op.includes(filter.op)) return false;
  return (
    filter.bottleneck === undefined || bottlenecks.length === 0 || bottlenecks.includes(filter.bottleneck)
  );
}

async function searchMeaning(
  reader: IndexReader,
  input: SearchInput,
  phrasings: readonly string[],
  allowed: Allowed,
  signal: AbortSignal,
): Promise<{ lists: number[][]; note?: string }> {
  const { manifest } = reader;
  if (manifest.vectors === "none") {
    return {
      lists: [],
      note: `only words were searched: ${manifest.dense_error ?? "the index has no vectors"}`,
    };
  }
  try {
    const embedder = await input.embedder();
    const vectors = await embedder.embed(phrasings, "query", signal);
    const lists: number[][] = [];
    for (const vector of vectors) {
      // Nothing to compare with: stop words only.
      const empty = vector.every((value) => value === 0);
      const near = empty ? [] : await reader.nearest(vector, POOL, allowed);
      lists.push(near.filter((one) => one.similarity > LEAST_SIMILARITY).map((one) => one.label));
    }
    return { lists };
  } catch (error) {
    signal.throwIfAborted();
    if (error instanceof Error && "code" in error && error.code === "corrupt") throw error;
    log.warn({ error: errorMessage(error) }, "dense search failed");
    return { lists: [], note: `only words were searched: ${errorMessage(error)}` };
  }
}

/** One search over a generation of the index: each phrasing by words and by meaning, fused, one section a heading. */
export async function searchIndex(
  reader: IndexReader,
  input: SearchInput,
  context: WorkContext,
): Promise<KnowledgeResult> {
  const { query, chain } = input;
  const notes: string[] = [];
  const phrasings = [
    ...new Set([query.query, ...(query.alternatives ?? [])].map((text) => text.trim())),
  ].filter((text) => text !== "");
  const { kinds, op, bottleneck } = query;
  const filter = JSON.stringify([chain === undefined ? null : [...chain], kinds, op, bottleneck]);
  const allowed = reader.allowed(filter, (document) => passes(document, query, chain));
  if (allowed.count === 0) {
    notes.push(
      reader.manifest.sections === 0
        ? "the index is empty: no documents were found"
        : "no document passes these filters: leave one out (target, kinds, op or bottleneck)",
    );
  }
  const searched = searchWords(reader, phrasings.map(parseQuestion), allowed);
  const { lists, note } = await searchMeaning(reader, input, phrasings, allowed, context.signal);
  if (note !== undefined) notes.push(note);
  const scores = fuse([
    ...searched.map(({ lexical }): RankedList => ({ ids: lexical, weight: 1 })),
    ...searched.map(({ exact }): RankedList => ({ ids: exact, weight: EXACT_WEIGHT })),
    ...lists.map((ids): RankedList => ({ ids, weight: DENSE_WEIGHT })),
  ]);
  const ranked = [...scores]
    .map(([id, score]) => ({ id, score: score * named(reader.documentOf(id), query) }))
    .sort((a, b) => b.score - a.score || a.id - b.id);
  const best = firstOfEach(ranked, ({ id }) => reader.headingOf(id)).slice(0, query.limit ?? 8);
  const meaning = new Set(lists.flatMap((ids) => ids.slice(0, 10)));
  const hits = passages(
    best.flatMap(({ id, score }) => {
      const section = reader.section(id);
      return section === undefined
        ? []
        : [{ section, score, why: whyOf(section, searched, meaning.has(id), query) }];
    }),
    query.token_budget ?? 3000,
  );
  if (hits.length < best.length) {
    notes.push(`${best.length - hits.length} more sections matched, but the token budget was spent`);
  }
  const corrected = new Map(searched.flatMap((one) => [...one.corrected]));
  return {
    hits,
    did_you_mean: [...corrected].map(([word, known]) => ({ word, known })),
    notes,
    dense: note === undefined,
    embedder: reader.manifest.embedder.id,
    searched_sections: allowed.count,
  };
}

function named(document: StoredDocument | undefined, query: KnowledgeQuery): number {
  if (document === undefined) return 1;
  const { op, bottlenecks } = document.summary;
  const forOp = query.op !== undefined && op.includes(query.op) ? NAMED : 1;
  return query.bottleneck !== undefined && bottlenecks.includes(query.bottleneck) ? forOp * NAMED : forOp;
}

/** In words, why a section is in the answer. */
function whyOf(
  section: StoredSection,
  searched: readonly Searched[],
  near: boolean,
  query: KnowledgeQuery,
): string[] {
  const text = `${section.path.join("\n")}\n${section.document.summary.topics.join("\n")}\n${section.text}`;
  const lower = text.toLowerCase();
  const stems = new Set(
    runs(lower)
      .flatMap((run) => run.split(/[_.:-]+/))
      .map(lightStem),
  );
  const why: string[] = [];
  const identifiers = new Set(searched.flatMap(({ question }) => question.identifiers));
  const exact = [...identifiers].filter((one) => lower.includes(one.toLowerCase()));
  if (exact.length > 0)
    why.push(
      `has ${exact
        .slice(0, 5)
        .map((one) => `\`${one}\``)
        .join(", ")}`,
    );
  for (const [word, known] of searched.flatMap((one) => [...one.corrected])) {
    const found = known.find((one) => lower.includes(one));
    if (found !== undefined) why.push(`has \`${found}\`, near to the unknown "${word}"`);
  }
  const words = [...new Set(searched.flatMap(({ question }) => question.words))].filter((word) =>
    stems.has(lightStem(word)),
  );
  if (words.length > 0) why.push(`words: ${words.slice(0, 8).join(", ")}`);
  if (near) why.push("near in meaning");
  const { op, bottlenecks } = section.document.summary;
  if (query.op !== undefined && op.includes(query.op)) why.push(`about ${query.op}`);
  if (query.bottleneck !== undefined && bottlenecks.includes(query.bottleneck))
    why.push(`helps against ${query.bottleneck}`);
  return why.length === 0 ? ["parts of the words"] : [...new Set(why)];
}

/** The hits with their passages, as far as the budget goes; the last one may be cut. */
function passages(
  found: readonly { section: StoredSection; score: number; why: string[] }[],
  budget: number,
): KnowledgeHit[] {
  const hits: KnowledgeHit[] = [];
  let left = budget;
  for (const { section, score, why } of found) {
    const tokens = tokensOf(section.text);
    const cut = tokens > left;
    if (cut && hits.length > 0 && left < MIN_PASSAGE_TOKENS) break;
    const passage = cut ? cutTo(section.text, left) : section.text;
    const { id, target, kind, sources, untrusted } = section.document.summary;
    hits.push({
      id: `${id}#${section.slug}`,
      document: id,
      path: [...section.path],
      target,
      kind,
      why,
      passage,
      truncated: passage !== section.text,
      sources,
      ...(section.page === undefined ? {} : { page: section.page }),
      score: Math.round(score * 1e6) / 1e6,
      untrusted,
    });
    left -= Math.min(tokens, left);
  }
  return hits;
}
