#!/usr/bin/env node
import { readFileSync } from "node:fs";

const [major = 0, minor = 0] = process.versions.node.split(".").map(Number);
if (major < 22 || (major === 22 && minor < 19)) {
  process.stderr.write(
    `kernelevolve needs Node 22.19 or newer; this is ${process.version}.\nIn a checkout, npm brings its own: npm run demo, or npx kernelevolve.\n`,
  );
  process.exit(3);
}
process.removeAllListeners("warning");
const { enableCompileCache } = await import("node:module");
enableCompileCache();
const { version } = JSON.parse(readFileSync(new URL("../package.json", import.meta.url), "utf8")) as {
  version: string;
};
const command = process.argv[2];
if (command === undefined || command === "serve") {
  // The shortest way to the wire: a server loads no command line.
  if (process.argv.includes("--help") || process.argv.includes("-h")) await runProgram();
  else (await import("./cli/server.ts")).startServer(version);
} else await runProgram();

async function runProgram(): Promise<void> {
  const { buildProgram } = await import("./cli/program.ts");
  await buildProgram(version).parseAsync();
}
