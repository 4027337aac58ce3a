import { describe, expect, it } from "vitest";
import { KernelEvolveError } from "../../src/domain/index.ts";
import { constraintHolds, evaluateExpression } from "../../src/problems/expression.ts";

const axes = new Map([
  ["M", 3],
  ["N", 4],
  ["len_indptr", 5],
  ["zero", 0],
]);

describe("expressions over axes", () => {
  it.each([
    ["2*M*N", 24],
    ["M + N * 2", 11],
    ["(M + N) * 2", 14],
    ["M - N - 1", -2],
    ["24 / M / 2", 4],
    ["-M + -(-N)", 1],
    ["1.5e2 * M", 450],
    ["  len_indptr  ", 5],
  ])("%s is %d", (text, value) => {
    expect(evaluateExpression(text, axes)).toBe(value);
  });

  it.each([
    ["M +", 'expression "M +": unexpected end at position 4'],
    ["M N", 'expression "M N": unexpected "N" at position 3'],
    ["(M", 'expression "(M": missing ) at position 3'],
    ["M + Q", 'expression "M + Q": unknown axis "Q" at position 5'],
    ["M ** N", 'expression "M ** N": unexpected "*" at position 4'],
    ["M; N", 'expression "M; N": unexpected character at position 2'],
    ["", 'expression "": unexpected end at position 1'],
    ["M / zero", 'expression "M / zero": division by zero at position 9'],
    ["constructor", 'expression "constructor": unknown axis "constructor" at position 1'],
    ["M.constructor", 'expression "M.constructor": unexpected character at position 2'],
    [`${"(".repeat(60)}M${")".repeat(60)}`, "nested too deep"],
    ["1e300 * 1e300", "not finite"],
  ])("%s is an error that says where", (text, message) => {
    expect(() => evaluateExpression(text, axes)).toThrow(KernelEvolveError);
    expect(() => evaluateExpression(text, axes)).toThrow(message);
  });

  it("does not run what it is given", () => {
    for (const text of ["process.exit(1)", "(() => 1)()", "M = 4", "`M`"])
      expect(() => evaluateExpression(text, axes)).toThrow(KernelEvolveError);
  });
});

describe("constraints", () => {
  it.each([
    ["len_indptr == N + 1", true],
    ["len_indptr == N", false],
    ["M < N", true],
    ["N < N", false],
    ["N <= N", true],
    ["M > N", false],
    ["M >= 3", true],
  ])("%s: %s", (text, holds) => {
    expect(constraintHolds(text, axes)).toBe(holds);
  });

  it("want one comparison", () => {
    expect(() => constraintHolds("M + N", axes)).toThrow("has no comparison");
    expect(() => constraintHolds("1 < M < 5", axes)).toThrow('unexpected "<" at position 7');
    expect(() => constraintHolds("M == ", axes)).toThrow("unexpected end");
  });
});
