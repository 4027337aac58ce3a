import type { ModelChoice } from "../agent/model/settings.ts";
import type { ArtifactService, Driver, EvolutionService } from "../domain/index.ts";

/**
 * The driver with language models, whose packages are loaded when a run is driven and not before. What `choice` leaves open the
 * environment says (see `modelSettings`).
 */
export function lazyModelDriver(
  parts: { readonly evolution: EvolutionService; readonly artifacts: ArtifactService },
  choice: ModelChoice = {},
): Driver {
  return {
    name: "model",
    drive: async (run, context) => {
      const [{ modelDriver }, { modelSettings }] = await Promise.all([
        import("../agent/model/driver.ts"),
        import("../agent/model/settings.ts"),
      ]);
      const { env } = process;
      const driver = modelDriver({ ...parts, settings: () => modelSettings(choice, env), env });
      return await driver.drive(run, context);
    },
  };
}
