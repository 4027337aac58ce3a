import { describe, expect, test } from "vitest";
import { ask, type Fixture, fixture, verifiedOf } from "./harness.ts";

interface Case {
  readonly dtype: string;
  readonly type: string;
  /** y[i] from a[i], the scalar s and i; the same text is the reference's and the kernel's. */
  readonly formula: string;
  readonly scalar: number;
  /** A change of one element that must be seen. */
  readonly off: string;
}

const CASES: readonly Case[] = [
  { dtype: "float32", type: "float", formula: "a[i] * s + (REAL)i", scalar: 1.5, off: "y[N / 2] *= 1.01f" },
  {
    dtype: "float64",
    type: "double",
    formula: "a[i] * s + (REAL)i",
    scalar: 1.5,
    off: "y[N / 2] *= 1 + 1e-8",
  },
  { dtype: "int32", type: "int32_t", formula: "a[i] * s + (int32_t)i", scalar: 3, off: "y[N / 2] += 1" },
  {
    dtype: "int64",
    type: "int64_t",
    formula: "(a[i] + ((int64_t)1 << 60)) * 1 + s",
    scalar: 3,
    off: "y[N / 2] += 1",
  },
  { dtype: "uint8", type: "uint8_t", formula: "(uint8_t)(a[i] + s)", scalar: 200, off: "y[N / 2] ^= 1" },
  { dtype: "int8", type: "int8_t", formula: "(int8_t)(a[i] - s)", scalar: 100, off: "y[N / 2] ^= 1" },
  { dtype: "bool", type: "uint8_t", formula: "(uint8_t)(a[i] != s)", scalar: 1, off: "y[N / 2] ^= 1" },
];

function source({ type, formula }: Case, real: boolean, extra = ""): string {
  const t = real && /float|double/.test(type) ? "real_t" : type;
  return `#include "kernel.h"
void kernel(const ${t} *a, ${t} s, ${t} *y, int64_t N) {
  for (int64_t i = 0; i < N; i++) y[i] = ${formula.replaceAll("REAL", t)};
  ${extra}
}
`;
}

function problemOf(one: Case): Fixture {
  const inputs = { s: { type: "scalar", value: one.scalar } };
  return fixture(
    {
      name: `map-${one.dtype}`,
      op_type: "map",
      axes: { N: { type: "var" } },
      inputs: { a: { shape: ["N"], dtype: one.dtype }, s: { shape: null, dtype: one.dtype } },
      outputs: { y: { shape: ["N"], dtype: one.dtype } },
      reference_c: source(one, true),
    },
    [0, 1, 17, 1000].map((N) => ({ uuid: `n${N}`, axes: { N }, inputs })),
  );
}

describe.each(CASES)("$dtype", (one) => {
  const problem = problemOf(one);

  test("a right kernel passes on every length, none included", async () => {
    const events = await ask("verify", problem, source(one, false));
    expect(verifiedOf(events).map((each) => [each.workload, each.passed, each.trials])).toEqual([
      ["n0", true, 8],
      ["n1", true, 8],
      ["n17", true, 8],
      ["n1000", true, 8],
    ]);
  });

  test("one wrong element is found, with its place and both values", async () => {
    const events = await ask("verify", problem, source(one, false, `if (N > 100) ${one.off};`));
    expect(verifiedOf(events).map((each) => each.passed)).toEqual([true, true, true, false]);
    const wrong = events.find((event) => event.event === "wrong");
    expect(wrong).toMatchObject({
      workload: "n1000",
      code: "value_mismatch",
      output: "y",
      index: 500,
      wrong_elements: 1,
      elements: 1000,
    });
    expect(
      wrong?.event === "wrong" && (wrong.got !== wrong.expected || wrong.got_text !== wrong.expected_text),
    ).toBe(true);
  });
});

test("a float64 kernel that computes in float32 is wrong", async () => {
  const one = CASES[1];
  if (one === undefined) throw new Error("no float64 case");
  const narrow = source({ ...one, formula: "(float)a[i] * (float)s + (float)i" }, false);
  const events = await ask("verify", problemOf(one), narrow);
  expect(verifiedOf(events).at(-1)?.passed).toBe(false);
});
