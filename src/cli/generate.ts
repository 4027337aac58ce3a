/** Writes the files that follow from the code: manifests, tool reference, the README's table. Run by `npm run gen`, checked by CI. */
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { listingOf } from "../mcp/listing.ts";
import { toolReference, toolTable } from "../mcp/reference.ts";
import { tools } from "../mcp/tools/index.ts";
import { packageRoot } from "../platform/paths.ts";
import { policiesPage } from "./policies-page.ts";

const manifest: { name: string; version: string; description: string; license: string } = JSON.parse(
  readFileSync(join(packageRoot, "package.json"), "utf8"),
);

/** How a client starts the server, for the three forms of configuration. `root` is where the checkout lies, as the host writes it. */
const server = (root: string): { command: string; args: string[] } => ({
  command: "npx",
  args: ["--prefix", root, "kernelevolve", "serve"],
});

const files: Record<string, unknown> = {
  "mcp.json": {
    $schema: "https://agent-plugins.org/schemas/1.0.0/mcp.schema.json",
    mcpServers: { kernelevolve: { type: "stdio", ...server("$" + "{PLUGIN_ROOT}") } },
  },
  "plugin.json": {
    $schema: "https://agent-plugins.org/schemas/1.0.0/plugin.schema.json",
    name: manifest.name,
    version: manifest.version,
    description: manifest.description,
    license: manifest.license,
  },
  "src/mcp/tool-list.json": listingOf(tools),
  ".mcp.json": {
    mcpServers: { kernelevolve: { type: "stdio", command: "npx", args: ["kernelevolve", "serve"] } },
  },
};
for (const [file, content] of Object.entries(files))
  writeFileSync(join(packageRoot, file), `${JSON.stringify(content, null, 2)}\n`);
writeFileSync(join(packageRoot, "docs", "tool-reference.md"), toolReference());
writeFileSync(join(packageRoot, "docs", "policies.md"), policiesPage());

const readme = join(packageRoot, "README.md");
if (existsSync(readme)) {
  const text = readFileSync(readme, "utf8");
  const marked = /(<!-- tools:start -->\n)[\s\S]*?(\n<!-- tools:end -->)/;
  if (!marked.test(text))
    throw new Error("README.md has lost its markers <!-- tools:start --> and <!-- tools:end -->");
  writeFileSync(
    readme,
    text.replace(marked, (_all, start: string, end: string) => `${start}${toolTable()}${end}`),
  );
}
