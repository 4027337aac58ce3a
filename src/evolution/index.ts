export type { EvolutionDependencies } from "./dependencies.ts";
export type { PriorKernel, Retrieve, RetrievedDocument, RetrieveKernels } from "./operator/prompt.ts";
export { type Policy, policies } from "./selection/index.ts";
export { Evolution } from "./service.ts";
