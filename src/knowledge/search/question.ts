import { identifierParts, isIdentifier, isStopWord, runs } from "../text/tokens.ts";

/** One phrasing of a question, taken apart. */
export interface Question {
  readonly text: string;
  readonly identifiers: readonly string[];
  readonly words: readonly string[];
}

const MAX_TERMS = 40;

/** Identifiers and plain words of a phrasing, each once, stop words out (unless nothing else is left). */
export function parseQuestion(text: string): Question {
  const all = [...new Set(runs(text))].slice(0, MAX_TERMS);
  const identifiers = all.filter(isIdentifier);
  const plain = all.filter((run) => !isIdentifier(run));
  const telling = plain.filter((word) => !isStopWord(word));
  const words = telling.length + identifiers.length === 0 ? plain : telling;
  return { text, identifiers, words: [...new Set(words.map((word) => word.toLowerCase()))] };
}

/** A term of a full-text query, quoted: FTS5 reads an identifier in quotes as its parts side by side. */
export function quoted(term: string): string {
  return `"${term.replaceAll('"', '""')}"`;
}

/** What is looked for: identifiers as phrases and in parts, and the words. */
export function termsOf(question: Question): string[] {
  const terms = [
    ...question.identifiers,
    ...question.identifiers.flatMap(identifierParts),
    ...question.words,
  ];
  return [...new Set(terms.map((term) => term.toLowerCase()))];
}

/** Trigrams of a word, for comparing spellings. */
export function trigrams(word: string): Set<string> {
  const found = new Set<string>();
  for (let at = 0; at + 3 <= word.length; at += 1) found.add(word.slice(at, at + 3));
  return found;
}

/** Words this long may have a second slip. */
const LONG = 8;

/**
 * Slips between two spellings: a character too many, too few, another one, or two neighbours exchanged (optimal string
 * alignment). More than `most` is told as `most + 1`.
 */
function slips(a: string, b: string, most: number): number {
  if (Math.abs(a.length - b.length) > most) return most + 1;
  let before: number[] = [];
  let last = Array.from({ length: b.length + 1 }, (_, at) => at);
  for (let i = 1; i <= a.length; i += 1) {
    const row = [i];
    for (let j = 1; j <= b.length; j += 1) {
      const same = a[i - 1] === b[j - 1];
      const one = Math.min((last[j] ?? 0) + 1, (row[j - 1] ?? 0) + 1, (last[j - 1] ?? 0) + (same ? 0 : 1));
      const exchanged = i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1];
      row.push(exchanged ? Math.min(one, (before[j - 2] ?? 0) + 1) : one);
    }
    before = last;
    last = row;
  }
  return Math.min(last[b.length] ?? 0, most + 1);
}

/**
 * Of two spellings, 1 for the same: Dice's coefficient of their trigrams; of words with one slip, or two in a long word, at least the
 * share of the letters that are right, as a slip in a short word breaks most of its trigrams.
 */
export function likeness(a: string, b: string): number {
  const first = trigrams(a);
  const second = trigrams(b);
  if (first.size + second.size === 0) return a === b ? 1 : 0;
  let both = 0;
  for (const gram of first) if (second.has(gram)) both += 1;
  const dice = (2 * both) / (first.size + second.size);
  const length = Math.max(a.length, b.length);
  const most = length < LONG ? 1 : 2;
  const wrong = slips(a, b, most);
  return wrong > most ? dice : Math.max(dice, 1 - wrong / length);
}
