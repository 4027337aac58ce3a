#!/usr/bin/env node
import { spawn } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { constants } from "node:os";
import { fileURLToPath } from "node:url";

/** Runs this program again with the Node that npm installed here, with the same arguments and streams; ends as it ends. */
function runWith(node: string): Promise<never> {
  const child = spawn(node, [fileURLToPath(import.meta.url), ...process.argv.slice(2)], { stdio: "inherit" });
  // A terminal tells both of them of Ctrl-C and of its end; told twice, the program would end at once.
  const both = process.stdin.isTTY || process.stderr.isTTY;
  for (const signal of ["SIGINT", "SIGHUP"] as const) process.on(signal, () => both || child.kill(signal));
  process.on("SIGTERM", () => child.kill("SIGTERM"));
  return new Promise((_resolve, reject) => {
    child.once("error", reject);
    child.once("exit", (code, signal) =>
      process.exit(code ?? 128 + (signal === null ? 0 : constants.signals[signal])),
    );
  });
}

const [major = 0, minor = 0] = process.versions.node.split(".").map(Number);
if (major < 22 || (major === 22 && minor < 19)) {
  // A client starts `npx --prefix <checkout> kernelevolve` elsewhere, and gets the system's Node.
  const own = fileURLToPath(new URL("../node_modules/node/bin/node", import.meta.url));
  if (existsSync(own)) await runWith(own);
  process.stderr.write(
    `kernelevolve needs Node 22.19 or newer; this is ${process.version}.\nIn a checkout, npm brings its own: npm run demo, or npm ci and npm run build.\n`,
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
