import { completable, type McpServer } from "@modelcontextprotocol/server";
import { z } from "zod";
import type { Services } from "../domain/index.ts";

const MOST_COMPLETED = 100;

function message(text: string) {
  return { messages: [{ role: "user" as const, content: { type: "text" as const, text } }] };
}

function starting(values: readonly string[], typed: string): string[] {
  return values.filter((value) => value.toLowerCase().includes(typed.toLowerCase())).slice(0, MOST_COMPLETED);
}

/** The loop, told to the agent: claims, what to read, when to stop. */
export function optimiseText(problem: string, target: string, goal: string): string {
  return [
    `Make the kernel "${problem}" faster on ${target}. ${goal}`.trim(),
    "",
    "Work in this order; the server decides what is true, so never state a speedup that it did not credit.",
    `1. target_describe ${target}, and problem_describe ${problem}: prototype, workloads, reference, seeds. If the problem is not there, problem_register it with a plain reference first.`,
    "2. knowledge_search for the operator on this target, with two or three alternatives in the vendor's terms; knowledge_read what fits.",
    "3. evolve_start with a budget (nodes or seconds). Then repeat: evolve_next, write one child that follows from its report and diagnosis, evolve_submit with a one-line rationale.",
    "4. When a diagnosis names a bottleneck, search the knowledge for it before the next child. Declare tunables in the header (// ke:tunable TILE int 32 {16,32,64}) and let evolve_run tune them.",
    "5. Stop when an answer says finished, or when several children in a row gain less than their intervals are wide. Then evolve_export, and report the credited speedup with its interval, its share of the roofline, and what did not work.",
  ].join("\n");
}

export function portText(problem: string, from: string, to: string): string {
  return [
    `Port the kernel of "${problem}" from ${from} to ${to}.`,
    "",
    `1. target_describe both. knowledge_search on each for what the kernel uses (memory levels, matrix units, vector widths, synchronisation), with the other vendor's terms as alternatives; note what has no counterpart on ${to}.`,
    `2. knowledge_search with kinds ["kernel"] for verified kernels of this operator on ${to} and its families.`,
    `3. Write the plain version for ${to} first and kernel_verify it. Then bring the techniques over one at a time, kernel_evaluate after each; what was fast on ${from} may be slow here.`,
    "4. Read reasons and diagnosis of every result; do not keep a change that is not credited.",
    `5. Report which techniques carried over, which were replaced and by what, and the credited speedup over the baseline on ${to}.`,
  ].join("\n");
}

export function explainText(evaluation: string): string {
  return [
    `Explain what limits the kernel of evaluation ${evaluation}, and what to change.`,
    "",
    `1. artifact_read with artifact ${evaluation} for the whole record; kernel_profile the same source if it has no profile.`,
    "2. Name the bottleneck with its evidence: share of roofline, counters or simulated costs, vectorisation remarks, arithmetic of bytes and operations. Say where two readings contradict each other.",
    "3. knowledge_search with that bottleneck and the target, and cite the sections you use by id.",
    "4. Give at most three changes, the most promising first, each with what it should gain and the measurement that would show it wrong.",
  ].join("\n");
}

/** Prompts that a person picks in a client: the usual jobs, with completion of their arguments. */
export function registerPrompts(server: McpServer, services: () => Promise<Services>): void {
  const problem = completable(z.string().min(1).max(160).describe("Problem name or id"), async (typed) =>
    starting(
      (await (await services()).problems.list()).map((one) => one.name),
      typed,
    ),
  );
  const targetOf = (meaning: string) =>
    completable(z.string().min(1).max(80).describe(meaning), async (typed) =>
      starting(
        (await (await services()).targets.list()).map((one) => one.id),
        typed,
      ),
    );
  server.registerPrompt(
    "optimize_kernel",
    {
      title: "Make a kernel faster",
      description: "The whole loop for one problem on one target: knowledge, search, proof",
      argsSchema: z.object({
        problem,
        target: targetOf("Target id").optional(),
        goal: z.string().max(500).optional().describe("e.g. at least 2x over compiler-best"),
      }),
    },
    ({ problem: name, target = "cpu-x86-64", goal = "" }) => message(optimiseText(name, target, goal)),
  );
  server.registerPrompt(
    "port_kernel",
    {
      title: "Port a kernel to other hardware",
      description: "From one target to another: what carries over, what has to be replaced",
      argsSchema: z.object({ problem, from: targetOf("Where it comes from"), to: targetOf("Where it goes") }),
    },
    ({ problem: name, from, to }) => message(portText(name, from, to)),
  );
  server.registerPrompt(
    "explain_bottleneck",
    {
      title: "Explain a bottleneck",
      description: "What limits an evaluated kernel, with evidence, and what to change",
      argsSchema: z.object({
        evaluation: completable(
          z.string().min(1).max(80).describe("Evaluation id (eval_…)"),
          async (typed) => await recentEvaluations(await services(), typed),
        ),
      }),
    },
    ({ evaluation }) => message(explainText(evaluation)),
  );
}

/** Evaluations of the newest runs' best nodes. */
async function recentEvaluations({ evolution }: Services, typed: string): Promise<string[]> {
  const ids = (await evolution.list()).flatMap((one) => (one.best === null ? [] : [one.best.evaluation]));
  return starting([...new Set(ids)], typed);
}
