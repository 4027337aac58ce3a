import { type CompileStage, KernelEvolveError, type Reason } from "../../domain/index.ts";
import { plainText } from "../../platform/text.ts";
import { eventsOf, type TorchEvent } from "./events.ts";
import type { TorchWork } from "./plan.ts";
import { failureFinding } from "./reasons.ts";

/**
 * What the judge found when it read a candidate, and built it where it is C++ or CUDA: the compile stage, and what speaks against it.
 * @throws infrastructure, and missing_tool with how to get the compiler.
 */
export function readFindings(
  work: TorchWork,
  events: readonly TorchEvent[],
  seconds: number,
): { stage: CompileStage; reasons: Reason[] } {
  const [failed] = eventsOf(events, "error");
  if (failed?.code === "infrastructure") throw new KernelEvolveError("infrastructure", failed.message);
  const [missing] = eventsOf(events, "missing");
  if (missing !== undefined)
    throw new KernelEvolveError("missing_tool", `${missing.what} is missing`, { fix: missing.reason });
  const [built] = eventsOf(events, "built");
  const [refused] = eventsOf(events, "compile_error");
  const [ended] = eventsOf(events, "host_failure");
  const common = {
    seconds,
    artifacts: {},
    cached: built?.cached ?? false,
    toolchain: plainText(built?.tool ?? `Python ${work.environment.version}`, 300),
  };
  if (ended !== undefined) {
    const { status, reason } = failureFinding(ended);
    return { stage: { ...common, status, diagnostics: reason.message }, reasons: [reason] };
  }
  if (failed === undefined && refused === undefined) {
    const warnings = built?.warnings.map((one) => `line ${one.line ?? "?"}: ${plainText(one.message, 300)}`);
    const said = (warnings ?? []).slice(0, 20).join("\n");
    return { stage: { ...common, status: "ok", ...(said === "" ? {} : { diagnostics: said }) }, reasons: [] };
  }
  const message = plainText(refused?.message ?? failed?.message ?? "", 2000);
  const diagnostics = refused === undefined ? message : plainText(refused.text, 4000);
  return {
    stage: { ...common, status: "compile_error", diagnostics },
    reasons: [{ code: "compile_error", message: message.slice(0, 400) }],
  };
}
