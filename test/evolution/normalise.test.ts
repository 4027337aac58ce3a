import { describe, expect, it } from "vitest";
import { duplicateKey, normalisedSource, structureKey } from "../../src/evolution/normalise.ts";

const base = `// ke:flags -O3 -march=native
// ke:tunable TILE int 64 {16,32,64}
#include "kernel.h"
#define STEP(x) ((x) + 1)
void kernel(const float *x, float *y, int64_t N) {
  for (int64_t i = 0; i < N; i++) y[i] = x[i] * 2.0f; /* scale */
}
`;

function same(a: string, b: string, abstraction = "c"): boolean {
  return duplicateKey(a, abstraction) === duplicateKey(b, abstraction);
}

describe("duplicateKey", () => {
  it("ignores comments, blanks, line ends and the descriptive header", () => {
    expect(same(base, base.replace("/* scale */", "// doubled\n"))).toBe(true);
    expect(same(base, base.replaceAll("  ", "\t\t").replace("x[i] * 2.0f", "x[ i ]*2.0f"))).toBe(true);
    expect(same(base, base.replaceAll("\n", "\r\n"))).toBe(true);
    expect(same(base, base.replace("{16,32,64}", "{16,32,64,128}"))).toBe(true);
    expect(same(base, `// ke:technique plain\n${base}`)).toBe(true);
  });

  it("sees what changes the program", () => {
    expect(same(base, base.replace("int 64", "int 32"))).toBe(false);
    expect(same(base, base.replace("-O3", "-O2"))).toBe(false);
    expect(same(base, base.replace("2.0f", "2.5f"))).toBe(false);
    expect(same(base, base.replace("-O3 -march=native", "-march=native -O3"))).toBe(false);
  });

  it("keeps tokens apart where joining them would make other tokens", () => {
    expect(same("int a;", "inta;")).toBe(false);
    expect(same("y = a + +b;", "y = a ++b;")).toBe(false);
    expect(same("#define A (x)\n", "#define A(x)\n")).toBe(false);
    expect(same("#define A 1\nint b;", "#define A 1 int b;")).toBe(false);
    expect(same('s = "a  b";', 's = "a b";')).toBe(false);
    expect(same('s = "/* a */";', 's = "";')).toBe(false);
    expect(same("c = '\"'; /* \" */ d = 1;", "c = '\"'; d = 1;")).toBe(true);
    expect(same("a/**/b", "ab")).toBe(false);
  });

  it("takes indentation seriously and # as a comment in Python-like abstractions", () => {
    const python = "def f(x):\n    # note\n    return x  # end\n";
    expect(same(python, "def f(x):\n    return x\n", "triton")).toBe(true);
    expect(same(python, "def f(x):\n  return x\n", "triton")).toBe(false);
    expect(same('s = "#1"\n', 's = "#2"\n', "triton")).toBe(false);
  });

  it("does not slow down on hostile input", () => {
    const hostile = `${"/*".repeat(50_000)}${'"\\'.repeat(50_000)}${'R"('.repeat(20_000)}`;
    expect(normalisedSource(hostile, "c").length).toBeGreaterThan(0);
    expect(normalisedSource('R"('.repeat(300_000), "c").length).toBeGreaterThan(0);
    expect(normalisedSource('"\\'.repeat(300_000), "c").length).toBeGreaterThan(0);
    expect(normalisedSource(`${"'''".repeat(30_001)}`, "triton").length).toBeGreaterThan(0);
  });
});

describe("structureKey", () => {
  it("is equal for all configurations of one code", () => {
    expect(structureKey(base, "c")).toBe(
      structureKey(base.replace("int 64", "int 16").replace("-O3", "-O2"), "c"),
    );
    expect(structureKey(base, "c")).not.toBe(structureKey(base.replace("* 2.0f", "* 3.0f"), "c"));
  });
});
