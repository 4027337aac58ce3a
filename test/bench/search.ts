/**
 * The autotuner under each policy over recorded landscapes of six problems, beside random search and Optuna's TPE: best
 * speedup and evaluations to 95 % of the best known at an equal number of evaluations. `SEARCH_FIRST_SEED` names the first of
 * the seeds: those of the committed table were used for nothing else (by those before them the default policy was chosen).
 */
import { DEFAULT_POLICY, POLICIES } from "../../src/domain/index.ts";
import { randomFrom } from "../../src/evolution/random.ts";
import { LANDSCAPES } from "./landscape/grids.ts";
import { Landscape } from "./landscape/landscape.ts";
import { HOW, optunaCurves, optunaVersion } from "./landscape/optuna.ts";
import { replay } from "./landscape/replay.ts";
import { printTable, saveResult } from "./table.ts";

const SEEDS = 10;
const FIRST_SEED = Number(process.env["SEARCH_FIRST_SEED"] ?? 21);
const EVALUATIONS = 40;
/** Share of the best known speedup that counts as found. */
const FOUND = 0.95;
const RESAMPLES = 4000;
/** One draft and the end: there is nothing to compare over 40 evaluations. */
const compared = POLICIES.filter((policy) => policy !== "one-shot");

interface Score {
  /** Share of the best known speedup, per seed. */
  readonly share: readonly number[];
  /** Evaluations until `FOUND` of it was reached, one more than there were where it was not; per seed. */
  readonly needed: readonly number[];
}

function scoreOf(curves: readonly (readonly number[])[], best: number): Score {
  return {
    share: curves.map((curve) => (curve.slice(0, EVALUATIONS).at(-1) ?? 0) / best),
    needed: curves.map((curve) => {
      const at = curve.slice(0, EVALUATIONS).findIndex((value) => value >= FOUND * best);
      return at < 0 ? EVALUATIONS + 1 : at + 1;
    }),
  };
}

const mean = (values: readonly number[]): number =>
  values.reduce((sum, value) => sum + value, 0) / values.length;

/** 95 % interval of a statistic of samples drawn again from each list, by percentiles. */
function bootstrap(
  lists: readonly (readonly number[])[],
  statistic: (means: number[]) => number,
): [number, number] {
  const random = randomFrom("bootstrap");
  const drawn = Array.from({ length: RESAMPLES }, () =>
    statistic(lists.map((list) => mean(list.map(() => random.pick(list) ?? Number.NaN)))),
  ).sort((a, b) => a - b);
  return [
    drawn[Math.floor(0.025 * RESAMPLES)] ?? Number.NaN,
    drawn[Math.floor(0.975 * RESAMPLES)] ?? Number.NaN,
  ];
}

/** How it is decided who wins. Stricter than asking whether the two intervals overlap. */
const DECIDED =
  "by the 95 % bootstrap interval of the difference of the means, for share of the best known and for evaluations to 95 %: loses where either lies wholly on the wrong side of 0, wins where either lies on the right side and neither on the wrong one, ties otherwise";

function compare(a: Score, b: Score): "wins" | "ties" | "loses" {
  const share = bootstrap([a.share, b.share], ([own = 0, other = 0]) => own - other);
  const needed = bootstrap([a.needed, b.needed], ([own = 0, other = 0]) => own - other);
  if (share[1] < 0 || needed[0] > 0) return "loses";
  return share[0] > 0 || needed[1] < 0 ? "wins" : "ties";
}

function withInterval(values: readonly number[], digits: number): string {
  const [low, high] = bootstrap([values], ([one = 0]) => one);
  return `${mean(values).toFixed(digits)} [${low.toFixed(digits)}, ${high.toFixed(digits)}]`;
}

const version = optunaVersion();
if (version === undefined) process.stderr.write(`optuna is not installed, its rows are left out: ${HOW}\n`);
const seeds = Array.from({ length: SEEDS }, (_, index) => FIRST_SEED + index);
const rows: Record<string, string | number>[] = [];
const verdicts: Record<string, string | number>[] = [];
/** Per opponent, what the default policy did on each problem. */
const against = new Map<string, ReturnType<typeof compare>[]>();
for (const spec of LANDSCAPES) {
  const landscape = new Landscape(spec);
  const scores = new Map<string, Score>();
  for (const policy of compared) {
    const curves = seeds.map((seed) => [...replay(landscape, policy, seed, EVALUATIONS).curve]);
    const name = policy === "best-of-n" ? "best-of-n (random search)" : policy;
    scores.set(name, scoreOf(curves, landscape.best));
  }
  if (version !== undefined)
    for (const [name, curves] of optunaCurves(landscape, seeds, EVALUATIONS))
      scores.set(name, scoreOf(curves, landscape.best));
  for (const [name, { share, needed }] of scores) {
    rows.push({
      problem: `${spec.problem} (${landscape.size}, best ${landscape.best.toFixed(2)}×)`,
      search: name,
      best_speedup: withInterval(
        share.map((one) => one * landscape.best),
        2,
      ),
      share_of_best_known: withInterval(share, 3),
      evaluations_to_95: withInterval(needed, 1),
      reached_95: `${needed.filter((one) => one <= EVALUATIONS).length} of ${SEEDS}`,
    });
  }
  const own = scores.get(DEFAULT_POLICY);
  if (own === undefined) throw new Error(`${DEFAULT_POLICY} was not compared`);
  const others = [...scores].filter(([name]) => name !== DEFAULT_POLICY);
  const worse: string[] = [];
  for (const [name, score] of others) {
    const verdict = compare(own, score);
    against.set(name, [...(against.get(name) ?? []), verdict]);
    if (verdict === "loses") worse.push(name);
  }
  const outside = worse.filter((name) => name.startsWith("optuna") || name.startsWith("best-of-n"));
  verdicts.push({
    problem: spec.problem,
    against_random_and_optuna: outside.length === 0 ? "wins or ties" : `loses to ${outside.join(", ")}`,
    against_all: worse.length === 0 ? "wins or ties" : `loses to ${worse.join(", ")}`,
  });
  process.stderr.write(`${spec.problem} done\n`);
}
const title = `Autotune over recorded landscapes: ${EVALUATIONS} evaluations, ${SEEDS} seeds from ${FIRST_SEED}, means with 95 % bootstrap intervals over seeds`;
printTable(title, rows);
printTable(`The default policy, ${DEFAULT_POLICY}; decided ${DECIDED}`, verdicts);
const opponents = [...against].map(([opponent, found]) => {
  const count = (verdict: string): number => found.filter((one) => one === verdict).length;
  return { opponent, wins: count("wins"), ties: count("ties"), loses: count("loses") };
});
printTable(`${DEFAULT_POLICY} against each of the others, in problems`, opponents);
saveResult("search", {
  evaluations: EVALUATIONS,
  seeds,
  default_policy: DEFAULT_POLICY,
  optuna: version ?? `not installed: ${HOW}`,
  landscapes:
    "recorded once with real evaluations (test/bench/landscape/data, each with machine, date and command) and replayed; a configuration measures the same every time, and the best known is the highest measured",
  not_reached: `counts as ${EVALUATIONS + 1} evaluations`,
  decided: DECIDED,
  rows,
  verdicts,
  opponents,
});
