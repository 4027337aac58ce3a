import { readFileSync } from "node:fs";
import { join } from "node:path";
import { z } from "zod";
import type { Speedup, Status } from "../../../src/domain/index.ts";
import { statusSchema } from "../../../src/domain/index.ts";
import { parseHeader } from "../../../src/evaluation/candidate/header.ts";
import { LEAST_GAIN } from "../../../src/evaluation/pipeline/credit.ts";
import { structureKey } from "../../../src/evolution/normalise.ts";
import { packageRoot } from "../../../src/platform/paths.ts";
import { ABSTRACTION, type LandscapeSpec, seedOf } from "./grids.ts";

/** What was measured of one configuration. No speedup: it failed. */
export interface Recorded {
  readonly status: Status;
  readonly speedup: Speedup | undefined;
}

/** The settings of a source in one line: `TILE=8 UNROLL=2 -ffast-math`; `-` when there are none. */
export function configurationText(source: string): string {
  const { tunables, flags, tunableFlags } = parseHeader(source);
  const on = tunableFlags.filter((flag) => flags?.includes(flag) === true);
  const parts = [...tunables.map(({ name, value }) => `${name}=${value}`), ...on];
  return parts.length === 0 ? "-" : parts.join(" ");
}

export function landscapeFile(problem: string): string {
  return join(packageRoot, "test", "bench", "landscape", "data", `${problem}.tsv`);
}

const row = z.tuple([z.string(), z.string(), statusSchema, z.string(), z.string(), z.string()]);

function recordedOf([, , status, ratio, low, high]: z.infer<typeof row>): Recorded {
  const passed = status === "ok" || status === "too_noisy";
  if (!passed || ratio === "") return { status, speedup: undefined };
  const credited = status === "ok" && Number(low) >= 1 + LEAST_GAIN;
  return {
    status,
    speedup: { baseline: "reference", ratio: Number(ratio), low: Number(low), high: Number(high), credited },
  };
}

/** The recorded fitness of real kernels: answers what an evaluation of a configuration measured when it was recorded. */
export class Landscape {
  readonly problem: string;
  readonly seeds: readonly { readonly name: string; readonly source: string; readonly note: string }[];
  /** The highest credited speedup of all configurations. */
  readonly best: number;
  readonly #rows: ReadonlyMap<string, Recorded>;
  readonly #kernels: ReadonlyMap<string, string>;

  /** @throws when it was not recorded, or of kernels that have changed since. */
  constructor(spec: LandscapeSpec) {
    const file = landscapeFile(spec.problem);
    const again = `record it with: node test/bench/landscape/record.ts ${spec.problem}`;
    const lines = readFileSync(file, "utf8").split("\n");
    const seeds = spec.grids.map(seedOf);
    for (const { name, structure } of seeds) {
      if (!lines.includes(`# kernel: ${name} structure ${structure}`))
        throw new Error(`${file}: ${name} has changed since; remove the file and ${again}`);
    }
    const rows = lines
      .filter((line) => line !== "" && !line.startsWith("#") && !line.startsWith("kernel\t"))
      .map((line) => row.parse(line.split("\t")));
    this.#rows = new Map(rows.map((one) => [`${one[0]}\t${one[1]}`, recordedOf(one)]));
    this.#kernels = new Map(seeds.map(({ name, source }) => [structureKey(source, ABSTRACTION), name]));
    this.problem = spec.problem;
    this.seeds = seeds.map(({ name, source }) => ({ name, source, note: "" }));
    this.best = Math.max(
      ...[...this.#rows.values()].map(({ speedup }) => (speedup?.credited === true ? speedup.ratio : 0)),
    );
  }

  get size(): number {
    return this.#rows.size;
  }

  get recorded(): readonly Recorded[] {
    return [...this.#rows.values()];
  }

  /** @throws when the source is no configuration of this landscape. */
  outcome(source: string): Recorded {
    const kernel = this.#kernels.get(structureKey(source, ABSTRACTION));
    const found = this.#rows.get(`${kernel}\t${configurationText(source)}`);
    if (found === undefined)
      throw new Error(`${this.problem}: ${kernel} ${configurationText(source)} is not in the landscape`);
    return found;
  }
}
