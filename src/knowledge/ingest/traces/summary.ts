import type { TraceSummary } from "../../../profiling/index.ts";

const MAX_ROWS = 40;

function figure(value: number): string {
  if (Number.isInteger(value)) return value.toLocaleString("en-US");
  return Math.abs(value) >= 1000
    ? Math.round(value).toLocaleString("en-US")
    : String(Number(value.toPrecision(4)));
}

const cell = (text: string): string =>
  text.replace(/\s+/g, " ").replaceAll("|", "\\|").replaceAll("`", "'").slice(0, 160);

/** The summary as Markdown; names in a profile are untrusted text. */
export function traceMarkdown(summary: TraceSummary, title: string): string {
  const { rows, metrics } = summary;
  const parts = [`# ${title}`, "## Bottleneck"];
  const what =
    summary.bottleneck === undefined
      ? "Not told by these figures."
      : `**${summary.bottleneck}**: ${summary.evidence}.`;
  parts.push(`${what} Profiler: ${summary.profiler}.`);
  if (summary.notes.length > 0) parts.push(summary.notes.map((note) => `- ${note}`).join("\n"));
  if (rows.length > 0) {
    const names = [...new Set(rows.flatMap((row) => Object.keys(row.metrics ?? {})))].slice(0, 12);
    const head = ["kernel", "share", "calls", "time (us)", ...names];
    const lines = rows.slice(0, MAX_ROWS).map((row) => {
      const cells = [
        `\`${cell(row.name)}\``,
        row.share === undefined ? "" : `${(100 * row.share).toFixed(1)} %`,
        row.calls === undefined ? "" : figure(row.calls),
        row.microseconds === undefined ? "" : figure(row.microseconds),
        ...names.map((name) => {
          const value = row.metrics?.[name];
          return value === undefined ? "" : figure(value);
        }),
      ];
      return `| ${cells.join(" | ")} |`;
    });
    parts.push(
      "## Where the time goes",
      [`| ${head.map(cell).join(" | ")} |`, `|${"---|".repeat(head.length)}`, ...lines].join("\n"),
    );
    if (rows.length > MAX_ROWS) parts.push(`${rows.length - MAX_ROWS} more rows are left out.`);
  }
  const figures = Object.entries(metrics);
  if (figures.length > 0) {
    const lines = figures.slice(0, 120).map(([name, value]) => `| ${cell(name)} | ${figure(value)} |`);
    parts.push("## Counters", ["| counter | value |", "|---|---|", ...lines].join("\n"));
  }
  return `${parts.join("\n\n")}\n`;
}
