import type { Allowed } from "../dense/vector-index.ts";
import type { IndexReader } from "../index/reader.ts";
import { type Question, termsOf } from "./question.ts";

/** Sections of one ranked list. */
export const POOL = 60;
/** Bounds the rows that one search ranks (about 1.4 µs each): of the words of a question, the rarest are looked for. */
const ROWS = 24_000;
const FEWEST_ROWS = 6000;
/** Above so many sections words are common enough to be spared. */
const LARGE = 30_000;
const ROWS_OF_LARGE = 7000;
const MOST_TOGETHER = 4;
/** Unknown words of one search that are looked up by spelling, identifiers first: each costs some ten milliseconds in a large index. */
const MOST_CORRECTED = 4;

export interface Searched {
  readonly question: Question;
  readonly lexical: number[];
  /** Those that have a whole identifier. */
  readonly exact: number[];
  /** Unknown identifier to the known ones that were looked for instead. */
  readonly corrected: Map<string, string[]>;
}

interface Affordable {
  /** Each is looked for by itself. */
  readonly terms: string[];
  /** Too common for that: sections that have them all are looked for. */
  readonly together: string[];
  readonly rarest: string | undefined;
}

/** The fewest of the common terms, rarest first, whose sections in common are at most `rows`; none when there are no such. */
function inCommon(reader: IndexReader, common: readonly string[], rows: number): string[] {
  for (let size = 2; size <= Math.min(MOST_TOGETHER, common.length); size += 1) {
    const together = common.slice(0, size);
    const count = reader.frequency(...together);
    if (count <= rows) return count === 0 ? [] : together;
  }
  return [];
}

/**
 * What is looked for, so that about `rows` sections are ranked: terms by themselves, rarest first, as far as the budget goes, and the
 * sections that the next ones have in common. BM25 gives no weight to a term of more than half the sections.
 */
function affordable(reader: IndexReader, terms: readonly string[], rows: number): Affordable {
  const known = terms
    .map((term) => ({ term, count: reader.frequency(term) }))
    .filter(({ count }) => count > 0)
    .sort((a, b) => a.count - b.count);
  let spent = 0;
  const alone = known.filter(({ count }) => {
    spent += count;
    return spent <= rows;
  });
  const most = reader.manifest.sections / 2;
  const common = known.slice(alone.length).filter(({ count }) => count <= most);
  const together = inCommon(
    reader,
    common.map(({ term }) => term),
    rows,
  );
  return { terms: alone.map(({ term }) => term), together, rarest: known[0]?.term };
}

/** The unknown words of all phrasings that are worth looking up by spelling. */
function unknownWords(reader: IndexReader, questions: readonly Question[]): ReadonlySet<string> {
  const words = [
    ...questions.flatMap((question) => question.identifiers),
    ...questions.flatMap((question) => question.words),
  ];
  const unknown = [...new Set(words)].filter((word) => word.length > 4 && reader.frequency(word) === 0);
  return new Set(unknown.slice(0, MOST_CORRECTED));
}

function searchOne(
  reader: IndexReader,
  question: Question,
  bounds: { rows: number; unknown: ReadonlySet<string> },
  allowed: Allowed,
): Searched {
  const { rows } = bounds;
  const terms = termsOf(question);
  const corrected = new Map<string, string[]>();
  for (const word of [...question.identifiers, ...question.words]) {
    if (!bounds.unknown.has(word)) continue;
    const near = reader.nearestWords(word, 3, question.identifiers.includes(word) ? 0.4 : 0.55);
    if (near.length > 0) corrected.set(word, near);
  }
  const all = affordable(reader, [...terms, ...[...corrected.values()].flat()], rows);
  let lexical = reader.lexical(all.terms, POOL, allowed, all.together);
  // Even the rarest is common, and too few sections have it with others.
  if (all.terms.length === 0 && all.rarest !== undefined && lexical.length < POOL) {
    lexical = reader.lexical([all.rarest], POOL, allowed, all.together);
  }
  const whole = affordable(reader, question.identifiers, rows / 4);
  return {
    question,
    lexical,
    exact: reader.lexical(whole.terms, POOL, allowed),
    corrected,
  };
}

/** The best sections by words, phrasing by phrasing. */
export function searchWords(
  reader: IndexReader,
  questions: readonly Question[],
  allowed: Allowed,
): Searched[] {
  const rows =
    reader.manifest.sections > LARGE
      ? ROWS_OF_LARGE / questions.length
      : Math.max(FEWEST_ROWS, ROWS / questions.length);
  const bounds = { rows, unknown: unknownWords(reader, questions) };
  return questions.map((question) => searchOne(reader, question, bounds, allowed));
}
