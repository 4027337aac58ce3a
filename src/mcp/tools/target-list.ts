import { z } from "zod";
import { defineTool } from "../define.ts";

export const targetList = defineTool({
  name: "target_list",
  title: "List targets",
  description:
    "What hardware there is and whether it can be used on this machine: which stages work (compile, verify, benchmark, profile), and for what is missing the exact command that installs it.",
  input: z.strictObject({}),
  output: z.object({
    targets: z.array(
      z.object({
        id: z.string(),
        title: z.string(),
        usable: z.boolean(),
        capabilities: z.record(z.string(), z.boolean()),
        abstractions: z.array(z.string()),
        device: z.string(),
        sandbox: z.string(),
        missing: z.array(z.object({ name: z.string(), detail: z.string(), fix: z.string().optional() })),
      }),
    ),
  }),
  annotations: { readOnlyHint: true, destructiveHint: false, idempotentHint: true, openWorldHint: false },
  handle: async (_args, context) => {
    const { targets } = await context.services();
    const specs = await targets.list();
    const shown = await Promise.all(
      specs.map(async (spec) => {
        const status = await targets.status(spec.id);
        return {
          id: spec.id,
          title: spec.title,
          usable: status.usable,
          capabilities: status.capabilities,
          abstractions: Object.keys(spec.abstractions),
          device: status.device,
          sandbox: status.sandbox,
          missing: status.checks
            .filter((check) => !check.ok)
            .map(({ name, detail, fix }) => ({ name, detail, ...(fix === undefined ? {} : { fix }) })),
        };
      }),
    );
    // What can be used comes first: the rest is long.
    shown.sort((a, b) => Number(b.usable) - Number(a.usable));
    const lines = shown.map((target) => {
      const can = Object.entries(target.capabilities).flatMap(([stage, ok]) => (ok ? [stage] : []));
      const lacks = target.missing.map(
        (one) => `  missing ${one.name}: ${one.detail}${one.fix === undefined ? "" : `; ${one.fix}`}`,
      );
      return [
        `${target.id}: ${target.title}; ${target.usable ? `${can.join(", ")}; ${target.device}` : "not usable here"}`,
        ...lacks,
      ].join("\n");
    });
    return {
      structured: { targets: shown },
      text: lines.join("\n"),
      next: shown.some((target) => target.usable)
        ? "problem_describe, or target_describe with one of them"
        : "install what is missing with the commands under missing, then target_list again",
    };
  },
});
