import { join } from "node:path";
import { type Command, Option } from "commander";
import { type ModelChoice, modelSettings } from "../../agent/model/settings.ts";
import { lazyModelDriver } from "../../app/model.ts";
import {
  CONTROLS,
  type Control,
  DEFAULT_POLICY,
  type Driver,
  type EvolutionService,
  KernelEvolveError,
  MEMORY_MODES,
  type MemoryMode,
  policyNameSchema,
  type RunOverview,
  type Services,
  type WorkContext,
} from "../../domain/index.ts";
import { overviewOf, overviewText } from "../../mcp/render.ts";
import { dataHomePath } from "../../platform/paths.ts";
import { withServices } from "../context.ts";
import { folderFrom, writable } from "../folders.ts";
import { numberFrom, wholeFrom } from "../numbers.ts";
import { EXIT, type ProgressLine, print, printJson } from "../output.ts";
import { problemArgument } from "../problem-argument.ts";

interface Options {
  problem?: string;
  resume?: string;
  target: string;
  abstraction?: string;
  baseline?: string;
  policy: string;
  driver?: string;
  model?: string[];
  proposers?: number;
  prices?: string;
  baseUrl?: string;
  toolCalls?: number;
  maxTokens?: number;
  temperature?: number;
  requestSeconds?: number;
  budgetSeconds?: number;
  budgetNodes?: number;
  budgetTokens?: number;
  budgetCost?: number;
  stall?: number;
  targetSpeedup?: number;
  memory?: MemoryMode;
  priorKernels?: number;
  control?: Control;
  seed?: number;
  param?: string[];
  out?: string;
  json?: boolean;
}

/** What a run is opened with and keeps. */
const OPENING = [
  "problem",
  "target",
  "abstraction",
  "baseline",
  "policy",
  "param",
  "budgetSeconds",
  "budgetNodes",
  "budgetTokens",
  "budgetCost",
  "stall",
  "targetSpeedup",
  "memory",
  "priorKernels",
  "seed",
] as const;

/** @throws invalid_argument for an option that would change nothing about the run that is gone on with */
function checkResume(command: Command): void {
  const [given] = OPENING.filter((name) => command.getOptionValueSource(name) === "cli");
  if (given === undefined) return;
  const option = command.options.find((one) => one.attributeName() === given);
  throw new KernelEvolveError(
    "invalid_argument",
    `${option?.long ?? given} does nothing with --resume: a run keeps what it was opened with`,
    { fix: "leave it out, or open another run without --resume" },
  );
}

interface Driving {
  readonly evolution: EvolutionService;
  readonly driver: Driver;
  readonly work: WorkContext;
  readonly progress: ProgressLine;
}

/** `width=4` and the like. @throws invalid_argument for what is no number. */
function parametersOf(texts: readonly string[]): Record<string, number> {
  return Object.fromEntries(
    texts.map((text): [string, number] => {
      const [, name, value] = /^([a-z_]+)=(.+)$/.exec(text) ?? [];
      const number = Number(value);
      if (name === undefined || !Number.isFinite(number))
        throw new KernelEvolveError("invalid_argument", `--param ${text}: is not name=number`, {
          fix: "for example --param width=4",
        });
      return [name, number];
    }),
  );
}

/**
 * Drives the control of a run that has one, or is to have one now: by the same driver, after the run, so that the two do not
 * disturb each other's timing. Ended already: answered as it is.
 */
async function driveControl(
  options: Options,
  { run, nodes }: RunOverview,
  { evolution, driver, work, progress }: Driving,
): Promise<RunOverview | undefined> {
  const wanted = options.control ?? run.control;
  // Nothing was evaluated: there is nothing to equal, and the exit code says that nothing was found.
  if (wanted === undefined || nodes === 0) return undefined;
  const control = await evolution.control(run.id);
  progress.show(`control ${control.id} of run ${run.id}`);
  return await driver.drive(control.id, work);
}

