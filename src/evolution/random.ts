import { createHash } from "node:crypto";

/** Numbers in [0, 1) from a seed: the same seed gives the same numbers on every machine. */
export interface Random {
  /** Uniform in [0, 1). */
  next(): number;
  /** Uniform integer in [0, below). `below` at least 1. */
  integer(below: number): number;
  /** One of `items`; undefined when there are none. */
  pick<T>(items: readonly T[]): T | undefined;
  /** Standard normal. */
  normal(): number;
}

/**
 * A generator (xoshiro128**) seeded by the text of `parts`. A search derives one per decision from (seed, purpose,
 * ordinal) instead of storing a state: a resumed run then takes the decisions that the undisturbed one would have.
 */
export function randomFrom(...parts: readonly (string | number)[]): Random {
  const digest = createHash("sha256").update(JSON.stringify(parts)).digest();
  let a = digest.readUInt32LE(0);
  let b = digest.readUInt32LE(4);
  let c = digest.readUInt32LE(8);
  let d = digest.readUInt32LE(12) | 1;
  const rotate = (x: number, k: number): number => (x << k) | (x >>> (32 - k));
  const next32 = (): number => {
    const result = Math.imul(rotate(Math.imul(b, 5), 7), 9) >>> 0;
    const t = b << 9;
    c ^= a;
    d ^= b;
    b ^= c;
    a ^= d;
    c ^= t;
    d = rotate(d, 11);
    return result;
  };
  const next = (): number => (next32() * 2 ** 21 + (next32() >>> 11)) / 2 ** 53;
  return {
    next,
    integer: (below) => Math.floor(next() * below),
    pick: (items) => items[Math.floor(next() * items.length)],
    normal: () => Math.sqrt(-2 * Math.log(1 - next())) * Math.cos(2 * Math.PI * next()),
  };
}

/**
 * An index drawn with probability proportional to its weight. Negative, NaN and infinite weights count as 0; when
 * nothing has weight every index is equally likely. -1 for an empty list.
 */
export function weightedIndex(weights: readonly number[], random: Random): number {
  if (weights.length === 0) return -1;
  const usable = weights.map((weight) => (Number.isFinite(weight) && weight > 0 ? weight : 0));
  const largest = Math.max(...usable);
  if (largest === 0) return random.integer(usable.length);
  // Scaled by the largest, so that the sum neither overflows nor vanishes.
  let rest = random.next() * usable.reduce((sum, weight) => sum + weight / largest, 0);
  let last = 0;
  for (const [index, weight] of usable.entries()) {
    if (weight === 0) continue;
    last = index;
    rest -= weight / largest;
    if (rest < 0) return index;
  }
  return last;
}
