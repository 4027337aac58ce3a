import type { TargetSpec } from "../../domain/index.ts";
import { nearest } from "../../platform/nearest.ts";
import { readableBytes, readableLimit, readableRate } from "./units.ts";

/** `{{limits.x}}`, `{{peaks.flops.float16.tensor}}`, `{{memory.L2.bytes}}`, each also as `{{target:limits.x}}`. */
const REFERENCE = /\{\{\s*(?:([a-z0-9][a-z0-9._-]*):)?((?:limits|peaks|memory)\.[A-Za-z0-9_.]+)\s*\}\}/g;

/** A reference that names nothing. */
export interface DeadReference {
  readonly text: string;
  /** Line of `text` given to `fillReferences`, from 1. */
  readonly line: number;
  readonly message: string;
}

type Specs = ReadonlyMap<string, TargetSpec>;

/** Every name that a document may refer to in a spec. */
function names(spec: TargetSpec): string[] {
  return [
    ...Object.keys(spec.limits).map((name) => `limits.${name}`),
    ...Object.keys(spec.peaks.declared ?? {}).map((name) => `peaks.${name}`),
    ...spec.memory.map((level) => `memory.${level.name}.bytes`),
  ];
}

/** The number that `path` names, readable; or why there is none. */
export function lookUp(path: string, spec: TargetSpec): { value: string } | { reason: string } {
  const [group, ...rest] = path.split(".");
  const name = rest.join(".");
  if (group === "limits") {
    const limit = spec.limits[name];
    if (limit !== undefined) return { value: readableLimit(limit.value, limit.unit) };
  } else if (group === "peaks") {
    const peak = spec.peaks.declared?.[name];
    if (peak !== undefined)
      return { value: readableRate(peak, name.startsWith("bandwidth.") ? "B/s" : "FLOP/s") };
    if (spec.peaks.source === "measured")
      return { reason: `the peaks of ${spec.id} are measured, not declared` };
  } else {
    const level = spec.memory.find((one) => `${one.name}.bytes` === name);
    if (level?.bytes === "probe") return { reason: `memory.${name} of ${spec.id} is read from the machine` };
    if (level !== undefined) return { value: readableBytes(level.bytes) };
  }
  const close = nearest(path, names(spec));
  return {
    reason: `the spec of ${spec.id} has no ${path}${close.length > 0 ? `; did you mean ${close.join(" or ")}?` : ""}`,
  };
}

/** Rates of whole numbers are operations, not FLOP: `int8` peaks say OP/s. */
function unitFixed(path: string, value: string): string {
  return /^peaks\.flops\.u?int/.test(path) ? value.replace("FLOP/s", "OP/s") : value;
}

/**
 * Replaces the references of a document of `target` by the numbers of the specs.
 * A reference that names nothing stays as it is and is reported.
 */
export function fillReferences(
  text: string,
  target: string,
  specs: Specs,
): { text: string; dead: DeadReference[]; used: string[] } {
  const dead: DeadReference[] = [];
  const used: string[] = [];
  if (!text.includes("{{")) return { text, dead, used };
  const filled = text.replace(REFERENCE, (whole, other: string | undefined, path: string, offset: number) => {
    const id = other ?? target;
    const spec = specs.get(id);
    const found =
      spec === undefined
        ? {
            reason:
              id === "any"
                ? "a document for `any` target must name the one it means, as in {{nvidia-h100:limits.x}}"
                : `there is no target "${id}"`,
          }
        : lookUp(path, spec);
    if ("value" in found) {
      used.push(`${id}:${path}`);
      return unitFixed(path, found.value);
    }
    dead.push({ text: whole, line: text.slice(0, offset).split("\n").length, message: found.reason });
    return whole;
  });
  return { text: filled, dead, used };
}
