import { type Block, blocksOf } from "./blocks.ts";

/** Sections aim at this many characters, and never pass the second number. */
export const AIM = 1500;
export const HARD_LIMIT = 1900;

/** A piece of a body, with the index of its first line in it. */
export interface Piece {
  readonly text: string;
  readonly at: number;
  /** The line that tells its page, when that is another. */
  readonly main?: number;
}

/** A line that is itself too long, cut at ends of sentences or words. */
function cutLine(line: string, limit: number): string[] {
  const parts: string[] = [];
  let rest = line;
  while (rest.length > limit) {
    const window = rest.slice(0, limit);
    const sentence = Math.max(window.lastIndexOf(". "), window.lastIndexOf("; ")) + 1;
    const space = window.lastIndexOf(" ");
    let end = sentence > limit / 3 ? sentence : space > limit / 3 ? space : limit;
    // Never half of a character.
    if (/[\ud800-\udbff]/.test(rest.charAt(end - 1))) end -= 1;
    parts.push(rest.slice(0, end).trimEnd());
    rest = rest.slice(end).trimStart();
  }
  parts.push(rest);
  return parts;
}

/** Lines joined into parts of at most `limit` characters, `head` and `tail` around each part. */
function groupLines(
  lines: readonly string[],
  at: number,
  limit: number,
  head: readonly string[] = [],
  tail: readonly string[] = [],
): Piece[] {
  const around = [...head, ...tail].reduce((sum, line) => sum + line.length + 1, 0);
  const room = Math.max(200, limit - around);
  const parts: Piece[] = [];
  let group: string[] = [];
  let size = 0;
  let first = at;
  const end = (): void => {
    if (group.some((line) => line.trim() !== ""))
      parts.push({ text: [...head, ...group, ...tail].join("\n"), at: first });
    group = [];
    size = 0;
  };
  for (const [index, line] of lines.entries()) {
    for (const part of cutLine(line, room)) {
      if (size + part.length + 1 > room && group.length > 0) {
        // Code is cut at its last blank line where there is one in the second half.
        const blank = group.lastIndexOf("");
        const carried = head.length > 0 && blank > group.length / 2 ? group.splice(blank + 1) : [];
        end();
        first = at + index - carried.length;
        group = carried;
        size = carried.reduce((sum, one) => sum + one.length + 1, 0);
        if (size + part.length + 1 > room) end();
      }
      if (group.length === 0) first = at + index;
      group.push(part);
      size += part.length + 1;
    }
  }
  end();
  return parts;
}

/** A block that fits no section: tables get their header row again, code its fence. */
function splitBlock(block: Block, limit: number): Piece[] {
  const [first = "", second = ""] = block.lines;
  if (block.kind === "table") {
    const ruled = /^\s*\|[\s:|-]+\|\s*$/.test(second);
    const head = ruled ? [first, second] : [first];
    if (head.join("\n").length < limit / 2) {
      return groupLines(block.lines.slice(head.length), block.at + head.length, limit, head);
    }
  }
  if (block.kind === "fence" && block.lines.length > 2 && first.length < limit / 4) {
    const last = block.lines.at(-1) ?? "";
    const closed = /^\s*(`{3,}|~{3,})\s*$/.test(last);
    const tail = closed ? last : (/^\s*(`{3,}|~{3,})/.exec(first)?.[1] ?? "```");
    return groupLines(block.lines.slice(1, closed ? -1 : undefined), block.at + 1, limit, [first], [tail]);
  }
  return groupLines(block.lines, block.at, limit);
}

/** Parts of about the same size, rather than full ones and a rest. */
function evenLimit(length: number): number {
  return Math.min(HARD_LIMIT, Math.ceil(length / Math.ceil(length / AIM)) + 150);
}

/**
 * Packs the body of a section into pieces of about `AIM` characters, cut at blank lines; none is longer than `HARD_LIMIT`.
 * Tables and code stay whole up to the hard limit. A piece ends with its page, unless little stands on it.
 */
export function pack(
  lines: readonly string[],
  pageOf: (at: number) => number | undefined = () => undefined,
): Piece[] {
  const parts = blocksOf(lines).flatMap((block) => {
    const text = block.lines.join("\n");
    return text.length > HARD_LIMIT ? splitBlock(block, evenLimit(text.length)) : [{ text, at: block.at }];
  });
  const pieces: Piece[] = [];
  let open: Piece | undefined;
  for (const part of parts) {
    if (open === undefined) {
      open = part;
      continue;
    }
    const size = open.text.length + 2 + part.text.length;
    // What follows a short lead-in belongs to it, even a little over the aim.
    const fits = size <= AIM || (open.text.length < AIM / 3 && size <= HARD_LIMIT);
    const turned = pageOf(open.at) !== pageOf(part.at);
    if (fits && !(turned && open.text.length > AIM / 5)) {
      // A rest of the page before counts to the next one.
      const main = turned ? part.at : (open.main ?? open.at);
      open = { text: `${open.text}\n\n${part.text}`, at: open.at, main };
    } else {
      pieces.push(open);
      open = part;
    }
  }
  if (open !== undefined) pieces.push(open);
  return pieces;
}
