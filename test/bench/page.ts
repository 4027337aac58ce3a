/** docs/benchmarks.md, made of the figures in test/bench/results/: `node test/bench/page.ts`, and after every `npm run bench`. */
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { z } from "zod";
import { packageRoot } from "../../src/platform/paths.ts";

const cell = z.union([z.string(), z.number()]);
const row = z.record(z.string(), cell);
type Row = z.infer<typeof row>;
const rows = z.array(row);

const file = z.object({
  benchmark: z.string(),
  command: z.string(),
  date: z.string(),
  machine: z.object({ processor: z.string(), cores: z.number() }),
  result: z.unknown(),
});

const tabled = z.union([
  z.looseObject({ rows }),
  z.looseObject({ row }).transform(({ row: only, ...rest }) => ({ ...rest, rows: [only] })),
  row.transform((only) => ({ rows: [only] })),
]);

const interval = z.object({ mean: z.number(), low: z.number(), high: z.number() });
const retrieval = z.record(
  z.string(),
  z.object({
    documents: z.number(),
    sections: z.number(),
    queries: z.number(),
    systems: z.record(z.string(), z.record(z.string(), z.union([interval, z.number()]))),
  }),
);
const search = z.object({
  evaluations: z.number(),
  seeds: z.array(z.number()),
  default_policy: z.string(),
  optuna: z.string(),
  decided: z.string(),
  not_reached: z.string(),
  rows,
  verdicts: rows,
  opponents: rows,
});
const retrievalScale = z.object({ sizes: rows, queries: rows });

function table(given: readonly Row[]): string {
  const columns = [...new Set(given.flatMap((one) => Object.keys(one)))];
  const line = (cells: readonly string[]): string => `| ${cells.join(" | ")} |`;
  const words = columns.map((column) => column.replaceAll("_", " "));
  return [
    line(words),
    line(columns.map(() => "---")),
    ...given.map((one) => line(columns.map((column) => String(one[column] ?? "")))),
  ].join("\n");
}

/** Rows of problem and search as a table of searches by problems, of one of their columns. */
function crossed(given: readonly Row[], column: string): Row[] {
  const searches = [...new Set(given.map((one) => String(one["search"])))];
  const problems = [...new Set(given.map((one) => String(one["problem"])))];
  return problems.map((problem) => ({
    problem,
    ...Object.fromEntries(
      searches.map((name) => [
        name,
        given.find((one) => one["problem"] === problem && one["search"] === name)?.[column] ?? "",
      ]),
    ),
  }));
}

/** Problems on which the default policy is to win or tie. */
const AIM = 5;

/** Whether the aim is met, counted from the verdicts. */
function aimText({ verdicts, opponents, default_policy: own }: z.infer<typeof search>): string {
  const held = (column: string): number => verdicts.filter((one) => one[column] === "wins or ties").length;
  const of = verdicts.length;
  const met = opponents.filter((one) => Number(one["wins"]) + Number(one["ties"]) >= AIM);
  const missed = opponents.filter((one) => !met.includes(one));
  const names = (those: Row[]): string => those.map((one) => one["opponent"]).join("; ") || "none";
  return `The aim is that it wins or ties on at least ${AIM} of ${of}. Taken one opponent at a time that is met against ${names(met)}, and missed against ${names(missed)}. Against random search and Optuna together \`${own}\` wins or ties on ${held("against_random_and_optuna")} of ${of}, against all together on ${held("against_all")} of ${of}.`;
}

function searchText(given: unknown): string {
  const found = search.parse(given);
  const own = found.default_policy;
  return [
    `${found.evaluations} evaluations, seeds ${found.seeds.at(0)} to ${found.seeds.at(-1)}; Optuna ${found.optuna}. Means over seeds with 95 % bootstrap intervals; a target that was not reached ${found.not_reached}.`,
    "Share of the best known speedup (in brackets after the problem: configurations, and that speedup over the plain reference):",
    table(crossed(found.rows, "share_of_best_known")),
    "Evaluations to 95 % of the best known:",
    table(crossed(found.rows, "evaluations_to_95")),
    `The default policy is \`${own}\`. It is decided ${found.decided}.`,
    table(found.verdicts),
    `\`${own}\` against each of the others, in problems:`,
    table(found.opponents),
    aimText(found),
    `To run it with Optuna: \`python3 -m venv optuna && optuna/bin/pip install optuna==${/^\d/.test(found.optuna) ? found.optuna : "5.0.0"}\`, then \`OPTUNA_PYTHON=optuna/bin/python npm run bench -- search\`. Without Optuna its rows are left out, and the bench and its result say so.`,
  ].join("\n\n");
}

function retrievalText(given: unknown): string {
  return Object.entries(retrieval.parse(given))
    .flatMap(([name, { documents, sections, queries, systems }]) => [
      `\`${name}\`: ${queries} questions on ${documents} documents in ${sections} sections. Means with 95 % intervals.`,
      table(
        Object.entries(systems).map(([system, measures]) => ({
          system,
          ...Object.fromEntries(
            Object.entries(measures).map(([measure, value]) => [
              measure,
              typeof value === "number"
                ? value
                : `${value.mean.toFixed(3)} [${value.low.toFixed(3)}, ${value.high.toFixed(3)}]`,
            ]),
          ),
        })),
      ),
    ])
    .join("\n\n");
}

