export { parseCallgrind } from "./callgrind.ts";
export { type DiagnosisFacts, diagnose } from "./diagnose.ts";
export { parsePerfStat, perfMetrics } from "./perf.ts";
