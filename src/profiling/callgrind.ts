/** Counters of one callgrind run inside the watched function, as rates that can be compared between kernels. */
export interface CallgrindProfile {
  readonly metrics: Record<string, number>;
  /** Lines of the candidate with the most instructions: `line -> share`. */
  readonly hotLines: readonly { readonly line: number; readonly share: number }[];
}

/**
 * Reads a callgrind output file (format in the Valgrind manual, "Callgrind Format Specification"): the totals, and the cost of each
 * line of `file`.
 * @returns undefined when nothing was counted (the watched function never ran).
 */
export function parseCallgrind(text: string, file: string): CallgrindProfile | undefined {
  const events = /^events: (.*)$/m.exec(text)?.[1]?.trim().split(/\s+/) ?? [];
  const totals = /^(?:totals|summary): (.*)$/m.exec(text)?.[1]?.trim().split(/\s+/).map(Number) ?? [];
  const total = (name: string): number => totals[events.indexOf(name)] ?? 0;
  const instructions = total("Ir");
  if (!(instructions > 0)) return undefined;
  const reads = total("Dr");
  const writes = total("Dw");
  const branches = total("Bc") + total("Bi");
  const metrics: Record<string, number> = {
    instructions,
    loads: reads,
    stores: writes,
    l1_misses_per_1000_instructions: (1000 * (total("D1mr") + total("D1mw"))) / instructions,
    last_level_misses_per_1000_instructions: (1000 * (total("DLmr") + total("DLmw"))) / instructions,
    memory_operations_per_instruction: (reads + writes) / instructions,
    branches_per_instruction: branches / instructions,
    branch_mispredict_rate: branches === 0 ? 0 : (total("Bcm") + total("Bim")) / branches,
  };
  return { metrics, hotLines: lineCosts(text, file, instructions) };
}

/** Self cost by source line; positions may be relative (`+3`, `-2`, `*`). Call costs (the line after `calls=`) are inclusive and left out. */
function lineCosts(text: string, file: string, instructions: number): { line: number; share: number }[] {
  const names = new Map<string, string>();
  const costs = new Map<number, number>();
  const nameOf = (spec: string): string => {
    const match = /^\((\d+)\)(?: (.*))?$/.exec(spec);
    if (match === null) return spec;
    if (match[2] !== undefined) names.set(match[1] ?? "", match[2]);
    return names.get(match[1] ?? "") ?? "";
  };
  let inFile = false;
  let line = 0;
  let skip = false;
  for (const row of text.split("\n")) {
    const place = /^(?:fl|fi|fe)=(.*)$/.exec(row);
    if (place !== null) {
      inFile = nameOf(place[1] ?? "").endsWith(file);
      continue;
    }
    if (row.startsWith("calls=")) {
      skip = true;
      continue;
    }
    const cost = /^([+-]?\d+|\*) (\d+)/.exec(row);
    if (cost === null) continue;
    const position = cost[1] ?? "*";
    line = position === "*" ? line : /^[+-]/.test(position) ? line + Number(position) : Number(position);
    if (inFile && !skip) costs.set(line, (costs.get(line) ?? 0) + Number(cost[2]));
    skip = false;
  }
  return [...costs]
    .map(([at, count]) => ({ line: at, share: count / instructions }))
    .sort((a, b) => b.share - a.share)
    .slice(0, 12);
}
