import { serve } from "../mcp/serve.ts";
import { dataHome } from "../platform/paths.ts";

/** Starts the MCP server; the services are loaded and the store opened when a tool first needs them. */
export function startServer(version: string): void {
  if (process.stdin.isTTY === true) {
    process.stderr.write(
      "kernelevolve serves MCP on stdin and stdout and waits for a client (Ctrl-C ends it).\nkernelevolve --help shows the other commands, kernelevolve serve --help how a client is set up.\n",
    );
  }
  serve(async () => {
    const { createServices } = await import("../app/services.ts");
    return createServices(dataHome(), { resume: true });
  }, version);
}
