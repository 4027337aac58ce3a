import { randomBytes } from "node:crypto";
import type { CallToolResult, ServerContext } from "@modelcontextprotocol/server";
import { KernelEvolveError, type Services, type WorkContext } from "../domain/index.ts";
import { log } from "../platform/log.ts";
import { plainText } from "../platform/text.ts";
import type { Tool } from "./define.ts";
import { ProgressReporter } from "./progress.ts";
import { cutToSize } from "./response.ts";

const MAX_ERROR_CHARS = 4_000;

/** One call of a tool: progress, time, size and errors are the same for all of them. Never throws. */
export async function callTool(
  tool: Tool,
  args: unknown,
  context: Pick<ServerContext, "mcpReq">,
  services: () => Promise<Services>,
): Promise<CallToolResult> {
  const started = performance.now();
  const { signal, _meta } = context.mcpReq;
  const token = _meta?.progressToken;
  const progress =
    token === undefined
      ? undefined
      : new ProgressReporter(tool.title, (params) => {
          if (signal.aborted) return;
          context.mcpReq
            .notify({ method: "notifications/progress", params: { progressToken: token, ...params } })
            .catch((error: unknown) => log.debug({ err: error }, "progress"));
        });
  const work: WorkContext = { signal, report: (update) => progress?.report(update) };
  try {
    const answer = await tool.call(args, { services, work });
    const { structured, text } = tool.sizedByCaller
      ? answer
      : await cutToSize(tool.name, answer, async () => (await services()).artifacts);
    return { content: [{ type: "text", text }], structuredContent: structured };
  } catch (error) {
    return { content: [{ type: "text", text: errorText(tool, error) }], isError: true };
  } finally {
    progress?.end();
    log.info({ tool: tool.name, ms: Math.round(performance.now() - started) }, "tool");
  }
}

/** Code, cause and what to do, in text: with `isError` clients show nothing else. */
function errorText(tool: Tool, error: unknown): string {
  if (error instanceof KernelEvolveError) {
    const fix = error.fix === undefined ? "" : `\nFix: ${error.fix}`;
    return plainText(`${error.code}: ${error.message}${fix}`, MAX_ERROR_CHARS);
  }
  // What was not foreseen may name anything: it goes into the log, and the client gets a reference to it.
  const reference = randomBytes(4).toString("hex");
  log.error({ err: error, tool: tool.name, reference }, "tool failed");
  return `infrastructure: ${tool.name} failed unexpectedly (reference ${reference})\nFix: repeat the call; what is recorded is unharmed. If it fails again, the server's log on stderr names the cause under this reference.`;
}
