import { KernelEvolveError, type Tunable, tunableSchema } from "../../domain/index.ts";

/**
 * The comment header of a candidate: how it wants to be built and what a tuner may change.
 *
 *     // ke:flags -O3 -march=native
 *     // ke:tunable TILE_M int 64 {16,32,64}        the build passes -DTILE_M=64
 *     // ke:tunable-flags {-ffast-math,-fopenmp}    flags that a tuner may switch on and off
 *     // ke:technique blocked, vectorised
 *     // ke:problem matmul
 *
 * Nothing is built from Python, so there a tunable is an assignment of the module with its values beside it; the code uses the name:
 *
 *     BLOCK = 64  # ke:tunable int {32,64,128}
 *     EVEN = True  # ke:tunable bool {True,False}
 *     PRECISION = "tf32"  # ke:tunable enum {tf32,ieee}
 */
export interface CandidateHeader {
  /** Flags asked for, or undefined where the toolchain's defaults hold. */
  readonly flags: readonly string[] | undefined;
  readonly tunables: readonly Tunable[];
  /** Names of those that the code itself assigns, as Python does. */
  readonly assigned: readonly string[];
  readonly tunableFlags: readonly string[];
  readonly techniques: readonly string[];
  readonly problem: string | undefined;
}

const LINE = /^\s*(?:\/\/|\/\*|\*|#)\s*ke:([a-z-]+)[ \t]*(.*?)\s*(?:\*\/)?\s*$/;
/** Name and equals sign, value, comment, type and values of an assigned tunable. */
const ASSIGNED =
  /^([A-Za-z_]\w*)(\s*(?::[^=#"']+)?=\s*)(-?\d+|True|False|"[^"\\]*"|'[^'\\]*')(\s*#\s*ke:tunable\s+)(\S+)\s+(\{.*\})\s*$/;
const BESIDE_CODE = /^\s*[^\s#/*].*#\s*ke:tunable\b/;
const HEADER_LINES = 200;

function fault(line: number, message: string): KernelEvolveError {
  return new KernelEvolveError("invalid_argument", `candidate header, line ${line}: ${message}`, {
    fix: "see the output contract in problem_describe for the header's syntax",
  });
}

function listOf(text: string, line: number): string[] {
  const match = /^\{([^{}]*)\}$/.exec(text.trim());
  if (match?.[1] === undefined) throw fault(line, `expected {value,value,…}, found "${text.slice(0, 60)}"`);
  return match[1]
    .split(",")
    .map((value) => value.trim())
    .filter((value) => value !== "");
}

function parseTunable(text: string, line: number): Tunable {
  const match = /^(\S+)\s+(\S+)\s+(\S+)\s+(\{.*\})$/.exec(text);
  if (match === null) throw fault(line, "a tunable reads: NAME int|enum|bool VALUE {VALUES}");
  const values = listOf(match[4] ?? "", line);
  const parsed = tunableSchema.safeParse({ name: match[1], type: match[2], value: match[3], values });
  if (!parsed.success) {
    const issue = parsed.error.issues[0];
    throw fault(line, `tunable ${issue?.path.join(".") ?? ""}: ${issue?.message ?? "malformed"}`);
  }
  const bad = values.find((value) => !/^-?[A-Za-z0-9_]{1,40}$/.test(value));
  if (bad !== undefined)
    throw fault(line, `tunable value "${bad.slice(0, 60)}" must be letters, digits or _`);
  if (parsed.data.type === "int" && values.some((value) => !/^-?\d+$/.test(value))) {
    throw fault(line, `tunable ${parsed.data.name} is int, but its values are not all integers`);
  }
  if (!values.includes(parsed.data.value)) {
    throw fault(
      line,
      `tunable ${parsed.data.name} has the value ${parsed.data.value}, which is not among its values`,
    );
  }
  return parsed.data;
}

/** A tunable that is declared beside its assignment. */
function assignedTunable(text: string, line: number): Tunable {
  const [, name, , literal = "", , type, values] = ASSIGNED.exec(text) ?? [];
  const form =
    'NAME = VALUE  # ke:tunable int|enum|bool {VALUES}, not indented; an enum\'s VALUE is a "string"';
  if (name === undefined) throw fault(line, `a tunable beside code reads: ${form}`);
  const kind = /^["']/.test(literal) ? "enum" : /^[TF]/.test(literal) ? "bool" : "int";
  if (type !== kind)
    throw fault(line, `tunable ${name} is ${type}, but ${literal} is ${kind}: it reads ${form}`);
  const tunable = parseTunable(`${name} ${type} ${literal.replace(/^["']|["']$/g, "")} ${values}`, line);
  if (kind === "bool" && tunable.values.some((value) => value !== "True" && value !== "False"))
    throw fault(line, `tunable ${name} is bool, so its values are True and False`);
  return tunable;
}

/**
 * Reads the `ke:` lines of the first 200 lines.
 * @throws invalid_argument with the line number when a line is malformed or a directive unknown.
 */
export function parseHeader(source: string): CandidateHeader {
  let flags: string[] | undefined;
  const tunables: Tunable[] = [];
  const assigned: string[] = [];
  const declare = (tunable: Tunable, line: number): void => {
    if (tunables.some((other) => other.name === tunable.name))
      throw fault(line, `tunable ${tunable.name} stands twice`);
    tunables.push(tunable);
  };
  const tunableFlags: string[] = [];
  const techniques: string[] = [];
  let problem: string | undefined;
  let flagsTuned = 0;
  source.split("\n", HEADER_LINES).forEach((text, index) => {
    const match = LINE.exec(text);
    const line = index + 1;
    if (match === null) {
      if (!BESIDE_CODE.test(text)) return;
      const tunable = assignedTunable(text, line);
      declare(tunable, line);
      assigned.push(tunable.name);
      return;
    }
    const rest = match[2] ?? "";
    switch (match[1]) {
      case "flags":
        flags = [...(flags ?? []), ...rest.split(/\s+/).filter((flag) => flag !== "")];
        break;
      case "tunable":
        declare(parseTunable(rest, line), line);
        break;
      case "tunable-flags":
        tunableFlags.push(...listOf(rest, line));
        flagsTuned = line;
        break;
      case "technique":
        techniques.push(...rest.split(",").map((word) => word.trim()));
        break;
      case "problem":
        problem = rest;
        break;
      default:
        throw fault(
          line,
          `"ke:${match[1]}" is unknown; known are flags, tunable, tunable-flags, technique, problem`,
        );
    }
  });
  // Switching a flag writes a `ke:flags` line, and that replaces the target's defaults: they must be said.
  if (flagsTuned > 0 && flags === undefined)
    throw fault(
      flagsTuned,
      "ke:tunable-flags needs a ke:flags line with the other flags, e.g. ke:flags -O3 -march=native",
    );
  return {
    flags,
    tunables,
    assigned,
    tunableFlags,
    techniques: techniques.filter((word) => word !== ""),
    problem,
  };
}

/** What the build passes for the tunables of a header: `-DTILE=64` for each. */
export function definesOf(header: CandidateHeader): string[] {
  return header.tunables.map((tunable) => `-D${tunable.name}=${tunable.value}`);
}

/** The source with every assigned tunable's value left out: equal for all configurations of one code. Never throws. */
export function withoutAssignedValues(source: string): string {
  return source
    .split("\n")
    .map((text, index) => (index < HEADER_LINES ? text.replace(ASSIGNED, "$1$2?$4$5 $6") : text))
    .join("\n");
}

/**
 * The same source with other current values of its tunables, so that the text alone says what is built.
 * @throws invalid_argument for a name that the source does not declare or a value outside its set.
 */
export function applyTunables(source: string, values: Readonly<Record<string, string>>): string {
  const header = parseHeader(source);
  for (const [name, value] of Object.entries(values)) {
    const tunable = header.tunables.find((other) => other.name === name);
    if (tunable === undefined) {
      throw new KernelEvolveError(
        "invalid_argument",
        `tunables.${name}: the candidate declares no such tunable`,
        {
          fix:
            header.tunables.length === 0
              ? "add a ke:tunable line"
              : `declared: ${header.tunables.map((t) => t.name).join(", ")}`,
        },
      );
    }
    if (!tunable.values.includes(value)) {
      throw new KernelEvolveError(
        "invalid_argument",
        `tunables.${name}: ${value} is not among ${tunable.values.join(", ")}`,
      );
    }
  }
  return source
    .split("\n")
    .map((text, index) => {
      const code = index < HEADER_LINES && LINE.exec(text) === null ? ASSIGNED.exec(text) : null;
      const [, own, equals, literal = "", comment, kind, set] = code ?? [];
      if (own !== undefined && Object.hasOwn(values, own)) {
        const quote = /^["']/.exec(literal)?.[0] ?? "";
        return `${own}${equals}${quote}${values[own]}${quote}${comment}${kind} ${set}`;
      }
      const match =
        index < HEADER_LINES
          ? /^(\s*(?:\/\/|\/\*|\*|#)\s*ke:tunable\s+)(\S+)(\s+\S+\s+)(\S+)(\s+\{.*)$/.exec(text)
          : null;
      const [, before, name, type, , after] = match ?? [];
      if (name === undefined || !Object.hasOwn(values, name)) return text;
      return `${before}${name}${type}${values[name]}${after}`;
    })
    .join("\n");
}

/** The same source with exactly these of its `tunable-flags` switched on. @throws invalid_argument for a flag not declared. */
export function applyFlags(source: string, on: readonly string[]): string {
  const header = parseHeader(source);
  const unknown = on.find((flag) => !header.tunableFlags.includes(flag));
  if (unknown !== undefined)
    throw new KernelEvolveError(
      "invalid_argument",
      `flag ${unknown} is not among the candidate's tunable-flags`,
    );
  const fixed = (header.flags ?? []).filter((flag) => !header.tunableFlags.includes(flag));
  const line = `// ke:flags ${[...fixed, ...on].join(" ")}`.trimEnd();
  let placed = false;
  const lines = source.split("\n").flatMap((text, index) => {
    if (index >= HEADER_LINES || LINE.exec(text)?.[1] !== "flags") return [text];
    if (placed) return [];
    placed = true;
    return [line];
  });
  return placed ? lines.join("\n") : [line, ...lines].join("\n");
}
