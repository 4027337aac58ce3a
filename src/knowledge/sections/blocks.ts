/** A piece of a section's body that is kept whole where it can be. */
export interface Block {
  readonly kind: "text" | "table" | "fence";
  readonly lines: readonly string[];
  /** Index of the first line in the body. */
  readonly at: number;
}

/** An opening code fence: at most three blanks, then three or more of one sign. */
const FENCE = /^ {0,3}(`{3,}|~{3,})(.*)$/;

/** Follows code fences over the lines of a Markdown text. */
export class FenceTracker {
  #open: { sign: string; length: number } | undefined;

  /** Whether `line` is in a fence, or is its first or last line. */
  inside(line: string): boolean {
    const match = FENCE.exec(line);
    const open = this.#open;
    if (open === undefined) {
      if (match === null) return false;
      const run = match[1] ?? "";
      // An info string of a backtick fence has no backtick: that would be inline code.
      if (run.startsWith("`") && (match[2] ?? "").includes("`")) return false;
      this.#open = { sign: run.charAt(0), length: run.length };
      return true;
    }
    const run = match?.[1] ?? "";
    const closes = run.startsWith(open.sign) && run.length >= open.length && (match?.[2] ?? "").trim() === "";
    if (closes) this.#open = undefined;
    return true;
  }

  get open(): boolean {
    return this.#open !== undefined;
  }
}

const isTable = (line: string): boolean => /^\s*\|.*\|\s*$/.test(line);

/** The body of a section as fences, tables and paragraphs (a list is a paragraph with its items). */
export function blocksOf(lines: readonly string[]): Block[] {
  const blocks: Block[] = [];
  const fences = new FenceTracker();
  let current: { kind: Block["kind"]; lines: string[]; at: number } | undefined;
  const end = (): void => {
    if (current?.lines.some((line) => line.trim() !== "")) blocks.push(current);
    current = undefined;
  };
  for (const [at, line] of lines.entries()) {
    const was = fences.open;
    if (fences.inside(line)) {
      if (!was) end();
      current ??= { kind: "fence", lines: [], at };
      current.lines.push(line);
      if (!fences.open) end();
      continue;
    }
    const kind = isTable(line) ? "table" : "text";
    if (line.trim() === "") {
      end();
      continue;
    }
    if (current !== undefined && current.kind !== kind) end();
    current ??= { kind, lines: [], at };
    current.lines.push(line);
  }
  end();
  return blocks;
}
