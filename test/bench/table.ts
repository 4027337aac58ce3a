import { mkdirSync, writeFileSync } from "node:fs";
import { cpus, release, totalmem } from "node:os";
import { join } from "node:path";
import { packageRoot } from "../../src/platform/paths.ts";

/** Rows as a Markdown table on stdout. */
export function printTable(title: string, rows: readonly Record<string, string | number>[]): void {
  const columns = [...new Set(rows.flatMap((row) => Object.keys(row)))];
  const line = (cells: readonly string[]): string => `| ${cells.join(" | ")} |`;
  const body = rows.map((row) => line(columns.map((column) => String(row[column] ?? ""))));
  process.stdout.write(
    `\n${title}\n\n${[line(columns), line(columns.map(() => "---")), ...body].join("\n")}\n`,
  );
}

/** Writes the figures with machine, date and the command that makes them (of `bench`) to test/bench/results/. */
export function saveResult(name: string, result: unknown, bench = name): void {
  const folder = join(packageRoot, "test", "bench", "results");
  mkdirSync(folder, { recursive: true });
  const machine = {
    processor: cpus()[0]?.model ?? "unknown",
    cores: cpus().length,
    memory_gib: Math.round(totalmem() / 2 ** 30),
    kernel: release(),
    node: process.version,
  };
  const document = {
    benchmark: name,
    command: `npm run bench -- ${bench}`,
    date: new Date().toISOString(),
    machine,
    result,
  };
  writeFileSync(join(folder, `${name}.json`), `${JSON.stringify(document, null, 2)}\n`);
}

export function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = sorted.length / 2;
  return sorted.length % 2 === 1
    ? (sorted[Math.floor(middle)] ?? Number.NaN)
    : ((sorted[middle - 1] ?? Number.NaN) + (sorted[middle] ?? Number.NaN)) / 2;
}
