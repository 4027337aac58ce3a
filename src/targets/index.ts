export { loadTargets, readTargetSpec, type TargetProblem } from "./load.ts";
export { deviceName, installCommand, type Machine, readMachine } from "./machine.ts";
export { measurePeaks } from "./peaks.ts";
export { memoryLevel, type Roofline, roofline } from "./roofline.ts";
export { countersWork, Targets } from "./service.ts";
