import { globSync, readFileSync } from "node:fs";
import { join, relative } from "node:path";
import { describe, expect, it } from "vitest";
import { cellOf, FeatureReader, type Features } from "../../src/evolution/selection/features.ts";
import { packageRoot } from "../../src/platform/paths.ts";

const folder = join(packageRoot, "knowledge", "kernels", "cpu-x86-64");
const shipped = globSync("*/*.c", { cwd: folder }).map((file) => ({
  name: relative("", file).replace(/\.c$/, ""),
  source: readFileSync(join(folder, file), "utf8"),
}));
const reader = new FeatureReader("c");

function read(name: string): Features {
  const found = shipped.find((one) => one.name === name);
  if (found === undefined) throw new Error(`there is no ${name}`);
  return reader.read(found.source, {});
}

describe("features of the shipped kernels", () => {
  it("tells intrinsics and vector types from plain loops", () => {
    expect(shipped.length).toBeGreaterThan(15);
    for (const { name, source } of shipped) {
      const { arithmetic } = reader.read(source, {});
      if (name.endsWith("/naive")) expect(arithmetic, name).toBe("scalar");
      if (/vectorised|register|single-pass|rows/.test(name)) expect(arithmetic, name).toBe("vector");
    }
  });

  it("counts the tiles, not the lanes of vector loops", () => {
    expect(read("matmul/naive").tiling).toBe(0);
    expect(read("matmul/blocked").tiling).toBe(3);
    expect(read("matmul/register").tiling).toBe(2);
    expect(read("attention/blocked").tiling).toBe(2);
    expect(read("softmax/blocked").tiling).toBe(1);
    expect(read("softmax/vectorised").tiling).toBe(0);
  });

  it("follows the values of tunables and flags into the unrolling, and the evaluation into the bound", () => {
    const source = shipped.find((one) => one.name === "row-reduction/vectorised")?.source ?? "";
    expect(reader.read(source, {}).unrolling).toBe("much");
    const less = source.replace("UNROLL int 8", "UNROLL int 4");
    expect(reader.read(less, {}).unrolling).toBe("some");
    const naive = "// ke:flags -O3 -funroll-loops\nvoid kernel(void) {}";
    expect(reader.read(naive, {}).unrolling).toBe("some");
    const diagnosis = { bottleneck: "memory" as const, evidence: "", advice: [] };
    expect(reader.read(naive, { diagnosis }).bound).toBe("memory");
  });

  it("puts the structures of one problem into different cells, and fills few cells in all", () => {
    const cells = new Map<string, Set<string>>();
    for (const { name, source } of shipped) {
      const problem = name.split("/")[0] ?? "";
      const known = cells.get(problem) ?? new Set<string>();
      cells.set(problem, known.add(cellOf(reader.read(source, {}))));
    }
    for (const [problem, own] of cells) expect(own.size, problem).toBeGreaterThan(1);
    const all = new Set([...cells.values()].flatMap((own) => [...own]));
    expect(all.size).toBeLessThan(shipped.length);
  });
});

describe("features of other languages", () => {
  it("reads Triton: tiles, programs and matrix units", () => {
    const source = `# tl.dot in a comment does not count twice
@triton.jit
def kernel(a, b, K: tl.constexpr, BLOCK_M: tl.constexpr, BLOCK_K: tl.constexpr):
    rows = tl.program_id(0) * BLOCK_M + tl.arange(0, BLOCK_M)
    for k in range(0, K, BLOCK_K):
        acc += tl.dot(a, b)
`;
    const features = new FeatureReader("triton").read(source, {});
    expect(features).toMatchObject({ arithmetic: "matrix", tiling: 2, threads: "many" });
    expect(new FeatureReader("triton").read("# tl.dot\nx = 1\n", {}).arithmetic).toBe("scalar");
  });

  it("reads OpenMP, CUDA and NEON in C and C++", () => {
    const omp = new FeatureReader("cpp").read(
      "#pragma omp parallel for simd\nfor (int i = 0; i < n; i += 64) f(i);",
      {},
    );
    expect(omp).toMatchObject({ threads: "many", tiling: 1 });
    const cuda = new FeatureReader("cuda").read("__global__ void k() { float4 v; }\n#pragma unroll 8\n", {});
    expect(cuda).toMatchObject({ threads: "many", arithmetic: "vector", unrolling: "much" });
    expect(new FeatureReader("c").read("float32x4_t v = vld1q_f32(p);", {}).arithmetic).toBe("vector");
  });

  it("never throws, whatever it is given", () => {
    for (const source of ["", "// ke:tunable broken", "/* unclosed", "for (;;) for (;;)", "\0".repeat(50)])
      expect(() => new FeatureReader("c").read(source, {})).not.toThrow();
  });
});
