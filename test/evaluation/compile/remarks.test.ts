import { describe, expect, it } from "vitest";
import { parseRemarks, withoutRemarks } from "../../../src/evaluation/compile/remarks.ts";

const LOG = `kernel.c: In function 'kernel':
kernel.c:3:9: warning: unused variable 'und' [-Wunused-variable]
    3 |     int und;
      |         ^~~
kernel.c:5:3: optimized: loop vectorized using 64 byte vectors
kernel.c:5:3: optimized:  loop versioned for vectorization because of possible aliasing
kernel.c:9:3: missed: couldn't vectorize loop
kernel.c:9:3: missed: not vectorized: unsupported use in stmt.
kernel.c:12:3: missed: couldn't vectorize loop
kernel.c:14:5: missed: not vectorized: no vectype for stmt: c = MEM[(const uvec *)x];
 scalar_type: const uvec
/usr/lib/gcc/x86_64-linux-gnu/12/include/avxintrin.h:900:3: missed: statement clobbers memory
kernel.c:2:1: note: declared here
`;

describe("remarks of the vectoriser", () => {
  it("tell for each line of the candidate whether its loop was vectorised, or why not", () => {
    expect(parseRemarks(LOG, "kernel.c")).toEqual([
      { line: 5, vectorised: true, text: "loop vectorized using 64 byte vectors" },
      { line: 9, vectorised: false, text: "not vectorised: unsupported use in stmt." },
      { line: 12, vectorised: false, text: "couldn't vectorize loop" },
    ]);
  });

  it("are no part of what the compiler has to say about faults", () => {
    expect(withoutRemarks(LOG)).toBe(`kernel.c: In function 'kernel':
kernel.c:3:9: warning: unused variable 'und' [-Wunused-variable]
    3 |     int und;
      |         ^~~
kernel.c:2:1: note: declared here`);
  });
});
