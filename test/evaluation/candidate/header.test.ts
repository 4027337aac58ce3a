import { describe, expect, it } from "vitest";
import { applyFlags, applyTunables, parseHeader } from "../../../src/evaluation/candidate/header.ts";
import { duplicateKey, structureKey } from "../../../src/evolution/normalise.ts";

const SOURCE = `// ke:problem matmul
// ke:technique blocked, vectorised
// ke:flags -O3 -march=native -ffast-math
/* ke:tunable TILE int 64 {16, 32, 64} */
// ke:tunable MODE enum wide {narrow,wide}
// ke:tunable-flags {-ffast-math,-funroll-loops}
#include "kernel.h"
void kernel(const float *x) { (void)x; }
`;

describe("the header of a candidate", () => {
  it("tells flags, tunables, flags to toggle, techniques and the problem", () => {
    const header = parseHeader(SOURCE);
    expect(header.flags).toEqual(["-O3", "-march=native", "-ffast-math"]);
    expect(header.tunables).toEqual([
      { name: "TILE", type: "int", value: "64", values: ["16", "32", "64"] },
      { name: "MODE", type: "enum", value: "wide", values: ["narrow", "wide"] },
    ]);
    expect(header.tunableFlags).toEqual(["-ffast-math", "-funroll-loops"]);
    expect(header.techniques).toEqual(["blocked", "vectorised"]);
    expect(header.problem).toBe("matmul");
  });

  it("is empty for a source without one, so that the toolchain's defaults hold", () => {
    const header = parseHeader("void kernel(void) {}\n");
    expect(header.flags).toBeUndefined();
    expect(header.tunables).toEqual([]);
  });

  it("is the same with Windows line ends", () => {
    expect(parseHeader(SOURCE.replaceAll("\n", "\r\n"))).toEqual(parseHeader(SOURCE));
  });

  it("reads ke: only where a comment begins a line", () => {
    expect(parseHeader('const char *s = "// ke:flags -O0"; // ke:flags -O1\n').flags).toBeUndefined();
  });

  it.each([
    ["an unknown directive", "// ke:flag -O3", /line 2: "ke:flag" is unknown/],
    ["a tunable without values", "// ke:tunable TILE int 64", /line 2: a tunable reads/],
    ["a value outside its set", "// ke:tunable TILE int 5 {1,2}", /line 2: tunable TILE has the value 5/],
    ["words among integers", "// ke:tunable TILE int 1 {1,two}", /line 2: tunable TILE is int/],
    ["a lower-case name", "// ke:tunable tile int 1 {1}", /line 2: tunable name/],
    ["shell in a value", "// ke:tunable TILE enum a {a,$(id)}", /line 2: tunable value "\$\(id\)"/],
    ["a path in a value", "// ke:tunable TILE enum a {a,/etc/passwd}", /line 2: tunable value/],
    ["an unknown type", "// ke:tunable TILE float 1 {1}", /line 2: tunable type/],
    ["flags without braces", "// ke:tunable-flags -O3", /line 2: expected \{value/],
  ])("refuses %s, naming the line", (_what, line, message) => {
    expect(() => parseHeader(`#include "kernel.h"\n${line}\n`)).toThrow(message);
  });

  it("refuses a tunable that stands twice", () => {
    const text = "// ke:tunable A int 1 {1,2}\n// ke:tunable A int 2 {1,2}\n";
    expect(() => parseHeader(text)).toThrow(/line 2: tunable A stands twice/);
  });
});

describe("writing choices into the header", () => {
  it("changes the current values and nothing else", () => {
    const made = applyTunables(SOURCE, { TILE: "16", MODE: "narrow" });
    expect(parseHeader(made).tunables.map((tunable) => tunable.value)).toEqual(["16", "narrow"]);
    expect(made.replace("int 16", "int 64").replace("enum narrow", "enum wide")).toBe(SOURCE);
  });

  it("refuses what the source does not declare", () => {
    expect(() => applyTunables(SOURCE, { DEPTH: "1" })).toThrow(/tunables\.DEPTH: .*no such tunable/);
    expect(() => applyTunables(SOURCE, { TILE: "65" })).toThrow(/tunables\.TILE: 65 is not among 16, 32, 64/);
    expect(() => applyTunables(SOURCE, { toString: "1" })).toThrow(/no such tunable/);
  });

  it("switches exactly the chosen flags on and keeps the others", () => {
    expect(parseHeader(applyFlags(SOURCE, ["-funroll-loops"])).flags).toEqual([
      "-O3",
      "-march=native",
      "-funroll-loops",
    ]);
    expect(parseHeader(applyFlags(SOURCE, [])).flags).toEqual(["-O3", "-march=native"]);
    expect(() => applyFlags(SOURCE, ["-fopenmp"])).toThrow(/-fopenmp is not among/);
  });
});

describe("tunables of Python sources", () => {
  const PYTHON = `import torch
# ke:technique tiled
BLOCK: int = 64  # ke:tunable int {32,64,128}
EVEN = True # ke:tunable bool {True,False}
PRECISION = 'tf32'  # ke:tunable enum {tf32,ieee}
class ModelNew(torch.nn.Module):
    pass
`;

  it("are assignments with their values beside them", () => {
    const header = parseHeader(PYTHON);
    expect(header.tunables).toEqual([
      { name: "BLOCK", type: "int", value: "64", values: ["32", "64", "128"] },
      { name: "EVEN", type: "bool", value: "True", values: ["True", "False"] },
      { name: "PRECISION", type: "enum", value: "tf32", values: ["tf32", "ieee"] },
    ]);
    expect(header.assigned).toEqual(["BLOCK", "EVEN", "PRECISION"]);
    expect(parseHeader(SOURCE).assigned).toEqual([]);
  });

  it("are rewritten in place, and nothing else is", () => {
    const values = { BLOCK: "128", EVEN: "False", PRECISION: "ieee" };
    const tuned = applyTunables(PYTHON, values);
    expect(tuned).toBe(
      PYTHON.replace("= 64", "= 128").replace("= True", "= False").replace("'tf32'", "'ieee'"),
    );
    expect(applyTunables(tuned, { BLOCK: "64", EVEN: "True", PRECISION: "tf32" })).toBe(PYTHON);
    expect(() => applyTunables(PYTHON, { BLOCK: "7" })).toThrow(/7 is not among 32, 64, 128/);
  });

  it("make configurations of one code, with each its own key", () => {
    const tuned = applyTunables(PYTHON, { BLOCK: "128", PRECISION: "ieee" });
    expect(structureKey(tuned, "triton")).toBe(structureKey(PYTHON, "triton"));
    expect(duplicateKey(tuned, "triton")).not.toBe(duplicateKey(PYTHON, "triton"));
    expect(structureKey(PYTHON.replace("pass", "x = 1"), "triton")).not.toBe(structureKey(PYTHON, "triton"));
  });

  it.each([
    ["a value that is no literal", "BLOCK = 2 * 32  # ke:tunable int {32,64}", /a tunable beside code reads/],
    ["an indented one", "    BLOCK = 32  # ke:tunable int {32,64}", /not indented/],
    ["no values", "BLOCK = 32  # ke:tunable int", /a tunable beside code reads/],
    ["a string as int", 'BLOCK = "32"  # ke:tunable int {32,64}', /BLOCK is int, but "32" is enum/],
    ["0 as bool", "EVEN = 0  # ke:tunable bool {0,1}", /EVEN is bool, but 0 is int/],
    ["words as bool", "EVEN = True  # ke:tunable bool {True,maybe}", /values are True and False/],
    ["code in a value", 'MODE = "a"  # ke:tunable enum {a,"+x+"}', /tunable value/],
    ["a value outside its set", "BLOCK = 5  # ke:tunable int {32,64}", /which is not among its values/],
  ])("refuses %s, naming the line", (_what, line, message) => {
    expect(() => parseHeader(`import torch\n${line}\n`)).toThrow(/line 2/);
    expect(() => parseHeader(`import torch\n${line}\n`)).toThrow(message);
  });
});
