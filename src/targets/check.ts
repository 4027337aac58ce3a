import type { TargetSpec, Toolchain } from "../domain/index.ts";
import type { SpecIssue } from "./document.ts";

const PLACES = ["{source}", "{output}", "{flags}"];
const KNOWN = new Set([...PLACES, "{shim}", "{include}"]);

/** What the schema cannot say: parts of a spec that refer to each other. */
export function checkSpec(spec: TargetSpec): SpecIssue[] {
  const programs = new Set(Object.values(spec.programs).map((one) => one.program));
  const issues: SpecIssue[] = [];
  const torch = spec.run?.harness === "torch";
  const listed = (program: string, path: readonly (string | number)[]): void => {
    if (!programs.has(program))
      issues.push({
        path,
        message: `"${program}" is not one of programs, so nothing tells how to install it`,
      });
  };
  for (const [name, toolchain] of Object.entries(spec.abstractions)) {
    const path = ["abstractions", name];
    listed(toolchain.program, [...path, "program"]);
    issues.push(...(torch ? checkTorchToolchain(toolchain, path) : checkToolchain(toolchain, path)));
  }
  issues.push(...checkRun(spec));
  for (const [index, profiler] of spec.profilers.entries())
    listed(profiler.program, ["profilers", index, "program"]);
  if (spec.run !== undefined && !spec.family && Object.keys(spec.abstractions).length === 0)
    issues.push({ path: ["abstractions"], message: "must have at least one, because the target is run" });
  if (
    spec.peaks.source === "declared" &&
    (spec.peaks.declared === undefined || spec.peaks.from === undefined)
  )
    issues.push({ path: ["peaks"], message: "source is declared, so `declared` and `from` are needed" });
  if (spec.peaks.source !== "declared" && spec.peaks.declared !== undefined)
    issues.push({
      path: ["peaks", "declared"],
      message: `has no effect, because source is ${spec.peaks.source}`,
    });
  const levels = spec.memory.map((level) => level.name);
  for (const [index, name] of levels.entries())
    if (levels.indexOf(name) < index)
      issues.push({ path: ["memory", index, "name"], message: `"${name}" is named twice` });
  return issues;
}

function checkToolchain(toolchain: Toolchain, path: readonly (string | number)[]): SpecIssue[] {
  const issues: SpecIssue[] = [];
  const { command } = toolchain;
  if (command[0] !== toolchain.program) {
    issues.push({ path: [...path, "command", 0], message: `must be the program, "${toolchain.program}"` });
  }
  for (const place of PLACES)
    if (!command.includes(place)) issues.push({ path: [...path, "command"], message: `lacks ${place}` });
  for (const [index, word] of command.entries())
    if (/^\{.*\}$/.test(word) && !KNOWN.has(word))
      issues.push({ path: [...path, "command", index], message: `${word} is not a placeholder` });
  const allowed = toolchain.allowed_flags.map((pattern) => new RegExp(`^(?:${pattern})$`));
  for (const [index, flag] of toolchain.default_flags.entries())
    if (!allowed.some((pattern) => pattern.test(flag)))
      issues.push({
        path: [...path, "default_flags", index],
        message: `${flag} is not one of allowed_flags`,
      });
  return issues;
}

/** The torch harness runs sources in its own Python: a command would do nothing, flags only where a source is built first. */
function checkTorchToolchain(toolchain: Toolchain, path: readonly (string | number)[]): SpecIssue[] {
  const built = toolchain.extension !== ".py";
  return (["command", "default_flags", "allowed_flags", "remarks_flags"] as const)
    .filter((field) => toolchain[field].length > 0 && !(built && field === "default_flags"))
    .map((field) => ({ path: [...path, field], message: "has no effect with the torch harness" }));
}

function checkRun(spec: TargetSpec): SpecIssue[] {
  const { run } = spec;
  if (run === undefined) return [];
  if (run.harness === "native") {
    return (["device", "device_name", "arch"] as const)
      .filter((field) => run[field] !== undefined)
      .map((field) => ({ path: ["run", field], message: "has no effect with the native harness" }));
  }
  const issues: SpecIssue[] = [];
  if (run.device === undefined)
    issues.push({ path: ["run"], message: "lacks device: cpu, cuda, or none (compiled for, not run)" });
  if (run.device === "cuda" && run.device_name === undefined && !spec.family)
    issues.push({ path: ["run"], message: "lacks device_name: the driver's name of the devices meant" });
  if (run.device !== "cuda" && run.device_name !== undefined)
    issues.push({ path: ["run", "device_name"], message: `has no effect on device ${run.device ?? ""}` });
  if (run.device === "none" && run.arch === undefined && !spec.family)
    issues.push({ path: ["run"], message: "lacks arch: what is compiled for" });
  return issues;
}
