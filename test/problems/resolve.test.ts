import { describe, expect, it } from "vitest";
import { KernelEvolveError, workloadSchema } from "../../src/domain/index.ts";
import { resolveWorkload } from "../../src/problems/native.ts";
import { bindWorkload } from "../../src/problems/resolve.ts";
import { sample, workload } from "./definitions.ts";

/** A definition of one input `t` of `dtype` and shape [R, C]; a workload that fills it with `generator`. */
function filled(dtype: string, generator: unknown, axes = { R: 2, C: 10 }) {
  const definition = sample({
    axes: { R: { type: "var" }, C: { type: "var" } },
    inputs: { t: { shape: ["R", "C"], dtype } },
    outputs: { y: { shape: ["R"], dtype: "int32" } },
    cost: undefined,
  });
  return resolveWorkload(
    definition,
    workload({ axes, inputs: { t: { type: "random", ...(generator === undefined ? {} : { generator }) } } }),
  );
}

describe("resolving a workload", () => {
  it("gives every number that the harness needs", () => {
    const definition = sample({ tolerance: { y: { rtol: 1e-3, atol_rms: 1e-4 } } });
    expect(resolveWorkload(definition, workload({ role: "edge" }))).toEqual({
      uuid: "w",
      role: "edge",
      axes: [
        { name: "N", value: 100 },
        { name: "T", value: 8 },
      ],
      inputs: [
        {
          name: "x",
          dtype: "float32",
          shape: [100],
          elements: 100,
          fill: { kind: "normal", mean: 0, std: 1 },
        },
        {
          name: "index",
          dtype: "int32",
          shape: [100],
          elements: 100,
          fill: { kind: "integers", low: 0, high: 7 },
        },
        {
          name: "table",
          dtype: "float32",
          shape: [8],
          elements: 8,
          fill: { kind: "normal", mean: 0, std: 1 },
        },
        { name: "a", dtype: "float32", shape: null, elements: 1, fill: { kind: "constant", value: 2 } },
      ],
      outputs: [
        {
          name: "y",
          dtype: "float32",
          shape: [100],
          elements: 100,
          tolerance: { rtol: 1e-3, atol_rms: 1e-4 },
        },
      ],
      flops: 200,
      bytes: 100 * 4 + 100 * 4 + 8 * 4 + 4 + 100 * 4,
    });
  });

  it("takes the default tolerance of the dtype, also for an output called like a method", () => {
    const outputs = { valueOf_: { shape: ["N"], dtype: "float64" }, n: { shape: ["N"], dtype: "int64" } };
    const resolved = bindWorkload(sample({ outputs, tolerance: {} }), workload());
    expect(resolved.outputs.map((output) => output.tolerance)).toEqual([
      { rtol: 1e-10, atol_rms: 1e-11 },
      { rtol: 0, atol_rms: 0 },
    ]);
  });

  it("uses the definition's bytes where it names them, and refuses a negative cost", () => {
    const cost = (bytes: string) => ({ cost: { flops: "0", bytes } });
    expect(bindWorkload(sample(cost("N*4")), workload()).bytes).toBe(400);
    expect(() => bindWorkload(sample(cost("N - 101")), workload())).toThrow("workload w: cost.bytes is -1");
    expect(() => bindWorkload(sample(cost("N / (T - 8)")), workload())).toThrow(
      'workload w: cost.bytes: expression "N / (T - 8)": division by zero',
    );
  });

  it("accepts empty tensors", () => {
    const resolved = resolveWorkload(sample(), workload({ axes: { N: 0 } }));
    expect(resolved.inputs[0]).toMatchObject({ elements: 0, shape: [0] });
  });

  it.each([
    [{ axes: {} }, "axes.N is not bound"],
    [{ axes: { N: 1, T: 9 } }, "axes.T is 9, but the definition fixes it at 8"],
    [{ axes: { N: 1, Q: 9 } }, "axes.Q is not an axis of sample"],
    [{ axes: { N: 1, constructor: 9 } }, "axes.constructor is not an axis"],
    [{ inputs: { z: { type: "random" } } }, "inputs.z is not an input of sample"],
    [{ axes: { N: 2 ** 30 } }, "its tensors take more than 2147483648 bytes (at x)"],
    [{ axes: { N: 2 ** 40 } }, "its tensors take more than"],
    [{ inputs: {} }, "inputs.a: it is a scalar and needs a value"],
    [{ inputs: { a: { type: "random" } } }, "inputs.a: it is a scalar and needs a value"],
    [
      { inputs: { a: { type: "scalar", value: 1 }, x: { type: "scalar", value: 1 } } },
      "inputs.x: it is a tensor, but a scalar is given",
    ],
    [
      {
        inputs: {
          a: { type: "scalar", value: 1 },
          x: { type: "safetensors", path: "../../etc/passwd", tensor_key: "x" },
        },
      },
      "inputs.x: safetensors files are not read",
    ],
    [
      { inputs: { a: { type: "scalar", value: 1e300 } } },
      "inputs.a: value is 1e+300, outside what float32 holds",
    ],
  ])("%j: %s", (changes, message) => {
    expect(() => resolveWorkload(sample(), workload(changes))).toThrow(KernelEvolveError);
    expect(() => resolveWorkload(sample(), workload(changes))).toThrow(`workload w: ${message}`);
  });

  it("multiplies sizes without wrapping round", () => {
    const axes = Object.fromEntries(["A", "B", "C", "D"].map((name) => [name, { type: "var" }]));
    const definition = sample({
      axes,
      inputs: {},
      outputs: { y: { shape: ["A", "B", "C", "D"], dtype: "uint8" } },
      cost: undefined,
    });
    const huge = { A: 2 ** 40, B: 2 ** 40, C: 2 ** 40, D: 2 ** 40 };
    expect(() => resolveWorkload(definition, workload({ axes: huge, inputs: {} }))).toThrow("more than");
  });

  it.each([-1, 1.5, 2 ** 60, "7"])("the schema refuses an axis of %j", (N) => {
    expect(workloadSchema.safeParse({ uuid: "w", axes: { N } }).success).toBe(false);
  });

  it("checks constraints over axes and leaves those about values to the reference", () => {
    expect(() => resolveWorkload(sample({ constraints: ["N == T + 1"] }), workload())).toThrow(
      'the constraint "N == T + 1" does not hold',
    );
    expect(() => resolveWorkload(sample({ constraints: ["N === T"] }), workload())).toThrow(
      'workload w: constraints: expression "N === T"',
    );
    expect(() =>
      resolveWorkload(sample({ constraints: ["T == index[-1].item() + 1"] }), workload()),
    ).not.toThrow();
  });
});

