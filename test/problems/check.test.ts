import { describe, expect, it } from "vitest";
import { definitionSchema } from "../../src/domain/index.ts";
import { checkDefinition, checkNativeDefinition } from "../../src/problems/check.ts";
import { parseJsonText } from "../../src/problems/files.ts";
import { sample } from "./definitions.ts";

const float = { shape: ["N"], dtype: "float32" };

describe("names", () => {
  it.each([
    "int",
    "kernel",
    "main",
    "real_t",
    "class",
    "co_await",
    "NULL",
    "INFINITY",
    "I",
    "int64_t",
    "uint_fast8_t",
    "INT64_MAX",
    "size_t",
    "_Bool",
    "__x",
    "ke_entry",
    "KE_RESTRICT",
    "constructor",
    "toString",
  ])("%s cannot name a tensor, an output or an axis", (name) => {
    expect(() => checkDefinition(sample({ inputs: { [name]: float } }))).toThrow(
      `inputs.${name}: "${name}" is reserved`,
    );
    expect(() => checkDefinition(sample({ outputs: { [name]: float } }))).toThrow(`outputs.${name}:`);
    expect(() =>
      checkDefinition(sample({ axes: { [name]: { type: "var" }, N: { type: "var" }, T: { type: "var" } } })),
    ).toThrow(`axes.${name}:`);
  });

  it.each(["x", "W_q", "intermediate", "kernel_size", "mainly", "i", "_x"])("%s can", (name) => {
    expect(() => checkNativeDefinition(sample({ outputs: { [name]: float }, inputs: {} }))).not.toThrow();
  });

  it.each(["a b", "x;", "1x", "", "x\0", "é", "x".repeat(65)])("%j is no identifier", (name) => {
    const axes = { [name]: { type: "var" } };
    expect(definitionSchema.safeParse({ ...sample(), axes }).success).toBe(false);
  });

  it("are distinct over inputs, outputs and axes", () => {
    expect(() => checkDefinition(sample({ outputs: { x: float } }))).toThrow(
      "outputs.x: the name is taken by inputs.x",
    );
    expect(() => checkDefinition(sample({ outputs: { N: float } }))).toThrow(
      "axes.N: the name is taken by outputs.N",
    );
  });

  it("__proto__ in a file is refused, not dropped", () => {
    const text = '{"axes":{"__proto__":{"type":"var"}}}';
    expect(() => parseJsonText(text, "definition.json")).toThrow('definition.json: "__proto__" is reserved');
    expect(() => parseJsonText("{", "definition.json")).toThrow("definition.json: not JSON");
  });
});

describe("a definition", () => {
  it("declares the axes of its shapes", () => {
    expect(() => checkDefinition(sample({ inputs: { x: { shape: ["Q"], dtype: "float32" } } }))).toThrow(
      'inputs.x.shape names the axis "Q"',
    );
    expect(() =>
      checkDefinition(sample({ outputs: { y: { shape: ["valueOf"], dtype: "float32" } } })),
    ).toThrow('outputs.y.shape names the axis "valueOf"');
  });

  it("computes something", () => {
    expect(() => checkDefinition(sample({ outputs: {} }))).toThrow("outputs is empty");
  });

  it("has tolerances for its floating outputs only", () => {
    const tolerance = { rtol: 1e-3, atol_rms: 1e-3 };
    expect(() => checkDefinition(sample({ tolerance: { z: tolerance } }))).toThrow(
      "tolerance.z is not an output",
    );
    expect(() => checkDefinition(sample({ tolerance: { constructor: tolerance } }))).toThrow(
      "tolerance.constructor is not an output",
    );
    const outputs = { y: { shape: ["N"], dtype: "int64" } };
    expect(() => checkDefinition(sample({ outputs, tolerance: { y: tolerance } }))).toThrow(
      "int64 outputs are compared exactly",
    );
  });

  it.each([-1, 1.5, 2 ** 60, Number.NaN])("has no axis of %d", (value) => {
    expect(definitionSchema.safeParse({ ...sample(), axes: { N: { type: "const", value } } }).success).toBe(
      false,
    );
  });
});

describe("a native definition", () => {
  it("has the dtypes of C", () => {
    const inputs = { x: { shape: ["N"], dtype: "bfloat16" } };
    expect(() => checkDefinition(sample({ inputs }))).not.toThrow();
    expect(() => checkNativeDefinition(sample({ inputs }))).toThrow(
      "dtype bfloat16 is not supported on native",
    );
  });

  it("has one width of floats", () => {
    const inputs = { x: { shape: ["N"], dtype: "float64" } };
    expect(() => checkNativeDefinition(sample({ inputs }))).toThrow("mixes float64 and float32");
  });

  it("has no scalar output, but may have a scalar input whatever its name", () => {
    expect(() =>
      checkNativeDefinition(sample({ outputs: { y: { shape: null, dtype: "float32" } } })),
    ).toThrow("outputs.y: a scalar output");
    expect(() =>
      checkNativeDefinition(sample({ inputs: { y0: { shape: null, dtype: "float32" } } })),
    ).not.toThrow();
  });

  it("has a reference without NUL bytes", () => {
    expect(() => checkNativeDefinition(sample({ reference_c: "void kernel(void) {}\0" }))).toThrow("NUL");
  });
});
