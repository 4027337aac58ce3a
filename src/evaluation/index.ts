export { applyFlags, applyTunables, type CandidateHeader, parseHeader } from "./candidate/header.ts";
export { gradeProblem } from "./pipeline/grade.ts";
export { Evaluations, type PipelineParts } from "./pipeline/service.ts";
export type { EvaluationCache } from "./ports.ts";
export { TorchEvaluations } from "./torch/service.ts";
