import { join, parse } from "node:path";
import { z } from "zod";
import { autotuneDriver } from "../agent/autotune/driver.ts";
import {
  type Driver,
  definitionSchema,
  type EvaluateOptions,
  judgingSchema,
  KernelEvolveError,
  knowledgeAddSchema,
  originSchema,
  type RunOverview,
  type Services,
  stageSchema,
  usageSchema,
  type WorkContext,
  workloadSchema,
} from "../domain/index.ts";
import { Evaluations, gradeProblem, TorchEvaluations } from "../evaluation/index.ts";
import { Evolution } from "../evolution/index.ts";
import { LocalJobs } from "../jobs/index.ts";
import { Knowledge } from "../knowledge/service.ts";
import { allowedFolders, packageRoot } from "../platform/paths.ts";
import { Problems } from "../problems/index.ts";
import { Archive, openStore } from "../store/index.ts";
import { Targets, targetFolders } from "../targets/index.ts";
import { lazyModelDriver } from "./model.ts";
import { rememberRun } from "./remember.ts";
import { kernelRetrieval, retrieval } from "./retrieval.ts";

const evaluateArgs = z.object({
  source: z.string(),
  problem: z.string(),
  target: z.string(),
  abstraction: z.string().optional(),
  stages: z.array(stageSchema).optional(),
  workloads: z.array(z.string()).optional(),
  benchmark_seconds: z.number().optional(),
  tunables: z.record(z.string(), z.string()).optional(),
  use_cache: z.boolean().optional(),
  replace: z.object({ kernel: z.string(), text: z.string() }).optional(),
});
/** The problem is JSON text: the order of its axes, inputs and outputs is that of the kernel's arguments, and must last. */
const registerArgs = z.object({ problem: z.string(), target: z.string() });
const registeredOptions = {
  cache: z.enum(["cold", "warm"]).optional(),
  judging: judgingSchema.optional(),
};
const registeredProblem = z.union([
  z.object({ origin: originSchema, name: z.string().max(200).optional(), ...registeredOptions }),
  z.object({ definition: definitionSchema, workloads: z.array(workloadSchema), ...registeredOptions }),
]);
const submitArgs = z.object({
  run: z.string(),
  claim: z.string(),
  source: z.string(),
  rationale: z.string(),
  proposer: z.string(),
  tunables: z.record(z.string(), z.string()).optional(),
  benchmark_seconds: z.number().optional(),
  usage: usageSchema.optional(),
  deferred: z.array(z.string()).optional(),
});
const driveArgs = z.object({ run: z.string(), driver: z.string() });
const exportArgs = z.object({ run: z.string(), directory: z.string().optional() });

export type EvaluateArgs = z.infer<typeof evaluateArgs>;

/**
 * Joins the services over one data home: the only place that knows every implementation.
 * `resume` goes on with jobs that an ended server left (a server does, a one-shot command does not).
 * `anyFile`: documents may be added from anywhere, since the user names them and no model.
 */
