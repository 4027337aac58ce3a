import type { Check, TargetSpec, TargetStatus } from "../domain/index.ts";
import { type InstallPlace, installCommand } from "../platform/install.ts";
import type { SandboxProbe } from "../platform/sandbox-probe.ts";
import type { TorchEnvironment } from "../platform/torch-environment.ts";
import { which } from "../platform/which.ts";
import { deviceName, type Machine } from "./machine.ts";
import { type Counters, checkProgram, tryToolchain } from "./probe.ts";
import { devicesOf, torchChecks } from "./torch-status.ts";

export interface Here {
  readonly machine: Machine;
  readonly sandbox: SandboxProbe;
  readonly counters: Counters;
  readonly place: InstallPlace;
  /** Whether the target's own compiler command may be tried outside a sandbox. */
  readonly trusted: boolean;
  /** The Python that judges torch candidates; asked only for targets that need it. */
  readonly torch: () => Promise<TorchEnvironment>;
}

/** The sandbox as a check: without it everything still works, and says so. */
export function sandboxCheck(sandbox: SandboxProbe): Check {
  return {
    name: "sandbox",
    ok: sandbox.kind === "full",
    optional: true,
    detail: sandbox.detail,
    ...(sandbox.fix === undefined ? {} : { fix: sandbox.fix }),
  };
}

function machineCheck(spec: TargetSpec, machine: Machine): Check {
  const { arch, os } = spec.requires;
  const here =
    (arch === undefined || arch.includes(process.arch)) &&
    (os === undefined || os.includes(process.platform));
  const wanted = [arch?.join(" or "), os?.join(" or ")].filter((one) => one !== undefined).join(" and ");
  return {
    name: "machine",
    ok: here,
    optional: false,
    detail: here ? deviceName(machine) : `needs ${wanted}; this is ${process.arch} ${process.platform}`,
  };
}

/** One check for each abstraction that has a probe: the compiler with its headers and libraries. */
async function toolchainChecks(spec: TargetSpec, here: Here): Promise<Check[]> {
  const tried = Object.entries(spec.abstractions).filter(
    ([, toolchain]) =>
      toolchain.probe !== undefined && which(toolchain.program, here.place.path) !== undefined,
  );
  return await Promise.all(
    tried.map(async ([name, toolchain]): Promise<Check> => {
      const program = Object.values(spec.programs).find((one) => one.program === toolchain.program);
      const base = { name: `compiles ${name}`, optional: program?.optional === true };
      if (here.sandbox.bwrap === undefined && !here.trusted) {
        return {
          ...base,
          ok: true,
          detail:
            "not tried: the target comes from the working directory, and there is no sandbox to try it in",
        };
      }
      const fault = await tryToolchain(toolchain, here.sandbox, here.place);
      if (fault === undefined)
        return { ...base, ok: true, detail: `${toolchain.program} finds its headers and libraries` };
      const fix = program === undefined ? undefined : installCommand(program.install, here.place);
      return {
        ...base,
        ok: false,
        detail: `${toolchain.program} does not compile a small source: ${fault}`,
        ...(fix === undefined ? {} : { fix }),
      };
    }),
  );
}

/** As `checkTarget`, for targets that are run by Python with torch. */
async function checkTorchTarget(spec: TargetSpec, here: Here): Promise<TargetStatus> {
  const environment = await here.torch();
  const { checks, capabilities } = torchChecks(spec, environment);
  const onMachine = machineCheck(spec, here.machine);
  const can = (what: boolean): boolean => onMachine.ok && what;
  return {
    id: spec.id,
    title: spec.title,
    usable: can(capabilities.verify),
    capabilities: {
      compile: can(capabilities.compile),
      verify: can(capabilities.verify),
      benchmark: can(capabilities.benchmark),
      profile: can(capabilities.profile),
    },
    sandbox: here.sandbox.kind,
    device: devicesOf(spec, environment)[0]?.name ?? deviceName(here.machine),
    checks: [onMachine, ...checks, sandboxCheck(here.sandbox)],
  };
}

/** What of a target can be used on this machine, and the command that installs what is missing. */
export async function checkTarget(spec: TargetSpec, here: Here): Promise<TargetStatus> {
  if (spec.run?.harness === "torch" && !spec.family) return await checkTorchTarget(spec, here);
  const { machine, sandbox, counters, place } = here;
  const programs = await Promise.all(
    Object.entries(spec.programs).map(async ([name, program]) => ({
      program,
      check: await checkProgram(name, program, place),
    })),
  );
  const toolchains = await toolchainChecks(spec, here);
  const onMachine = machineCheck(spec, machine);
  const checks: Check[] = [
    ...(spec.run === undefined
      ? [
          {
            name: "run",
            ok: false,
            optional: false,
            detail: "documents only: its target.yaml says no harness, so nothing is compiled or run for it",
          },
        ]
      : []),
    onMachine,
    ...programs.map(({ check }) => check),
    ...toolchains,
    sandboxCheck(sandbox),
  ];
  if (spec.profilers.some((profiler) => profiler.requires === "counters"))
    checks.push({ name: "hardware counters", optional: true, ...counters });
  if (spec.isa_features.length > 0 && spec.kind === "cpu") {
    const have = spec.isa_features.filter((one) => machine.flags.has(one.flag)).map((one) => one.name);
    checks.push({
      name: "instruction sets",
      ok: true,
      optional: true,
      detail: have.join(", ") || "none of the listed",
    });
  }
  if (machine.virtual && spec.kind === "cpu") {
    const kind =
      machine.hypervisor === null || machine.hypervisor === "unknown" ? "" : ` (${machine.hypervisor})`;
    checks.push({
      name: "virtual machine",
      ok: true,
      optional: true,
      detail: `yes${kind}: neighbours share caches and memory, so times vary more; ratios are measured in pairs for that reason`,
    });
  }
  // What a program is needed for fails with it; an abstraction that does not compile takes only itself away.
  const missing = new Set(
    programs.flatMap(({ program, check }) => (check.ok || program.optional ? [] : program.needed_for)),
  );
  const native = spec.run?.harness === "native";
  const compiles = Object.keys(spec.abstractions).some((name) => {
    const tried = toolchains.find((check) => check.name === `compiles ${name}`);
    const program = spec.abstractions[name]?.program;
    return tried?.ok ?? (program !== undefined && which(program, place.path) !== undefined);
  });
  const compile = native && compiles && !missing.has("compile");
  const runs = onMachine.ok && compile;
  const verify = runs && !missing.has("verify");
  const profiler = spec.profilers.some((one) => {
    const check = programs.find(({ program }) => program.program === one.program)?.check;
    return check?.ok === true && (one.requires !== "counters" || counters.ok);
  });
  return {
    id: spec.id,
    title: spec.title,
    usable: verify,
    capabilities: {
      compile,
      verify,
      benchmark: verify && !missing.has("benchmark"),
      profile: runs && profiler && !missing.has("profile"),
    },
    sandbox: sandbox.kind,
    device: deviceName(machine),
    checks,
  };
}
