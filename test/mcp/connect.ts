import { Client, InMemoryTransport } from "@modelcontextprotocol/client";
import { serveStdio } from "@modelcontextprotocol/server/stdio";
import type { Job, Services } from "../../src/domain/index.ts";
import type { Tool } from "../../src/mcp/define.ts";
import { listingOf } from "../../src/mcp/listing.ts";
import { buildServer } from "../../src/mcp/server.ts";

export const ERAS = ["2025-11-25", "2026-07-28"] as const;

/** A client of one protocol era, joined in this process to a server made as `serve` makes it. */
export async function connect(
  era: (typeof ERAS)[number],
  options: { services?: () => Promise<Services>; tools?: readonly Tool[] } = {},
): Promise<Client> {
  const [mine, theirs] = InMemoryTransport.createLinkedPair();
  const services =
    options.services ?? (() => Promise.reject(new Error("no tool may open the services here")));
  const { tools } = options;
  const source = tools === undefined ? {} : { tools: { list: listingOf(tools), load: async () => tools } };
  serveStdio(() => buildServer({ services, version: "0", ...source }), { transport: theirs });
  const client = new Client(
    { name: "test", version: "0" },
    era === "2026-07-28" ? { versionNegotiation: { mode: { pin: era } } } : {},
  );
  await client.connect(mine);
  return client;
}

export function textOf(result: { content: readonly { type: string }[] }): string {
  return result.content
    .flatMap((part) => ("text" in part && typeof part.text === "string" ? [part.text] : []))
    .join("\n");
}

/** A job as a service answers it. */
export function job(change: Partial<Job> = {}): Job {
  return {
    id: "job_1",
    kind: "evaluate",
    state: "running",
    progress: 3,
    total: 12,
    message: "compiling",
    created_at: "2026-01-01T00:00:00Z",
    updated_at: "2026-01-01T00:00:00Z",
    ...change,
  };
}
