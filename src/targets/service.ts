import { type as osType, release } from "node:os";
import {
  type DoctorReport,
  KernelEvolveError,
  type Peaks,
  type TargetService,
  type TargetSpec,
  type TargetStatus,
  type WorkContext,
} from "../domain/index.ts";
import { type InstallPlace, packageManager } from "../platform/install.ts";
import { nearest } from "../platform/nearest.ts";
import { probeSandbox } from "../platform/sandbox-probe.ts";
import { probeTorch } from "../platform/torch-environment.ts";
import {
  type LoadedTarget,
  type LoadedTargets,
  loadTargets,
  type TargetProblem,
  targetFolders,
} from "./load.ts";
import { type Machine, readMachine } from "./machine.ts";
import { measurePeaks } from "./peaks.ts";
import { probeCounters } from "./probe.ts";
import { checkTarget, sandboxCheck } from "./status.ts";

export interface TargetsOptions {
  /** Folders of targets, first ones first; default `targetFolders()`. */
  readonly folders?: readonly string[];
  /** Where programs are looked for and how they would be installed; default this process's. */
  readonly place?: InstallPlace;
  readonly machine?: Machine;
}

/** Targets of the hardware-docs folders and what of them can be used on this machine. */
export class Targets implements TargetService {
  readonly #options: TargetsOptions;
  #loaded: LoadedTargets | undefined;
  #machine: Machine | undefined;
  readonly #status = new Map<string, Promise<TargetStatus>>();

  constructor(options: TargetsOptions = {}) {
    this.#options = options;
    this.#machine = options.machine;
  }

  #load(): LoadedTargets {
    this.#loaded ??= loadTargets(this.#options.folders ?? targetFolders());
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
    return this.#find(id).spec;
  }

  /** Folder with the target's documents. @throws not_found. */
  async folder(id: string): Promise<string> {
    return this.#find(id).folder;
  }

  #find(id: string): LoadedTarget {
    const { targets, problems } = this.#load();
    const found = targets.get(id);
    if (found !== undefined) return found;
    const broken = problems.find((problem) => problem.folder.endsWith(`/${id}`));
    if (broken !== undefined) {
      throw new KernelEvolveError("invalid_argument", `target ${id} cannot be read: ${broken.message}`, {
        fix: broken.fix ?? "correct its target.yaml",
      });
    }
    const known = [...targets.keys()].sort();
    const close = nearest(id, known);
    throw new KernelEvolveError("not_found", `target "${id.slice(0, 80)}" is unknown`, {
      fix: close.length > 0 ? `did you mean ${close.join(" or ")}?` : `known: ${known.join(", ") || "none"}`,
    });
  }

  async status(id: string, options: { fresh?: boolean } = {}): Promise<TargetStatus> {
    const target = this.#find(id);
    const known = options.fresh === true ? undefined : this.#status.get(id);
    if (known !== undefined) return await known;
    const asked = this.#check(target, options.fresh === true);
    this.#status.set(id, asked);
    // A probe that failed is asked again, not remembered.
    asked.catch(() => this.#status.delete(id));
    return await asked;
  }

  async #check(target: LoadedTarget, fresh: boolean): Promise<TargetStatus> {
    const folders = this.#options.folders ?? targetFolders();
    return await checkTarget(target.spec, {
      machine: this.machine(),
      sandbox: await probeSandbox({ fresh }),
      counters: await probeCounters({ fresh }),
      place: this.#options.place ?? {},
      // The package and the folders that the user named; not the one that the server was started in.
      torch: () => probeTorch(),
      trusted: folders.slice(0, -1).some((folder) => target.folder.startsWith(`${folder}/`)),
    });
  }

  async peaks(id: string, context: WorkContext, options: { fresh?: boolean } = {}): Promise<Peaks> {
    const { spec } = this.#find(id);
    if (spec.peaks.source === "measured") return await measurePeaks(this.machine(), context, options.fresh);
    throw new KernelEvolveError(
      "unsupported",
      `the peaks of ${id} are the vendor's figures, in its target.yaml; nothing is measured`,
    );
  }

  async doctor(): Promise<DoctorReport> {
    // What is on disk may have been corrected since.
    this.#loaded = undefined;
    const { problems, folders } = this.#load();
    const machine = this.#options.machine ?? readMachine();
    this.#machine = machine;
    const sandbox = await probeSandbox({ fresh: true });
    await probeCounters({ fresh: true });
    await probeTorch({ fresh: true });
    this.#status.clear();
    const targets = await Promise.all((await this.list()).map((spec) => this.status(spec.id)));
    return {
      node: process.version,
      system: `${osType()} ${release()}`,
      machine: {
        model: machine.model,
        arch: process.arch,
        cores: machine.cores,
        ...(machine.physicalCores === undefined ? {} : { physical_cores: machine.physicalCores }),
        hypervisor: machine.hypervisor,
        memory: { ...machine.memory },
        package_manager: packageManager(this.#options.place) ?? null,
      },
      sandbox: sandboxCheck(sandbox),
      folders: [...folders],
      targets,
      problems: [...problems],
    };
  }
}
