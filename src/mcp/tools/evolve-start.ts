import { z } from "zod";
import { DEFAULT_POLICY, KernelEvolveError, memoryModeSchema, policyNameSchema } from "../../domain/index.ts";
import { shared } from "../arguments.ts";
import { defineTool, type ToolContext, type ToolResult } from "../define.ts";
import { type Overview, overviewOf, overviewSchema, overviewText } from "../render.ts";

/**
 * The control of `run`. Everything about it follows from that run: other settings are refused, not ignored.
 * @throws invalid_argument naming the argument
 */
async function openControl(
  run: string,
  given: { readonly problem: string; readonly target: string; readonly [name: string]: unknown },
  context: ToolContext,
): Promise<ToolResult<{ overview: Overview }>> {
  // The same control is answered again with and without a key.
  const { problem, target, control_of: _run, idempotency_key: _key, ...rest } = given;
  const more = Object.keys(rest).find((name) => rest[name] !== undefined);
  if (more !== undefined) {
    throw new KernelEvolveError("invalid_argument", `${more}: a control has that of its run`, {
      fix: "give problem, target and control_of, no more",
    });
  }
  const { evolution, problems } = await context.services();
  const { run: original } = await evolution.get(run);
  const known = (await problems.get(problem)).id;
  if (known !== original.problem || target !== original.target) {
    throw new KernelEvolveError(
      "invalid_argument",
      `control_of: run ${run} is on ${original.problem} and ${original.target}`,
      { fix: `give problem ${original.problem} and target ${original.target}` },
    );
  }
  const control = await evolution.control(run);
  const overview = await evolution.get(control.id);
  return {
    structured: { overview: overviewOf(overview) },
    text: `the control of run ${run}\n${overviewText(overview)}`,
    next: `spend its budget the way run ${run} was driven: evolve_next with run ${control.id} (each claim a fresh draft), or evolve_run with it; then evolve_export with run ${run} shows both`,
  };
}

export const evolveStart = defineTool({
  name: "evolve_start",
  title: "Start a run",
  description:
    "Opens an evolutionary search for a faster kernel of one problem. Then either let the server drive it without a model (evolve_run), or be the proposer yourself: evolve_next gives a claim, parents and a prompt; evolve_submit takes your kernel and answers its verdict. A run lasts until its budget is spent and survives restarts (go on with it by its id); several agents may work on one run. Give at least one bound: nodes, seconds, device_seconds, tokens, cost or stall; target_speedup and roofline may end it sooner.",
  input: z.strictObject({
    problem: shared.problem,
    target: shared.target,
    abstraction: shared.abstraction,
    baseline: z
      .string()
      .min(1)
      .max(60)
      .optional()
      .describe("Its speedup is the fitness: reference, compiler-best; eager, compile with PyTorch"),
    policy: policyNameSchema.optional().describe(`How parents are chosen; default ${DEFAULT_POLICY}`),
    policy_params: z
      .record(z.string(), z.number())
      .refine((values) => Object.keys(values).length <= 32, "has more than 32 entries")
      .optional()
      .describe("Parameters of the policy by name (docs/policies.md); a wrong name answers those there are"),
    nodes: z.int().min(1).max(1_000_000).optional().describe("Bound: candidates evaluated"),
    seconds: z.number().min(1).max(2_592_000).optional().describe("Bound: seconds of work on the run"),
    device_seconds: z.number().min(1).max(2_592_000).optional().describe("Bound: seconds of measuring"),
    tokens: z.int().min(1).max(1e12).optional().describe("Bound: model tokens that submissions report"),
    cost: z.number().positive().max(1e9).optional().describe("Bound: cost that they report, in one currency"),
    stall: z
      .int()
      .min(1)
      .max(1_000_000)
      .optional()
      .describe("Bound: so many candidates without a better one"),
    target_speedup: z.number().min(1).max(1_000_000).optional().describe("Stop when this speedup is reached"),
    roofline: z.number().min(0.001).max(1).optional().describe("Stop at this share of the roofline"),
    memory: memoryModeSchema
      .optional()
      .describe(
        "What prompts tell of earlier tries: the parent's line, its other children, both (default), none",
      ),
    prior_kernels: z
      .number()
      .min(0)
      .max(1)
      .optional()
      .describe("Probability that a prompt shows kernels of earlier runs; default 0.1, 0 for controls"),
    seed: z.int().min(0).max(2_147_483_647).optional().describe("Makes the policy's choices repeatable"),
    control_of: shared.run
      .optional()
      .describe(
        "Opens (or answers) this run's control instead: best-of-n, no feedback, as much as it has spent; give its problem and target, no more",
      ),
    idempotency_key: z
      .string()
      .min(1)
      .max(100)
      .optional()
      .describe("The same key again answers the run made the first time"),
  }),
  output: z.object({ overview: overviewSchema }),
  annotations: { readOnlyHint: false, destructiveHint: false, idempotentHint: false, openWorldHint: false },
  handle: async (args, context) => {
    if (args.control_of !== undefined) return await openControl(args.control_of, args, context);
    const { nodes, seconds, device_seconds, tokens, cost, stall, target_speedup, roofline } = args;
    const budget = {
      ...(nodes === undefined ? {} : { nodes }),
      ...(seconds === undefined ? {} : { seconds }),
      ...(device_seconds === undefined ? {} : { device_seconds }),
      ...(tokens === undefined ? {} : { tokens }),
      ...(cost === undefined ? {} : { cost }),
      ...(stall === undefined ? {} : { stall }),
      ...(target_speedup === undefined ? {} : { target_speedup }),
      ...(roofline === undefined ? {} : { roofline }),
    };
    if (Object.keys(budget).length === 0) {
      throw new KernelEvolveError("invalid_argument", "nodes: a run needs a bound", {
        fix: "give nodes, seconds, device_seconds, tokens, cost or stall; target_speedup and roofline may end it sooner",
      });
    }
    const { evolution, problems, targets } = await context.services();
    const problem = await problems.get(args.problem);
    const run = await evolution.start({
      problem: problem.id,
      target: args.target,
      ...(args.abstraction === undefined ? {} : { abstraction: args.abstraction }),
      ...(args.baseline === undefined ? {} : { baseline: args.baseline }),
      ...(args.policy === undefined ? {} : { policy: args.policy }),
      ...(args.policy_params === undefined ? {} : { policy_params: args.policy_params }),
      budget,
      ...(args.memory === undefined ? {} : { memory: args.memory }),
      ...(args.prior_kernels === undefined ? {} : { prior_kernels: args.prior_kernels }),
      ...(args.seed === undefined ? {} : { seed: args.seed }),
      ...(args.idempotency_key === undefined ? {} : { idempotency_key: args.idempotency_key }),
    });
    const overview = await evolution.get(run.id);
    // The run may be opened here and gone on with where the device is, but an agent should know before it writes kernels.
    if (!(await targets.status(run.target)).capabilities.benchmark)
      return {
        structured: { overview: overviewOf(overview) },
        text: `${overviewText(overview)}\n${run.target} cannot measure on this machine: no kernel of this run will be credited here`,
        next: "target_list: what is missing and how to install it, or another target",
      };
    return {
      structured: { overview: overviewOf(overview) },
      text: overviewText(overview),
      next: `evolve_next with run ${run.id} to propose kernels yourself, or evolve_run with it to let the tuner work`,
    };
  },
});
