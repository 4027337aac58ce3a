import { z } from "zod";
import type { Services, WorkContext } from "../domain/index.ts";

/** What a handler gets beside its arguments. `services` opens the store on first use. */
export interface ToolContext {
  readonly services: () => Promise<Services>;
  readonly work: WorkContext;
}

export interface ToolResult<O> {
  /** Complete and small: what the model sees in most clients. */
  readonly structured: O;
  /** The same facts for people, in a few lines. */
  readonly text: string;
}

export interface ToolAnnotations {
  readonly readOnlyHint: boolean;
  readonly destructiveHint: boolean;
  readonly idempotentHint: boolean;
  readonly openWorldHint: boolean;
}

/** A tool as the registry holds it, its types folded in. */
export interface Tool {
  readonly name: string;
  readonly title: string;
  readonly description: string;
  readonly input: z.ZodObject;
  readonly output: z.ZodObject;
  readonly annotations: ToolAnnotations;
  /** Checks the arguments itself, so that errors name them in words. */
  call(args: unknown, context: ToolContext): Promise<ToolResult<Record<string, unknown>>>;
}

/** Defines one tool: its schemas give the handler's types. */
export function defineTool<I extends z.ZodObject, O extends z.ZodObject>(definition: {
  name: string;
  title: string;
  description: string;
  input: I;
  output: O;
  annotations: ToolAnnotations;
  handle: (args: z.output<I>, context: ToolContext) => Promise<ToolResult<z.input<O>>>;
}): Tool {
  const { handle, ...rest } = definition;
  return {
    ...rest,
    call: async (args, context) => {
      const result = await handle(checkArguments(definition.name, definition.input, args), context);
      // Exactly what the schema promises leaves the server: a client checks it and refuses anything more.
      return { structured: definition.output.parse(result.structured), text: result.text };
    },
  };
}

/** Arguments as the schema has them. @throws ArgumentError naming each argument at fault and the known names. */
export function checkArguments<I extends z.ZodObject>(tool: string, schema: I, args: unknown): z.output<I> {
  const parsed = schema.safeParse(args ?? {});
  if (parsed.success) return parsed.data;
  const known = Object.keys(schema.shape);
  const faults = parsed.error.issues.slice(0, 6).map((issue) => {
    const name = issue.path.map(String).join(".");
    if (issue.code === "unrecognized_keys") {
      const keys = issue.keys.map((key) => JSON.stringify(key.slice(0, 60))).join(", ");
      return `${name === "" ? "" : `${name}: `}unknown argument ${keys}; ${name === "" ? `${tool} takes ${known.join(", ") || "none"}` : "see the schema"}`;
    }
    const missing = issue.code === "invalid_type" && issue.message.includes("received undefined");
    return `${name || "arguments"}: ${missing ? "is missing" : issue.message}`;
  });
  throw new ArgumentError(faults.join("; "));
}

/** Arguments that do not fit; the message names them. */
export class ArgumentError extends Error {
  override readonly name = "ArgumentError";
}

/** Argument shapes that several tools share. */
export const shared = {
  target: z.string().min(1).max(96).default("cpu-x86-64").describe("Target id, from target_list"),
  abstraction: z
    .string()
    .min(1)
    .max(40)
    .default("c")
    .describe("Language of the source: c or cpp on CPU targets"),
  problem: z.string().min(1).max(200).describe("Problem name or id, from problem_describe"),
  source: z
    .string()
    .min(1)
    .max(1_000_000)
    .describe("The kernel's whole source text, defining the prototype that problem_describe gives"),
  wait_seconds: z
    .number()
    .min(0)
    .max(45)
    .default(25)
    .describe("How long to wait for the result; after that a job handle is answered for job_wait"),
  run: z.string().min(1).max(80).describe("Run id, from evolve_start"),
  tunables: z
    .record(z.string().max(60), z.string().max(60))
    .optional()
    .describe("New values for tunables that the source's header declares"),
};

/** Handle of work that goes on. */
export const jobHandleSchema = z.object({
  job: z.string(),
  state: z.string(),
  progress: z.number(),
  total: z.number().optional(),
  message: z.string(),
});
export type JobHandle = z.infer<typeof jobHandleSchema>;
