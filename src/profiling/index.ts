export { annotatedSource } from "./annotate.ts";
export {
  type CallgrindProfile,
  callgrindArgv,
  type LineCost,
  parseCallgrind,
  unknownInstruction,
} from "./callgrind.ts";
export { type DeviceFacts, type DeviceProfile, diagnoseDevice, profiledKernels } from "./device.ts";
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
export { PROFILE_WAYS, type Profiles, type ProfileTexts, type ProfileWay, readProfiles } from "./read.ts";
export { readTimeline, type Timeline, type TimelineKernel } from "./timeline.ts";
export { chromeTrace } from "./traces/chrome.ts";
export { parseCsv } from "./traces/csv.ts";
export { ncuBottleneck, ncuTrace } from "./traces/ncu.ts";
export { protonScopes, protonTrace } from "./traces/proton.ts";
export type { TraceRow, TraceSummary } from "./traces/summary.ts";
