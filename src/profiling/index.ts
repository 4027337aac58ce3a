export { annotatedSource } from "./annotate.ts";
export {
  type CallgrindProfile,
  callgrindArgv,
  type LineCost,
  parseCallgrind,
  unknownInstruction,
} from "./callgrind.ts";
export { type DiagnosisFacts, diagnose, type HotLine } from "./diagnose.ts";
export {
  parsePerfStat,
  parseSamples,
  perCall,
  perfMetrics,
  perfRecordArgv,
  perfScriptArgv,
  perfStatArgv,
  type Samples,
} from "./perf.ts";
export { needsPortable, portableFlags } from "./portable.ts";
