#!/usr/bin/env node
import { readFileSync } from "node:fs";

const [major = 0, minor = 0] = process.versions.node.split(".").map(Number);
if (major < 22 || (major === 22 && minor < 19)) {
  process.stderr.write(
    `kernelevolve needs Node 22.19 or newer; this is ${process.version}.\nIn a checkout, npm brings its own: npm run demo, or npx kernelevolve.\n`,
  );
  process.exit(3);
}
if (major < 24) {
  // Node 22 warns of its own SQLite on every start; other warnings stay.
  const emit = process.emitWarning.bind(process);
  process.emitWarning = (warning: string | Error, ...rest: unknown[]) => {
    if (String(warning).includes("SQLite is an experimental feature")) return;
    Reflect.apply(emit, process, [warning, ...rest]);
  };
}
const { enableCompileCache } = await import("node:module");
enableCompileCache();
const manifest: { version: string } = JSON.parse(
  readFileSync(new URL("../package.json", import.meta.url), "utf8"),
);
const args = process.argv.slice(2);
if (args.length === 0 || (args.length === 1 && args[0] === "serve")) {
  // The shortest way to the wire: a server loads no command line.
  (await import("./cli/server.ts")).startServer(manifest.version);
} else {
  await (await import("./cli/program.ts")).runProgram(manifest.version, args);
}
