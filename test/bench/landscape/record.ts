/**
 * Measures every configuration of the landscapes once, for `search` to replay: `node test/bench/landscape/record.ts
 * [problem …]`. Goes on where it stopped; a measured row is not measured again. About half an hour for all. Afterwards with
 * `--again`: the highest of each are measured anew for longer, so that no lucky measurement stands as the best known.
 */
import { appendFileSync, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { cpus, release, tmpdir } from "node:os";
import { join } from "node:path";
import { rewrite, spaceOf } from "../../../src/agent/autotune/configuration.ts";
import { enumerate } from "../../../src/agent/autotune/moves.ts";
import { createServices } from "../../../src/app/services.ts";
import { overallSpeedup } from "../../../src/evolution/node-from-record.ts";
import { randomFrom } from "../../../src/evolution/random.ts";
import { ABSTRACTION, LANDSCAPES, type LandscapeSpec, seedOf, TARGET } from "./grids.ts";
import { configurationText, landscapeFile } from "./landscape.ts";

const SECONDS = 1;
/** A measurement that was too noisy is made again, for this long; then it stands as it is. */
const SECONDS_AGAIN = 2.5;
const context = { signal: new AbortController().signal, report: () => undefined };

/** How many are measured again, and for how long. */
const HIGHEST = 10;
const SECONDS_HIGHEST = 3;

const again = process.argv.includes("--again");
const wanted = process.argv.slice(2).filter((name) => name !== "--again");
const home = mkdtempSync(join(tmpdir(), "kernelevolve-landscape-"));
const services = createServices(home);
try {
  for (const spec of LANDSCAPES) {
    if (wanted.length > 0 && !wanted.includes(spec.problem)) continue;
    if (again) await recordHighest(spec);
    else await record(spec);
  }
} finally {
  await services.close();
  rmSync(home, { recursive: true, force: true });
}

function configurations(spec: LandscapeSpec): { readonly name: string; readonly text: string }[] {
  return spec.grids.map(seedOf).flatMap(({ name, source }) => {
    const space = spaceOf(source, ABSTRACTION);
    const points = space === undefined ? [] : enumerate(space.dimensions);
    return points.flatMap((point) =>
      space === undefined ? [] : [{ name, text: rewrite(source, space, point) }],
    );
  });
}

/** Measures one configuration: the fields of its row. */
async function rowOf(spec: LandscapeSpec, name: string, source: string, length: number): Promise<string[]> {
  const problem = await services.problems.get(spec.problem);
  const measure = (seconds: number) =>
    services.evaluations.evaluate(
      { source, problem, target: TARGET, abstraction: ABSTRACTION },
      { workloads: [spec.workload], baselines: ["reference"], benchmark_seconds: seconds, use_cache: false },
      context,
    );
  let found = await measure(length);
  if (found.status === "too_noisy" || found.status === "infrastructure_error")
    found = await measure(Math.max(length, SECONDS_AGAIN));
  const configuration = configurationText(source);
  if (found.status === "infrastructure_error")
    throw new Error(`${name} ${configuration}: ${found.reasons[0]?.message ?? "no reason"}`);
  const speedup = overallSpeedup(found, "reference");
  const figures = [speedup?.ratio, speedup?.low, speedup?.high].map((value) => value?.toFixed(4) ?? "");
  return [name, configuration, found.status, ...figures];
}

async function recordHighest(spec: LandscapeSpec): Promise<void> {
  const file = landscapeFile(spec.problem);
  const lines = readFileSync(file, "utf8").trimEnd().split("\n");
  const ratio = (line: string): number => Number(line.split("\t")[3] ?? 0);
  const highest = lines
    .filter((line) => !line.startsWith("#") && !line.startsWith("kernel\t"))
    .toSorted((a, b) => ratio(b) - ratio(a))
    .slice(0, HIGHEST);
  for (const line of highest) {
    const [name = "", configuration = ""] = line.split("\t");
    const one = configurations(spec).find(
      (other) => other.name === name && configurationText(other.text) === configuration,
    );
    if (one === undefined) throw new Error(`${file}: ${name} ${configuration} is no configuration any more`);
    const row = (await rowOf(spec, name, one.text, SECONDS_HIGHEST)).join("\t");
    process.stderr.write(`${line} -> ${row}\n`);
    lines[lines.indexOf(line)] = row;
  }
  const note = `# again: the ${HIGHEST} highest, for ${SECONDS_HIGHEST} s each, ${new Date().toISOString()}`;
  const end = lines.findIndex((line) => !line.startsWith("#"));
  writeFileSync(file, `${lines.toSpliced(end, 0, note).join("\n")}\n`);
}

async function record(spec: LandscapeSpec): Promise<void> {
  const file = landscapeFile(spec.problem);
  const seeds = spec.grids.map(seedOf);
  if (!existsSync(file)) {
    const head = [
      `problem: ${spec.problem}, workload ${spec.workload}, target ${TARGET}, baseline reference`,
      `command: node test/bench/landscape/record.ts ${spec.problem}`,
      `date: ${new Date().toISOString()}`,
      `machine: ${cpus()[0]?.model ?? "unknown"}, ${cpus().length} cores, Linux ${release()}, node ${process.version}`,
      `benchmark: ${SECONDS} s each, ${SECONDS_AGAIN} s again where that was too noisy`,
      ...seeds.map(({ name, structure }) => `kernel: ${name} structure ${structure}`),
    ];
    const columns = ["kernel", "configuration", "status", "ratio", "low", "high"];
    writeFileSync(file, `${head.map((line) => `# ${line}\n`).join("")}${columns.join("\t")}\n`);
  }
  const done = new Set(
    readFileSync(file, "utf8")
      .split("\n")
      .map((line) => line.split("\t").slice(0, 2).join("\t")),
  );
  const all = configurations(spec);
  // In random order, so that the machine's moods do not look like a dimension.
  const random = randomFrom("landscape", spec.problem);
  const order = all.map((one) => ({ one, at: random.next() })).sort((a, b) => a.at - b.at);
  for (const [index, { one }] of order.entries()) {
    const configuration = configurationText(one.text);
    if (done.has(`${one.name}\t${configuration}`)) continue;
    const row = await rowOf(spec, one.name, one.text, SECONDS);
    appendFileSync(file, `${row.join("\t")}\n`);
    if (index % 20 === 0)
      process.stderr.write(`${spec.problem} ${index + 1} of ${order.length}: ${row[2]} ${row[3]}\n`);
  }
}
