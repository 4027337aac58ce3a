/** One run of equal, removed or added lines. */
export interface Hunk {
  readonly kind: "same" | "del" | "add";
  readonly lines: readonly string[];
}

/** Beyond this many differing lines the middle is shown as replaced whole: a search report needs no more. */
const MAX_EDIT = 400;

/**
 * Line differences from `before` to `after` (Myers' greedy algorithm between the common head and tail).
 * Concatenating `same` and `del` gives `before`; `same` and `add` gives `after`.
 */
export function diffLines(before: string, after: string): Hunk[] {
  const a = before.split("\n");
  const b = after.split("\n");
  let head = 0;
  while (head < a.length && head < b.length && a[head] === b[head]) head += 1;
  let tail = 0;
  while (
    tail < a.length - head &&
    tail < b.length - head &&
    a[a.length - 1 - tail] === b[b.length - 1 - tail]
  )
    tail += 1;
  const hunks: Hunk[] = [];
  const push = (kind: Hunk["kind"], lines: readonly string[]): void => {
    if (lines.length === 0) return;
    const last = hunks.at(-1);
    if (last?.kind === kind) hunks[hunks.length - 1] = { kind, lines: [...last.lines, ...lines] };
    else hunks.push({ kind, lines });
  };
  push("same", a.slice(0, head));
  for (const hunk of middle(a.slice(head, a.length - tail), b.slice(head, b.length - tail))) {
    push(hunk.kind, hunk.lines);
  }
  push("same", a.slice(a.length - tail));
  return hunks;
}

function middle(a: readonly string[], b: readonly string[]): Hunk[] {
  const whole: Hunk[] = [
    { kind: "del", lines: a },
    { kind: "add", lines: b },
  ];
  if (a.length === 0 || b.length === 0) return whole;
  const limit = Math.min(a.length + b.length, MAX_EDIT);
  const offset = limit + 1;
  const furthest = new Int32Array(2 * limit + 3);
  const trace: Int32Array[] = [];
  for (let d = 0; d <= limit; d += 1) {
    trace.push(furthest.slice());
    for (let k = -d; k <= d; k += 2) {
      const down = k === -d || (k !== d && at(furthest, offset + k - 1) < at(furthest, offset + k + 1));
      let x = down ? at(furthest, offset + k + 1) : at(furthest, offset + k - 1) + 1;
      while (x < a.length && x - k < b.length && a[x] === b[x - k]) x += 1;
      furthest[offset + k] = x;
      if (x >= a.length && x - k >= b.length) return backtrack(a, b, trace, offset);
    }
  }
  return whole;
}

function backtrack(
  a: readonly string[],
  b: readonly string[],
  trace: readonly Int32Array[],
  offset: number,
): Hunk[] {
  const reversed: Hunk[] = [];
  let x = a.length;
  let y = b.length;
  for (let d = trace.length - 1; d >= 0; d -= 1) {
    const row = trace[d] ?? new Int32Array();
    const k = x - y;
    const down = k === -d || (k !== d && at(row, offset + k - 1) < at(row, offset + k + 1));
    const previousK = down ? k + 1 : k - 1;
    const previousX = at(row, offset + previousK);
    const previousY = previousX - previousK;
    while (x > Math.max(previousX, 0) && y > Math.max(previousY, 0)) {
      x -= 1;
      y -= 1;
      reversed.push({ kind: "same", lines: [a[x] ?? ""] });
    }
    if (d === 0) break;
    if (down) {
      y -= 1;
      reversed.push({ kind: "add", lines: [b[y] ?? ""] });
    } else {
      x -= 1;
      reversed.push({ kind: "del", lines: [a[x] ?? ""] });
    }
  }
  return reversed.reverse();
}

function at(values: Int32Array, index: number): number {
  return values[index] ?? 0;
}

/** Unified text of a difference with `context` equal lines around each change. Empty when nothing differs. */
export function unifiedDiff(hunks: readonly Hunk[], context = 2): string {
  const out: string[] = [];
  if (hunks.every((hunk) => hunk.kind === "same")) return "";
  for (const [index, hunk] of hunks.entries()) {
    if (hunk.kind !== "same") {
      const mark = hunk.kind === "add" ? "+" : "-";
      out.push(...hunk.lines.map((line) => mark + line));
      continue;
    }
    const head = index === 0 ? 0 : context;
    const tail = index === hunks.length - 1 ? 0 : context;
    if (hunk.lines.length <= head + tail + 1) out.push(...hunk.lines.map((line) => ` ${line}`));
    else {
      out.push(...hunk.lines.slice(0, head).map((line) => ` ${line}`));
      out.push(`@@ ${hunk.lines.length - head - tail} equal lines @@`);
      out.push(...hunk.lines.slice(hunk.lines.length - tail).map((line) => ` ${line}`));
    }
  }
  return out.join("\n");
}
