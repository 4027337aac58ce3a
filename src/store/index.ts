import { ArtifactStore } from "./artifacts.ts";
import { Database } from "./database.ts";
import { GraphRepository } from "./graph.ts";
import { JobRepository } from "./jobs.ts";
import { EvaluationRepository, ProblemRepository } from "./records.ts";

export { Archive } from "./archive.ts";
export { GraphRepository, type NewNode } from "./graph.ts";
export { type HeldJob, type JobEnd, JobRepository, type JobRow, type NewJob } from "./jobs.ts";
export type { NodeFilter, RunTotals } from "./nodes.ts";
export { EvaluationRepository, ProblemRepository } from "./records.ts";
export type { Repair } from "./repairs.ts";
export type { Used } from "./runs.ts";

/** Everything that lasts, in one data home. */
export interface Store {
  readonly home: string;
  readonly graph: GraphRepository;
  readonly evaluations: EvaluationRepository;
  readonly problems: ProblemRepository;
  readonly artifacts: ArtifactStore;
  readonly jobs: JobRepository;
  close(): void;
}

/** Opens (or creates) the store in `home`. @throws corrupt or infrastructure, naming the file and what to do. */
export function openStore(home: string): Store {
  const db = new Database(home);
  return {
    home,
    graph: new GraphRepository(db),
    evaluations: new EvaluationRepository(db),
    problems: new ProblemRepository(db),
    artifacts: new ArtifactStore(db, home),
    jobs: new JobRepository(db),
    close: () => db.close(),
  };
}
