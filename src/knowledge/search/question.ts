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

/** Dice's coefficient of two words' trigrams: 1 for the same. */
export function likeness(a: string, b: string): number {
  const first = trigrams(a);
  const second = trigrams(b);
  if (first.size + second.size === 0) return a === b ? 1 : 0;
  let both = 0;
  for (const gram of first) if (second.has(gram)) both += 1;
  return (2 * both) / (first.size + second.size);
}
