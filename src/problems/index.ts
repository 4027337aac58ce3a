export { loadProblems, problemFolders, readProblemFolder } from "./load.ts";
export { makeProblem } from "./make.ts";
export type { Grader, ProblemRecords } from "./ports.ts";
export { Problems } from "./service.ts";
export { importFlashInferTrace } from "./trace.ts";
