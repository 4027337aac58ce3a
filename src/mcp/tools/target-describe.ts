import { z } from "zod";
import { shared } from "../arguments.ts";
import { defineTool } from "../define.ts";

export const targetDescribe = defineTool({
  name: "target_describe",
  title: "Describe a target",
  description:
    "All about one target: instruction sets, memory hierarchy, measured peaks (FLOP/s and bytes/s of this machine), abstractions with their compile commands and allowed flags, profilers, and the constraints a candidate must keep.",
  input: z.strictObject({ target: shared.target }),
  output: z.object({
    id: z.string(),
    title: z.string(),
    description: z.string(),
    usable: z.boolean(),
    device: z.string(),
    dtypes: z.array(z.string()),
    isa_features: z.array(z.string()),
    memory: z.array(z.string()),
    abstractions: z.record(
      z.string(),
      z.object({
        command: z.string(),
        default_flags: z.array(z.string()),
        baselines: z.record(z.string(), z.string()),
      }),
    ),
    profilers: z.array(z.string()),
    peaks: z
      .object({
        flops: z.record(z.string(), z.number()),
        bandwidth: z.record(z.string(), z.number()),
        measured_at: z.string(),
      })
      .optional(),
    constraints: z.array(z.string()),
  }),
  annotations: { readOnlyHint: true, destructiveHint: false, idempotentHint: true, openWorldHint: false },
  handle: async ({ target }, context) => {
    const { targets } = await context.services();
    const spec = await targets.get(target);
    const status = await targets.status(target);
    const peaks =
      status.capabilities.benchmark && spec.peaks.source === "measured"
        ? await targets.peaks(target, context.work)
        : undefined;
    const have = status.checks.find((check) => check.name === "instruction sets")?.detail;
    const structured = {
      id: spec.id,
      title: spec.title,
      description: spec.description,
      usable: status.usable,
      device: status.device,
      dtypes: [...spec.dtypes],
      isa_features: have === undefined ? spec.isa_features.map((feature) => feature.name) : have.split(", "),
      memory: spec.memory.map(
        (level) => `${level.name} (${level.scope}${level.bytes === "probe" ? "" : `, ${level.bytes} bytes`})`,
      ),
      abstractions: Object.fromEntries(
        Object.entries(spec.abstractions).map(([name, toolchain]) => [
          name,
          {
            command: toolchain.command.join(" "),
            default_flags: [...toolchain.default_flags],
            baselines: Object.fromEntries(
              Object.entries(toolchain.baselines).map(([baseline, flags]) => [baseline, flags.join(" ")]),
            ),
          },
        ]),
      ),
      profilers: spec.profilers.map((profiler) => `${profiler.name}: ${profiler.method}`),
      ...(peaks === undefined
        ? {}
        : { peaks: { flops: peaks.flops, bandwidth: peaks.bandwidth, measured_at: peaks.measured_at } }),
      constraints: [...spec.constraints],
    };
    const figure = (value: number, unit: string): string => `${(value / 1e9).toFixed(1)} G${unit}`;
    const lines = [
      `${spec.id}: ${spec.description}`,
      `device: ${status.device}; instruction sets: ${structured.isa_features.join(", ")}`,
      ...(peaks === undefined
        ? []
        : [
            `peaks of one core: ${Object.entries(peaks.flops)
              .map(([name, value]) => `${name} ${figure(value, "FLOP/s")}`)
              .join(", ")}`,
            `bandwidth of one core: ${Object.entries(peaks.bandwidth)
              .map(([name, value]) => `${name} ${figure(value, "B/s")}`)
              .join(", ")}`,
          ]),
      ...Object.entries(structured.abstractions).map(
        ([name, one]) => `${name}: default flags ${one.default_flags.join(" ")}; ${one.command}`,
      ),
      "constraints:",
      ...spec.constraints.map((constraint) => `- ${constraint}`),
    ];
    return { structured, text: lines.join("\n"), next: "problem_describe" };
  },
});
