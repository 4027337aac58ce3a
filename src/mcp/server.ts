import { McpServer, type ServerContext, type StandardSchemaWithJSON } from "@modelcontextprotocol/server";
import type { Services } from "../domain/index.ts";
import type { Tool } from "./define.ts";
import { INSTRUCTIONS } from "./instructions.ts";
import type { ListedTool } from "./listing.ts";
import { registerPrompts } from "./prompts.ts";
import { registerDocuments } from "./resources.ts";
import list from "./tool-list.json" with { type: "json" };

/** The tools of a server: what is listed, and the code, which is loaded when a tool is first called. */
export interface ToolSource {
  readonly list: readonly ListedTool[];
  readonly load: () => Promise<readonly Tool[]>;
}

/** The registry; its list is generated (`npm run gen`), so that a server starts without loading what it may never call. */
const shipped: ToolSource = { list, load: async () => (await import("./tools/index.ts")).tools };

export interface ServerParts {
  readonly services: () => Promise<Services>;
  readonly version: string;
  /** Default: the registry. */
  readonly tools?: ToolSource;
}

/** One server over the services, for a connection of either protocol era. Cheap: nothing is opened until a tool needs it. */
export function buildServer({ services, version, tools = shipped }: ServerParts): McpServer {
  const server = new McpServer(
    { name: "kernelevolve", title: "KernelEvolve", version },
    // The list of tools never changes while a server lives; documents may be added, which clients find when they list again.
    {
      capabilities: {
        tools: { listChanged: false },
        resources: { listChanged: false },
        prompts: { listChanged: false },
        completions: {},
      },
      instructions: INSTRUCTIONS,
    },
  );
  for (const { name, title, description, annotations, inputSchema, outputSchema } of tools.list) {
    server.registerTool(
      name,
      {
        title,
        description,
        annotations,
        inputSchema: listed(inputSchema),
        outputSchema: listed(outputSchema),
      },
      async (args: unknown, context: ServerContext) => {
        const [{ callTool }, loaded] = await Promise.all([import("./call.ts"), tools.load()]);
        const tool = loaded.find((one) => one.name === name);
        if (tool === undefined) throw new Error(`tool-list.json names ${name}, which is no tool`);
        return await callTool(tool, args, context, services);
      },
    );
  }
  registerDocuments(server, services);
  registerPrompts(server, services);
  return server;
}

/** A schema to list and not to check by: tools check their arguments themselves, with errors that name them in words. */
function listed(json: Record<string, unknown>): StandardSchemaWithJSON {
  const text = (): Record<string, unknown> => json;
  return {
    "~standard": {
      version: 1,
      vendor: "kernelevolve",
      validate: (value) => ({ value }),
      jsonSchema: { input: text, output: text },
    },
  };
}
