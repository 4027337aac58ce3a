import { StdioServerTransport, serveStdio } from "@modelcontextprotocol/server/stdio";
import type { Services } from "../domain/index.ts";
import { log } from "../platform/log.ts";
import { buildServer } from "./server.ts";

const LAST_RESORT_MS = 5_000;
/**
 * A message larger than this ends the connection, since nothing says where the next one begins. Far above the largest legal
 * one, so that an argument that is merely too large is answered with an error.
 */
const MAX_MESSAGE_BYTES = 64 * 1024 * 1024;

/** The transport over this process's stdin and stdout, which tells when it ends for whatever reason. */
class ProcessTransport extends StdioServerTransport {
  readonly #ended: () => void;

  constructor(ended: () => void) {
    super(process.stdin, process.stdout, { maxBufferSize: MAX_MESSAGE_BYTES });
    this.#ended = ended;
  }

  override async close(): Promise<void> {
    await super.close();
    this.#ended();
  }
}

/**
 * Serves MCP on stdin and stdout until the client closes stdin or a signal comes; then ends every child, closes the
 * store and exits. `open` is called once, when a tool first needs the services.
 */
export function serve(open: () => Promise<Services>, version: string): void {
  let services: Promise<Services> | undefined;
  const once = (): Promise<Services> => {
    services ??= open().catch((error: unknown) => {
      services = undefined;
      throw error;
    });
    return services;
  };
  let stopping = false;
  const stop = (reason: string, code: number): void => {
    if (stopping) return;
    stopping = true;
    log.info({ reason }, "shutting down");
    setTimeout(() => {
      log.error({ reason }, "shutting down took too long");
      process.exit(code === 0 ? 1 : code);
    }, LAST_RESORT_MS).unref();
    void (async () => {
      try {
        await (await services?.catch(() => undefined))?.close();
        await handle.close();
      } catch (error) {
        log.error({ err: error }, "shutting down");
      }
      process.exit(code);
    })();
  };
  const handle = serveStdio(() => buildServer({ services: once, version }), {
    transport: new ProcessTransport(() => stop("the connection ended", 0)),
    onerror: (error) => log.warn({ err: error }, "protocol"),
  });
  // A signal is how a client or a service manager asks for the end: having ended in order is no failure.
  for (const signal of ["SIGTERM", "SIGINT", "SIGHUP"] as const) process.on(signal, () => stop(signal, 0));
  process.on("uncaughtException", (error) => {
    log.fatal({ err: error }, "uncaught");
    stop("an unforeseen error", 70);
  });
}
