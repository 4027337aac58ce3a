import { KernelEvolveError } from "../domain/index.ts";

/**
 * Arithmetic over axes, parsed and computed here, never evaluated as code: + - * / ( ), numbers, axis names.
 * Constraints add one comparison: == <= >= < >.
 */

type Token = { readonly kind: "number" | "name" | "op"; readonly text: string; readonly at: number };

const TOKEN = /\s*(?:(\d+(?:\.\d+)?(?:[eE][+-]?\d+)?)|([A-Za-z_][A-Za-z0-9_]*)|(==|<=|>=|[-+*/()<>]))/y;

function tokenize(text: string): Token[] {
  const tokens: Token[] = [];
  let at = 0;
  while (at < text.length) {
    TOKEN.lastIndex = at;
    const match = TOKEN.exec(text);
    if (match === null) {
      if (text.slice(at).trim() === "") break;
      throw syntaxError(text, at, "unexpected character");
    }
    const [whole, number, name, op] = match;
    const start = at + whole.length - whole.trimStart().length;
    if (number !== undefined) tokens.push({ kind: "number", text: number, at: start });
    else if (name !== undefined) tokens.push({ kind: "name", text: name, at: start });
    else if (op !== undefined) tokens.push({ kind: "op", text: op, at: start });
    at += whole.length;
  }
  return tokens;
}

function syntaxError(text: string, at: number, what: string): KernelEvolveError {
  return new KernelEvolveError("invalid_argument", `expression "${text}": ${what} at position ${at + 1}`);
}

class Parser {
  readonly #text: string;
  readonly #axes: ReadonlyMap<string, number>;
  readonly #tokens: Token[];
  #next = 0;
  #depth = 0;

  constructor(text: string, axes: ReadonlyMap<string, number>) {
    this.#text = text;
    this.#axes = axes;
    this.#tokens = tokenize(text);
  }

  sum(): number {
    let value = this.#product();
    for (;;) {
      if (this.#take("+")) value += this.#product();
      else if (this.#take("-")) value -= this.#product();
      else return value;
    }
  }

  #product(): number {
    let value = this.#unary();
    for (;;) {
      if (this.#take("*")) value *= this.#unary();
      else if (this.#take("/")) {
        const divisor = this.#unary();
        if (divisor === 0) throw this.#error("division by zero");
        value /= divisor;
      } else return value;
    }
  }

  #unary(): number {
    if (this.#take("-")) return -this.#unary();
    const token = this.#tokens[this.#next];
    if (token === undefined) throw this.#error("unexpected end");
    this.#next += 1;
    if (token.kind === "number") return Number(token.text);
    if (token.kind === "name") {
      const value = this.#axes.get(token.text);
      if (value === undefined) throw syntaxError(this.#text, token.at, `unknown axis "${token.text}"`);
      return value;
    }
    if (token.text === "(") {
      this.#depth += 1;
      if (this.#depth > 50) throw syntaxError(this.#text, token.at, "parentheses nested too deep");
      const value = this.sum();
      if (!this.#take(")")) throw this.#error("missing )");
      this.#depth -= 1;
      return value;
    }
    throw syntaxError(this.#text, token.at, `unexpected "${token.text}"`);
  }

  comparison(): string | undefined {
    const token = this.#tokens[this.#next];
    if (token?.kind !== "op" || !["==", "<=", ">=", "<", ">"].includes(token.text)) return undefined;
    this.#next += 1;
    return token.text;
  }

  end(): void {
    const token = this.#tokens[this.#next];
    if (token !== undefined) throw syntaxError(this.#text, token.at, `unexpected "${token.text}"`);
  }

  #take(op: string): boolean {
    const token = this.#tokens[this.#next];
    if (token?.kind !== "op" || token.text !== op) return false;
    this.#next += 1;
    return true;
  }

  #error(what: string): KernelEvolveError {
    return syntaxError(this.#text, this.#tokens[this.#next]?.at ?? this.#text.length, what);
  }
}

/**
 * The value of an arithmetic expression over the axes.
 * @throws invalid_argument with the position of the fault; also when the value is not finite.
 */
export function evaluateExpression(text: string, axes: ReadonlyMap<string, number>): number {
  const parser = new Parser(text, axes);
  const value = parser.sum();
  parser.end();
  if (!Number.isFinite(value))
    throw new KernelEvolveError("invalid_argument", `expression "${text}" is not finite`);
  return value;
}

/** Whether a constraint such as "len_indptr == batch + 1" holds. */
export function constraintHolds(text: string, axes: ReadonlyMap<string, number>): boolean {
  const parser = new Parser(text, axes);
  const left = parser.sum();
  const operator = parser.comparison();
  if (operator === undefined) {
    throw new KernelEvolveError(
      "invalid_argument",
      `constraint "${text}" has no comparison (==, <=, >=, <, >)`,
    );
  }
  const right = parser.sum();
  parser.end();
  switch (operator) {
    case "==":
      return left === right;
    case "<=":
      return left <= right;
    case ">=":
      return left >= right;
    case "<":
      return left < right;
    default:
      return left > right;
  }
}
