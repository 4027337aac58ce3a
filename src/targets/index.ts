export {
  type LoadedTarget,
  loadTargets,
  readTargetSpec,
  type TargetProblem,
  targetFolders,
} from "./load.ts";
export { type Cache, deviceName, installCommand, type Machine, readMachine } from "./machine.ts";
export { measurePeaks } from "./peaks.ts";
export { type Counters, countersWork, probeCounters } from "./probe.ts";
export { memoryLevel, type Roofline, roofline } from "./roofline.ts";
export { Targets, type TargetsOptions } from "./service.ts";
export { abstractionLacks, devicesOf } from "./torch-status.ts";
