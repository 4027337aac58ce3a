import { readFileSync } from "node:fs";
import { join } from "node:path";
import { spaceOf } from "../../../src/agent/autotune/configuration.ts";
import { parseHeader } from "../../../src/evaluation/candidate/header.ts";
import { packageRoot } from "../../../src/platform/paths.ts";

/** A shipped kernel with the values that its landscape has; what is not named keeps the kernel's own header. */
interface Grid {
  readonly kernel: string;
  readonly tunables?: Readonly<Record<string, readonly number[]>>;
  readonly flags?: readonly string[];
}

export interface LandscapeSpec {
  readonly problem: string;
  /** The one timed workload that was measured. */
  readonly workload: string;
  readonly grids: readonly Grid[];
}

const ALL_FLAGS = ["-ffast-math", "-funroll-loops", "-fno-tree-vectorize"];

/** Six problems with 100 to 300 configurations each: shipped kernels, cut down where they declare thousands. */
export const LANDSCAPES: readonly LandscapeSpec[] = [
  {
    problem: "matmul",
    workload: "square-192",
    grids: [
      { kernel: "matmul/naive", flags: ["-ffast-math", "-funroll-loops"] },
      {
        kernel: "matmul/blocked",
        tunables: { TILE_M: [8, 32, 128], TILE_N: [32, 128, 512], TILE_K: [16, 64, 256] },
        flags: ["-ffast-math"],
      },
      { kernel: "matmul/register", tunables: { UNROLL: [1, 4] }, flags: [] },
    ],
  },
  {
    problem: "conv1d",
    workload: "b4-c32-f32-l200-k3",
    grids: [{ kernel: "conv1d/naive" }, { kernel: "conv1d/blocked" }, { kernel: "conv1d/register" }],
  },
  {
    problem: "scaled-dot-product-attention",
    workload: "h4-s128-d64",
    grids: [
      { kernel: "attention/naive" },
      { kernel: "attention/blocked", flags: ["-funroll-loops", "-fno-tree-vectorize"] },
      { kernel: "attention/vectorised", flags: ["-funroll-loops", "-fno-tree-vectorize"] },
    ],
  },
  {
    problem: "layer-norm",
    workload: "512x512",
    grids: [
      { kernel: "layer-norm/naive" },
      { kernel: "layer-norm/vectorised", flags: ALL_FLAGS },
      { kernel: "layer-norm/single-pass", flags: ALL_FLAGS },
    ],
  },
  {
    problem: "row-reduction",
    workload: "512x1024",
    grids: [
      { kernel: "row-reduction/naive" },
      { kernel: "row-reduction/vectorised" },
      { kernel: "row-reduction/rows" },
    ],
  },
  {
    problem: "batched-event-truncation",
    workload: "b256-keep100-f9",
    grids: [
      { kernel: "event-truncation/naive" },
      { kernel: "event-truncation/blocked" },
      { kernel: "event-truncation/vectorised" },
    ],
  },
];

export const TARGET = "cpu-x86-64";
export const ABSTRACTION = "c";

/** The source of a grid's kernel with the grid's values in its header, and what it was recorded of: code and values. */
export function seedOf(grid: Grid): { name: string; source: string; structure: string } {
  const file = join(packageRoot, "knowledge", "kernels", TARGET, `${grid.kernel}.c`);
  const shipped = readFileSync(file, "utf8");
  const { tunables } = parseHeader(shipped);
  const lines = shipped.split("\n").map((line) => {
    const name = /^\/\/ ke:tunable (\w+)/.exec(line)?.[1];
    const values = name === undefined ? undefined : grid.tunables?.[name];
    if (values !== undefined) {
      const own = Number(tunables.find((one) => one.name === name)?.value);
      const value = values.includes(own) ? own : values[0];
      return `// ke:tunable ${name} int ${value} {${values.join(",")}}`;
    }
    if (grid.flags !== undefined && line.startsWith("// ke:tunable-flags"))
      return `// ke:tunable-flags {${grid.flags.join(",")}}`;
    return line;
  });
  const source = lines.join("\n");
  const space = spaceOf(source, ABSTRACTION);
  if (space === undefined) throw new Error(`${file}: it declares nothing to tune`);
  return { name: grid.kernel, source, structure: space.structure };
}
