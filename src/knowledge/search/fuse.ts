/** One ranked list of section ids, best first. */
export interface RankedList {
  readonly ids: readonly number[];
  readonly weight: number;
}

/** Of reciprocal rank fusion: how little the first ranks stand out. */
const K = 60;

/** Weighted reciprocal rank fusion: the score of an id is the sum of weight / (60 + rank) over the lists that have it. */
export function fuse(lists: readonly RankedList[]): Map<number, number> {
  const scores = new Map<number, number>();
  for (const { ids, weight } of lists) {
    for (const [rank, id] of ids.entries()) scores.set(id, (scores.get(id) ?? 0) + weight / (K + rank + 1));
  }
  return scores;
}

/** Keeps the first of each group, in order. */
export function firstOfEach<T>(items: readonly T[], groupOf: (item: T) => number): T[] {
  const seen = new Set<number>();
  return items.filter((item) => {
    const group = groupOf(item);
    if (seen.has(group)) return false;
    seen.add(group);
    return true;
  });
}

/** About how many tokens a text is: code and mnemonics take more than prose. */
export function tokensOf(text: string): number {
  return Math.ceil(text.length / 3.6);
}

/** The beginning of a text within `tokens`, cut at the end of a line or word. */
export function cutTo(text: string, tokens: number): string {
  const room = Math.max(40, Math.floor(tokens * 3.6) - 2);
  if (text.length <= room) return text;
  const window = text.slice(0, room);
  const line = window.lastIndexOf("\n");
  const word = window.lastIndexOf(" ");
  const end = line > room * 0.6 ? line : word > room * 0.6 ? word : room;
  const cut = window.slice(0, end).replace(/[\ud800-\udbff]$/, "");
  // A fence that was opened is closed, so that what follows is not taken for code.
  const open = (cut.match(/^\s*(```|~~~)/gm) ?? []).length % 2 === 1;
  return `${cut}${open ? "\n```" : ""}\n…`;
}
