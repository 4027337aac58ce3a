/** One line of the candidate: shares (0..1) of what was counted over the whole watched call. */
export interface LineCost {
  readonly line: number;
  /** Of the instructions. */
  readonly share: number;
  /** Of the first-level data cache misses. */
  readonly missShare: number;
}

/** Counters of one callgrind run inside the watched function, as rates that can be compared between kernels. */
export interface CallgrindProfile {
  readonly metrics: Record<string, number>;
  /** Lines of the candidate's file, most instructions first. */
  readonly lines: readonly LineCost[];
}

const LINE_BYTES = 64;

/**
 * A cache that the simulator accepts, `size,ways,line`: it wants a power of two of sets. Sizes such as 48 KiB or 30 MiB get the
 * number of ways that makes them so; other sizes are rounded to the nearest power of two.
 */
export function simulatedCache(bytes: number): string {
  const exact = Math.round(bytes / LINE_BYTES);
  let odd = Math.max(1, exact);
  while (odd % 2 === 0) odd /= 2;
  if (odd > 31) return simulatedCache(2 ** Math.max(10, Math.round(Math.log2(Math.max(1, bytes)))));
  let ways = odd;
  while (ways < 8 && ways * 2 <= exact) ways *= 2;
  return `${exact * LINE_BYTES},${ways},${LINE_BYTES}`;
}

/**
 * The arguments that count `run` inside the function `watched`, with caches of the machine's sizes (what valgrind detects by itself
 * is wrong in many virtual machines).
 */
export function callgrindArgv(
  valgrind: string,
  run: readonly string[],
  options: { profile: string; watched: string; l1: number; lastLevel: number },
): string[] {
  return [
    valgrind,
    "--tool=callgrind",
    `--callgrind-out-file=${options.profile}`,
    "--collect-atstart=no",
    `--toggle-collect=${options.watched}`,
    "--cache-sim=yes",
    "--branch-sim=yes",
    "--dump-line=yes",
    `--I1=${simulatedCache(32 << 10)}`,
    `--D1=${simulatedCache(options.l1)}`,
    `--LL=${simulatedCache(options.lastLevel)}`,
    ...run,
  ];
}

/** Whether the simulator ended at an instruction that it does not know (AVX-512 and later in valgrind 3.19). */
export function unknownInstruction(stderr: string): boolean {
  return /unhandled instruction bytes|Unrecognised instruction|\(SIGILL\)|Illegal opcode/.test(stderr);
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
  const misses = total("D1mr") + total("D1mw");
  const metrics: Record<string, number> = {
    instructions,
    loads: reads,
    stores: writes,
    l1_misses_per_1000_instructions: (1000 * misses) / instructions,
    last_level_misses_per_1000_instructions: (1000 * (total("DLmr") + total("DLmw"))) / instructions,
    memory_operations_per_instruction: (reads + writes) / instructions,
    branches_per_instruction: branches / instructions,
    branch_mispredict_rate: branches === 0 ? 0 : (total("Bcm") + total("Bim")) / branches,
  };
  const lines = [...lineCosts(text, file, events)]
    .map(([line, cost]) => ({
      line,
      share: cost.instructions / instructions,
      missShare: misses === 0 ? 0 : cost.misses / misses,
    }))
    .sort((a, b) => b.share - a.share);
  return { metrics, lines };
}

/** Self cost by source line; positions may be relative (`+3`, `-2`, `*`). Call costs (the line after `calls=`) are inclusive and left out. */
function lineCosts(
  text: string,
  file: string,
  events: readonly string[],
): Map<number, { instructions: number; misses: number }> {
  const names = new Map<string, string>();
  const costs = new Map<number, { instructions: number; misses: number }>();
  const columns = ["D1mr", "D1mw"].map((name) => events.indexOf(name));
  const nameOf = (spec: string): string => {
    const match = /^\((\d+)\)(?: (.*))?$/.exec(spec);
    if (match === null) return spec;
    if (match[2] !== undefined) names.set(match[1] ?? "", match[2]);
    return names.get(match[1] ?? "") ?? "";
  };
  const isFile = (name: string): boolean => name === file || name.endsWith(`/${file}`);
  let inFile = false;
  let line = 0;
  let skip = false;
  for (const row of text.split("\n")) {
    const place = /^(fl|fi|fe|cfi|cfl)=(.*)$/.exec(row);
    if (place !== null) {
      // Every kind of place may be where a file's name stands in full; a callee's (c…) is not where the next costs are.
      const name = nameOf(place[2] ?? "");
      if (!place[1]?.startsWith("c")) inFile = isFile(name);
      continue;
    }
    if (row.startsWith("calls=")) {
      skip = true;
      continue;
    }
    const cost = /^([+-]?\d+|\*)((?: \d+)+)$/.exec(row);
    if (cost === null) continue;
    const position = cost[1] ?? "*";
    line = position === "*" ? line : /^[+-]/.test(position) ? line + Number(position) : Number(position);
    if (inFile && !skip) {
      const values = (cost[2] ?? "").trim().split(" ").map(Number);
      const known = costs.get(line) ?? { instructions: 0, misses: 0 };
      known.instructions += values[0] ?? 0;
      for (const column of columns) known.misses += values[column] ?? 0;
      costs.set(line, known);
    }
    skip = false;
  }
  return costs;
}
