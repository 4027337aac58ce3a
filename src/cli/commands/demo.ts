import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { Client } from "@modelcontextprotocol/client";
import { StdioClientTransport } from "@modelcontextprotocol/client/stdio";
import { type Command, InvalidArgumentError } from "commander";
import { z } from "zod";
import { KernelEvolveError, speedupSchema } from "../../domain/index.ts";
import { packageRoot } from "../../platform/paths.ts";
import { EXIT, fail, ProgressLine, print, printJson } from "../output.ts";

interface Options {
  problem: string;
  seconds: number;
  json?: boolean;
}

/** What the demo reads of the tools' answers. */
const answerSchema = z.object({
  running: z.object({ job: z.string(), message: z.string() }).optional(),
  overview: z
    .object({
      run: z.string(),
      best: z.object({ evaluation: z.string(), node: z.string() }).nullable(),
      spent: z.record(z.string(), z.number()),
    })
    .optional(),
  files: z.array(z.object({ path: z.string(), what: z.string() })).optional(),
});
type Answer = z.infer<typeof answerSchema>;
const recordSchema = z.object({
  speedups: z.array(speedupSchema),
  roofline: z.number().optional(),
  device: z.string(),
  sandbox: z.string(),
});

/** Calls a tool and waits through job handles until it is done, showing what the server reports. */
async function callThrough(
  client: Client,
  name: string,
  args: Record<string, unknown>,
  show: (text: string) => void,
): Promise<Answer> {
  const call = async (tool: string, given: Record<string, unknown>): Promise<Answer> => {
    const result = await client.callTool(
      { name: tool, arguments: given },
      {
        timeout: 120_000,
        resetTimeoutOnProgress: true,
        onprogress: (progress) => show(progress.message ?? ""),
      },
    );
    if (result.isError === true) {
      const text = result.content.flatMap((part) => (part.type === "text" ? [part.text] : [])).join("\n");
      throw new KernelEvolveError("infrastructure", `${tool}: ${text}`);
    }
    return answerSchema.parse(result.structuredContent);
  };
  let answer = await call(name, args);
  while (answer.running !== undefined)
    answer = await call("job_wait", { job: answer.running.job, wait_seconds: 20 });
  return answer;
}

async function readRecord(client: Client, evaluation: string): Promise<z.infer<typeof recordSchema>> {
  let text = "";
  for (let offset: number | null = 0; offset !== null; ) {
    const page = await client.callTool({
      name: "artifact_read",
      arguments: { artifact: evaluation, offset, limit: 60_000 },
    });
    const { text: part, next_offset } = z
      .object({ text: z.string(), next_offset: z.number().nullable() })
      .parse(page.structuredContent);
    text += part;
    offset = next_offset;
  }
  return recordSchema.parse(JSON.parse(text));
}

async function runDemo(options: Options, progress: ProgressLine): Promise<number> {
  const server = new StdioClientTransport({
    command: process.execPath,
    args: [join(packageRoot, "dist", "main.js"), "serve"],
    env: Object.fromEntries(
      Object.entries(process.env).flatMap(([name, value]) => (value === undefined ? [] : [[name, value]])),
    ),
    stderr: "inherit",
  });
  const client = new Client({ name: "kernelevolve-demo", version: "1" });
  const show = (text: string): void => progress.show(text);
  progress.show("starting the server over stdio");
  await client.connect(server);
  try {
    const { tools } = await client.listTools();
    progress.end();
    if (options.json !== true)
      print(
        `connected: ${tools.length} tools; problem ${options.problem}, at most ${options.seconds} s of search`,
      );
    const started = await callThrough(
      client,
      "evolve_start",
      { problem: options.problem, seconds: options.seconds, seed: 1 },
      show,
    );
    const run = started.overview?.run ?? "";
    const driven = await callThrough(client, "evolve_run", { run, wait_seconds: 20 }, show);
    const exported = await callThrough(client, "evolve_export", { run, wait_seconds: 20 }, show);
    progress.end();
    const files = exported.files ?? [];
    const best = driven.overview?.best ?? null;
    const record = best === null ? undefined : await readRecord(client, best.evaluation);
    if (options.json === true) printJson({ run, overview: driven.overview, record: record ?? null, files });
    else {
      print(
        `\nsearched ${driven.overview?.spent["nodes"] ?? 0} kernels in ${(driven.overview?.spent["seconds"] ?? 0).toFixed(0)} s (run ${run})`,
      );
      if (record === undefined)
        print(
          "no credited speedup was found: the machine may be too busy to time; try again, or a longer --seconds",
        );
      else {
        for (const speedup of record.speedups) {
          const name =
            speedup.baseline === "compiler-best"
              ? "compiler-best (-O3 -march=native -ffast-math of the plain loop)"
              : `${speedup.baseline} (-O2)`;
          print(
            `  ${speedup.ratio.toFixed(2)}x faster than ${name}, 95 % interval [${speedup.low.toFixed(2)}, ${speedup.high.toFixed(2)}]${speedup.credited ? "" : ", not credited"}`,
          );
        }
        if (record.roofline !== undefined)
          print(`  ${(record.roofline * 100).toFixed(0)} % of this machine's roofline (one core)`);
        print(`  device ${record.device}; sandbox ${record.sandbox}`);
      }
      for (const file of files)
        print(`  ${file.what}: ${/\.html$/.test(file.path) ? pathToFileURL(file.path).href : file.path}`);
    }
    return record === undefined ? EXIT.failed : EXIT.ok;
  } finally {
    await client.close();
  }
}

export function demo(program: Command): void {
  program
    .command("demo")
    .description(
      "The main job in under two minutes: a client starts the server over stdio and lets it evolve a kernel",
    )
    .option("-p, --problem <name>", "problem", "matmul")
    .option(
      "--seconds <n>",
      "seconds of search, at most 90",
      (text: string) => {
        const value = Number(text);
        if (!(value >= 5 && value <= 90)) throw new InvalidArgumentError("a number from 5 to 90");
        return value;
      },
      75,
    )
    .option("--json", "one JSON document on stdout")
    .action(async (options: Options) => {
      const progress = new ProgressLine();
      try {
        process.exitCode = await runDemo(options, progress);
      } catch (error) {
        progress.end();
        fail(error, options.json === true);
      }
    });
}
