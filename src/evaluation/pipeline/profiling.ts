import {
  type ArtifactService,
  KernelEvolveError,
  type ProfileStage,
  type WorkContext,
} from "../../domain/index.ts";
import { which } from "../../platform/which.ts";
import type { ResolvedWorkload } from "../../problems/native.ts";
import {
  annotatedSource,
  type CallgrindProfile,
  diagnose,
  type HotLine,
  needsPortable,
  portableFlags,
  type Samples,
} from "../../profiling/index.ts";
import { countersWork } from "../../targets/index.ts";
import { type Compiled, compile } from "../compile/compiler.ts";
import type { VectorRemark } from "../compile/remarks.ts";
import { buildRequest, sourceFile } from "./compiling.ts";
import { diagnosisFacts, type Outcome, slowestWorkload } from "./outcome.ts";
import type { Work } from "./plan.ts";
import { type ProfileSubject, withWatcher } from "./profiler.ts";

/** A call longer than this is not simulated while a shorter timed workload tells as much. */
const LONG_CALL_NS = 300e6;
const REMARKS_SHOWN = 8;
const LINES_SHOWN = 5;
/** A remark stands at its loop's head; the hot line is in the body below. */
const LOOP_REACH = 12;

interface Found {
  profiler: string;
  method: string;
  metrics: Record<string, number>;
  simulated?: CallgrindProfile;
  samples?: Samples;
  raw?: string;
  readonly notes: string[];
}

/** Profiles the candidate on one workload, writes the stage and the diagnosis into the outcome. @throws missing_tool, unsupported. */
export async function profileStage(
  work: Work,
  outcome: Outcome,
  candidate: Compiled,
  artifacts: ArtifactService,
): Promise<void> {
  const started = performance.now();
  const workload = chooseWorkload(work, outcome);
  if (workload === undefined) return;
  const withLines = await compile(buildRequest(work, [...work.flags, "-g"]), work.context);
  const found = await observe(work, withLines.ok ? withLines : candidate, workload, outcome);
  const { metrics } = found;
  if (metrics["instructions"] !== undefined && workload.flops !== undefined && workload.flops > 0)
    metrics["operations_per_instruction"] = workload.flops / metrics["instructions"];
  if (found.samples !== undefined) {
    const { inside, elsewhere } = found.samples;
    metrics["samples"] = inside;
    metrics["time_in_libraries_and_start"] = elsewhere / (inside + elsewhere);
  }
  const hot = hotLine(found, outcome.remarks);
  const diagnosis = diagnose({ ...diagnosisFacts(work, outcome, workload.uuid), metrics, hot });
  const written: Record<string, string> = {
    annotated: await artifacts.write(annotate(work, found, outcome.remarks), {
      name: "annotated.txt",
      media_type: "text/plain",
    }),
  };
  if (found.raw !== undefined)
    written["raw"] = await artifacts.write(found.raw, { name: "callgrind.out", media_type: "text/plain" });
  const stage: ProfileStage = {
    status: "ok",
    seconds: (performance.now() - started) / 1000,
    cached: false,
    artifacts: written,
    profiler: found.profiler,
    method: `${found.method}, workload ${workload.uuid}`,
    metrics,
    remarks: [...found.notes, ...shownLines(found), ...shownRemarks(outcome.remarks)],
    diagnosis,
  };
  outcome.stages.profile = stage;
  outcome.diagnosis = diagnosis;
}

/** The slowest timed workload that can be simulated in reasonable time. */
function chooseWorkload(work: Work, outcome: Outcome): ResolvedWorkload | undefined {
  const { workloads } = work.prepared;
  const short = outcome.benchmarks.filter((one) => one.candidate.median_ns <= LONG_CALL_NS);
  const chosen = slowestWorkload({ ...outcome, benchmarks: short.length > 0 ? short : outcome.benchmarks });
  const timed = workloads.filter((workload) => workload.role === "timed");
  return workloads.find((one) => one.uuid === chosen) ?? timed[0] ?? workloads[0];
}

