export type { JobHandler } from "./handlers.ts";
export { LocalJobs } from "./runner.ts";
