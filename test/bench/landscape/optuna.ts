import { spawnSync } from "node:child_process";
import { join } from "node:path";
import { z } from "zod";
import { pointOf, rewrite, spaceOf } from "../../../src/agent/autotune/configuration.ts";
import { enumerate, pointKey } from "../../../src/agent/autotune/moves.ts";
import { packageRoot } from "../../../src/platform/paths.ts";
import { ABSTRACTION } from "./grids.ts";
import type { Landscape } from "./landscape.ts";

const answer = z.object({
  optuna: z.string(),
  samplers: z.record(z.string(), z.array(z.array(z.number().nullable()))),
});

/** How to get it, where it is missing. */
export const HOW = "pip install optuna==5.0.0, and OPTUNA_PYTHON=<that python> where it is not python3";

const python = process.env["OPTUNA_PYTHON"] ?? "python3";

/** Optuna's version, undefined where it is not installed. */
export function optunaVersion(): string | undefined {
  const asked = spawnSync(python, ["-c", "import optuna; print(optuna.__version__)"], { encoding: "utf8" });
  return asked.status === 0 ? asked.stdout.trim() : undefined;
}

/** Best speedup after each evaluation, per sampler and seed. @throws when the script fails. */
export function optunaCurves(
  landscape: Landscape,
  seeds: readonly number[],
  evaluations: number,
): Map<string, number[][]> {
  const kernels = landscape.seeds.flatMap(({ name, source }) => {
    const space = spaceOf(source, ABSTRACTION);
    if (space === undefined) return [];
    const values = enumerate(space.dimensions).map((point) => {
      const { speedup } = landscape.outcome(rewrite(source, space, point));
      return [pointKey(point), speedup === undefined ? null : Math.log(speedup.ratio)] as const;
    });
    const start = pointOf(source, space);
    return [{ name, start, dimensions: space.dimensions, values: Object.fromEntries(values) }];
  });
  const script = join(packageRoot, "test", "bench", "landscape", "optuna_tpe.py");
  const input = JSON.stringify({ kernels, evaluations, seeds });
  const ran = spawnSync(python, [script], { input, encoding: "utf8", maxBuffer: 2 ** 28 });
  if (ran.status !== 0) throw new Error(`${script}: ${ran.stderr.slice(-2000)}`);
  const { samplers } = answer.parse(JSON.parse(ran.stdout));
  return new Map(
    Object.entries(samplers).map(([name, curves]) => [
      `optuna ${name}`,
      curves.map((curve) => bestSoFar(curve)),
    ]),
  );
}

function bestSoFar(values: readonly (number | null)[]): number[] {
  let best = 0;
  return values.map((value) => {
    best = Math.max(best, value === null ? 0 : Math.exp(value));
    return best;
  });
}
