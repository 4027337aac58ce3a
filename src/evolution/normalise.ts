import { type CandidateHeader, parseHeader, withoutAssignedValues } from "../evaluation/candidate/header.ts";
import { sha256 } from "../platform/hash.ts";

/** Languages in which `#` begins a comment and indentation has a meaning; the others are of the C family. */
const PYTHON_LIKE = new Set(["triton", "pytorch", "cutedsl", "python", "tlx", "helion"]);

/** Whether `#` begins a comment and indentation has a meaning in sources of this abstraction. */
export function isPythonLike(abstraction: string): boolean {
  return PYTHON_LIKE.has(abstraction);
}

/**
 * The source without what cannot change the program: comments, blank space, and the descriptive part of the header.
 * Flags keep their order; tunables count by name and current value only. Equal results are near-duplicates.
 */
export function normalisedSource(source: string, abstraction: string): string {
  const text = source.replaceAll("\r\n", "\n");
  const header = headerMeaning(text);
  const body = isPythonLike(abstraction) ? normalisedPython(text) : normalisedC(text);
  return `${header}\n${body}`;
}

/** Key of `normalisedSource`: equal keys mean near-duplicates. */
export function duplicateKey(source: string, abstraction: string): string {
  return sha256(normalisedSource(source, abstraction));
}

/** Key of the code alone, without flags and values of tunables: equal for all configurations of one structure. */
export function structureKey(source: string, abstraction: string): string {
  const text = source.replaceAll("\r\n", "\n");
  return sha256(
    isPythonLike(abstraction) ? normalisedPython(withoutAssignedValues(text)) : normalisedC(text),
  );
}

/** The part of the header that changes what is built. */
export function headerMeaning(text: string): string {
  let header: CandidateHeader;
  try {
    header = parseHeader(text);
  } catch {
    // Malformed: the evaluation will say so. Until then every line of it counts.
    return text
      .split("\n")
      .filter((line) => line.includes("ke:"))
      .join("\n");
  }
  const tunables = header.tunables.map((tunable) => `${tunable.name}=${tunable.value}`);
  return `${header.flags?.join(" ") ?? "default"}|${tunables.sort().join(",")}`;
}

/** One alternative a token: comment, string, character, raw string, word or number, any other character. */
const C_TOKEN =
  /\/\/(?:\\\n|[^\n])*|\/\*[\s\S]*?(?:\*\/|$)|R"([^()\\\s]{0,16})\([\s\S]*?(?:\)\1"|$)|"(?:\\[\s\S]|[^"\\\n])*"?|'(?:\\[\s\S]|[^'\\\n])*'?|\.?[0-9](?:[eEpP][+-]|[A-Za-z0-9_.])*|[A-Za-z_$][A-Za-z0-9_$]*|\n|\s+|[\s\S]/g;
const WORD = /^[A-Za-z0-9_$.]/;

function normalisedC(text: string): string {
  const joined = text.replace(/\\\n/g, " ");
  let out = "";
  let previous = "";
  let directive = false;
  let spaced = false;
  for (const [token] of joined.matchAll(C_TOKEN)) {
    if (token.startsWith("//") || token.startsWith("/*")) {
      spaced = true;
      continue;
    }
    if (token === "\n") {
      if (directive) {
        out += "\n";
        previous = "";
      }
      directive = false;
      spaced = true;
      continue;
    }
    if (/^\s/.test(token)) {
      spaced = true;
      continue;
    }
    if (token === "#" && !directive) {
      if (out !== "" && !out.endsWith("\n")) out += "\n";
      directive = true;
      previous = "";
      spaced = false;
    }
    // A blank matters between words, between operators that would join (+ +), and in a directive (#define A (x)).
    const joins =
      previous !== "" &&
      (WORD.test(previous.at(-1) ?? "") ? WORD.test(token) : sameOperator(previous, token));
    if (spaced && previous !== "" && (directive || joins)) out += " ";
    out += token;
    previous = token;
    spaced = false;
  }
  return out.trim();
}

function sameOperator(left: string, right: string): boolean {
  return left.length === 1 && "+-&|<>=/*:.!%^".includes(left) && "+-&|<>=/*:.".includes(right);
}

/** One alternative a token: triple-quoted strings first, then strings, comments, anything else. */
const PYTHON_TOKEN =
  /"""[\s\S]*?(?:"""|$)|'''[\s\S]*?(?:'''|$)|"(?:\\[\s\S]|[^"\\\n])*"?|'(?:\\[\s\S]|[^'\\\n])*'?|#[^\n]*|[^"'#]+/g;

function normalisedPython(text: string): string {
  let kept = "";
  for (const [token] of text.matchAll(PYTHON_TOKEN)) if (!token.startsWith("#")) kept += token;
  return kept
    .split("\n")
    .map((line) => line.trimEnd())
    .filter((line) => line !== "")
    .join("\n");
}

/** Begins a line that is indented, once for each level. */
export const INDENTED = "⇥";
const PYTHON_WORD =
  /[rbfuRBFU]{0,2}(?:"""[\s\S]*?(?:"""|$)|'''[\s\S]*?(?:'''|$)|"(?:\\[\s\S]|[^"\\\n])*"?|'(?:\\[\s\S]|[^'\\\n])*'?)|#[^\n]*|\\\n|\.?[0-9](?:[eE][+-]|[A-Za-z0-9_.])*|[A-Za-z_]\w*|\n[ \t]*|[ \t]+|[\s\S]/g;

/**
 * The tokens of a source without comments and blanks. In the C family a line end stays after a directive; in Python line ends
 * outside brackets stay, each followed by one `INDENTED` a level.
 */
export function codeTokens(source: string, abstraction: string): string[] {
  const text = source.replaceAll("\r\n", "\n");
  return isPythonLike(abstraction) ? tokensOfPython(text) : tokensOfC(text);
}

function tokensOfC(text: string): string[] {
  const tokens: string[] = [];
  let directive = false;
  let lineStart = true;
  for (const [token] of text.replace(/\\\n/g, " ").matchAll(C_TOKEN)) {
    if (token === "\n") {
      if (directive) tokens.push(token);
      directive = false;
      lineStart = true;
    } else if (!/^\s|^\/[/*]/.test(token)) {
      if (token === "#" && lineStart) directive = true;
      lineStart = false;
      tokens.push(token);
    }
  }
  if (directive) tokens.push("\n");
  return tokens;
}

function tokensOfPython(text: string): string[] {
  const tokens: string[] = [];
  const levels = [0];
  let brackets = 0;
  /** Indentation of the line that has begun, until its first token comes. */
  let begun: number | undefined;
  for (const [token] of `\n${text}`.matchAll(PYTHON_WORD)) {
    if (token.startsWith("\n")) {
      if (brackets === 0) begun = token.slice(1).replaceAll("\t", "        ").length;
      continue;
    }
    if (/^[ \t#]|^\\\n/.test(token)) continue;
    if (begun !== undefined) {
      while ((levels.at(-1) ?? 0) > begun) levels.pop();
      if ((levels.at(-1) ?? 0) < begun) levels.push(begun);
      if (tokens.length > 0) tokens.push("\n");
      for (let level = 1; level < levels.length; level += 1) tokens.push(INDENTED);
      begun = undefined;
    }
    if ("([{".includes(token)) brackets += 1;
    else if (")]}".includes(token)) brackets = Math.max(0, brackets - 1);
    tokens.push(token);
  }
  return tokens;
}
