export { applyFlags, applyTunables, type CandidateHeader, parseHeader } from "./candidate/header.ts";
export { Evaluations, gradeProblem, type PipelineParts } from "./pipeline/service.ts";
export type { EvaluationCache } from "./ports.ts";
