export { type JobHandler, LocalJobs } from "./runner.ts";
