import type { Speedup } from "../../domain/evaluation.ts";
import type { Node } from "../../domain/run.ts";

/** A number with three significant digits and no exponent for everyday sizes. */
export function figure(value: number): string {
  if (!Number.isFinite(value)) return String(value);
  const size = Math.abs(value);
  if (size !== 0 && (size < 1e-3 || size >= 1e6)) return value.toExponential(2);
  return size >= 100 ? value.toFixed(0) : size >= 10 ? value.toFixed(1) : value.toFixed(2);
}

/** `2.31× [2.25, 2.38] over reference`, with a note when it is not credited. */
export function speedupText(speedup: Speedup): string {
  const note = speedup.credited ? "" : ", not credited";
  return `${figure(speedup.ratio)}× [${figure(speedup.low)}, ${figure(speedup.high)}] over ${speedup.baseline}${note}`;
}

/** One line on how a node came out. */
export function outcomeText(node: Node): string {
  if (node.verdict === "passed" && node.speedup !== undefined) return speedupText(node.speedup);
  return node.status === "ok" ? node.verdict : `${node.verdict}: ${node.status.replaceAll("_", " ")}`;
}

/** Nanoseconds in the unit that reads best. */
export function durationText(ns: number): string {
  if (ns < 1e3) return `${figure(ns)} ns`;
  if (ns < 1e6) return `${figure(ns / 1e3)} µs`;
  if (ns < 1e9) return `${figure(ns / 1e6)} ms`;
  return `${figure(ns / 1e9)} s`;
}

/** Seconds as people say them: `42 s`, `3 min 5 s`, `2 h 10 min`. */
export function secondsText(seconds: number): string {
  const whole = Math.round(seconds);
  if (whole < 1) return `${seconds.toFixed(1)} s`;
  if (whole < 60) return `${whole} s`;
  if (whole < 3600) return `${Math.floor(whole / 60)} min ${whole % 60} s`;
  return `${Math.floor(whole / 3600)} h ${Math.floor((whole % 3600) / 60)} min`;
}
