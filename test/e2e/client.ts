import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Client } from "@modelcontextprotocol/client";
import { StdioClientTransport } from "@modelcontextprotocol/client/stdio";
import { z } from "zod";
import { packageRoot } from "../../src/platform/paths.ts";

/** A built server over stdio, as any client starts it, with a data home of its own. */
export interface Server {
  readonly client: Client;
  readonly home: string;
  readonly pid: number;
  readonly progress: string[];
  /** Calls a tool; answers the text, whether it is an error, and the structured part. */
  call(
    name: string,
    args: Record<string, unknown>,
  ): Promise<{ isError: boolean; text: string; structured: unknown }>;
  /** Calls a tool and follows job handles to the end. */
  finish(name: string, args: Record<string, unknown>): Promise<{ text: string; structured: unknown }>;
  close(): Promise<void>;
}

const running = z.object({ job_id: z.string(), state: z.enum(["queued", "running"]) });

export function newHome(): string {
  return mkdtempSync(join(tmpdir(), "kernelevolve-e2e-"));
}

export async function startServer(home = newHome()): Promise<Server> {
  const env = Object.fromEntries(
    Object.entries(process.env).flatMap(([name, value]) => (value === undefined ? [] : [[name, value]])),
  );
  const transport = new StdioClientTransport({
    command: process.execPath,
    args: [join(packageRoot, "dist", "main.js"), "serve"],
    cwd: home,
    env: { ...env, KERNELEVOLVE_HOME: join(home, ".kernelevolve") },
    stderr: "inherit",
  });
  const client = new Client({ name: "e2e", version: "1" });
  await client.connect(transport);
  const progress: string[] = [];
  const call: Server["call"] = async (name, args) => {
    const result = await client.callTool(
      { name, arguments: args },
      { timeout: 120_000, onprogress: (update) => progress.push(update.message ?? "") },
    );
    const text = result.content.flatMap((part) => (part.type === "text" ? [part.text] : [])).join("\n");
    return { isError: result.isError === true, text, structured: result.structuredContent };
  };
  return {
    client,
    home,
    pid: transport.pid ?? 0,
    progress,
    call,
    finish: async (name, args) => {
      let answer = await call(name, args);
      for (;;) {
        if (answer.isError) throw new Error(`${name}: ${answer.text}`);
        const handle = running.safeParse(answer.structured);
        if (!handle.success) return answer;
        answer = await call("job_wait", { job_id: handle.data.job_id, wait_seconds: 30 });
      }
    },
    close: async () => {
      await client.close();
      rmSync(home, { recursive: true, force: true, maxRetries: 5 });
    },
  };
}
