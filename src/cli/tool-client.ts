import { existsSync } from "node:fs";
import { join } from "node:path";
import type { Client } from "@modelcontextprotocol/client";
import { z } from "zod";
import { KernelEvolveError } from "../domain/index.ts";
import { packageRoot } from "../platform/paths.ts";

/** What a client reads of the tools' answers. */
const answerSchema = z.looseObject({
  job_id: z.string().optional(),
  problem: z.string().optional(),
  overview: z
    .looseObject({
      run: z.string(),
      best: z.looseObject({ evaluation: z.string(), node: z.string() }).nullable(),
      spent: z.record(z.string(), z.number()),
    })
    .optional(),
  files: z.array(z.object({ path: z.string(), what: z.string() })).optional(),
});
export type Answer = z.infer<typeof answerSchema>;

const pageSchema = z.object({ text: z.string(), next_offset: z.number().nullable() });

/** A server of this package over stdio, used the way every MCP client uses it. */
export class ToolClient {
  readonly #client: Client;
  readonly #show: (text: string) => void;

  private constructor(client: Client, show: (text: string) => void) {
    this.#client = client;
    this.#show = show;
  }

  /** Starts the built server with this process's environment and connects. `show` gets what the server reports. */
  static async start(show: (text: string) => void): Promise<ToolClient> {
    const main = join(packageRoot, "dist", "main.js");
    if (!existsSync(main))
      throw new KernelEvolveError("missing_tool", `${main} is missing: the package is not built`, {
        fix: "npm run build",
      });
    const [{ Client: McpClient }, { StdioClientTransport }] = await Promise.all([
      import("@modelcontextprotocol/client"),
      import("@modelcontextprotocol/client/stdio"),
    ]);
    const client = new McpClient({ name: "kernelevolve-demo", version: "1" });
    const env = Object.fromEntries(
      Object.entries(process.env).flatMap(([name, value]) => (value === undefined ? [] : [[name, value]])),
    );
    await client.connect(
      new StdioClientTransport({
        command: process.execPath,
        args: [main, "serve"],
        env,
        stderr: "inherit",
      }),
    );
    return new ToolClient(client, show);
  }

  async toolCount(): Promise<number> {
    return (await this.#client.listTools()).tools.length;
  }

  /** Calls a tool, and waits through its job when it takes longer than a call. @throws what the tool says. */
  async call(name: string, args: Record<string, unknown>): Promise<Answer> {
    let answer = answerSchema.parse(await this.#once(name, args));
    while (answer.job_id !== undefined)
      answer = answerSchema.parse(await this.#once("job_wait", { job_id: answer.job_id, wait_seconds: 20 }));
    return answer;
  }

  /** The whole text of an artifact or evaluation. */
  async read(artifact: string): Promise<string> {
    let text = "";
    for (let offset: number | null = 0; offset !== null; ) {
      const page = pageSchema.parse(await this.#once("artifact_read", { artifact, offset, limit: 60_000 }));
      text += page.text;
      offset = page.next_offset;
    }
    return text;
  }

  async #once(name: string, args: Record<string, unknown>): Promise<unknown> {
    const result = await this.#client.callTool(
      { name, arguments: args },
      {
        timeout: 120_000,
        resetTimeoutOnProgress: true,
        onprogress: (progress) => this.#show(progress.message ?? ""),
      },
    );
    if (result.isError !== true) return result.structuredContent;
    const text = result.content.flatMap((part) => (part.type === "text" ? [part.text] : [])).join("\n");
    throw new KernelEvolveError("infrastructure", `${name}: ${text}`);
  }

  /** Closes the server's stdin, at which it ends. */
  async close(): Promise<void> {
    await this.#client.close();
  }
}
