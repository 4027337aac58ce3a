import type { Random } from "../../evolution/random.ts";
import { weightedIndex } from "../../evolution/random.ts";
import type { Dimension, Point } from "./gaussian.ts";

/** Identity of a point within its space. */
export function pointKey(point: Point): string {
  return point.join(",");
}

/** Number of configurations; Infinity never occurs since the product is cut off. */
export function spaceSize(dimensions: readonly Dimension[], limit = 1e12): number {
  let size = 1;
  for (const dimension of dimensions) size = Math.min(limit, size * dimension.values.length);
  return size;
}

/** Another value of one dimension: for ordinal ones a near value is likelier than a far one (halved each step). */
function otherValue(dimension: Dimension, current: number, random: Random): number {
  const weights = dimension.values.map((_, index) => {
    if (index === current) return 0;
    return dimension.kind === "ordinal" ? 0.5 ** Math.abs(index - current) : 1;
  });
  return weightedIndex(weights, random);
}

/** Changes one dimension, and each further one with falling probability. */
export function mutate(dimensions: readonly Dimension[], point: Point, random: Random): Point {
  const free = dimensions.flatMap((dimension, index) => (dimension.values.length > 1 ? [index] : []));
  const out = [...point];
  const first = random.pick(free);
  for (const index of free) {
    const dimension = dimensions[index];
    if (dimension === undefined) continue;
    if (index === first || random.next() < 1 / (2 + free.length))
      out[index] = otherValue(dimension, point[index] ?? 0, random);
  }
  return out;
}

/** Each dimension from one parent or the other. */
export function cross(a: Point, b: Point, random: Random): Point {
  return a.map((value, index) => (random.next() < 0.5 ? value : (b[index] ?? value)));
}

/** Goes on in the direction from `before` to `after`: what just helped may help again. */
export function pattern(dimensions: readonly Dimension[], before: Point, after: Point): Point {
  return after.map((value, index) => {
    const dimension = dimensions[index];
    const step = value - (before[index] ?? value);
    if (dimension === undefined || dimension.kind !== "ordinal" || step === 0) return value;
    return Math.min(dimension.values.length - 1, Math.max(0, value + Math.sign(step)));
  });
}

export function randomPoint(dimensions: readonly Dimension[], random: Random): Point {
  return dimensions.map((dimension) => random.integer(dimension.values.length));
}

/** All points that differ in one dimension, ordinal ones by at most `reach` steps. */
export function neighbours(dimensions: readonly Dimension[], point: Point, reach: number): Point[] {
  const out: Point[] = [];
  for (const [index, dimension] of dimensions.entries()) {
    for (let value = 0; value < dimension.values.length; value += 1) {
      const distance = Math.abs(value - (point[index] ?? 0));
      if (distance === 0 || (dimension.kind === "ordinal" && distance > reach)) continue;
      out.push(point.map((old, at) => (at === index ? value : old)));
    }
  }
  return out;
}

/** Every point of a small space. */
export function enumerate(dimensions: readonly Dimension[]): Point[] {
  let points: Point[] = [[]];
  for (const dimension of dimensions) {
    points = points.flatMap((point) => dimension.values.map((_, value) => [...point, value]));
  }
  return points;
}

/** In how many dimensions two points differ. */
export function differences(a: Point, b: Point): number {
  return a.reduce((sum, value, index) => sum + (value === b[index] ? 0 : 1), 0);
}
