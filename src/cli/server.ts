import { serve } from "../mcp/serve.ts";
import { dataHome } from "../platform/paths.ts";

/** Starts the MCP server; the services are loaded and the store opened when a tool first needs them. */
export function startServer(version: string): void {
  serve(async () => {
    const { createServices } = await import("../app/services.ts");
    return createServices(dataHome(), { resume: true });
  }, version);
}
