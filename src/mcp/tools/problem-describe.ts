import { z } from "zod";
import { KernelEvolveError, type Problem, type ProblemService, type TargetSpec } from "../../domain/index.ts";
import { nearest } from "../../platform/nearest.ts";
import { shared } from "../arguments.ts";
import { defineTool, type ToolResult } from "../define.ts";

const HEADER =
  "// ke:flags FLAGS | // ke:tunable NAME int VALUE {VALUES} (built with -DNAME=VALUE) | // ke:tunable-flags {FLAGS} | // ke:technique WORDS";
const PYTHON_HEADER =
  'NAME = VALUE  # ke:tunable int {VALUES} (an assignment of the module; also bool {True,False}, enum of "strings") | # ke:technique WORDS';

/** The header lines that have a meaning in this language on this target. */
function headerOf(spec: TargetSpec, language: string): string {
  if (spec.run?.harness !== "torch") return HEADER;
  return spec.abstractions[language]?.extension === ".py" ? PYTHON_HEADER : "// ke:technique WORDS";
}

const output = z.object({
  problems: z
    .array(z.object({ name: z.string(), op_type: z.string(), description: z.string(), source: z.string() }))
    .optional(),
  id: z.string().optional(),
  description: z.string().optional(),
  prototype: z.string().optional(),
  header: z.string().optional(),
  workloads: z.array(z.string()).optional(),
  cache: z.string().optional(),
  cost: z.string().optional(),
  tolerance: z.record(z.string(), z.unknown()).optional(),
  degenerate: z.boolean().nullable().optional(),
  degenerate_workloads: z.array(z.string()).optional(),
  seeds: z.array(z.object({ name: z.string(), note: z.string() })).optional(),
  seed_source: z.string().optional(),
  reference_c: z.string().optional(),
});
type Output = z.input<typeof output>;

async function allProblems(problems: ProblemService): Promise<ToolResult<Output>> {
  const all = (await problems.list()).map(({ name, op_type, description, source }) => ({
    name,
    op_type,
    description: description.length > 140 ? `${description.slice(0, 139)}…` : description,
    source,
  }));
  return {
    structured: { problems: all },
    text: all.map((one) => `${one.name} (${one.op_type}, ${one.source}): ${one.description}`).join("\n"),
    next: "problem_describe with a problem; or problem_register for an operator that is not listed",
  };
}

function workloadLines(problem: Problem): string[] {
  return problem.workloads.map((workload) => {
    const axes = Object.entries(workload.axes).map(([axis, value]) => `${axis}=${value}`);
    return `${workload.uuid} (${workload.role}): ${axes.join(" ")}`;
  });
}

export const problemDescribe = defineTool({
  name: "problem_describe",
  title: "Describe a problem",
  description:
    "What a kernel must compute, exactly. Without a problem: all problems, shipped and registered. With one: what the kernel computes, the exact prototype to define, the header lines a candidate may have, workloads, tolerances, cost, how it was graded, the plain reference, and the seed kernels there are. With seed: that seed kernel's source too.",
  input: z.strictObject({
    problem: shared.problem.optional(),
    target: shared.target,
    abstraction: shared.abstraction,
    seed: z.string().min(1).max(80).optional().describe("Name of a seed kernel whose source to answer"),
  }),
  output,
  annotations: { readOnlyHint: true, destructiveHint: false, idempotentHint: true, openWorldHint: false },
  handle: async ({ problem: name, target, abstraction, seed }, context) => {
    const { problems, targets } = await context.services();
    if (name === undefined) return await allProblems(problems);
    const problem = await problems.get(name);
    const spec = await targets.get(target);
    const language = abstraction ?? Object.keys(spec.abstractions)[0] ?? "c";
    const { definition, grading } = problem;
    const seeds = await problems.seeds(problem, target, language);
    const chosen = seed === undefined ? undefined : seeds.find((one) => one.name === seed);
    if (seed !== undefined && chosen === undefined) {
      const names = seeds.map((one) => one.name);
      const close = nearest(seed, names);
      throw new KernelEvolveError(
        "not_found",
        `seed: ${problem.id} has no seed kernel ${JSON.stringify(seed)}`,
        {
          fix:
            names.length === 0
              ? "leave seed out: it has none"
              : `use one of ${(close.length > 0 ? close : names).join(", ")}`,
        },
      );
    }
    const { cost } = definition;
    const structured = {
      id: problem.id,
      description: definition.description ?? "",
      prototype: problems.prototype(problem, language, spec.run?.harness),
      header: headerOf(spec, language),
      workloads: workloadLines(problem),
      cache: problem.cache,
      ...(cost === undefined
        ? {}
        : { cost: `flops ${cost.flops}${cost.bytes === undefined ? "" : `, bytes ${cost.bytes}`}` }),
      ...(definition.tolerance === undefined ? {} : { tolerance: definition.tolerance }),
      degenerate: grading?.degenerate ?? null,
      degenerate_workloads: grading?.degenerate_workloads ?? [],
      seeds: seeds.map(({ name: own, note }) => ({ name: own, note })),
      ...(chosen === undefined ? {} : { seed_source: chosen.source }),
      ...(definition.reference_c === undefined ? {} : { reference_c: definition.reference_c }),
    };
    const graded =
      grading === undefined
        ? "not graded on this machine yet"
        : grading.degenerate
          ? "degenerate: no speedup is credited"
          : `graded; not credited on ${grading.degenerate_workloads.join(", ") || "no workload"}`;
    const text = [
      `${structured.id}: ${structured.description}`,
      structured.prototype,
      `header lines of a candidate: ${structured.header}`,
      `cache ${problem.cache}; ${structured.cost ?? "no cost given"}; ${graded}`,
      ...(definition.tolerance === undefined ? [] : [`tolerance: ${JSON.stringify(definition.tolerance)}`]),
      "workloads:",
      ...structured.workloads.map((line) => `- ${line}`),
      `seeds: ${seeds.map((one) => `${one.name} (${one.note})`).join("; ") || "none"}`,
      ...(chosen === undefined ? [] : [`seed ${chosen.name}:`, chosen.source]),
      ...(definition.reference_c === undefined ? [] : ["reference:", definition.reference_c]),
    ].join("\n");
    return { structured, text, next: "write the kernel and kernel_evaluate it, or evolve_start to search" };
  },
});
