import { describe, expect, test } from "vitest";
import { ask, fixture, gradedOf, verifiedOf } from "./harness.ts";

const map = (formula: string, type: string, extra = ""): string => `#include "kernel.h"
#include <math.h>
void kernel(const ${type} *x, ${type} *y, int64_t N) {
  for (int64_t i = 0; i < N; i++) {
    y[i] = ${formula};
    ${extra}
  }
}
`;
const problemOf = (formula: string, generator?: object) =>
  fixture(
    {
      name: "map",
      op_type: "map",
      axes: { N: { type: "const", value: 500 } },
      inputs: { x: { shape: ["N"], dtype: "float32" } },
      outputs: { y: { shape: ["N"], dtype: "float32" } },
      reference_c: map(formula, "real_t"),
    },
    [{ uuid: "w", axes: {}, inputs: generator === undefined ? {} : { x: { type: "random", generator } } }],
  );

describe("values that are no numbers", () => {
  test("NaN where the reference has NaN is right, and a number there is wrong", async () => {
    const problem = problemOf("sqrt(x[i])");
    const [honest] = verifiedOf(await ask("verify", problem, map("sqrtf(x[i])", "float")));
    expect(honest?.passed).toBe(true);
    const events = await ask("verify", problem, map("sqrtf(x[i])", "float", "if (isnan(y[i])) y[i] = 0;"));
    expect(events.find((event) => event.event === "wrong")).toMatchObject({
      code: "nan_mismatch",
      expected_text: "nan",
    });
  });

  test("infinities keep their places and their signs", async () => {
    const problem = problemOf("1 / x[i]", { distribution: "integers", low: "0", high: "3" });
    const [honest] = verifiedOf(await ask("verify", problem, map("1 / x[i]", "float")));
    expect(honest?.passed).toBe(true);
    const events = await ask("verify", problem, map("1 / x[i]", "float", "if (isinf(y[i])) y[i] = -y[i];"));
    expect(events.find((event) => event.event === "wrong")).toMatchObject({
      code: "infinity_mismatch",
      got_text: "-inf",
      expected_text: "inf",
    });
  });

  test("what overflows in the narrow type may be infinite, though the oracle is finite", async () => {
    const problem = problemOf("x[i] * (real_t)1e38 * 40");
    const [honest] = verifiedOf(await ask("verify", problem, map("x[i] * 1e38f * 40", "float")));
    expect(honest?.passed).toBe(true);
    const largest = map("fminf(fmaxf(x[i] * 1e38f * 40, -1e38f), 1e38f)", "float");
    expect(verifiedOf(await ask("verify", problem, largest))[0]?.passed).toBe(false);
  });
});

test("an integer that rounds otherwise in the wide type is right when it is the plain loop's", async () => {
  const body = (type: string): string => `#include "kernel.h"
void kernel(const ${type} *x, int32_t *y, int64_t N) {
  for (int64_t i = 0; i < N; i++) y[i] = (int32_t)(x[i] * (${type})0.1 * 10);
}
`;
  const problem = fixture(
    {
      name: "round",
      op_type: "round",
      axes: { N: { type: "const", value: 4000 } },
      inputs: { x: { shape: ["N"], dtype: "float32" } },
      outputs: { y: { shape: ["N"], dtype: "int32" } },
      reference_c: body("real_t"),
    },
    [
      {
        uuid: "w",
        axes: {},
        inputs: { x: { type: "random", generator: { distribution: "integers", low: "0", high: "100000" } } },
      },
    ],
  );
  expect(verifiedOf(await ask("verify", problem, body("float")))[0]?.passed).toBe(true);
  const wrong = body("float").replace("* 10)", "* 10) + (i == 7)");
  expect(verifiedOf(await ask("verify", problem, wrong))[0]?.passed).toBe(false);
});

test("an error within the tolerance is reported beside the plain loop's own", async () => {
  const problem = problemOf("x[i] * 3 + 1");
  const [close] = verifiedOf(await ask("verify", problem, map("(x[i] * 3 + 1) * 1.00002f", "float")));
  expect(close?.passed).toBe(true);
  expect(close?.worst_error).toBeGreaterThan(0.1);
  expect(close?.baseline_error).toBeLessThan(0.01);
});

describe("grading", () => {
  const nulls = async (formula: string, generator?: object) => {
    const problem = problemOf(formula, generator);
    const [graded] = gradedOf(await ask("grade", problem, map("x[i]", "float")));
    const passed = Object.entries(graded?.nulls ?? {}).filter(([, ok]) => ok);
    return passed.map(([name]) => name);
  };

  test("no null candidate passes a real problem", async () => {
    expect(await nulls("x[i] * 3 + 1")).toEqual([]);
    expect(await nulls("x[i] > 0 ? x[i] : 0", { distribution: "uniform", low: 0, high: 1 })).toEqual([]);
  });

  test("a constant answer, a zero answer and a copied input are found", async () => {
    expect(await nulls("0")).toEqual(["zeros", "mean"]);
    expect(await nulls("x[i] * 0 + 1")).toEqual(["ones", "mean"]);
    expect(await nulls("x[i]")).toEqual(["input_copy"]);
  });
});
