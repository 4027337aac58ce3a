import { z } from "zod";
import type { Tool, ToolAnnotations } from "./define.ts";

/** A tool as clients see it in the list. */
export interface ListedTool {
  readonly name: string;
  readonly title: string;
  readonly description: string;
  readonly inputSchema: Record<string, unknown>;
  readonly outputSchema: Record<string, unknown>;
  readonly annotations: ToolAnnotations;
}

/** The JSON Schema that clients see of one side of a tool. */
export function jsonSchema(schema: z.ZodObject, io: "input" | "output"): Record<string, unknown> {
  const { $schema: _dialect, ...json } = z.toJSONSchema(schema, {
    io,
    target: "draft-2020-12",
    override: (part) => takeOutNoise(part.jsonSchema),
  });
  return json;
}

/** Takes out what says nothing: the list of tools stands in every model's context. */
function takeOutNoise(json: z.core.JSONSchema.BaseSchema): void {
  if (typeof json.additionalProperties === "object" && Object.keys(json.additionalProperties).length === 0)
    delete json.additionalProperties;
  if (typeof json.propertyNames === "object" && Object.keys(json.propertyNames).join() === "type")
    delete json.propertyNames;
}

/** What is written to tool-list.json, which a server starts from. */
export function listingOf(tools: readonly Tool[]): ListedTool[] {
  return tools.map((tool) => ({
    name: tool.name,
    title: tool.title,
    description: tool.description,
    inputSchema: jsonSchema(tool.input, "input"),
    outputSchema: jsonSchema(tool.output, "output"),
    annotations: tool.annotations,
  }));
}
