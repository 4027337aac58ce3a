import { spawn } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { packageRoot } from "../../src/platform/paths.ts";
import { median, printTable, saveResult } from "./table.ts";

const ROUNDS = 30;

/** Milliseconds from spawn to the answer of the first tools/list. */
function once(args: readonly string[]): Promise<number> {
  const home = mkdtempSync(join(tmpdir(), "kernelevolve-bench-"));
  const started = performance.now();
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, args, {
      cwd: home,
      stdio: ["pipe", "pipe", "ignore"],
      env: { ...process.env, KERNELEVOLVE_HOME: home },
    });
    let text = "";
    const send = (message: unknown): void => {
      child.stdin.write(`${JSON.stringify(message)}\n`);
    };
    child.stdout.on("data", (chunk: Buffer) => {
      text += chunk.toString("utf8");
      if (/"id":1\b/.test(text) && !/"id":2\b/.test(text) && !text.includes("SENT")) {
        text += "SENT";
        send({ jsonrpc: "2.0", method: "notifications/initialized" });
        send({ jsonrpc: "2.0", id: 2, method: "tools/list" });
      }
      if (/"id":2\b/.test(text)) {
        const elapsed = performance.now() - started;
        child.kill("SIGKILL");
        child.once("close", () => {
          rmSync(home, { recursive: true, force: true });
          resolve(elapsed);
        });
      }
    });
    child.on("error", reject);
    send({
      jsonrpc: "2.0",
      id: 1,
      method: "initialize",
      params: {
        protocolVersion: "2025-11-25",
        capabilities: {},
        clientInfo: { name: "bench", version: "1" },
      },
    });
  });
}

/** Spawn to first tools/list answer, beside the reference server, the two alternated in one run. */
export async function coldStart(): Promise<void> {
  const servers = {
    kernelevolve: [join(packageRoot, "dist", "main.js"), "serve"],
    "server-everything": [
      join(packageRoot, "node_modules", "@modelcontextprotocol", "server-everything", "dist", "index.js"),
      "stdio",
    ],
  };
  const times: Record<string, number[]> = { kernelevolve: [], "server-everything": [] };
  for (const args of Object.values(servers)) await once(args);
  for (let round = 0; round < ROUNDS; round += 1) {
    for (const [name, args] of round % 2 === 0 ? Object.entries(servers) : Object.entries(servers).reverse())
      times[name]?.push(await once(args));
  }
  const rows = Object.entries(times).map(([name, values]) => ({
    server: name,
    median_ms: Number(median(values).toFixed(0)),
    p90_ms: Number((values.toSorted((a, b) => a - b)[Math.floor(values.length * 0.9)] ?? 0).toFixed(0)),
    starts: values.length,
  }));
  const ratios = (times["kernelevolve"] ?? []).map(
    (value, index) => value / (times["server-everything"]?.[index] ?? Number.NaN),
  );
  printTable("Cold start: spawn to first tools/list answer", rows);
  process.stdout.write(
    `median paired ratio kernelevolve / server-everything: ${median(ratios).toFixed(2)}\n`,
  );
  saveResult("cold-start", { rows, median_ratio: Number(median(ratios).toFixed(3)) });
}
