import { describe, expect, it } from "vitest";
import { randomFrom, weightedIndex } from "../../src/evolution/random.ts";

function shares(weights: readonly number[], draws = 20_000): number[] {
  const random = randomFrom("shares", ...weights.map(String));
  const counts = weights.map(() => 0);
  for (let draw = 0; draw < draws; draw += 1) {
    const index = weightedIndex(weights, random);
    counts[index] = (counts[index] ?? 0) + 1;
  }
  return counts.map((count) => count / draws);
}

describe("randomFrom", () => {
  it("repeats for equal parts and differs for others", () => {
    const take = (...parts: (string | number)[]): number[] => {
      const random = randomFrom(...parts);
      return Array.from({ length: 8 }, () => random.next());
    };
    expect(take(1, "select", 2)).toEqual(take(1, "select", 2));
    expect(take(1, "select", 2)).not.toEqual(take(1, "select", 3));
    // The parts are kept apart: joining them would make these equal.
    expect(take("a", "bc")).not.toEqual(take("ab", "c"));
  });

  it("is uniform: ten bins of 50,000 draws by the chi-square test", () => {
    const random = randomFrom("uniform");
    const bins = Array.from({ length: 10 }, () => 0);
    for (let draw = 0; draw < 50_000; draw += 1) {
      const value = random.next();
      expect(value >= 0 && value < 1).toBe(true);
      const bin = Math.floor(value * 10);
      bins[bin] = (bins[bin] ?? 0) + 1;
    }
    const statistic = bins.reduce((sum, count) => sum + (count - 5000) ** 2 / 5000, 0);
    // 99.9th percentile with 9 degrees of freedom.
    expect(statistic).toBeLessThan(27.9);
  });
});

describe("weightedIndex", () => {
  it("draws in proportion", () => {
    const [a = 0, b = 0, c = 0] = shares([1, 2, 5]);
    expect(a).toBeCloseTo(0.125, 1);
    expect(b).toBeCloseTo(0.25, 1);
    expect(c).toBeCloseTo(0.625, 1);
  });

  it("is uniform when all weights are zero, equal, negative or not numbers", () => {
    for (const weights of [
      [0, 0, 0, 0],
      [3, 3, 3, 3],
      [-1, -2, -3, -4],
      [Number.NaN, Number.NaN, Number.NaN, Number.NaN],
    ]) {
      for (const share of shares(weights)) expect(share).toBeCloseTo(0.25, 1);
    }
  });

  it("never draws what has no weight beside what has", () => {
    expect(shares([0, 1, Number.NaN, -3])).toEqual([0, 1, 0, 0]);
    expect(shares([0, Number.MAX_VALUE, Number.MAX_VALUE, 0]).filter((share) => share > 0)).toHaveLength(2);
    expect(shares([Number.MIN_VALUE, 0])).toEqual([1, 0]);
  });

  it("answers -1 for nothing", () => {
    expect(weightedIndex([], randomFrom(1))).toBe(-1);
  });
});
