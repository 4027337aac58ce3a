import { KernelEvolveError, type Services, type WorkContext } from "../domain/index.ts";
import { dataHome } from "../platform/paths.ts";
import { fail, ProgressLine } from "./output.ts";

export interface CommandContext {
  readonly services: Services;
  readonly work: WorkContext;
  readonly progress: ProgressLine;
}

/**
 * Runs a command over the services of this data home: errors become text and an exit code, Ctrl-C cancels the work
 * (a second one ends at once), and the store is closed whatever happens.
 */
export async function withServices(
  json: boolean,
  command: (context: CommandContext) => Promise<void>,
): Promise<void> {
  const abort = new AbortController();
  const progress = new ProgressLine();
  let signals = 0;
  const stop = (): void => {
    signals += 1;
    if (signals > 1) process.exit(130);
    progress.end();
    process.stderr.write("stopping; what was recorded stays (again to end at once)\n");
    abort.abort(new KernelEvolveError("cancelled", "stopped by a signal"));
  };
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.on(signal, stop);
  let services: Services | undefined;
  try {
    const { createServices } = await import("../app/services.ts");
    services = createServices(dataHome(), { anyFile: true });
    const work: WorkContext = { signal: abort.signal, report: (update) => progress.show(update.message) };
    await command({ services, work, progress });
  } catch (error) {
    progress.end();
    fail(error, json);
    if (signals > 0) process.exitCode = 130;
  } finally {
    progress.end();
    await services?.close();
    for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.off(signal, stop);
  }
}
