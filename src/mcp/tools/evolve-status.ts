import { z } from "zod";
import { defineTool, shared } from "../define.ts";
import { nodeSummary, nodeSummarySchema, overviewOf, overviewSchema, overviewText } from "../render.ts";

export const evolveStatus = defineTool({
  name: "evolve_status",
  title: "Look at a run",
  description:
    "Without a run: all runs. With a run: budget spent and left, and the best node; view best lists the leaders, recent the newest, failures what failed and why. With a node: its source, evaluation and ancestors.",
  input: z.strictObject({
    run: shared.run.optional(),
    view: z.enum(["summary", "best", "recent", "failures"]).default("summary").describe("What to list"),
    node: z.string().min(1).max(80).optional().describe("A node id: answers its source"),
    limit: z.int().min(1).max(50).default(10).describe("Nodes listed at most"),
  }),
  output: z.object({
    runs: z
      .array(
        z.object({ run: z.string(), problem: z.string(), state: z.string(), best: z.string().optional() }),
      )
      .optional(),
    overview: overviewSchema.optional(),
    nodes: z.array(nodeSummarySchema.extend({ reasons: z.array(z.string()).optional() })).optional(),
    source: z.string().optional(),
    ancestors: z.array(nodeSummarySchema).optional(),
    next: z.string(),
  }),
  annotations: { readOnlyHint: true, destructiveHint: false, idempotentHint: true, openWorldHint: false },
  handle: async ({ run, view, node, limit }, context) => {
    const { evolution } = await context.services();
    if (node !== undefined) {
      const found = await evolution.node(node);
      const ancestors = found.ancestors.slice(0, limit).map(nodeSummary);
      return {
        structured: {
          nodes: [nodeSummary(found.node)],
          source: found.source,
          ancestors,
          next: "evolve_next",
        },
        text: `${JSON.stringify(nodeSummary(found.node))}\n${found.source}`,
      };
    }
    if (run === undefined) {
      const runs = (await evolution.list()).slice(0, 40).map((one) => ({
        run: one.run.id,
        problem: one.run.problem,
        state: one.run.state,
        ...(one.best === null ? {} : { best: nodeSummary(one.best).speedup ?? "" }),
      }));
      return {
        structured: { runs, next: runs.length === 0 ? "evolve_start" : "evolve_status with a run" },
        text: runs.map((one) => JSON.stringify(one)).join("\n") || "no runs yet",
      };
    }
    const overview = await evolution.get(run);
    const listed =
      view === "summary"
        ? []
        : view === "best"
          ? await evolution.nodes(run, { order: "fitness", limit })
          : view === "failures"
            ? await evolution.nodes(run, { verdict: "rejected", limit })
            : await evolution.nodes(run, { limit, offset: Math.max(0, overview.nodes - limit) });
    const nodes = listed.map((one) => ({
      ...nodeSummary(one),
      ...(view === "failures"
        ? {
            reasons: one.reasons
              .slice(0, 2)
              .map((reason) => `${reason.code}: ${reason.message.slice(0, 200)}`),
          }
        : {}),
    }));
    return {
      structured: {
        overview: overviewOf(overview),
        ...(view === "summary" ? {} : { nodes }),
        next: overview.run.state === "open" ? "evolve_next or evolve_run" : "evolve_export",
      },
      text: [overviewText(overview), ...nodes.map((one) => JSON.stringify(one))].join("\n"),
    };
  },
});
