import { describe, expect, it } from "vitest";
import { checkFlags, fillCommand, threadsOf } from "../../../src/evaluation/compile/flags.ts";
import { toolchain } from "../fixtures.ts";

describe("compiler flags", () => {
  it.each([
    "-O3",
    "-march=native",
    "-mavx2",
    "-ffast-math",
    "-funroll-loops",
    "-fno-tree-vectorize",
    "-fopenmp",
    "--param=max-unroll-times=4",
    "-DTILE=64",
    "-mprefer-vector-width=256",
  ])("allow %s", (flag) => {
    expect(() => checkFlags([flag], toolchain)).not.toThrow();
  });

  it.each([
    "-O3;id",
    "-O3 -o/etc/x",
    "$(id)",
    "`id`",
    "-O3\n-fplugin=x",
    "@/etc/passwd",
    "-fplugin=/tmp/x.so",
    "-wrapper",
    "-wrapper,/bin/sh",
    "-B/tmp",
    "-B",
    "-I/etc",
    "-I",
    "-isystem",
    "-include",
    "/etc/passwd",
    "-imacros",
    "-o",
    "-specs=/tmp/x",
    "--specs=x",
    "-x",
    "-",
    "--",
    "-Wl,-rpath,/tmp",
    "-Wp,-MD,/tmp/x",
    "-Wa,--defsym",
    "-Xlinker",
    "-L/tmp",
    "-lcurl",
    "-E",
    "-save-temps",
    "-fdump-tree-all",
    "-dumpbase",
    "-fprofile-dir=/tmp",
    "-fprofile-generate",
    "-fdebug-prefix-map=a=b",
    "-DX=$(id)",
    '-DX="/etc/passwd"',
    "-Dkernel(x)=1",
    "-T/tmp/x",
    "-nostdlib",
    "-static",
    "-fsanitize=address",
    "-O3\0",
    "",
  ])("refuse %j by name", (flag) => {
    expect(() => checkFlags(["-O2", flag], toolchain)).toThrow(
      `the compiler flag ${JSON.stringify(flag).slice(0, 1)}${flag.slice(0, 120)}" is not allowed for gcc`,
    );
  });

  it("refuse one that is too long, and too many", () => {
    expect(() => checkFlags([`-D${"A".repeat(200)}`], toolchain)).toThrow(/is not allowed/);
    expect(() =>
      checkFlags(
        Array.from({ length: 65 }, () => "-O2"),
        toolchain,
      ),
    ).toThrow(/65 compiler flags/);
  });

  it("take the places of their placeholder, each as one argument", () => {
    const places = { source: "/w/k.c", shim: "/w/s.c", output: "/w/o.so", include: "/w" };
    expect(
      fillCommand(["gcc", "-I", "{include}", "{flags}", "-o", "{output}", "{source}"], places, [
        "-O2",
        "-DX=1",
      ]),
    ).toEqual(["gcc", "-I", "/w", "-O2", "-DX=1", "-o", "/w/o.so", "/w/k.c"]);
  });

  it("tell how many threads a candidate may use", () => {
    expect(threadsOf(["-O3"], 8)).toBe(1);
    expect(threadsOf(["-O3", "-fopenmp"], 8)).toBe(8);
  });
});
