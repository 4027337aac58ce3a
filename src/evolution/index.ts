export type { EvolutionDependencies } from "./dependencies.ts";
export type { Retrieve, RetrievedDocument } from "./operator/prompt.ts";
export { policies } from "./selection/index.ts";
export { Evolution } from "./service.ts";
