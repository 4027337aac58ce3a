/** What is known about lines of the source; shares are 0..1. */
export interface Annotations {
  readonly time: ReadonlyMap<number, number>;
  readonly instructions: ReadonlyMap<number, number>;
  readonly misses: ReadonlyMap<number, number>;
  readonly remarks: ReadonlyMap<number, string>;
}

function cell(share: number | undefined): string {
  return share === undefined || share < 0.0005 ? "      " : `${(100 * share).toFixed(1).padStart(5)}%`;
}

/** The source with, before each line, its share of time, instructions and first-level misses, and after it what the compiler said. */
export function annotatedSource(source: string, known: Annotations): string {
  const columns = [
    { name: "time", shares: known.time },
    { name: "instr.", shares: known.instructions },
    { name: "misses", shares: known.misses },
  ].filter(({ shares }) => shares.size > 0);
  const head = `${columns.map(({ name }) => name.padStart(6)).join(" ")} line`;
  const rows = source.split("\n").map((text, index) => {
    const line = index + 1;
    const remark = known.remarks.get(line);
    const cells = columns.map(({ shares }) => cell(shares.get(line))).join(" ");
    return `${cells} ${String(line).padStart(4)} ${text}${remark === undefined ? "" : `   <- ${remark}`}`;
  });
  return `${[head, ...rows].join("\n")}\n`;
}