export function createServices(
  home: string,
  options: { resume?: boolean; anyFile?: boolean } = {},
): Services {
  const store = openStore(home);
  const targets = new Targets();
  const problems = new Problems({
    records: store.problems,
    grade: async (problem, target, context) => {
      const spec = await targets.get(target);
      return spec.run?.harness === "torch"
        ? await torch.grade(problem, spec, context)
        : await gradeProblem(problem, target, targets, context);
    },
    describe: (origin, name, context) => torch.describe(origin, name, context),
    inherits: async (target) => (await targets.get(target)).inherits,
  });
  const torch = new TorchEvaluations({
    cache: store.evaluations,
    artifacts: store.artifacts,
    machine: () => targets.machine(),
    graded: (problem, target, context) => problems.graded(problem, target, context),
  });
  const evaluations = new Evaluations({
    torch,
    targets,
    cache: store.evaluations,
    artifacts: store.artifacts,
    graded: (problem, target, context) => problems.graded(problem, target, context),
  });
  const archive = new Archive(home);
  const knowledge = new Knowledge({
    home,
    // What ships is ours; a folder of the user, or of the directory the server runs in, is quoted.
    roots: [
      ...targetFolders().map((path, index) => ({ path, layout: "targets" as const, trusted: index === 0 })),
      { path: join(packageRoot, "knowledge"), layout: "general", trusted: true },
    ],
    targets: () => targets.list(),
    allowedFolders: options.anyFile === true ? [parse(home).root] : allowedFolders(),
  });
  const evolution = new Evolution({
    graph: store.graph,
    archive,
    problems,
    targets,
    evaluations,
    retrieve: retrieval(knowledge),
    retrieveKernels: kernelRetrieval(knowledge),
  });
  const parts = { evolution, evaluations, problems, knowledge };
  const drivers = new Map<string, Driver>([
    ["autotune", autotuneDriver({ evolution })],
    ["model", lazyModelDriver({ evolution, artifacts: store.artifacts })],
  ]);
  const jobs = new LocalJobs(store.jobs);

  const handle = <T>(
    kind: string,
    schema: z.ZodType<T>,
    run: (args: T, context: WorkContext) => Promise<unknown>,
  ): void => jobs.register(kind, { args: schema, run });
  handle("evaluate", evaluateArgs, async ({ source, problem, target, abstraction, ...rest }, context) => {
    const found = await problems.get(problem);
    const record = await evaluations.evaluate(
      {
        source,
        problem: found,
        target,
        abstraction: abstraction ?? (await firstAbstraction(targets, target)),
      },
      definedOnly(rest),
      context,
    );
    return { evaluation: record.id, cached: record.cached };
  });
  handle("register", registerArgs, async ({ problem, target }, context) => {
    const { cache, judging, ...given } = registeredProblem.parse(JSON.parse(problem));
    const options = {
      ...(cache === undefined ? {} : { cache }),
      ...(judging === undefined ? {} : { judging }),
    };
    const made = await problems.register(
      "origin" in given
        ? { origin: given.origin, ...(given.name === undefined ? {} : { name: given.name }), ...options }
        : { ...given, ...options },
      target,
      context,
    );
    return { problem: made.id };
  });
  handle(
    "grade",
    z.object({ problem: z.string(), target: z.string() }),
    async ({ problem, target }, context) => {
      await problems.graded(await problems.get(problem), target, context);
      return { problem };
    },
  );
  handle("prepare", z.object({ run: z.string() }), async ({ run }, context) =>
    summary(await evolution.prepare(run, context)),
  );
  handle("submit", submitArgs, async (args, context) => {
    const { tunables, benchmark_seconds, usage, deferred, ...input } = args;
    const result = await evolution.submit(
      {
        ...input,
        ...(tunables === undefined ? {} : { tunables }),
        ...(benchmark_seconds === undefined ? {} : { benchmark_seconds }),
        ...(usage === undefined ? {} : { usage }),
        ...(deferred === undefined ? {} : { deferred }),
      },
      context,
    );
    return {
      node: result.node.id,
      evaluation: result.record.id,
      finished: result.finished,
      duplicate_of: result.duplicate_of ?? null,
      ...(result.alike === undefined ? {} : { alike: result.alike }),
      ...(result.changed === undefined ? {} : { changed: result.changed }),
    };
  });
  handle("evolve", driveArgs, async ({ run, driver }, context) => {
    const chosen = drivers.get(driver);
    if (chosen === undefined) {
      throw new KernelEvolveError("invalid_argument", `driver: "${driver}" is unknown`, {
        fix: `use one of ${[...drivers.keys()].join(", ")}`,
      });
    }
    const overview = await chosen.drive(run, context);
    await rememberRun(parts, run, context);
    return summary(overview);
  });
  handle("export", exportArgs, async ({ run, directory }, context) => {
    const folder = directory ?? join(home, "exports", run);
    const { files, best } = await evolution.export(run, folder, context);
    const { documents, note } = await rememberRun(parts, run, context);
    return { run, files, best: best?.id ?? null, documents, ...(note === undefined ? {} : { note }) };
  });
  handle("knowledge_add", knowledgeAddSchema, async (args, context) => await knowledge.add(args, context));
  if (options.resume === true) jobs.resume();

  let closing: Promise<void> | undefined;
  return {
    targets,
    problems,
    evaluations,
    artifacts: store.artifacts,
    jobs,
    evolution,
    knowledge,
    drivers,
    close: () => {
      closing ??= (async () => {
        await jobs.close();
        await evolution.close();
        torch.close();
        await archive.settled();
        await knowledge.close();
        store.close();
      })();
      return closing;
    },
  };
}

/** The language that a target lists first. @throws unsupported where it has none. */
async function firstAbstraction(targets: Targets, target: string): Promise<string> {
  const [first] = Object.keys((await targets.get(target)).abstractions);
  if (first !== undefined) return first;
  throw new KernelEvolveError(
    "unsupported",
    `${target} has documents only: nothing is compiled or run for it`,
    {
      fix: "target_list says which targets can be used here",
    },
  );
}

function summary(overview: RunOverview): { run: string; state: string; best: string | null } {
  return { run: overview.run.id, state: overview.run.state, best: overview.best?.id ?? null };
}

function definedOnly(options: {
  stages?: EvaluateArgs["stages"];
  workloads?: EvaluateArgs["workloads"];
  benchmark_seconds?: number | undefined;
  tunables?: EvaluateArgs["tunables"];
  use_cache?: boolean | undefined;
  replace?: EvaluateArgs["replace"];
}): EvaluateOptions {
  return {
    ...(options.stages === undefined ? {} : { stages: options.stages }),
    ...(options.workloads === undefined ? {} : { workloads: options.workloads }),
    ...(options.benchmark_seconds === undefined ? {} : { benchmark_seconds: options.benchmark_seconds }),
    ...(options.tunables === undefined ? {} : { tunables: options.tunables }),
    ...(options.use_cache === undefined ? {} : { use_cache: options.use_cache }),
    ...(options.replace === undefined ? {} : { replace: options.replace }),
  };
}