/** The driver that is asked for. @throws invalid_argument; for the model's, what is missing is said before a run is opened */
function driverOf(options: Options, services: Services): Driver {
  const { driver, model, proposers, prices, baseUrl, toolCalls, maxTokens, temperature, requestSeconds } =
    options;
  const asks = {
    model,
    proposers,
    prices,
    "base-url": baseUrl,
    "tool-calls": toolCalls,
    "max-tokens": maxTokens,
  };
  const all = { ...asks, temperature, "request-seconds": requestSeconds };
  const [stray] = Object.entries(all).filter(([, value]) => value !== undefined);
  const name = driver ?? (stray === undefined ? "autotune" : "model");
  const found = services.drivers.get(name);
  if (found === undefined) {
    throw new KernelEvolveError("invalid_argument", `--driver ${name} is unknown`, {
      fix: `use ${[...services.drivers.keys()].join(", ")}`,
    });
  }
  if (name !== "model") {
    if (stray === undefined) return found;
    throw new KernelEvolveError("invalid_argument", `--${stray[0]} is of the driver model, not of ${name}`, {
      fix: "leave it out, or leave --driver out",
    });
  }
  const choice: ModelChoice = {
    ...(model === undefined ? {} : { models: model }),
    ...(proposers === undefined ? {} : { proposers }),
    ...(prices === undefined ? {} : { pricesFile: prices }),
    ...(baseUrl === undefined ? {} : { baseUrl }),
    ...(toolCalls === undefined ? {} : { toolCalls }),
    ...(maxTokens === undefined ? {} : { maxTokens }),
    ...(temperature === undefined ? {} : { temperature }),
    ...(requestSeconds === undefined ? {} : { requestSeconds }),
  };
  modelSettings(choice, process.env);
  return lazyModelDriver(services, choice);
}

