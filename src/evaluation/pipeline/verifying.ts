import type { ArtifactService } from "../../domain/index.ts";
import type { Compiled } from "../compile/compiler.ts";
import type { JudgeEvent } from "../native/events.ts";
import type { Outcome } from "./outcome.ts";
import type { Work } from "./plan.ts";
import type { References } from "./prepare.ts";
import { type JudgeInput, judge } from "./stages.ts";
import { findings, verifyStatus } from "./verdict.ts";
import { verifications } from "./verifications.ts";

/** What the judge is told about this work in every mode. */
export function judged(work: Work, candidate: Compiled, references: References): JudgeInput {
  return {
    candidate,
    references,
    workloads: work.prepared.workloads,
    threads: work.threads,
    cache: work.problem.cache,
    target: work.spec.id,
    benchmarkSeconds: work.seconds,
  };
}

/** Verifies the candidate on every workload. @returns whether all of them passed. */
export async function verifyStage(
  work: Work,
  outcome: Outcome,
  objects: { candidate: Compiled; references: References },
  artifacts: ArtifactService,
): Promise<boolean> {
  const started = performance.now();
  const events = await judge("verify", judged(work, objects.candidate, objects.references), work.context);
  const found = findings(events);
  const { workloads, notes } = verifications(events);
  const status = verifyStatus(found.status, workloads, work.prepared.workloads.length);
  outcome.stages.verify = {
    status,
    seconds: (performance.now() - started) / 1000,
    cached: false,
    artifacts: await printed(events, artifacts),
    workloads,
  };
  outcome.reasons.push(...found.reasons, ...notes);
  outcome.status = status;
  return status === "ok";
}

/** What a candidate printed, kept for whoever debugs it. */
async function printed(
  events: readonly JudgeEvent[],
  artifacts: ArtifactService,
): Promise<Record<string, string>> {
  const text = events
    .map((event) => (event.event === "verified" || event.event === "host_failure" ? event.text : ""))
    .find((one) => one !== "");
  if (text === undefined) return {};
  return { printed: await artifacts.write(text, { name: "printed.txt", media_type: "text/plain" }) };
}
