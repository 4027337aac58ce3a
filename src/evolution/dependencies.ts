import type { EvaluationService, ProblemService, TargetService } from "../domain/services.ts";
import type { Archive, GraphRepository } from "../store/index.ts";
import type { Retrieve, RetrieveKernels } from "./operator/prompt.ts";

/** What the evolution service is built over; the composition root provides it. */
export interface EvolutionDependencies {
  readonly graph: GraphRepository;
  readonly archive: Archive;
  readonly problems: ProblemService;
  readonly targets: TargetService;
  readonly evaluations: EvaluationService;
  /** Finds documents for a diagnosis; without it prompts carry the target's own constraints only. */
  readonly retrieve?: Retrieve;
  /** Finds kernels of earlier runs; without it prompts show none. */
  readonly retrieveKernels?: RetrieveKernels;
}
