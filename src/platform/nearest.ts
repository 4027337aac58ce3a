/** Edit distance of two short words. */
function distance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, index) => index);
  for (let i = 1; i <= a.length; i += 1) {
    const next = [i];
    for (let j = 1; j <= b.length; j += 1) {
      const change = (row[j - 1] ?? 0) + (a[i - 1] === b[j - 1] ? 0 : 1);
      next.push(Math.min(change, (row[j] ?? 0) + 1, (next[j - 1] ?? 0) + 1));
    }
    row = next;
  }
  return row[b.length] ?? 0;
}

/** Up to three known names that someone may have meant. */
export function nearest(word: string, known: readonly string[]): string[] {
  const short = word.slice(0, 80);
  if (short.trim() === "") return [];
  return known
    .map((name) => ({
      name,
      cost: name.includes(short) || short.includes(name) ? 0.5 : distance(short, name),
    }))
    .filter(({ name, cost }) => cost <= Math.max(2, name.length * 0.4))
    .sort((a, b) => a.cost - b.cost || (a.name < b.name ? -1 : 1))
    .slice(0, 3)
    .map(({ name }) => name);
}
