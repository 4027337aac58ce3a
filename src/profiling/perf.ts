/** What is counted; `:u` is all that an unprivileged process may see, and all that a kernel does. */
export const PERF_EVENTS = [
  "instructions",
  "cycles",
  "branches",
  "branch-misses",
  "cache-references",
  "cache-misses",
].map((event) => `${event}:u`);

/** The arguments that count `run`, answered in `output`: what a kernel prints is no part of it. */
export function perfStatArgv(perf: string, output: string, run: readonly string[]): string[] {
  return [perf, "stat", "-x", ",", "-o", output, "-e", PERF_EVENTS.join(","), "--", ...run];
}

/** The arguments that sample where `run` spends its time. Without hardware counters a timer of the system takes the samples. */
export function perfRecordArgv(
  perf: string,
  output: string,
  hardware: boolean,
  run: readonly string[],
): string[] {
  const event = hardware ? "cycles:u" : "cpu-clock:u";
  return [perf, "record", "-q", "-e", event, "-F", "4000", "-o", output, "--", ...run];
}

/** The arguments that name the source line of every sample. */
export function perfScriptArgv(perf: string, input: string): string[] {
  return [perf, "script", "-i", input, "-F", "ip,dso,srcline"];
}

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

/**
 * Counts of one call: those of a run with more calls less those of a run with one, so that start-up and filling the inputs cancel.
 * A counter that did not grow is left out.
 */
export function perCall(
  one: Readonly<Record<string, number>>,
  many: Readonly<Record<string, number>>,
  more: number,
): Record<string, number> {
  return Object.fromEntries(
    Object.entries(many).flatMap(([event, count]) => {
      const first = one[event];
      return first === undefined || count < first ? [] : [[event, (count - first) / more]];
    }),
  );
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

/** Where the samples of one profile fell. */
export interface Samples {
  /** Samples inside the candidate's object; the rest (libraries, start-up) are in `elsewhere`. */
  readonly inside: number;
  readonly elsewhere: number;
  /** Lines of the candidate's file with their share of the samples inside, most first. */
  readonly lines: readonly { readonly line: number; readonly share: number }[];
}

/**
 * Reads `perf script -F ip,dso,srcline`: a row with the address and the object, then one with the source line.
 * @returns undefined when no sample fell into `object`.
 */
export function parseSamples(text: string, object: string, file: string): Samples | undefined {
  const lines = new Map<number, number>();
  let inside = 0;
  let elsewhere = 0;
  let here = false;
  for (const row of text.split("\n")) {
    const address = /^\s*[0-9a-f]+ \((.*)\)\s*$/.exec(row);
    if (address !== null) {
      here = address[1] === object || address[1]?.endsWith(`/${object}`) === true;
      if (here) inside += 1;
      else elsewhere += 1;
      continue;
    }
    const place = /^\s+(?:.*\/)?([^/\s:]+):(\d+)/.exec(row);
    if (!here || place === null || place[1] !== file) continue;
    const line = Number(place[2]);
    lines.set(line, (lines.get(line) ?? 0) + 1);
    here = false;
  }
  if (inside === 0) return undefined;
  return {
    inside,
    elsewhere,
    lines: [...lines]
      .map(([line, count]) => ({ line, share: count / inside }))
      .sort((a, b) => b.share - a.share),
  };
}
