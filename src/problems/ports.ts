import type { Grading, Origin, Problem, WorkContext } from "../domain/index.ts";

/** Where registered problems and gradings are kept; the store implements it. */
export interface ProblemRecords {
  put(problem: Problem): void;
  get(id: string): Problem | undefined;
  byName(name: string): Problem | undefined;
  list(): Problem[];
  grading(contentHash: string, target: string): Grading | undefined;
  putGrading(contentHash: string, target: string, grading: Grading): void;
}

/** Runs the null battery; given by the composition root, because it needs the harness. */
export type Grader = (problem: Problem, target: string, context: WorkContext) => Promise<Grading>;

/** Reads a problem in a format of others: its name and its workloads. Given by the composition root, because it needs the torch judge. */
export type Describer = (
  origin: Origin,
  name: string | undefined,
  context: WorkContext,
) => Promise<{ name: string; workloads: { uuid: string; timed: boolean }[] }>;
