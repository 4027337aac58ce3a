import { serveStdio } from "@modelcontextprotocol/server/stdio";
import type { Services } from "../domain/index.ts";
import { errorMessage } from "../domain/index.ts";
import { log } from "../platform/log.ts";
import { buildServer } from "./server.ts";

const LAST_RESORT_MS = 5_000;

/**
 * Serves MCP on stdin and stdout until the client closes stdin or a signal comes; then ends every child, closes the store and exits.
 * `open` is called once, when a tool first needs the services.
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
  const handle = serveStdio(() => buildServer({ services: once, version }), {
    onerror: (error) => log.warn({ err: error }, "protocol"),
  });
  let stopping = false;
  const stop = (reason: string, code: number): void => {
    if (stopping) return;
    stopping = true;
    log.info({ reason }, "shutting down");
    setTimeout(() => process.exit(code === 0 ? 1 : code), LAST_RESORT_MS).unref();
    void (async () => {
      try {
        await (await services?.catch(() => undefined))?.close();
        await handle.close();
      } catch (error) {
        log.error({ err: error }, errorMessage(error));
      }
      process.exit(code);
    })();
  };
  process.stdin.once("end", () => stop("stdin ended", 0));
  process.stdin.once("close", () => stop("stdin closed", 0));
  process.stdout.on("error", () => stop("stdout closed", 0));
  for (const [signal, code] of [
    ["SIGTERM", 143],
    ["SIGINT", 130],
    ["SIGHUP", 129],
  ] as const) {
    process.once(signal, () => stop(signal, code));
  }
}
