import { z } from "zod";
import { defineTool, shared } from "../define.ts";

export const problemDescribe = defineTool({
  name: "problem_describe",
  title: "Describe a problem",
  description:
    "Without arguments: all problems, shipped and registered. With a problem: what the kernel computes, the exact prototype to define, workloads, tolerances, cost, how it was graded, the plain reference, and the seed kernels there are.",
  input: z.strictObject({
    problem: shared.problem.optional(),
    target: shared.target,
    abstraction: shared.abstraction,
    seed: z.string().max(80).optional().describe("Name of a seed kernel whose source to answer"),
  }),
  output: z.object({
    problems: z
      .array(z.object({ name: z.string(), op_type: z.string(), description: z.string(), source: z.string() }))
      .optional(),
    id: z.string().optional(),
    description: z.string().optional(),
    prototype: z.string().optional(),
    workloads: z.array(z.string()).optional(),
    cost: z.string().optional(),
    tolerance: z.record(z.string(), z.unknown()).optional(),
    degenerate: z.boolean().nullable().optional(),
    degenerate_workloads: z.array(z.string()).optional(),
    reference_c: z.string().optional(),
    seeds: z.array(z.object({ name: z.string(), note: z.string() })).optional(),
    seed_source: z.string().optional(),
    header: z.string().optional(),
    next: z.string(),
  }),
  annotations: { readOnlyHint: true, destructiveHint: false, idempotentHint: true, openWorldHint: false },
  handle: async ({ problem: name, target, abstraction, seed }, context) => {
    const { problems } = await context.services();
    if (name === undefined) {
      const all = (await problems.list()).map(({ name: own, op_type, description, source }) => ({
        name: own,
        op_type,
        description: description.slice(0, 140),
        source,
      }));
      const text = all.map((one) => `${one.name}: ${one.description}`).join("\n");
      return { structured: { problems: all, next: "problem_describe with a problem" }, text };
    }
    const problem = await problems.get(name);
    const { definition } = problem;
    const seeds = await problems.seeds(problem, target, abstraction);
    const chosen = seeds.find((one) => one.name === seed);
    const structured = {
      id: problem.id,
      description: definition.description ?? "",
      prototype: problems.prototype(problem, abstraction),
      workloads: problem.workloads.map(
        (workload) =>
          `${workload.uuid} (${workload.role}): ${Object.entries(workload.axes)
            .map(([axis, value]) => `${axis}=${value}`)
            .join(" ")}`,
      ),
      ...(definition.cost === undefined
        ? {}
        : {
            cost: `flops ${definition.cost.flops}${definition.cost.bytes === undefined ? "" : `, bytes ${definition.cost.bytes}`}`,
          }),
      ...(definition.tolerance === undefined ? {} : { tolerance: definition.tolerance }),
      degenerate: problem.grading?.degenerate ?? null,
      degenerate_workloads: problem.grading?.degenerate_workloads ?? [],
      reference_c: (definition.reference_c ?? "").slice(0, 3000),
      seeds: seeds.map(({ name: own, note }) => ({ name: own, note })),
      ...(chosen === undefined ? {} : { seed_source: chosen.source.slice(0, 6000) }),
      header:
        "// ke:flags FLAGS | // ke:tunable NAME int VALUE {VALUES} (built with -DNAME=VALUE) | // ke:tunable-flags {FLAGS} | // ke:technique WORDS",
      next: "kernel_evaluate, or evolve_start to search",
    };
    const text = [
      `${structured.id}: ${structured.description}`,
      structured.prototype,
      "workloads:",
      ...structured.workloads.map((line) => `- ${line}`),
      `seeds: ${structured.seeds.map((one) => `${one.name} (${one.note})`).join("; ") || "none"}`,
      ...(chosen === undefined
        ? ["reference:", structured.reference_c]
        : [`seed ${chosen.name}:`, chosen.source]),
      `header lines of a candidate: ${structured.header}`,
    ].join("\n");
    return { structured, text };
  },
});
