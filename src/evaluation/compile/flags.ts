import { KernelEvolveError, type Toolchain } from "../../domain/index.ts";

/**
 * Checks flags against the toolchain's list.
 * @throws invalid_argument naming the first flag that is not allowed.
 */
export function checkFlags(flags: readonly string[], toolchain: Toolchain): void {
  if (flags.length > 64)
    throw new KernelEvolveError(
      "invalid_argument",
      `${flags.length} compiler flags are asked for; 64 are allowed`,
    );
  const allowed = toolchain.allowed_flags.map((pattern) => new RegExp(`^(?:${pattern})$`));
  const bad = flags.find((flag) => flag.length > 120 || !allowed.some((pattern) => pattern.test(flag)));
  if (bad !== undefined) {
    throw new KernelEvolveError(
      "invalid_argument",
      `the compiler flag "${bad.slice(0, 120)}" is not allowed for ${toolchain.program}`,
      {
        fix: "optimisation (-O, -f…), machine (-m…), -D and warning flags are; the list stands in the target's target.yaml",
      },
    );
  }
}

/** The argument vector with its placeholders filled. `{flags}` becomes as many arguments as there are flags. */
export function fillCommand(
  command: readonly string[],
  places: { source: string; shim: string; output: string; include: string },
  flags: readonly string[],
): string[] {
  return command.flatMap((word) => {
    switch (word) {
      case "{flags}":
        return [...flags];
      case "{source}":
        return [places.source];
      case "{shim}":
        return [places.shim];
      case "{output}":
        return [places.output];
      case "{include}":
        return [places.include];
      default:
        return [word];
    }
  });
}

/** Threads a candidate built with these flags may use: all cores with OpenMP or pthreads, else one. */
export function threadsOf(flags: readonly string[], cores: number): number {
  return flags.includes("-fopenmp") || flags.includes("-pthread") ? cores : 1;
}