interface Bench {
  /** Names of its results. */
  readonly results: readonly string[];
  readonly title: string;
  readonly what: string;
  readonly text: (result: unknown) => string;
}

/** The rows as a table, and below it what stands beside them. */
function figures(result: unknown): string {
  const { rows: found, ...rest } = tabled.parse(result);
  const beside = Object.entries(rest).flatMap(([name, value]) =>
    typeof value === "string" || typeof value === "number"
      ? [`- ${name.replaceAll("_", " ")}: ${value}`]
      : [],
  );
  return [table(found), ...(beside.length > 0 ? [beside.join("\n")] : [])].join("\n\n");
}

/** Every bench, in the order of the page. `test/bench/page.test.ts` holds them against those that can be run. */
export const PAGE: Readonly<Record<string, Bench>> = {
  aa: {
    results: ["aa"],
    title: "The same kernel against itself",
    what: "A kernel that is a copy of its baseline: how often the interval contains 1, how often a gain of 3 % is credited wrongly.",
    text: figures,
  },
  sensitivity: {
    results: ["sensitivity"],
    title: "A kernel that is 5 % slower",
    what: "A kernel with 5 % more work than its baseline: how often that is told.",
    text: figures,
  },
  "cold-start": {
    results: ["cold-start"],
    title: "Start of the server",
    what: "From start to the answer of the first request, beside the protocol's reference server.",
    text: figures,
  },
  overhead: {
    results: ["overhead"],
    title: "What an evaluation costs besides compiler and timed calls",
    what: "Wall time of an evaluation against that of gcc and the timed calls alone.",
    text: figures,
  },
  "store-queries": {
    results: ["store-queries"],
    title: "Questions to the store at 100,000 nodes",
    what: "Milliseconds of the questions that policies and reports ask.",
    text: figures,
  },
  kills: {
    results: ["kills"],
    title: "The server killed",
    what: "`kill -9` at random moments of runs with real evaluations: what was acknowledged must be there, and runs must end.",
    text: figures,
  },
  "agents-kill": {
    results: ["agents-kill"],
    title: "Agents killed",
    what: "`kill -9` of one of eight agents on a run at random moments: nothing that an agent was told may be lost, doubled or torn, and the run ends with the budget of an undisturbed one.",
    text: figures,
  },
  search: {
    results: ["search"],
    title: "Policies, random search and Optuna",
    what: "The autotuner under each policy on recorded landscapes: every configuration of six problems' kernels was evaluated once (`test/bench/landscape/data`), and searches are replayed over them. Where a recorded interval is wide, part of the landscape's ruggedness is noise of its recording, the same for all searches.",
    text: searchText,
  },
  "search-scale": {
    results: ["search-scale", "search-scale-agents"],
    title: "The search at 100,000 nodes",
    what: "Fitness recorded of real kernels, no evaluations. How long `evolve_next` takes with its prompt, and alone; and 64 agents at once on one run, claiming through the service and answered by the store's transaction.",
    text: figures,
  },
  retrieval: {
    results: ["retrieval"],
    title: "Retrieval",
    what: "Questions with the sections that answer them, on our documents and on LLVM's, beside LangChain's splitter and store.",
    text: retrievalText,
  },
  "retrieval-scale": {
    results: ["retrieval-scale"],
    title: "Retrieval at 10,000 and 100,000 sections",
    what: "Building, opening, and asking the index.",
    text: (result) => {
      const { sizes, queries } = retrievalScale.parse(result);
      return `${table(sizes)}\n\n${table(queries)}`;
    },
  },
};

function resultText(name: string, { text }: Bench): string {
  const path = join(packageRoot, "test", "bench", "results", `${name}.json`);
  if (!existsSync(path)) return `Not measured yet: there is no \`test/bench/results/${name}.json\`.`;
  const { date, machine, result } = file.parse(JSON.parse(readFileSync(path, "utf8")));
  return `Measured ${date.slice(0, 10)} on ${machine.processor}, ${machine.cores} cores (\`test/bench/results/${name}.json\`).\n\n${text(result)}`;
}

/** The page as it follows from the results. */
export function benchmarksPage(): string {
  const parts = Object.entries(PAGE).map(([name, bench]) =>
    [
      `## ${bench.title}`,
      bench.what,
      `\`npm run bench -- ${name}\``,
      ...bench.results.map((result) => resultText(result, bench)),
    ].join("\n\n"),
  );
  const intro =
    "Generated from `test/bench/results/` by `node test/bench/page.ts` and after every `npm run bench`; do not edit. Every figure was measured by the command beside it; `npm run bench` runs them all.";
  return `# Benchmarks\n\n${intro}\n\n${parts.join("\n\n")}\n`;
}

export const pageFile = join(packageRoot, "docs", "benchmarks.md");

if (import.meta.main) writeFileSync(pageFile, benchmarksPage());
