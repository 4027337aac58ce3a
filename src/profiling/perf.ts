/** Counters of `perf stat -x ,` as numbers; an event that the machine does not count is left out. */
export function parsePerfStat(text: string): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const row of text.split("\n")) {
    const [value, , event] = row.split(",");
    if (value === undefined || event === undefined || !/^\d+(\.\d+)?$/.test(value)) continue;
    counts[event.replace(/:u$/, "").replaceAll("-", "_")] = Number(value);
  }
  return counts;
}

/** Rates from hardware counters, in the same names that the simulator's have where they mean the same. */
export function perfMetrics(counts: Readonly<Record<string, number>>): Record<string, number> {
  const { instructions, cycles, branches } = counts;
  const misses = counts["cache_misses"];
  const mispredicted = counts["branch_misses"];
  return {
    ...counts,
    ...(instructions !== undefined && cycles !== undefined && cycles > 0
      ? { instructions_per_cycle: instructions / cycles }
      : {}),
    ...(instructions !== undefined && misses !== undefined && instructions > 0
      ? { last_level_misses_per_1000_instructions: (1000 * misses) / instructions }
      : {}),
    ...(branches !== undefined && mispredicted !== undefined && branches > 0
      ? { branch_mispredict_rate: mispredicted / branches }
      : {}),
    ...(branches !== undefined && instructions !== undefined && instructions > 0
      ? { branches_per_instruction: branches / instructions }
      : {}),
  };
}