export function evolve(program: Command): void {
  program
    .command("evolve")
    .description("Search for a faster kernel, or go on with a run")
    .option(
      "-p, --problem <name|file>",
      "problem name or id, or a file or folder with its definition and workloads",
    )
    .option("--resume <run>", "go on with a run, for what is left of its budget")
    .option("-t, --target <id>", "target", "cpu-x86-64")
    .option("--abstraction <name>", "language of the candidates; default the target's first")
    .option("--baseline <name>", "whose speedup is the fitness; default reference, else the language's first")
    .option(
      "--policy <name>",
      `how parents are chosen: ${policyNameSchema.options.join(", ")}`,
      DEFAULT_POLICY,
    )
    .option("--param <name=value...>", "parameters of the policy (docs/policies.md)")
    .option("--driver <name>", "who makes the children: autotune (needs no model), model; default by --model")
    .option("--model <name...>", "a language model, or several as an ensemble; KERNELEVOLVE_MODEL")
    .option("--base-url <url>", "endpoint with OpenAI's protocol; OPENAI_BASE_URL")
    .option("--proposers <n>", "models asked at once; KERNELEVOLVE_PROPOSERS, default 1", wholeFrom(1, 64))
    .option("--prices <file>", "what models cost, for --budget-cost; KERNELEVOLVE_PRICES")
    .option(
      "--tool-calls <n>",
      "tools a model may call for one child, 0 for none; default 8",
      wholeFrom(0, 100),
    )
    .option("--max-tokens <n>", "tokens of one answer; default 16384", wholeFrom(256, 1_000_000))
    .option("--temperature <x>", "default the endpoint's", numberFrom(0, 2))
    .option("--request-seconds <n>", "wait for one answer; default 600", numberFrom(1, 7200))
    .option(
      "--budget-seconds <n>",
      "seconds of work; 120 when nothing bounds the run",
      numberFrom(1, 2_592_000),
    )
    .option("--budget-nodes <n>", "candidates evaluated", wholeFrom(1, 1_000_000))
    .option("--budget-tokens <n>", "tokens of models, as proposers report them", wholeFrom(1, 1e12))
    .option("--budget-cost <n>", "what they cost, in US dollars by convention", numberFrom(1e-6, 1e9))
    .option("--stall <n>", "stop after so many without a better one", wholeFrom(1, 1_000_000))
    .option("--target-speedup <x>", "stop when it is reached", numberFrom(1, 1_000_000))
    .addOption(
      new Option(
        "--memory <mode>",
        "what prompts tell of earlier tries: the parent's line, its other children, both, none; default both",
      ).choices(MEMORY_MODES),
    )
    .option(
      "--prior-kernels <p>",
      "probability that a prompt shows kernels of earlier runs; default 0.1, 0 for controls",
      numberFrom(0, 1),
    )
    .addOption(
      new Option(
        "--control <policy>",
        "after the run, spend as much again without feedback; the report shows both",
      ).choices(CONTROLS),
    )
    .option("--seed <n>", "repeatable choices", wholeFrom(0))
    .option(
      "--out <dir>",
      "where to write the result; default is exports/<run> in the data folder",
      folderFrom,
    )
    .option("--json", "one JSON document on stdout")
    .addHelpText(
      "after",
      `
Examples:
  kernelevolve evolve -p matmul --budget-seconds 120
  kernelevolve evolve -p conv1d --baseline compiler-best --budget-nodes 60 --out ./result
  kernelevolve evolve -p softmax --budget-nodes 40 --control best-of-n
  kernelevolve evolve -p softmax --model gpt-5 --budget-nodes 40          needs OPENAI_API_KEY
  kernelevolve evolve -p softmax --model qwen3-coder --base-url http://127.0.0.1:11434/v1 --proposers 2
  kernelevolve evolve -p softmax --model big --model small --prices prices.yaml --budget-cost 2
  kernelevolve evolve --resume run_…      after a crash or Ctrl-C: nothing recorded is lost

A price table: models: { big: { input: 2.5, output: 10, cached_input: 1.25 } }   per million tokens
A run may mix drivers: go on with --resume and another --driver.

Exit codes: 0 a credited speedup was found, 1 none was, 2 wrong usage, 3 a tool is missing.`,
    )
    .action(async (options: Options, command: Command) =>
      withServices(options.json === true, async ({ services, work, progress }) => {
        if (options.resume !== undefined) checkResume(command);
        const { evolution } = services;
        const driver = driverOf(options, services);
        // Told now, and not after minutes of search.
        if (options.out !== undefined) writable(options.out);
        let id = options.resume;
        if (id === undefined) {
          if (options.problem === undefined)
            throw new KernelEvolveError("invalid_argument", "--problem or --resume is needed", {
              fix: "kernelevolve evolve --help",
            });
          const problem = await problemArgument(options.problem, options.target, services, work);
          const policy = policyNameSchema.safeParse(options.policy);
          if (!policy.success)
            throw new KernelEvolveError("invalid_argument", `--policy ${options.policy} is unknown`, {
              fix: `use ${policyNameSchema.options.join(", ")}`,
            });
          const reached =
            options.budgetSeconds ?? options.budgetNodes ?? options.stall ?? options.targetSpeedup;
          const asked = options.budgetTokens ?? options.budgetCost;
          if (reached === undefined && asked !== undefined && driver === services.drivers.get("autotune"))
            throw new KernelEvolveError(
              "invalid_argument",
              "the driver autotune spends no tokens and no cost: nothing would end the run",
              { fix: "add --budget-seconds or --budget-nodes, or name a --model" },
            );
          const bounded = reached ?? asked;
          const run = await evolution.start({
            problem: problem.id,
            target: options.target,
            ...(options.abstraction === undefined ? {} : { abstraction: options.abstraction }),
            ...(options.baseline === undefined ? {} : { baseline: options.baseline }),
            policy: policy.data,
            policy_params: parametersOf(options.param ?? []),
            budget: {
              ...(options.budgetSeconds === undefined
                ? bounded === undefined
                  ? { seconds: 120 }
                  : {}
                : { seconds: options.budgetSeconds }),
              ...(options.budgetNodes === undefined ? {} : { nodes: options.budgetNodes }),
              ...(options.budgetTokens === undefined ? {} : { tokens: options.budgetTokens }),
              ...(options.budgetCost === undefined ? {} : { cost: options.budgetCost }),
              ...(options.stall === undefined ? {} : { stall: options.stall }),
              ...(options.targetSpeedup === undefined ? {} : { target_speedup: options.targetSpeedup }),
            },
            ...(options.memory === undefined ? {} : { memory: options.memory }),
            ...(options.priorKernels === undefined ? {} : { prior_kernels: options.priorKernels }),
            ...(options.control === undefined ? {} : { control: options.control }),
            ...(options.seed === undefined ? {} : { seed: options.seed }),
          });
          id = run.id;
        }
        progress.show(`run ${id}`);
        const overview = await driver.drive(id, work);
        const control = await driveControl(options, overview, { evolution, driver, work, progress });
        const directory = options.out ?? join(dataHomePath(), "exports", id);
        const exported = await evolution.export(id, directory, work);
        progress.end();
        if (options.json === true) {
          const held = control === undefined ? {} : { control: overviewOf(control) };
          printJson({ overview: overviewOf(overview), ...held, files: exported.files });
        } else {
          print(overviewText(overview));
          if (control !== undefined) print(`control ${overviewText(control)}`);
          for (const file of exported.files) print(`${file.path}  ${file.what}`);
        }
        process.exitCode = exported.best === null ? EXIT.failed : EXIT.ok;
      }),
    );
}
