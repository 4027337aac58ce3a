import { sha256 } from "../platform/hash.ts";
import { codeTokens, headerMeaning, INDENTED, isPythonLike } from "./normalise.ts";

/**
 * Near-duplicates beyond equal text: an embedding of the source that names, formatting and the order of functions do not
 * change. A source is cut into top-level units; names of its own become their order of appearance in the unit, functions
 * and types what their definition looks like; the vector counts runs of `SHINGLE` tokens. Only sources of one shape (same
 * flags, tunables, literals, library calls and operators) are compared, so that a changed size never counts as likeness.
 */

/** Tokens of one run that is counted. */
const SHINGLE = 4;
/**
 * Cosine from which two sources of one shape count as twins. Measured on the shipped kernels and 25,497 small edits of them
 * (test/evolution/similarity.test.ts repeats it): renamed or reformatted sources are at 1, and any edit that changes what is
 * computed, or in which order, at 0.957 at the most. One of n units changed costs about 1/(2n), so this holds to 500 units.
 */
export const TWIN_SIMILARITY = 0.999;

const NAME = /^[A-Za-z_$]/;
const LITERAL = /^(?:\.?[0-9]|["']|[rbfuLR]+["'])/;

/** Words that mean the same in every source of a language, and the entry point's name. */
const C_WORD =
  /^(?:auto|break|case|char|const|continue|default|do|double|else|enum|extern|float|for|goto|if|inline|int|long|register|restrict|return|short|signed|sizeof|static|struct|switch|typedef|union|unsigned|void|volatile|while|bool|true|false|class|template|typename|using|namespace|constexpr|nullptr|new|delete|this|public|private|operator|decltype|static_cast|reinterpret_cast|define|undef|ifdef|ifndef|endif|elif|defined|include|pragma|threadIdx|blockIdx|blockDim|gridDim|warpSize|kernel|\w+_t)$/;
const PYTHON_WORD =
  /^(?:and|as|assert|async|await|break|class|continue|def|del|elif|else|except|False|finally|for|from|global|if|import|in|is|lambda|None|nonlocal|not|or|pass|raise|return|True|try|while|with|yield|self|range|kernel)$/;

const isCommon = (token: string, abstraction: string): boolean =>
  (isPythonLike(abstraction) ? PYTHON_WORD : C_WORD).test(token);

interface Unit {
  /** Conditions of the preprocessor under which it stands. */
  readonly given: readonly string[];
  readonly tokens: readonly string[];
  /** Names that it defines for other units. */
  readonly defines: readonly string[];
}

export interface Embedding {
  readonly counts: ReadonlyMap<string, number>;
  readonly norm: number;
}

/** Key of what must be equal before two sources are compared at all. */
export function shapeKey(source: string, abstraction: string): string {
  const tokens = codeTokens(source, abstraction);
  const defined = new Set(unitsOf(tokens, abstraction).flatMap((unit) => unit.defines));
  const kept = tokens.filter(
    (token, index) =>
      LITERAL.test(token) ||
      !NAME.test(token) ||
      isCommon(token, abstraction) ||
      (!defined.has(token) && isExternal(tokens, index)),
  );
  // Brackets and separators may be added for the eye; operators and calls may not.
  const weighty = kept.filter((token) => !/^[(){};,\n]$|^ +$/.test(token)).sort();
  return sha256(`${headerMeaning(source.replaceAll("\r\n", "\n"))}\n${weighty.join("\n")}`);
}

/** The vector of a source. */
export function embeddingOf(source: string, abstraction: string): Embedding {
  const units = unitsOf(codeTokens(source, abstraction), abstraction);
  // Twice: a function is known by what it does, and what it does by the functions that it calls.
  let identities = new Map<string, string>(
    units.flatMap((unit) => unit.defines.map((name): [string, string] => [name, "own"])),
  );
  for (let round = 0; round < 2; round += 1) {
    const next = new Map<string, string>();
    for (const unit of units) {
      if (unit.defines.length === 0) continue;
      const digest = sha256(canonical(unit, identities, abstraction).join(" ")).slice(0, 12);
      for (const name of unit.defines) next.set(name, (next.get(name) ?? "") + digest);
    }
    identities = next;
  }
  const counts = new Map<string, number>();
  const whole = new Map<string, number>();
  const add = (to: Map<string, number>, feature: string): void => {
    to.set(feature, (to.get(feature) ?? 0) + 1);
  };
  for (const unit of units) {
    const tokens = ["^", ...canonical(unit, identities, abstraction), "$"];
    for (let at = 0; at === 0 || at + SHINGLE <= tokens.length; at += 1) {
      add(counts, tokens.slice(at, at + SHINGLE).join(" "));
    }
    // Runs of tokens alone do not see two statements change places: the unit as a whole weighs as much as all its runs.
    add(whole, `unit ${sha256(tokens.join(" ")).slice(0, 16)}`);
  }
  const weight = Math.sqrt(squares(counts) / Math.max(1, squares(whole)));
  for (const [unit, count] of whole) counts.set(unit, count * weight);
  return { counts, norm: Math.sqrt(squares(counts)) };
}

function squares(counts: ReadonlyMap<string, number>): number {
  let sum = 0;
  for (const count of counts.values()) sum += count * count;
  return sum;
}

/** Cosine of two embeddings, 0..1. */
export function similarity(a: Embedding, b: Embedding): number {
  if (a.norm === 0 || b.norm === 0) return a.norm === b.norm ? 1 : 0;
  let dot = 0;
  for (const [shingle, count] of a.counts) dot += count * (b.counts.get(shingle) ?? 0);
  return Math.min(1, dot / (a.norm * b.norm));
}

/** Tokens of a unit with its own names replaced by their order of appearance, and others' by what they stand for. */
function canonical(unit: Unit, identities: ReadonlyMap<string, string>, abstraction: string): string[] {
  const local = new Map<string, string>();
  const own = new Set(unit.defines);
  const told = unit.tokens.map((token, index) => {
    if (!NAME.test(token) || LITERAL.test(token) || isCommon(token, abstraction)) return token;
    if (own.has(token)) return `self.${unit.defines.indexOf(token)}`;
    const known = identities.get(token);
    if (known !== undefined) return known;
    if (isExternal(unit.tokens, index)) return token;
    const place = local.get(token) ?? `v${local.size}`;
    local.set(token, place);
    return place;
  });
  return [...unit.given, ...told];
}

/** A name that is called, reached through a dot or written in capitals and given nowhere here belongs to a library or a tuner. */
function isExternal(tokens: readonly string[], index: number): boolean {
  const before = tokens[index - 1];
  const after = tokens[index + 1];
  const member = before === "." || (before === ">" && tokens[index - 2] === "-");
  return after === "(" || after === "." || member || /^(?:_.*|[A-Z][A-Z0-9_]+)$/.test(tokens[index] ?? "");
}

/** Top-level declarations, functions and directives (C family), or statements (Python), with what they define. */
function unitsOf(tokens: readonly string[], abstraction: string): Unit[] {
  return isPythonLike(abstraction) ? unitsOfPython(tokens) : unitsOfC(tokens);
}

function unitsOfC(tokens: readonly string[]): Unit[] {
  const units: Unit[] = [];
  let from = 0;
  let depth = 0;
  let body = false;
  const given: string[] = [];
  const end = (to: number): void => {
    const unit = tokens.slice(from, to).filter((token) => token !== "\n");
    const word = unit[0] === "#" ? unit[1] : undefined;
    if (word === "endif" || word === "elif" || word === "else") given.pop();
    // Behind `else` the condition is what it is not: its branches differ by the words and by their place.
    if (word?.startsWith("if") === true || word === "elif" || word === "else")
      given.push(`${unit.join(" ")} ${given.length}`);
    else if (unit.length > 0)
      units.push({ given: [...given], tokens: unit, defines: definedInC(unit, body) });
    from = to;
    body = false;
  };
  for (const [index, token] of tokens.entries()) {
    if (token === "{") {
      // Of a function, whose end is its brace; of a type or a list of values, that of `;`.
      if (depth === 0 && tokens[index - 1] === ")") body = true;
      depth += 1;
    } else if (token === "}") {
      depth = Math.max(0, depth - 1);
      if (depth === 0 && body) end(index + 1);
    } else if (depth === 0 && (token === ";" || token === "\n")) end(index + 1);
  }
  end(tokens.length);
  return units;
}

function definedInC(unit: readonly string[], isFunction: boolean): string[] {
  if (unit[0] === "#") return unit[1] === "define" && unit[2] !== undefined ? [unit[2]] : [];
  if (isFunction) {
    const at = unit.findIndex((token, index) => token === "(" && /^\w+$/.test(unit[index - 1] ?? ""));
    const name = unit[at - 1];
    return name === undefined || name.startsWith("__") ? [] : [name];
  }
  const stop = unit.findIndex((token) => ["=", "[", ";", "__attribute__"].includes(token));
  const name = unit[stop - 1];
  return name !== undefined && NAME.test(name) && !C_WORD.test(name) ? [name] : [];
}

function unitsOfPython(tokens: readonly string[]): Unit[] {
  const units: Unit[] = [];
  let from = 0;
  const end = (to: number): void => {
    const unit = tokens.slice(from, to);
    if (unit.length > 0) units.push({ given: [], tokens: unit, defines: definedInPython(unit) });
    from = to;
  };
  for (const [index, token] of tokens.entries()) {
    // A line that is not indented begins a statement; a decorator belongs to what follows.
    const decorated =
      tokens[from] === "@" && !["def", "class"].some((word) => tokens.slice(from, index).includes(word));
    if (token === "\n" && tokens[index + 1] !== INDENTED && !decorated) end(index + 1);
  }
  end(tokens.length);
  return units;
}

function definedInPython(unit: readonly string[]): string[] {
  const at = unit.findIndex((token) => token === "def" || token === "class");
  const name =
    at >= 0 && (at === 0 || unit[0] === "@" || unit[0] === "async")
      ? unit[at + 1]
      : unit[1] === "="
        ? unit[0]
        : undefined;
  return name !== undefined && NAME.test(name) ? [name] : [];
}
