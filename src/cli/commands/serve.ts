import type { Command } from "commander";

export function serve(program: Command, version: string): void {
  program
    .command("serve", { isDefault: true })
    .description("Serve MCP on stdin and stdout (what a client starts)")
    .addHelpText(
      "after",
      `
A client's configuration: {"mcpServers": {"kernelevolve": {"command": "kernelevolve", "args": ["serve"]}}}
On another machine: {"command": "ssh", "args": ["box", "kernelevolve", "serve"]}
KERNELEVOLVE_HOME chooses the data folder (default .kernelevolve in the working directory), KERNELEVOLVE_LOG the log level on stderr.`,
    )
    .action(async () => {
      const { startServer } = await import("../server.ts");
      startServer(version);
    });
}
