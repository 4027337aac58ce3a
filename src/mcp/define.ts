import { z } from "zod";
import type { Services, WorkContext } from "../domain/index.ts";
import { checkArguments } from "./arguments.ts";

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
  /** The next useful step, in words that name a tool. */
  readonly next: string;
}

export interface ToolAnnotations {
  readonly readOnlyHint: boolean;
  readonly destructiveHint: boolean;
  readonly idempotentHint: boolean;
  readonly openWorldHint: boolean;
}

/** What every answer has beside the tool's own fields. */
const common = z.object({
  next: z.string(),
  /** Where parts were cut to keep the answer small: the artifact with all of it. */
  full: z.string().optional(),
});

export type Answer = Record<string, unknown> & z.infer<typeof common>;

/** A tool as the registry holds it, its types folded in. */
export interface Tool {
  readonly name: string;
  readonly title: string;
  readonly description: string;
  readonly input: z.ZodObject;
  readonly output: z.ZodObject;
  readonly annotations: ToolAnnotations;
  /** The caller's own argument bounds the answer (a page, a token budget), so it is not cut to the usual size. */
  readonly sizedByCaller: boolean;
  /** Checks the arguments itself, so that errors name them in words. */
  call(args: unknown, context: ToolContext): Promise<{ structured: Answer; text: string }>;
}

/** Defines one tool: its schemas give the handler's types. */
export function defineTool<I extends z.ZodObject, O extends z.ZodObject>(definition: {
  name: string;
  title: string;
  description: string;
  input: I;
  output: O;
  annotations: ToolAnnotations;
  sizedByCaller?: boolean;
  handle: (args: z.output<I>, context: ToolContext) => Promise<ToolResult<z.input<O>>>;
}): Tool {
  const { handle, sizedByCaller = false, ...rest } = definition;
  return {
    ...rest,
    sizedByCaller,
    output: definition.output.extend(common.shape),
    call: async (args, context) => {
      const { structured, text, next } = await handle(
        checkArguments(definition.name, definition.input, args),
        context,
      );
      // Exactly what the schema promises leaves the server: a client checks it and refuses anything more.
      return {
        structured: { ...definition.output.parse(structured), next },
        text: `${text}\nNext: ${next}`,
      };
    },
  };
}

/** Fields of work that goes on: a handle for job_wait. `progress` is a share, 0 to 1, where it is known. */
export const handleFields = {
  job_id: z.string().optional(),
  state: z.string().optional(),
  progress: z.number().optional(),
  message: z.string().optional(),
};
