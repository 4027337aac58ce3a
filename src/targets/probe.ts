import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Check, ProgramSpec, Toolchain } from "../domain/index.ts";
import { asRoot, type InstallPlace, installCommand } from "../platform/install.ts";
import type { SandboxProbe } from "../platform/sandbox-probe.ts";
import { type ProcessResult, runProcess } from "../platform/subprocess.ts";
import { plainText } from "../platform/text.ts";
import { which } from "../platform/which.ts";

const VERSION_MS = 10_000;
const TRIAL_MS = 60_000;

/** First line that a program prints, as plain text. */
function firstLine(result: ProcessResult): string {
  const text = plainText(`${result.stdout}\n${result.stderr}`, 2000).trim();
  return text.split("\n")[0]?.slice(0, 160) ?? "";
}

async function run(argv: readonly string[], timeoutMs: number): Promise<ProcessResult | undefined> {
  try {
    return await runProcess({ argv, timeoutMs, cap: 64 << 10 });
  } catch {
    return undefined;
  }
}

/** Whether a program is there and starts: a program that only prints an error is as good as none. */
export async function checkProgram(
  name: string,
  spec: ProgramSpec,
  place: InstallPlace = {},
): Promise<Check> {
  const base = { name, optional: spec.optional };
  const fix = installCommand(spec.install, place);
  const missing = (detail: string): Check => ({
    ...base,
    ok: false,
    detail,
    ...(fix === undefined ? {} : { fix }),
  });
  const path = which(spec.program, place.path);
  const uses = `needed for ${spec.needed_for.join(", ")}`;
  if (path === undefined) return missing(`${spec.program} is not installed (${uses})`);
  const result = await run([path, ...spec.version_args], VERSION_MS);
  if (result === undefined || result.code !== 0) {
    const said =
      result === undefined
        ? "it cannot be started"
        : result.timedOut
          ? "it does not answer"
          : firstLine(result) || `exit code ${result.code}`;
    return missing(`${path} does not work (${uses}): ${said}`);
  }
  return { ...base, ok: true, detail: firstLine(result) || path };
}

const SYSTEM = ["--ro-bind", "/usr", "/usr", "--symlink", "usr/bin", "/bin", "--symlink", "usr/lib", "/lib"];
const LOADER = ["--symlink", "usr/lib64", "/lib64", "--ro-bind-try", "/etc/ld.so.cache", "/etc/ld.so.cache"];
const PRIVATE = ["--proc", "/proc", "--dev", "/dev", "--tmpfs", "/tmp"];

/**
 * Compiles the toolchain's probe with its own command: that there is a compiler does not mean that there are headers and libraries.
 * Runs apart from the machine where bubblewrap works.
 * @returns undefined when it compiled, else what the compiler said.
 */
export async function tryToolchain(
  toolchain: Toolchain,
  sandbox: SandboxProbe,
  place: InstallPlace = {},
): Promise<string | undefined> {
  const { probe } = toolchain;
  const program = which(toolchain.program, place.path);
  if (probe === undefined) return undefined;
  if (program === undefined) return `${toolchain.program} is not installed`;
  const folder = mkdtempSync(join(tmpdir(), "kernelevolve-probe-"));
  try {
    const inside = sandbox.bwrap === undefined ? folder : "/w";
    writeFileSync(join(folder, `probe${toolchain.extension}`), probe.source);
    writeFileSync(join(folder, "shim.c"), "typedef int ke_nothing;\n");
    const places: Readonly<Record<string, string>> = {
      "{source}": `${inside}/probe${toolchain.extension}`,
      "{shim}": `${inside}/shim.c`,
      "{output}": `${inside}/out`,
      "{include}": inside,
    };
    const words = toolchain.command
      .slice(1)
      .flatMap((word) => (word === "{flags}" ? probe.flags : [places[word] ?? word]));
    const apart =
      sandbox.bwrap === undefined
        ? []
        : [
            sandbox.bwrap,
            ...(sandbox.root ? [] : ["--unshare-user"]),
            "--unshare-pid",
            "--unshare-net",
            "--unshare-ipc",
            "--die-with-parent",
            "--new-session",
            ...SYSTEM,
            ...LOADER,
            "--ro-bind-try",
            "/etc/alternatives",
            "/etc/alternatives",
            ...PRIVATE,
            "--bind",
            folder,
            "/w",
            "--chdir",
            "/w",
          ];
    const result = await run([...apart, program, ...words], TRIAL_MS);
    if (result === undefined) return `${program} cannot be started`;
    if (result.timedOut) return `${toolchain.program} did not end within ${TRIAL_MS / 1000} s`;
    const made = statSync(join(folder, "out"), { throwIfNoEntry: false });
    if (result.code === 0 && made !== undefined && made.size > 0) return undefined;
    const said = plainText(result.stderr, 4000).split("\n");
    const telling = said.find((line) => /error|cannot find|not found/i.test(line)) ?? said[0] ?? "";
    return telling.replaceAll(`${inside}/`, "").slice(0, 240) || `exit code ${result.code}`;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** Whether perf reads hardware counters here, in words, and the command that allows it where it is only forbidden. */
export interface Counters {
  readonly ok: boolean;
  readonly detail: string;
  readonly fix?: string;
}

let counters: Promise<Counters> | undefined;

/** Asks `perf` to count instructions of `true`: many virtual machines have no counters. Kept for the process unless `fresh`. */
export function probeCounters(options: { fresh?: boolean } = {}): Promise<Counters> {
  if (options.fresh === true) counters = undefined;
  counters ??= readCounters();
  return counters;
}

async function readCounters(): Promise<Counters> {
  if (which("perf") === undefined) return { ok: false, detail: "perf is not installed" };
  const result = await run(["perf", "stat", "-x", ",", "-e", "instructions:u", "true"], VERSION_MS);
  if (result === undefined) return { ok: false, detail: "perf cannot be started" };
  return explainCounters(result, paranoid());
}

/** What a `perf stat -x , -e instructions:u true` says about the machine. */
export function explainCounters(
  result: Pick<ProcessResult, "code" | "stderr">,
  level: number | undefined,
  place: InstallPlace = {},
): Counters {
  if (result.code === 0 && /^\d+,/m.test(result.stderr))
    return { ok: true, detail: "perf reads hardware counters" };
  if (level !== undefined && level > 2 && !/<not supported>/.test(result.stderr)) {
    return {
      ok: false,
      detail: `kernel.perf_event_paranoid is ${level}, which forbids counters`,
      fix: asRoot("sysctl -w kernel.perf_event_paranoid=2", place),
    };
  }
  const why = /<not supported>/.test(result.stderr)
    ? "the processor's counters are not passed to this (virtual) machine"
    : `perf cannot count: ${plainText(result.stderr, 300).trim().split("\n")[0] ?? ""}`;
  return { ok: false, detail: why };
}

function paranoid(): number | undefined {
  try {
    const level = Number(readFileSync("/proc/sys/kernel/perf_event_paranoid", "utf8"));
    return Number.isFinite(level) ? level : undefined;
  } catch {
    return undefined;
  }
}

/** Whether `perf stat` counts instructions here. */
export async function countersWork(): Promise<boolean> {
  return (await probeCounters()).ok;
}