describe("filling an input", () => {
  it.each([
    ["float32", undefined, { kind: "normal", mean: 0, std: 1 }],
    ["int32", undefined, { kind: "integers", low: 0, high: 255 }],
    ["uint8", undefined, { kind: "integers", low: 0, high: 255 }],
    ["int8", undefined, { kind: "integers", low: 0, high: 127 }],
    ["bool", undefined, { kind: "integers", low: 0, high: 1 }],
    ["float64", { distribution: "normal", mean: 3 }, { kind: "normal", mean: 3, std: 1 }],
    ["float32", { distribution: "uniform", low: -1, high: 1 }, { kind: "uniform", low: -1, high: 1 }],
    [
      "int64",
      { distribution: "integers", low: "-C", high: "R*C - 1" },
      { kind: "integers", low: -10, high: 19 },
    ],
    ["int64", { distribution: "sorted", low: 0, high: 10 }, { kind: "sorted", low: 0, high: 10 }],
    ["float32", { distribution: "sorted", low: -2, high: 2 }, { kind: "sorted", low: -2, high: 2 }],
    ["int32", { distribution: "constant", value: 7 }, { kind: "constant", value: 7 }],
  ])("%s with %j", (dtype, generator, fill) => {
    expect(filled(dtype, generator).inputs[0]?.fill).toEqual(fill);
  });

  it.each([
    ["int32", { distribution: "normal" }, "the normal distribution is for floating tensors, not int32"],
    [
      "int64",
      { distribution: "uniform", low: 0, high: 1 },
      "the uniform distribution is for floating tensors",
    ],
    ["float32", { distribution: "uniform", low: 2, high: 1 }, "low is above high"],
    ["uint8", { distribution: "integers", low: "0", high: "256" }, "high is 256, outside what uint8 holds"],
    ["bool", { distribution: "integers", low: "0", high: "2" }, "high is 2, outside what bool holds"],
    ["int32", { distribution: "integers", low: "0", high: "3000000000" }, "outside what int32 holds"],
    ["int64", { distribution: "integers", low: "0", high: "5000000000" }, "high - low must be below 2^32"],
    ["int64", { distribution: "integers", low: "5", high: "C - 6" }, "low (5) is above high (4)"],
    ["int64", { distribution: "integers", low: "0", high: "Q" }, 'unknown axis "Q" at position 1'],
    [
      "int64",
      { distribution: "sorted", low: 0, high: 9 },
      "10 increasing int64 values do not fit between 0 and 9",
    ],
    ["int64", { distribution: "sorted", low: 0.5, high: 90 }, "low is 0.5, which is no whole number"],
    [
      "float32",
      { distribution: "sorted", low: 1, high: 1.000001 },
      "10 increasing float32 values do not fit",
    ],
    ["float64", { distribution: "sorted", low: 1, high: 1 }, "do not fit"],
    ["int32", { distribution: "constant", value: 0.5 }, "value is 0.5, which is no whole number"],
    ["float32", { distribution: "offsets", total: "4" }, "offsets need an integer dtype"],
    ["int32", { distribution: "offsets", total: "4" }, "offsets need a tensor of one axis"],
  ])("%s with %j: %s", (dtype, generator, message) => {
    expect(() => filled(dtype, generator)).toThrow(`workload w: inputs.t: `);
    expect(() => filled(dtype, generator)).toThrow(message);
  });

  it("an index into an empty axis is all right as long as there is none", () => {
    const generator = { distribution: "integers", low: "0", high: "C - 1" };
    expect(filled("int32", generator, { R: 3, C: 0 }).inputs[0]?.elements).toBe(0);
  });

  it("offsets", () => {
    const definition = sample({
      axes: { P: { type: "var" }, E: { type: "var" } },
      inputs: { o: { shape: ["P"], dtype: "int32" } },
      outputs: { y: { shape: ["P"], dtype: "int32" } },
      cost: undefined,
    });
    const offsets = (axes: Record<string, number>, total: string) =>
      resolveWorkload(
        definition,
        workload({ axes, inputs: { o: { type: "random", generator: { distribution: "offsets", total } } } }),
      ).inputs[0]?.fill;
    expect(offsets({ P: 4, E: 9 }, "E")).toEqual({ kind: "offsets", total: 9 });
    expect(offsets({ P: 1, E: 0 }, "E")).toEqual({ kind: "offsets", total: 0 });
    expect(() => offsets({ P: 1, E: 9 }, "E")).toThrow("a single offset is both first (0) and last (9)");
    expect(() => offsets({ P: 4, E: 9 }, "E / 2")).toThrow("total is 4.5, which is no whole number");
    expect(() => offsets({ P: 4, E: 9 }, "E - 10")).toThrow("total is -1, below 0");
    expect(() => offsets({ P: 4, E: 2 ** 31 }, "E")).toThrow("outside what int32 holds");
  });
});
