import type { Problem } from "../../domain/problem.ts";
import type { TargetSpec } from "../../domain/target.ts";

/** What the hardware is and what a candidate for it must keep to. */
export function hardwareText(target: TargetSpec): string {
  const lines = [`Target ${target.id}: ${target.title}. ${target.description}`];
  if (target.memory.length > 0) {
    const levels = target.memory.map((level) => `${level.name} ${bytesText(level.bytes)} per ${level.scope}`);
    lines.push(`Memory: ${levels.join(", ")}.`);
  }
  if (target.isa_features.length > 0) {
    const features = target.isa_features.map(
      ({ name, flag, note }) => `${name} (${flag})${note === undefined ? "" : `: ${note}`}`,
    );
    lines.push(
      "Instruction sets that the build may use where the machine has them:",
      ...features.map((line) => `- ${line}`),
    );
  }
  if (target.constraints.length > 0)
    lines.push("Constraints:", ...target.constraints.map((line) => `- ${line}`));
  return lines.join("\n");
}

function bytesText(bytes: number | "probe"): string {
  if (bytes === "probe") return "(size read from the machine)";
  if (bytes >= 2 ** 30) return `${bytes / 2 ** 30} GiB`;
  return bytes >= 2 ** 20 ? `${bytes / 2 ** 20} MiB` : `${bytes / 2 ** 10} KiB`;
}

/** What a source must look like to be accepted: prototype, header syntax, allowed flags. */
export function contractText(input: {
  readonly prototype: string;
  readonly target: TargetSpec;
  readonly abstraction: string;
}): string {
  const toolchain = input.target.abstractions[input.abstraction];
  const comment = toolchain?.extension === ".py" ? "#" : "//";
  const lines = [
    `Answer with one complete ${input.abstraction} source file (no difference, no ellipsis) that defines exactly:`,
    "```",
    input.prototype.trim(),
    "```",
  ];
  // The torch harness hands the source to its own Python: flags would do nothing there.
  if (toolchain !== undefined && toolchain.command.length === 0) {
    if (toolchain.extension === ".py")
      lines.push(
        "Declare every size worth tuning as an assignment of the module within the first 200 lines, with its values beside it, so that the autotuner can search it after you; the code uses the name (in Triton hand it to the kernel as a `tl.constexpr` argument):",
        "```",
        "BLOCK = 64  # ke:tunable int {32,64,128}",
        'PRECISION = "tf32"  # ke:tunable enum {tf32,ieee}',
        "MASKED = True  # ke:tunable bool {True,False}",
        "```",
      );
    return lines.join("\n");
  }
  lines.push(
    "Above the first line of code the file may carry a header of comments:",
    "```",
    `${comment} ke:flags ${toolchain?.default_flags.join(" ") ?? "-O3"}`,
    `${comment} ke:tunable TILE int 64 {16,32,64,128}`,
    `${comment} ke:tunable-flags {-ffast-math,-funroll-loops}`,
    `${comment} ke:technique blocked, vectorised`,
    "```",
    "`ke:flags` are the compiler's flags. Each `ke:tunable NAME type value {values}` (type int, enum or bool) reaches the code as the macro NAME; declare every size worth tuning, so that the autotuner can search it after you. `ke:tunable-flags` are flags that the tuner may switch. `ke:technique` names what the code does.",
  );
  if (toolchain !== undefined && toolchain.allowed_flags.length > 0) {
    lines.push(
      `Flags must match one of: ${toolchain.allowed_flags.map((pattern) => `\`${pattern}\``).join(", ")}.`,
    );
  }
  return lines.join("\n");
}

/** What is to be computed, in words and sizes. */
export function problemText(problem: Problem): string {
  const { definition } = problem;
  const lines = [`Problem ${problem.id} (${definition.op_type}). ${definition.description ?? ""}`.trim()];
  if (definition.constraints !== undefined && definition.constraints.length > 0) {
    lines.push(`Every input keeps: ${definition.constraints.join("; ")}.`);
  }
  const timed = problem.workloads.filter((workload) => workload.role === "timed");
  const edge = problem.workloads.length - timed.length;
  const shown = timed.slice(0, 12).map((workload) => {
    const axes = Object.entries(workload.axes).map(([name, size]) => `${name}=${size}`);
    return `- ${workload.uuid}: ${axes.join(", ")}`;
  });
  lines.push(`Timed workloads (${problem.cache} cache before each call):`, ...shown);
  if (timed.length > shown.length) lines.push(`- and ${timed.length - shown.length} more`);
  if (edge > 0)
    lines.push(`${edge} further workloads with awkward sizes (1, primes, empty) are verified but not timed.`);
  const reference = definition.reference_c ?? definition.reference;
  if (reference !== undefined)
    lines.push("Reference (defines the answer, not how to get it):", "```", reference.trim(), "```");
  return lines.join("\n");
}
