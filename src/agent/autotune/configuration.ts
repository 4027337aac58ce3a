import { applyFlags, applyTunables, parseHeader } from "../../evaluation/candidate/header.ts";
import { structureKey } from "../../evolution/normalise.ts";
import { canonicalJson, sha256 } from "../../platform/hash.ts";
import type { Dimension, Point } from "./gaussian.ts";

/** What may be changed in one structure: each dimension is a tunable, or a flag that is on or off. */
export interface Space {
  /** Equal for all configurations of one code. */
  readonly structure: string;
  readonly dimensions: readonly Dimension[];
  /** How many dimensions at the front are tunables; the others are flags. */
  readonly tunables: number;
}

const FLAG_VALUES = ["off", "on"];

/** The space that a source declares, or undefined when it declares nothing to tune. */
export function spaceOf(source: string, abstraction: string): Space | undefined {
  const header = parseHeader(source);
  const tunables = header.tunables.map(
    (tunable): Dimension => ({
      name: tunable.name,
      kind: tunable.type === "int" ? "ordinal" : "categorical",
      values: ordered(tunable.type, [...new Set(tunable.values)]),
    }),
  );
  const flags = [...new Set(header.tunableFlags)].map(
    (name): Dimension => ({ name, kind: "categorical", values: FLAG_VALUES }),
  );
  const dimensions = [...tunables, ...flags];
  if (dimensions.every((dimension) => dimension.values.length < 2)) return undefined;
  // The same code with other values to choose from is another space.
  const structure = sha256(canonicalJson([structureKey(source, abstraction), dimensions]));
  return { structure, dimensions, tunables: tunables.length };
}

function ordered(type: string, values: readonly string[]): string[] {
  return type === "int" ? values.toSorted((a, b) => Number(a) - Number(b)) : [...values];
}

/** Where a source stands in the space of its structure. */
export function pointOf(source: string, space: Space): Point {
  const header = parseHeader(source);
  return space.dimensions.map((dimension, index) => {
    if (index >= space.tunables) return header.flags?.includes(dimension.name) === true ? 1 : 0;
    const value = header.tunables.find((tunable) => tunable.name === dimension.name)?.value;
    return Math.max(0, dimension.values.indexOf(value ?? ""));
  });
}

/** The source of `template` with the settings of `point` in its header. */
export function rewrite(template: string, space: Space, point: Point): string {
  const values = Object.fromEntries(
    space.dimensions
      .slice(0, space.tunables)
      .map((dimension, index) => [dimension.name, valueAt(dimension, point[index])]),
  );
  const source = applyTunables(template, values);
  const flags = space.dimensions.slice(space.tunables);
  if (flags.length === 0) return source;
  return applyFlags(
    source,
    flags.filter((_, index) => point[space.tunables + index] === 1).map((flag) => flag.name),
  );
}

function valueAt(dimension: Dimension, index: number | undefined): string {
  const value = dimension.values[index ?? 0];
  if (value === undefined) throw new RangeError(`${dimension.name} has no value number ${String(index)}`);
  return value;
}

/** What changed from one point to another: `TILE_M 64→128, +-ffast-math`. */
export function changes(space: Space, from: Point, to: Point): string {
  const parts = space.dimensions.flatMap((dimension, index) => {
    const before = from[index] ?? 0;
    const after = to[index] ?? 0;
    if (before === after) return [];
    if (index >= space.tunables)
      return [after === 1 ? `with ${dimension.name}` : `without ${dimension.name}`];
    return [`${dimension.name} ${valueAt(dimension, before)}→${valueAt(dimension, after)}`];
  });
  return parts.length === 0 ? "same settings" : parts.join(", ");
}
