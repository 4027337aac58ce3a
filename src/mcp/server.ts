import { McpServer, type ServerContext } from "@modelcontextprotocol/server";
import {
  errorMessage,
  KernelEvolveError,
  type ProgressUpdate,
  type Services,
  type WorkContext,
} from "../domain/index.ts";
import { log } from "../platform/log.ts";
import { ArgumentError, type Tool } from "./define.ts";
import { INSTRUCTIONS } from "./instructions.ts";
import { tools } from "./tools/index.ts";

const PROGRESS_EVERY_MS = 500;
const PROGRESS_AT_LEAST_MS = 10_000;

export interface ServerParts {
  readonly services: () => Promise<Services>;
  readonly version: string;
}

/** One server over the services. Cheap: nothing is opened until a tool needs it. */
export function buildServer(parts: ServerParts): McpServer {
  const server = new McpServer(
    { name: "kernelevolve", title: "KernelEvolve", version: parts.version },
    { capabilities: { tools: {} }, instructions: INSTRUCTIONS },
  );
  for (const tool of tools) {
    server.registerTool(
      tool.name,
      {
        title: tool.title,
        description: tool.description,
        inputSchema: lenient(tool),
        outputSchema: tool.output,
        annotations: { title: tool.title, ...tool.annotations },
      },
      (args: unknown, context: ServerContext) => callTool(tool, args, context, parts.services),
    );
  }
  return server;
}

/** The tool's schema as clients see it, without the SDK's own check: the tool checks and names the argument in words. */
function lenient(tool: Tool): Tool["input"] {
  const standard = tool.input["~standard"];
  return new Proxy(tool.input, {
    get: (target, key, receiver) =>
      key === "~standard"
        ? { ...standard, validate: (value: unknown) => ({ value }) }
        : Reflect.get(target, key, receiver),
  });
}

type CallResult = {
  content: { type: "text"; text: string }[];
  structuredContent?: Record<string, unknown>;
  isError?: boolean;
};

async function callTool(
  tool: Tool,
  args: unknown,
  context: ServerContext,
  services: ServerParts["services"],
): Promise<CallResult> {
  const started = performance.now();
  const progress = new Progress(context);
  const work: WorkContext = { signal: context.mcpReq.signal, report: (update) => progress.report(update) };
  try {
    const result = await tool.call(args, { services, work });
    log.info({ tool: tool.name, ms: Math.round(performance.now() - started) }, "tool");
    return { content: [{ type: "text", text: result.text }], structuredContent: result.structured };
  } catch (error) {
    return { content: [{ type: "text", text: errorText(tool, error) }], isError: true };
  } finally {
    progress.end();
  }
}

/** Code, cause and what to do, in text: with `isError` clients show nothing else. */
function errorText(tool: Tool, error: unknown): string {
  if (error instanceof ArgumentError) return `invalid_argument: ${error.message}`;
  if (error instanceof KernelEvolveError)
    return `${error.code}: ${error.message}${error.fix === undefined ? "" : `\nFix: ${error.fix}`}`;
  log.error({ err: error, tool: tool.name }, "tool failed");
  return `infrastructure: ${tool.name} failed unexpectedly (${errorMessage(error).slice(0, 300)})\nFix: see the server's log on stderr (KERNELEVOLVE_LOG=info); the store is unharmed and the call can be repeated`;
}

/** Progress notifications for a request that asked for them: every change at most twice a second, and a sign of life. */
class Progress {
  readonly #context: ServerContext;
  readonly #token: string | number | undefined;
  readonly #timer: NodeJS.Timeout | undefined;
  #last: ProgressUpdate | undefined;
  #sent = 0;
  #value = 0;

  constructor(context: ServerContext) {
    this.#context = context;
    this.#token = context.mcpReq._meta?.progressToken;
    if (this.#token !== undefined) {
      this.#timer = setInterval(() => {
        if (this.#last !== undefined) this.#send(this.#last);
      }, PROGRESS_AT_LEAST_MS).unref();
    }
  }

  report(update: ProgressUpdate): void {
    if (this.#token === undefined) return;
    const changed = update.message !== this.#last?.message || update.progress !== this.#last.progress;
    this.#last = update;
    if (changed && performance.now() - this.#sent >= PROGRESS_EVERY_MS) this.#send(update);
  }

  #send(update: ProgressUpdate): void {
    if (this.#token === undefined || this.#context.mcpReq.signal.aborted) return;
    this.#sent = performance.now();
    // The protocol wants it to grow with every notification, also when only the message is new.
    this.#value = Math.max(this.#value + 1e-6, update.progress);
    const params = {
      progressToken: this.#token,
      progress: this.#value,
      message: update.message,
      ...(update.total === undefined ? {} : { total: Math.max(update.total, this.#value) }),
    };
    this.#context.mcpReq
      .notify({ method: "notifications/progress", params })
      .catch((error: unknown) => log.debug({ err: error }, "progress"));
  }

  end(): void {
    clearInterval(this.#timer);
  }
}
