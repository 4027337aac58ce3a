import { McpServer, type ServerContext, type StandardSchemaWithJSON } from "@modelcontextprotocol/server";
import { z } from "zod";
import type { Services } from "../domain/index.ts";
import { callTool } from "./call.ts";
import type { Tool } from "./define.ts";
import { INSTRUCTIONS } from "./instructions.ts";
import { tools } from "./tools/index.ts";

export interface ServerParts {
  readonly services: () => Promise<Services>;
  readonly version: string;
  /** Default: the registry. */
  readonly tools?: readonly Tool[];
}

/** One server over the services, for a connection of either protocol era. Cheap: nothing is opened until a tool needs it. */
export function buildServer(parts: ServerParts): McpServer {
  const server = new McpServer(
    { name: "kernelevolve", title: "KernelEvolve", version: parts.version },
    // The list never changes while a server lives.
    { capabilities: { tools: { listChanged: false } }, instructions: INSTRUCTIONS },
  );
  for (const tool of parts.tools ?? tools) {
    server.registerTool(
      tool.name,
      {
        title: tool.title,
        description: tool.description,
        inputSchema: listed(tool.input, "input"),
        outputSchema: listed(tool.output, "output"),
        annotations: tool.annotations,
      },
      (args: unknown, context: ServerContext) => callTool(tool, args, context, parts.services),
    );
  }
  return server;
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

/** A schema to list and not to check by: tools check their arguments themselves, with errors that name them in words. */
function listed(schema: z.ZodObject, io: "input" | "output"): StandardSchemaWithJSON {
  let json: Record<string, unknown> | undefined;
  const text = (): Record<string, unknown> => {
    json ??= jsonSchema(schema, io);
    return json;
  };
  return {
    "~standard": {
      version: 1,
      vendor: "kernelevolve",
      validate: (value) => ({ value }),
      jsonSchema: { input: text, output: text },
    },
  };
}
