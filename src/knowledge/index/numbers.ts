import type { DocumentSource, TargetSpec } from "../../domain/index.ts";
import { readableBytes, readableLimit, readableRate } from "../text/units.ts";

const cell = (text: string): string => text.replaceAll("|", "\\|").replace(/\s+/g, " ").trim();

/** The numbers of a target's spec as Markdown tables, so that a question about them finds them with their sources. */
export function numbersDocument(spec: TargetSpec): {
  title: string;
  text: string;
  sources: DocumentSource[];
} {
  const title = `${spec.title}: limits, peaks and memory in numbers`;
  const parts = [`# ${title}`, spec.description];
  const limits = Object.entries(spec.limits);
  if (limits.length > 0) {
    parts.push(
      "## Limits",
      ["| limit | value | note | source |", "|---|---|---|---|"]
        .concat(
          limits.map(
            ([name, { value, unit, note, source }]) =>
              `| ${name.replaceAll("_", " ")} (\`${name}\`) | ${readableLimit(value, unit)} | ${cell(note ?? "")} | ${cell(source)} |`,
          ),
        )
        .join("\n"),
    );
  }
  const peaks = Object.entries(spec.peaks.declared ?? {});
  if (peaks.length > 0) {
    const rows = peaks.map(([name, value]) => {
      const unit = name.startsWith("bandwidth.") ? "B/s" : /^flops\.u?int/.test(name) ? "OP/s" : "FLOP/s";
      return `| ${name} | ${readableRate(value, unit)} |`;
    });
    parts.push(
      "## Peak rates",
      `From: ${spec.peaks.from ?? "the vendor"}. A multiply-add is two operations.`,
      ["| peak | rate |", "|---|---|", ...rows].join("\n"),
    );
  }
  if (spec.memory.length > 0) {
    const rows = spec.memory.map(
      (level) =>
        `| ${level.name} | ${level.bytes === "probe" ? "read from the machine" : readableBytes(level.bytes)} | ${level.scope} |`,
    );
    parts.push("## Memory levels", ["| level | size | shared by |", "|---|---|---|", ...rows].join("\n"));
  }
  if (spec.isa_features.length > 0) {
    const rows = spec.isa_features.map((one) => `| ${one.name} | ${one.flag} | ${cell(one.note ?? "")} |`);
    parts.push("## Instruction sets", ["| name | flag | what |", "|---|---|---|", ...rows].join("\n"));
  }
  if (spec.constraints.length > 0) {
    parts.push("## Constraints", spec.constraints.map((one) => `- ${one}`).join("\n"));
  }
  const named = new Set(limits.map(([, limit]) => limit.source));
  if (spec.peaks.from !== undefined) named.add(spec.peaks.from);
  const sources = [...named].slice(0, 12).map((one) => ({
    title: one.slice(0, 500),
    ...(/^https?:\/\//.test(one) ? { url: one } : {}),
  }));
  return { title, text: parts.filter((part) => part !== "").join("\n\n"), sources };
}
