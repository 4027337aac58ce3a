import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync } from "node:fs";
import { join } from "node:path";
import { KernelEvolveError } from "../../domain/index.ts";
import { sha256 } from "../../platform/hash.ts";
import { cacheHome, packageRoot } from "../../platform/paths.ts";
import { runProcess } from "../../platform/subprocess.ts";

const PROGRAMS = {
  "ke-judge": [
    "job",
    "judge",
    "out",
    "memory",
    "random",
    "generate",
    "late",
    "oracle",
    "compare",
    "estimate",
    "cpus",
    "kill",
    "hosts",
    "call",
    "failure",
    "verify",
    "grade",
    "bench",
  ],
  "ke-host": ["host", "confine"],
  "ke-once": ["once", "job", "out", "memory", "random", "generate", "compare"],
} as const;

export interface NativePrograms {
  readonly judge: string;
  readonly host: string;
  readonly once: string;
  /** Names the harness in evaluation records and cache keys. */
  readonly hash: string;
}

let built: Promise<NativePrograms> | undefined;

/**
 * The judge and its companions, built with gcc into the machine's cache by the content of their sources, once.
 * @throws missing_tool when there is no gcc.
 */
export function nativePrograms(): Promise<NativePrograms> {
  built ??= build().catch((error: unknown) => {
    built = undefined;
    throw error;
  });
  return built;
}

/** sha256 over the harness's sources: the part of a verdict's identity that is ours. */
export function harnessHash(): string {
  const folder = join(packageRoot, "tools", "native");
  const files = readdirSync(folder)
    .filter((file) => /\.[ch]$/.test(file))
    .sort();
  return sha256(files.map((file) => `${file}\0${readFileSync(join(folder, file), "utf8")}`).join("\0"));
}

async function build(): Promise<NativePrograms> {
  const sources = join(packageRoot, "tools", "native");
  const hash = harnessHash();
  const folder = join(cacheHome(), "native", hash.slice(0, 24));
  const programs = {
    judge: join(folder, "ke-judge"),
    host: join(folder, "ke-host"),
    once: join(folder, "ke-once"),
    hash,
  };
  if (existsSync(programs.judge) && existsSync(programs.host) && existsSync(programs.once)) return programs;
  const partial = `${folder}.${process.pid}.part`;
  mkdirSync(partial, { recursive: true });
  try {
    await Promise.all(
      Object.entries(PROGRAMS).map(async ([program, units]) => {
        const argv = [
          "gcc",
          "-std=c11",
          "-O3",
          "-Wall",
          "-Wextra",
          "-rdynamic",
          "-o",
          join(partial, program),
          ...units.map((unit) => join(sources, `${unit}.c`)),
          "-ldl",
          "-lm",
        ];
        const result = await runProcess({ argv, timeoutMs: 120_000 }).catch((error: unknown) => {
          throw new KernelEvolveError(
            "missing_tool",
            "gcc does not start, and the evaluation harness is built with it",
            {
              fix: "apt-get install gcc libc6-dev",
              cause: error,
            },
          );
        });
        if (result.code !== 0) {
          throw new KernelEvolveError(
            "infrastructure",
            `the harness does not build: ${result.stderr.slice(0, 1500)}`,
            {
              fix: "apt-get install gcc libc6-dev linux-libc-dev",
            },
          );
        }
      }),
    );
    try {
      renameSync(partial, folder);
    } catch (error) {
      // Another process was first: the content is the same by its name.
      if (!existsSync(programs.judge)) throw error;
    }
  } finally {
    rmSync(partial, { recursive: true, force: true });
  }
  return programs;
}
