export type { EvolutionDependencies } from "./dependencies.ts";
export type { Retrieve, RetrievedDocument } from "./operator/prompt.ts";
export { type Policy, policies } from "./selection/index.ts";
export { Evolution } from "./service.ts";
