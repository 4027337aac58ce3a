import { randomFrom } from "../../src/evolution/random.ts";
import { type Outcome, settingsOf } from "../evolution/fakes.ts";

/**
 * Speedup of a synthetic kernel: a factor of its structure, a ridge of TILE and UNROLL (they interact), a flag that helps
 * one structure and hurts another, PAD that hardly matters, and large tiles with much unrolling that do not compile.
 * `noise` is the relative deviation of a measurement, the same for the same source.
 */
export function landscape(noise = 0): (source: string) => Outcome {
  return (source) => {
    const { kind, tile, unroll, pad, fast } = settingsOf(source);
    if (Math.log2(tile) + Math.log2(unroll) > 11)
      return { status: "compile_error", diagnostics: "out of registers" };
    const structure = { naive: 0.6, blocked: 1.6, vectorised: 2.4 }[kind] ?? 1;
    const best = { naive: 4, blocked: 5, vectorised: 6 }[kind] ?? 5;
    const ridge = Math.exp(
      -0.18 * (Math.log2(tile) - best) ** 2 - 0.12 * (Math.log2(unroll) + Math.log2(tile) - best - 2) ** 2,
    );
    const flag = fast ? (kind === "vectorised" ? 1.25 : 0.9) : 1;
    const wobble = noise === 0 ? 1 : Math.exp(noise * randomFrom("noise", source).normal());
    return { ratio: structure * (0.4 + 0.8 * ridge) * flag * (1 - 0.004 * pad) * wobble };
  };
}

/** The best of all configurations of `kind` by exhaustive search. */
export function optimum(
  measure: (source: string) => Outcome,
  write: (tile: number, unroll: number, pad: number, fast: boolean) => string,
): number {
  let best = 0;
  for (const tile of [8, 16, 32, 64, 128, 256])
    for (const unroll of [1, 2, 4, 8, 16])
      for (let pad = 0; pad < 8; pad += 1)
        for (const fast of [false, true])
          best = Math.max(best, measure(write(tile, unroll, pad, fast)).ratio ?? 0);
  return best;
}
