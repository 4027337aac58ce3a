import { z } from "zod";
import { KernelEvolveError } from "../domain/index.ts";
import { nearest } from "../platform/nearest.ts";

/** Characters of one argument with everything inside it. The longest legal one is a definition with its references. */
export const MAX_ARGUMENT_CHARS = 2_500_000;
const MAX_ELEMENTS = 100_000;
const MAX_DEPTH = 40;
const MAX_FAULTS = 6;

/** A key or value as it may stand in an error: short, on one line. */
function shown(text: string): string {
  const clean = JSON.stringify(text.slice(0, 60)).slice(1, -1);
  return text.length > 60 ? `${clean}…` : clean;
}

/** What no schema says: the size of a whole argument, how deep it nests, and bytes that no text has. */
function fault(name: string, argument: unknown): string | undefined {
  const stack: { value: unknown; depth: number }[] = [{ value: argument, depth: 0 }];
  let chars = 0;
  let elements = 0;
  for (let next = stack.pop(); next !== undefined; next = stack.pop()) {
    const { value, depth } = next;
    if (typeof value === "string") {
      chars += value.length;
      if (value.includes("\0")) return `${name}: contains a NUL byte`;
    } else if (value !== null && typeof value === "object") {
      if (depth >= MAX_DEPTH) return `${name}: is nested deeper than ${MAX_DEPTH} levels`;
      for (const [key, inner] of Object.entries(value)) {
        elements += 1;
        chars += key.length;
        if (elements > MAX_ELEMENTS) return `${name}: has more than ${MAX_ELEMENTS} elements`;
        if (key.includes("\0")) return `${name}: has a key with a NUL byte`;
        stack.push({ value: inner, depth: depth + 1 });
      }
    }
    if (chars > MAX_ARGUMENT_CHARS)
      return `${name}: is larger than ${MAX_ARGUMENT_CHARS.toLocaleString("en")} characters in all`;
  }
  return undefined;
}

function faultText(tool: string, known: readonly string[], issue: z.core.$ZodIssue): string {
  const path = issue.path.map((part) => shown(String(part))).join(".");
  if (issue.code === "unrecognized_keys") {
    return issue.keys
      .slice(0, MAX_FAULTS)
      .map((key) => {
        if (path !== "") return `${path}.${shown(key)}: unknown field`;
        const close = nearest(key, known);
        const meant = close.length === 0 ? "" : ` (did you mean ${close.join(" or ")}?)`;
        return `unknown argument "${shown(key)}"${meant}; ${tool} takes ${known.join(", ") || "none"}`;
      })
      .join("; ");
  }
  const missing = issue.code === "invalid_type" && issue.input === undefined;
  const empty = issue.code === "too_small" && issue.origin === "string" && issue.minimum === 1;
  const said = missing ? "is missing" : empty ? "is empty" : issue.message.slice(0, 300);
  return `${path === "" ? "arguments" : path}: ${said}`;
}

/**
 * Arguments as the schema has them.
 * @throws invalid_argument, naming each argument at fault, and the known names where one is unknown.
 */
export function checkArguments<I extends z.ZodObject>(tool: string, schema: I, args: unknown): z.output<I> {
  const known = Object.keys(schema.shape);
  if (args !== null && typeof args === "object") {
    for (const [name, value] of Object.entries(args)) {
      const found = fault(shown(name), value);
      if (found !== undefined) throw new KernelEvolveError("invalid_argument", found);
    }
  }
  const parsed = schema.safeParse(args ?? {}, { reportInput: true });
  if (parsed.success) return parsed.data;
  const faults = parsed.error.issues.slice(0, MAX_FAULTS).map((issue) => faultText(tool, known, issue));
  throw new KernelEvolveError("invalid_argument", faults.join("; ").slice(0, 2000));
}

/**
 * A nested value as its schema has it, for what would make the listed schema too long.
 * @throws invalid_argument with the path of each fault, from `name`.
 */
export function checkField<T>(schema: z.ZodType<T>, value: unknown, name: string): T {
  const parsed = schema.safeParse(value);
  if (parsed.success) return parsed.data;
  const issues = parsed.error.issues
    .slice(0, MAX_FAULTS)
    .map(
      (issue) =>
        `${[name, ...issue.path.map((part) => shown(String(part)))].join(".")}: ${issue.message.slice(0, 300)}`,
    );
  throw new KernelEvolveError("invalid_argument", issues.join("; ").slice(0, 2000), {
    fix: "the tool's description shows the fields",
  });
}

const id = (what: string, from: string): z.ZodString =>
  z
    .string()
    .regex(/^[\w.-]{1,80}$/, `must be ${what}: 1 to 80 letters, digits, '_', '.' or '-'`)
    .describe(from);

/** Argument shapes that several tools share. */
export const shared = {
  target: id("a target id", "Target id, from target_list").default("cpu-x86-64"),
  abstraction: id("an abstraction", "Language of the source; default: the target's first").optional(),
  problem: z
    .string()
    .regex(
      /^[\w.@-]{1,160}$/,
      "must be a problem's name or id: 1 to 160 letters, digits, '_', '.', '@' or '-'",
    )
    .describe("Problem name or id, from problem_describe"),
  source: z
    .string()
    .min(1)
    .max(1_000_000)
    .describe("The kernel's whole source text; prototype: problem_describe"),
  wait_seconds: z
    .number()
    .min(0)
    .max(45)
    .default(25)
    .describe("Longest wait; then a job_id for job_wait is answered"),
  run: id("a run id", "Run id, from evolve_start"),
  claim: id("a claim id", "Claim id, from evolve_next"),
  node: id("a node id", "Node id"),
  job: id("a job id", "Job id, from the tool that started it"),
  artifact: id("an artifact id", "Artifact id (art_…), evaluation id (eval_…) or claim id (claim_…)"),
  proposer: z.string().min(1).max(80).default("agent").describe("Who proposes: shown in the run's history"),
  tunables: z
    .record(z.string(), z.string().max(60))
    .refine((values) => Object.keys(values).length <= 64, "has more than 64 entries")
    .optional()
    .describe("New values for tunables of the source's header"),
  workloads: z
    .array(z.string().min(1).max(100))
    .min(1)
    .max(200)
    .optional()
    .describe("Workload uuids; all when left out"),
  replace: z
    .strictObject({
      kernel: z
        .string()
        .max(200)
        .default("")
        .describe("The kernel's name; default: the one that the text defines"),
      text: z.string().min(1).max(4_000_000).describe("The whole edited PTX or AMDGCN text"),
    })
    .optional()
    .describe(
      "Replay: an edited PTX or AMDGCN artifact of kernel_compile in place of what the compiler made (Triton; CUDA: compile only)",
    ),
  benchmark_seconds: z.number().min(0.5).max(600).default(10).describe("Longest time for measuring"),
  use_cache: z.boolean().default(true).describe("false: measure anew, even if known"),
};
