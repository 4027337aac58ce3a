import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { KernelEvolveError, type WorkContext } from "../../domain/index.ts";
import { runProcess } from "../../platform/subprocess.ts";
import { type JudgeEvent, judgeEventSchema } from "./events.ts";
import { type JudgeJob, jobText } from "./job.ts";
import { nativePrograms } from "./programs.ts";

/**
 * Runs the judge over one job and answers its facts in order.
 * @throws infrastructure when it ends without its closing line or says anything that is not one of its events;
 *   cancelled when the signal fired. What a kernel does is an event, never an error.
 */
export async function runJudge(
  job: JudgeJob,
  timeoutMs: number,
  context: WorkContext,
): Promise<JudgeEvent[]> {
  const { judge } = await nativePrograms();
  const folder = mkdtempSync(join(tmpdir(), "kernelevolve-judge-"));
  const events: JudgeEvent[] = [];
  let foreign: string | undefined;
  try {
    const file = join(folder, "job");
    writeFileSync(file, jobText(job), { mode: 0o600 });
    const result = await runProcess({
      argv: [judge, file],
      timeoutMs,
      signal: context.signal,
      cap: 64 << 20,
      onLine: (line) => {
        const event = parseEvent(line);
        if (event === undefined) {
          foreign ??= line;
          return;
        }
        events.push(event);
        describe(event, job, context);
      },
    });
    if (context.signal.aborted) throw new KernelEvolveError("cancelled", "the evaluation was cancelled");
    const failed = events.find((event) => event.event === "error");
    if (failed?.event === "error")
      throw new KernelEvolveError("infrastructure", `the judge stopped: ${failed.message}`);
    if (foreign !== undefined)
      throw new KernelEvolveError(
        "infrastructure",
        `the judge said something unknown: ${foreign.slice(0, 200)}`,
      );
    if (result.timedOut)
      throw new KernelEvolveError("infrastructure", `the judge did not end within ${timeoutMs / 1000} s`);
    if (events.at(-1)?.event !== "end") {
      throw new KernelEvolveError(
        "infrastructure",
        `the judge ended early (${result.signal ?? `exit ${result.code}`}): ${result.stderr.slice(0, 400)}`,
      );
    }
    return events;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

function parseEvent(line: string): JudgeEvent | undefined {
  try {
    return judgeEventSchema.parse(JSON.parse(line));
  } catch {
    return undefined;
  }
}

function describe(event: JudgeEvent, job: JudgeJob, context: WorkContext): void {
  const total = job.workloads.length;
  const position = (uuid: string): number =>
    job.workloads.findIndex((workload) => workload.uuid === uuid) + 1;
  if (event.event === "waiting")
    context.report({ progress: 0, total, message: "waiting for the device (another evaluation is timing)" });
  if (event.event === "verified")
    context.report({ progress: position(event.workload), total, message: `verified ${event.workload}` });
  if (event.event === "progress") {
    const interval =
      event.low === null || event.high === null ? "" : ` [${event.low.toFixed(3)}, ${event.high.toFixed(3)}]`;
    const part = Math.min(0.9, event.generation / job.generations.max);
    context.report({
      progress: Math.max(0, position(event.workload) - 1 + part),
      total,
      message: `timing ${event.workload}: ${event.ratio.toFixed(3)}x${interval}`,
    });
  }
  if (event.event === "benchmarked")
    context.report({ progress: position(event.workload), total, message: `timed ${event.workload}` });
}
