import type { Command } from "commander";

export function serve(program: Command, version: string): void {
  program
    .command("serve")
    .description("Serve MCP on stdin and stdout (what a client starts)")
    .addHelpText(
      "after",
      `
Example:
  kernelevolve serve < /dev/null       starts, finds no client, ends

A client's configuration: {"mcpServers": {"kernelevolve": {"command": "kernelevolve", "args": ["serve"]}}}
On another machine:       {"command": "ssh", "args": ["box", "kernelevolve", "serve"]}

KERNELEVOLVE_HOME           the data folder (default .kernelevolve in the working directory)
KERNELEVOLVE_ALLOWED_PATHS  more folders that evolve_export may write to, separated as in PATH
KERNELEVOLVE_LOG            log level on stderr: debug, info, warn (default), error`,
    )
    .action(async () => {
      const { startServer } = await import("../server.ts");
      startServer(version);
    });
}
