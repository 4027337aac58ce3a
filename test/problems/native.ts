import { execFileSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Definition, type Dtype, isFloat } from "../../src/domain/index.ts";
import {
  kernelHeader,
  type ResolvedInput,
  type ResolvedWorkload,
  shimSource,
} from "../../src/problems/native.ts";

/** Compiles and calls references for the tests, without the judge: an independent look at what the problems say. */
export class Workbench {
  readonly #folder = mkdtempSync(join(tmpdir(), "ke-problems-"));
  readonly #driver = join(this.#folder, "driver");
  readonly #made = new Map<string, string>();

  constructor() {
    this.#gcc([
      "-O2",
      "-Wall",
      "-Wextra",
      "-Werror",
      "-o",
      this.#driver,
      join(import.meta.dirname, "driver.c"),
      "-ldl",
    ]);
  }

  #gcc(args: readonly string[], compiler = "gcc"): void {
    execFileSync(compiler, args, { stdio: ["ignore", "ignore", "pipe"] });
  }

  /** A shared object of `source` with the definition's header and shim, every warning an error. @throws with gcc's words. */
  compile(
    definition: Definition,
    source: string,
    name: string,
    flags: readonly string[],
    language: "c" | "cpp" = "c",
  ): string {
    const key = JSON.stringify([definition.name, name, source, flags, language]);
    const known = this.#made.get(key);
    if (known !== undefined) return known;
    const folder = join(this.#folder, `${this.#made.size}`);
    mkdirSync(folder, { recursive: true });
    writeFileSync(join(folder, "kernel.h"), kernelHeader(definition));
    const shim = join(folder, `shim.${language}`);
    const file = join(folder, `source.${language}`);
    const output = join(folder, "kernel.so");
    writeFileSync(shim, shimSource(definition));
    writeFileSync(file, source);
    const standard = language === "c" ? "-std=gnu17" : "-std=gnu++20";
    const strict = ["-Wall", "-Wextra", "-Werror", "-fPIC", "-shared", "-I", folder];
    this.#gcc(
      [standard, ...strict, ...flags, "-o", output, file, shim, "-lm"],
      language === "c" ? "gcc" : "g++",
    );
    this.#made.set(key, output);
    return output;
  }

  /** One call for each of `calls`: the outputs, every value as a number. `wide`: floats as the oracle has them. */
  call(
    library: string,
    wide: boolean,
    calls: readonly Call[],
  ): { outputs: Float64Array[]; nanoseconds: number }[] {
    const type = (dtype: Dtype): string => {
      if (isFloat(dtype)) return dtype === "float64" ? (wide ? "f80" : "f64") : wide ? "f64" : "f32";
      return dtype === "int64" ? "i64" : dtype === "int32" ? "i32" : "u8";
    };
    const lines = calls.flatMap(({ workload }) => [
      "call",
      ...workload.inputs.map((tensor) => `in ${type(tensor.dtype)} ${tensor.elements}`),
      ...workload.outputs.map((tensor) => `out ${type(tensor.dtype)} ${tensor.elements}`),
      ...workload.axes.map((axis) => `axis ${axis.value}`),
      "run",
    ]);
    const [job, inputs, outputs] = ["job", "in", "out"].map((name) => join(this.#folder, name));
    if (job === undefined || inputs === undefined || outputs === undefined) throw new Error("no files");
    writeFileSync(job, `${lines.join("\n")}\n`);
    writeFileSync(
      inputs,
      Buffer.concat(calls.flatMap((call) => call.inputs.map((data) => new Uint8Array(data.buffer)))),
    );
    const printed = execFileSync(this.#driver, [library, job, inputs, outputs], { encoding: "utf8" });
    const times = printed.trim().split("\n").map(Number);
    const bytes = readFileSync(outputs);
    const values = new Float64Array(
      bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.byteLength),
    );
    let at = 0;
    const take = (count: number): Float64Array => {
      at += count;
      return values.slice(at - count, at);
    };
    return calls.map(({ workload }, index) => ({
      outputs: workload.outputs.map(({ elements }) => take(elements)),
      nanoseconds: times[index] ?? Number.NaN,
    }));
  }

  close(): void {
    rmSync(this.#folder, { recursive: true, force: true });
  }
}

export interface Call {
  readonly workload: ResolvedWorkload;
  readonly inputs: readonly Float64Array[];
}

/** Repeatable numbers in [0, 1). */
export function numbers(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** Contents of one input as its fill says; each row of a normal tensor with a mean and a scale of its own. */
export function fill(input: ResolvedInput, random: () => number): Float64Array {
  const data = new Float64Array(input.elements);
  const row = input.shape?.at(-1) ?? 1;
  const narrow = (value: number): number => (input.dtype === "float32" ? Math.fround(value) : value);
  const { fill: how } = input;
  switch (how.kind) {
    case "constant":
      return data.fill(narrow(how.value));
    case "integers":
      return data.map(() => how.low + Math.floor(random() * (how.high - how.low + 1)));
    case "uniform":
      return data.map(() => narrow(how.low + random() * (how.high - how.low)));
    case "offsets": {
      data.forEach((_, index) => {
        data[index] = Math.floor(random() * (how.total + 1));
      });
      data.sort();
      if (data.length > 0) data[0] = 0;
      if (data.length > 1) data[data.length - 1] = how.total;
      return data;
    }
    case "sorted": {
      const slot = (how.high - how.low) / row;
      return data.map((_, index) => {
        const place = index % row;
        if (isFloat(input.dtype)) return narrow(how.low + slot * (place + 0.05 + 0.9 * random()));
        const first = Math.floor(how.low + slot * place);
        return first + Math.floor(random() * (Math.floor(how.low + slot * (place + 1)) - first));
      });
    }
    case "normal": {
      let mean = 0;
      let scale = 1;
      return data.map((_, index) => {
        if (index % row === 0) {
          mean = how.mean + how.std * (random() - 0.5);
          scale = how.std * (0.5 + random());
        }
        const sum = random() + random() + random() + random() - 2;
        return narrow(mean + scale * sum * Math.sqrt(3));
      });
    }
  }
}

/** The worst error of `got` over what the tolerance allows; infinity where one is NaN and the other is not. */
export function errorOverTolerance(
  want: Float64Array,
  got: Float64Array,
  tolerance: { rtol: number; atol_rms: number },
): number {
  let squares = 0;
  for (const value of want) squares += value * value;
  const slack = tolerance.atol_rms * Math.sqrt(squares / Math.max(1, want.length));
  let worst = 0;
  want.forEach((value, index) => {
    const error = Math.abs((got[index] ?? Number.NaN) - value);
    if (error === 0) return;
    const share = error / (tolerance.rtol * Math.abs(value) + slack);
    worst = Math.max(worst, Number.isNaN(share) ? Number.POSITIVE_INFINITY : share);
  });
  return worst;
}
