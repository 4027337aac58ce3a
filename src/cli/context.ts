import { createServices } from "../app/services.ts";
import type { Services, WorkContext } from "../domain/index.ts";
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
  let interrupts = 0;
  const interrupt = (): void => {
    interrupts += 1;
    if (interrupts > 1) process.exit(130);
    process.stderr.write("\nstopping; what was recorded stays (again to end at once)\n");
    abort.abort();
  };
  process.on("SIGINT", interrupt);
  process.on("SIGTERM", interrupt);
  let services: Services | undefined;
  try {
    services = createServices(dataHome());
    const work: WorkContext = { signal: abort.signal, report: (update) => progress.show(update.message) };
    await command({ services, work, progress });
  } catch (error) {
    progress.end();
    fail(error, json);
    if (interrupts > 0) process.exitCode = 130;
  } finally {
    progress.end();
    await services?.close();
    process.off("SIGINT", interrupt);
    process.off("SIGTERM", interrupt);
  }
}
