import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, it } from "vitest";
import { packageRoot } from "../../src/platform/paths.ts";

/** Loaded first: the program takes its Node for one that is too old, as a client's Node often is. */
const OLD = `data:text/javascript,Object.defineProperty(process,"versions",{value:{...process.versions,node:"20.20.2"}})`;

function start(args: readonly string[], cwd: string) {
  const main = join(packageRoot, "dist", "main.js");
  return spawn(process.execPath, ["--import", OLD, main, ...args], { cwd, stdio: ["pipe", "pipe", "pipe"] });
}

it.runIf(existsSync(join(packageRoot, "node_modules", "node", "bin", "node")))(
  "an old Node hands over to the one that npm installed: streams, exit code, signals",
  async () => {
    const folder = mkdtempSync(join(tmpdir(), "kernelevolve-node-"));
    const told = start(["problems", "matmull"], folder);
    let stderr = "";
    told.stderr.on("data", (chunk: Buffer) => {
      stderr += chunk.toString("utf8");
    });
    expect(await once(told, "close"), stderr).toEqual([2, null]);
    expect(stderr).toContain("matmul");
    expect(stderr).not.toContain("needs Node");

    const server = start([], folder);
    const hello = {
      protocolVersion: "2025-11-25",
      capabilities: {},
      clientInfo: { name: "test", version: "0" },
    };
    server.stdin.write(`${JSON.stringify({ jsonrpc: "2.0", id: 1, method: "initialize", params: hello })}\n`);
    const [answer]: unknown[] = await once(server.stdout, "data");
    expect(String(answer)).toContain('"serverInfo"');
    server.kill("SIGTERM");
    expect(await once(server, "close")).toEqual([0, null]);
    rmSync(folder, { recursive: true });
  },
);
