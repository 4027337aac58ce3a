import { KernelEvolveError, type Toolchain } from "../../domain/index.ts";
import { applyTunables, parseHeader } from "../candidate/header.ts";

/** How a candidate in Python declares what may be tuned. */
const ASSIGNMENT = "NAME = VALUE  # ke:tunable int {VALUES}";

/**
 * A candidate for the torch harness with the tunables asked for written into it. In Python a tunable is an assignment, so the
 * text is run as it stands. CUDA and C++ are built with the target's flags and take none.
 * @throws invalid_argument for what a header asks for and nothing here would do, and for a tunable or value that is not declared
 */
export function tunedSource(
  given: string,
  values: Readonly<Record<string, string>> | undefined,
  toolchain: Toolchain,
): string {
  const source = values === undefined ? given : applyTunables(given, values);
  const { flags, tunables, assigned, tunableFlags } = parseHeader(source);
  if (flags !== undefined || tunableFlags.length > 0)
    throw new KernelEvolveError(
      "invalid_argument",
      `candidate header: ke:flags have no effect on ${toolchain.extension} candidates of this target`,
      { fix: "take the ke:flags and ke:tunable-flags lines out" },
    );
  const python = toolchain.extension === ".py";
  const idle = tunables.find(({ name }) => !python || !assigned.includes(name));
  if (idle !== undefined)
    throw new KernelEvolveError(
      "invalid_argument",
      `candidate header: ke:tunable ${idle.name} would reach nothing in a ${toolchain.extension} candidate`,
      {
        fix: python
          ? `declare it beside its assignment: ${ASSIGNMENT}`
          : "write the value into the source; candidates of this kind have no tunables",
      },
    );
  return source;
}