/** Hardware counters where the machine has them, else simulation; and, where perf is installed, samples of where time goes. */
async function observe(
  work: Work,
  object: Compiled,
  workload: ResolvedWorkload,
  outcome: Outcome,
): Promise<Found> {
  const perf = which("perf");
  const valgrind = which("valgrind");
  if (perf === undefined && valgrind === undefined) {
    throw new KernelEvolveError("missing_tool", "no profiler is installed", {
      fix: "run `kernelevolve doctor`: it names the command that installs valgrind and perf",
    });
  }
  const hardware = perf !== undefined && (await countersWork());
  const found: Found = { profiler: "", method: "", metrics: {}, notes: [] };
  const subject: ProfileSubject = {
    object,
    workload,
    file: sourceFile(work),
    threads: work.threads,
    machine: work.machine,
    callNs: outcome.benchmarks.find((one) => one.workload === workload.uuid)?.candidate.median_ns,
  };
  await withWatcher(subject, work.context, async (watcher) => {
    if (perf === undefined) return;
    const counts = hardware ? await watcher.counters(perf) : undefined;
    if (counts !== undefined) {
      Object.assign(found, { profiler: "perf", method: "hardware counters", metrics: counts });
    }
    const samples = await watcher.samples(perf, counts !== undefined);
    if (samples !== undefined) found.samples = samples;
    else found.notes.push("perf took no samples of the candidate: shares of time are missing");
  });
  if (found.method === "" && valgrind !== undefined) await simulate(work, subject, valgrind, found);
  if (found.method !== "") return found;
  if (found.samples === undefined)
    throw new KernelEvolveError("unsupported", found.notes.join("; ") || "no profiler could watch this code");
  return Object.assign(found, { profiler: "perf", method: "sampled processor time" });
}

/** Simulates the code as built or, where it holds instructions that the simulator lacks, as built for AVX2, which is then said. */
async function simulate(work: Work, subject: ProfileSubject, valgrind: string, found: Found): Promise<void> {
  const run = async (object: Compiled, context: WorkContext): Promise<boolean> => {
    const attempt = withWatcher({ ...subject, object }, context, (watcher) => watcher.simulate(valgrind));
    try {
      const { profile, raw } = await attempt;
      Object.assign(found, {
        profiler: "callgrind",
        method: "simulated instructions and cache",
        metrics: { ...profile.metrics },
        simulated: profile,
        raw,
      });
      return true;
    } catch (error) {
      if (!(error instanceof KernelEvolveError) || error.code !== "unsupported") throw error;
      found.notes.push(error.message);
      return false;
    }
  };
  const doubtful = needsPortable(work.flags, work.machine.flags);
  if (!doubtful && (await run(subject.object, work.context))) return;
  const flags = [...portableFlags(work.flags), "-g"];
  const portable = await compile(buildRequest(work, flags), work.context);
  if (!portable.ok) {
    // Intrinsics that need AVX-512 do not compile for less: perhaps the simulator knows them.
    if (doubtful && (await run(subject.object, work.context))) return;
    found.notes.push("not simulated: it does not compile for AVX2, which is all that the simulator executes");
    return;
  }
  if (await run(portable, work.context)) {
    found.notes.push(
      "counted as built with -march=x86-64-v3: the simulator does not execute AVX-512, so the counts are of other instructions than those timed",
    );
  }
}

/** The remark on the loop around a line: the nearest one at or above it. */
function remarkAt(line: number, remarks: readonly VectorRemark[]): VectorRemark | undefined {
  const near = remarks.filter((remark) => remark.line <= line && line - remark.line <= LOOP_REACH);
  return near.toSorted((a, b) => b.line - a.line)[0];
}

function hotLine(found: Found, remarks: readonly VectorRemark[]): HotLine | undefined {
  const timed = found.samples?.lines[0];
  const counted = found.simulated?.lines[0];
  const hottest = timed ?? counted;
  if (hottest === undefined) return undefined;
  const remark = remarkAt(hottest.line, remarks);
  return {
    line: hottest.line,
    share: hottest.share,
    basis: timed === undefined ? "instructions" : "time",
    vectorised: remark?.vectorised,
    reason: remark?.text,
  };
}

function shownLines(found: Found): string[] {
  const show = (of: string) => (one: { line: number; share: number }) =>
    `line ${one.line}: ${(one.share * 100).toFixed(1)} % of ${of}`;
  return [
    ...(found.samples?.lines ?? []).slice(0, LINES_SHOWN).map(show("the time")),
    ...(found.simulated?.lines ?? []).slice(0, LINES_SHOWN).map(show("the instructions")),
  ];
}

function shownRemarks(remarks: readonly VectorRemark[]): string[] {
  return remarks.slice(0, REMARKS_SHOWN).map((remark) => `line ${remark.line}: ${remark.text}`);
}

function annotate(work: Work, found: Found, remarks: readonly VectorRemark[]): string {
  const lines = found.simulated?.lines ?? [];
  return annotatedSource(work.source, {
    time: new Map((found.samples?.lines ?? []).map((one) => [one.line, one.share])),
    instructions: new Map(lines.map((one) => [one.line, one.share])),
    misses: new Map(lines.map((one) => [one.line, one.missShare])),
    remarks: new Map(remarks.map((one) => [one.line, one.text])),
  });
}
