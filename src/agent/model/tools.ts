import { existsSync } from "node:fs";
import { join } from "node:path";
import type { DynamicStructuredTool } from "@langchain/core/tools";
import { errorMessage, KernelEvolveError } from "../../domain/errors.ts";
import { packageRoot } from "../../platform/paths.ts";

/**
 * What a proposer may ask: documents, artifacts, the problem, the target, and whether its kernel compiles. Nothing that writes to the
 * run: the child is handed in by the driver, with what it cost.
 */
export const PROPOSER_TOOLS: readonly string[] = [
  "knowledge_search",
  "knowledge_read",
  "artifact_read",
  "problem_describe",
  "target_describe",
  "kernel_compile",
];

/** The server's tools as the agent's, over MCP. */
export interface ServerTools {
  readonly tools: readonly DynamicStructuredTool[];
  close(): Promise<void>;
}

/** How a server of this package is started: the built one, or the source where Node runs TypeScript. */
function serverMain(): string {
  const source = import.meta.url.endsWith(".ts");
  const main = join(packageRoot, source ? "src" : "dist", source ? "main.ts" : "main.js");
  if (existsSync(main)) return main;
  throw new KernelEvolveError("missing_tool", `${main} is missing: the package is not built`, {
    fix: "npm run build",
  });
}

/**
 * Starts this package's server on the same store and takes its tools through @langchain/mcp-adapters.
 * @throws missing_tool where the package is not installed, infrastructure where the server does not start
 */
export async function openServerTools(env: NodeJS.ProcessEnv): Promise<ServerTools> {
  const { MultiServerMCPClient } = await loaded(import("@langchain/mcp-adapters"), "@langchain/mcp-adapters");
  const main = serverMain();
  // The child server reads no model's key.
  const given = Object.entries(env).flatMap(([name, value]): [string, string][] =>
    value === undefined || name === "OPENAI_API_KEY" ? [] : [[name, value]],
  );
  const client = new MultiServerMCPClient({
    throwOnLoadError: true,
    prefixToolNameWithServerName: false,
    useStandardContentBlocks: false,
    defaultToolTimeout: 180_000,
    mcpServers: {
      kernelevolve: {
        transport: "stdio",
        command: process.execPath,
        args: [main, "serve"],
        env: Object.fromEntries(given),
        stderr: "ignore",
      },
    },
  });
  try {
    const found = await client.getTools();
    const tools = found.filter((tool) => PROPOSER_TOOLS.includes(tool.name));
    const missing = PROPOSER_TOOLS.filter((name) => !tools.some((tool) => tool.name === name));
    if (missing.length > 0) throw new Error(`it has no ${missing.join(", ")}`);
    return { tools, close: async () => client.close() };
  } catch (error) {
    await client.close().catch(() => undefined);
    throw new KernelEvolveError(
      "infrastructure",
      `the server for the model's tools: ${errorMessage(error)}`,
      {
        fix: "run `kernelevolve doctor`, or ask without tools: --tool-calls 0",
        cause: error,
      },
    );
  }
}

/** An optional package. @throws missing_tool naming it */
export async function loaded<T>(module: Promise<T>, name: string): Promise<T> {
  try {
    return await module;
  } catch (error) {
    throw new KernelEvolveError("missing_tool", `${name} cannot be loaded: ${errorMessage(error)}`, {
      fix: `npm install ${name}`,
      cause: error,
    });
  }
}
