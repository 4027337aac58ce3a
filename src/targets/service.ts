import {
  KernelEvolveError,
  type Peaks,
  type TargetService,
  type TargetSpec,
  type TargetStatus,
  type WorkContext,
} from "../domain/index.ts";
import { nearest } from "../platform/nearest.ts";
import { probeSandbox } from "../platform/sandbox-probe.ts";
import { runProcess } from "../platform/subprocess.ts";
import { which } from "../platform/which.ts";
import { type LoadedTargets, loadTargets, type TargetProblem } from "./load.ts";
import { deviceName, installCommand, type Machine, readMachine } from "./machine.ts";
import { measurePeaks } from "./peaks.ts";

type Check = TargetStatus["checks"][number];

/** Targets of the hardware-docs folders and what of them can be used on this machine. */
export class Targets implements TargetService {
  #loaded: LoadedTargets | undefined;
  #machine: Machine | undefined;
  readonly #status = new Map<string, Promise<TargetStatus>>();

  #load(): LoadedTargets {
    this.#loaded ??= loadTargets();
    return this.#loaded;
  }

  machine(): Machine {
    this.#machine ??= readMachine();
    return this.#machine;
  }

  /** Target folders that could not be read, with file, line and field. */
  problems(): readonly TargetProblem[] {
    return this.#load().problems;
  }

  async list(): Promise<TargetSpec[]> {
    return [...this.#load().targets.values()]
      .map((target) => target.spec)
      .sort((a, b) => (a.id < b.id ? -1 : 1));
  }

  async get(id: string): Promise<TargetSpec> {
    const loaded = this.#load();
    const found = loaded.targets.get(id);
    if (found !== undefined) return found.spec;
    const broken = loaded.problems.find((problem) => problem.folder.endsWith(`/${id}`));
    if (broken !== undefined)
      throw new KernelEvolveError("invalid_argument", `target ${id} cannot be read: ${broken.message}`);
    const close = nearest(id, [...loaded.targets.keys()]);
    throw new KernelEvolveError("not_found", `target "${id.slice(0, 80)}" is unknown`, {
      fix:
        close.length > 0
          ? `did you mean ${close.join(" or ")}?`
          : `known: ${[...loaded.targets.keys()].join(", ")}`,
    });
  }

  /** Folder with the target's documents. */
  async folder(id: string): Promise<string> {
    await this.get(id);
    return this.#load().targets.get(id)?.folder ?? "";
  }

  async status(id: string, options: { fresh?: boolean } = {}): Promise<TargetStatus> {
    const spec = await this.get(id);
    const known = options.fresh === true ? undefined : this.#status.get(id);
    if (known !== undefined) return await known;
    const asked = this.#check(spec);
    this.#status.set(id, asked);
    return await asked;
  }

  async #check(spec: TargetSpec): Promise<TargetStatus> {
    const machine = this.machine();
    const checks: Check[] = [];
    const arch = spec.requires.arch;
    const os = spec.requires.os;
    const here =
      (arch === undefined || arch.includes(process.arch)) &&
      (os === undefined || os.includes(process.platform));
    checks.push({
      name: "machine",
      ok: here,
      optional: false,
      detail: here
        ? deviceName(machine)
        : `needs ${[...(arch ?? []), ...(os ?? [])].join(" and ")}; this is ${process.arch} ${process.platform}`,
    });
    const missing = new Set<string>();
    for (const [name, program] of Object.entries(spec.programs)) {
      const path = which(program.program);
      const fix = installCommand(program.install);
      if (path === undefined)
        for (const stage of program.needed_for) if (!program.optional) missing.add(stage);
      checks.push({
        name,
        ok: path !== undefined,
        optional: program.optional,
        detail:
          path === undefined
            ? `${program.program} is not installed (needed for ${program.needed_for.join(", ")})`
            : await version([path, ...program.version_args]),
        ...(path === undefined && fix !== undefined ? { fix } : {}),
      });
    }
    const sandbox = await probeSandbox();
    checks.push({
      name: "sandbox",
      ok: sandbox.kind === "full",
      optional: true,
      detail: sandbox.detail,
      ...(sandbox.fix === undefined ? {} : { fix: sandbox.fix }),
    });
    if (spec.kind === "cpu") {
      const counters = await countersWork();
      checks.push({
        name: "hardware counters",
        ok: counters,
        optional: true,
        detail: counters
          ? "perf reads them"
          : "perf cannot read them here (virtual machine, container or kernel.perf_event_paranoid); callgrind simulates instead",
      });
      const have = spec.isa_features
        .filter((feature) => machine.flags.has(feature.flag))
        .map((feature) => feature.name);
      checks.push({
        name: "instruction sets",
        ok: true,
        optional: true,
        detail: have.join(", ") || "none of the listed",
      });
    }
    const profilers = spec.profilers.some((profiler) => which(profiler.program) !== undefined);
    const native = spec.run.harness === "native";
    return {
      id: spec.id,
      title: spec.title,
      usable: here && native && !missing.has("verify"),
      capabilities: {
        compile: native && !missing.has("compile"),
        verify: here && native && !missing.has("verify"),
        benchmark: here && native && !missing.has("benchmark"),
        profile: here && native && profilers,
      },
      sandbox: sandbox.kind,
      device: deviceName(machine),
      checks,
    };
  }

  async peaks(id: string, context: WorkContext): Promise<Peaks> {
    const spec = await this.get(id);
    if (spec.peaks.source === "measured") return await measurePeaks(this.machine(), context);
    throw new KernelEvolveError(
      "unsupported",
      `the peaks of ${id} are the vendor's figures, in its target.yaml; nothing is measured`,
    );
  }
}

async function version(argv: readonly string[]): Promise<string> {
  const result = await runProcess({ argv, timeoutMs: 10_000 }).catch(() => undefined);
  const text = `${result?.stdout ?? ""}\n${result?.stderr ?? ""}`.trim();
  return text.split("\n")[0]?.slice(0, 120) || (argv[0] ?? "");
}

let counters: Promise<boolean> | undefined;
/** Whether `perf stat` counts instructions here: many virtual machines have no counters. */
export function countersWork(): Promise<boolean> {
  counters ??= (async () => {
    if (which("perf") === undefined) return false;
    const result = await runProcess({
      argv: ["perf", "stat", "-x", ",", "-e", "instructions:u", "true"],
      timeoutMs: 10_000,
    }).catch(() => undefined);
    return result?.code === 0 && /^\d/m.test(result.stderr);
  })();
  return counters;
}
