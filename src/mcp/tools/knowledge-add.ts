import { z } from "zod";
import {
  documentKindSchema,
  ingestFormatSchema,
  KernelEvolveError,
  opFamilySchema,
} from "../../domain/index.ts";
import { shared } from "../arguments.ts";
import { defineTool } from "../define.ts";
import { startAndWait } from "../jobs.ts";
import { addOutput, outcomeOf } from "../outcome.ts";
import { readableFile } from "../paths.ts";

export const knowledgeAdd = defineTool({
  name: "knowledge_add",
  title: "Add to the knowledge",
  description:
    "Adds a manual, page, kernel or profiling trace to your own documents of a target, and to the index: Markdown, HTML, PDF, AsciiDoc, reST, plain text, kernel source (C, C++, CUDA, Triton), traces (Nsight Compute CSV, PyTorch profiler JSON, Proton, perf, callgrind). Give path or text. A long manual shows progress, keeps its page numbers, goes on where it was broken off; adding the same again changes nothing.",
  input: z.strictObject({
    path: z
      .string()
      .min(1)
      .max(4000)
      .optional()
      .describe("A file in the working directory or an allowed folder"),
    text: z.string().min(1).max(2_000_000).optional().describe("The text itself; then format is needed"),
    format: ingestFormatSchema.optional().describe("Told from the file when left out"),
    target: shared.target.unwrap().describe("Target or family id, or any"),
    title: z.string().min(1).max(300).optional().describe("Its own when left out"),
    kind: documentKindSchema.optional().describe("What it is, when it does not say so itself"),
    op: z.array(opFamilySchema).max(18).optional().describe("Operators it is about"),
    source: z
      .strictObject({ title: z.string().min(1).max(500), url: z.string().max(2000).optional() })
      .optional()
      .describe("Where the original is"),
    wait_seconds: shared.wait_seconds,
  }),
  output: addOutput,
  annotations: { readOnlyHint: false, destructiveHint: false, idempotentHint: true, openWorldHint: false },
  handle: async ({ wait_seconds, path, ...rest }, context) => {
    if ((path === undefined) === (rest.text === undefined))
      throw new KernelEvolveError("invalid_argument", "path: give either path or text", {
        fix: "path names a file; text is the document itself, with its format",
      });
    const args = { ...rest, ...(path === undefined ? {} : { path: readableFile(path) }) };
    const job = await startAndWait("knowledge_add", args, wait_seconds, context);
    return await outcomeOf(job, await context.services());
  },
});
