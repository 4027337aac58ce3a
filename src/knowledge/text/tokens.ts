/**
 * Words and identifiers of a text, shared by the lexical query, the hashed vector and the vocabulary.
 * An identifier is what a manual writes with `_ . :` inside, with letters and digits mixed, or in camel case.
 */

const STOP = new Set(
  (
    "a about above after again all also am an and any are as at be because been before being below between both but by can could did " +
    "do does doing down during each few for from further had has have having he her here hers him his how i if in into is it its itself " +
    "just me more most my no nor not now of off on once only or other our out over own same she should so some such than that the " +
    "their them then there these they this those through to too under until up use used using very was we were what when where which while who whom " +
    "why will with would you your yours please tell need want get make way ways"
  ).split(" "),
);

/** One run of letters, digits and the joints of identifiers. */
const RUN = /[\p{L}\p{N}_](?:[\p{L}\p{N}_]|(?:\.|::|->|:)(?=[\p{L}\p{N}_]))*/gu;

/** Whether `word` is looked for as a whole. */
export function isIdentifier(word: string): boolean {
  if (/^[\d.:,]+$/.test(word)) return false;
  if (/[_.:>]/.test(word)) return /[A-Za-z]/.test(word);
  if (/\d/.test(word) && /[A-Za-z]/.test(word)) return true;
  return /[a-z][A-Z]/.test(word) || /[A-Z]{2}[a-z]/.test(word);
}

/** Parts of an identifier: at its joints, and at changes of case. Lower case, one letter or digits alone left out. */
export function identifierParts(word: string): string[] {
  const parts = word
    .split(/[_.:>-]+/)
    .flatMap((part) => [part, ...part.split(/(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])/)])
    .map((part) => part.toLowerCase())
    .filter((part) => part.length > 1 && /[a-z]/.test(part) && !STOP.has(part));
  return [...new Set(parts)].filter((part) => part !== word.toLowerCase());
}

/** Whether a plain word carries no meaning for a search. */
export function isStopWord(word: string): boolean {
  return STOP.has(word.toLowerCase());
}

/** Runs of a text, as they stand. */
export function runs(text: string): string[] {
  return (text.match(RUN) ?? [])
    .map((run) => run.replace(/^_+$/, ""))
    .filter((run) => run !== "" && run.length <= 120);
}

/** A light English stemmer for plain words: enough to make plural and gerund meet. */
export function lightStem(word: string): string {
  if (word.length <= 3) return word;
  let stem = word;
  if (stem.endsWith("ies") && stem.length > 4) stem = `${stem.slice(0, -3)}y`;
  else if (/(?:ss|sh|ch|x|z)es$/.test(stem)) stem = stem.slice(0, -2);
  else if (stem.endsWith("s") && !/(?:ss|us|is)$/.test(stem)) stem = stem.slice(0, -1);
  if (stem.length > 5 && stem.endsWith("ing")) stem = stem.slice(0, -3);
  else if (stem.length > 4 && stem.endsWith("ed")) stem = stem.slice(0, -2);
  if (stem.length > 3 && /(.)\1$/.test(stem) && !/(?:ll|ss|zz)$/.test(stem)) stem = stem.slice(0, -1);
  if (stem.length > 3 && stem.endsWith("e")) stem = stem.slice(0, -1);
  return stem;
}

/** Tokens of the hashed vector: identifiers whole and in parts, plain words stemmed, stop words out. */
export function tokens(text: string): string[] {
  const found: string[] = [];
  for (const run of runs(text)) {
    if (isIdentifier(run)) found.push(run.toLowerCase(), ...identifierParts(run));
    else if (run.length > 1 && /\p{L}/u.test(run) && !isStopWord(run))
      found.push(lightStem(run.toLowerCase()));
  }
  return found;
}

/** The distinct identifiers of a text that are worth offering as a spelling: over four characters, lower case. */
export function identifiersOf(text: string): Set<string> {
  const found = new Set<string>();
  for (const run of runs(text)) if (run.length > 4 && isIdentifier(run)) found.add(run.toLowerCase());
  return found;
}
