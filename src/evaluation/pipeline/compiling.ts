import type { ArtifactService, CompileStage } from "../../domain/index.ts";
import { disassemble } from "../compile/assembly.ts";
import { type Compiled, compile } from "../compile/compiler.ts";
import { parseRemarks, withoutRemarks } from "../compile/remarks.ts";
import type { Outcome } from "./outcome.ts";
import type { Work } from "./plan.ts";

const DIAGNOSTICS_CHARS = 4000;

/** The file name under which the candidate's own messages and costs appear. */
export function sourceFile(work: Work): string {
  return `kernel${work.toolchain.extension}`;
}

/** Everything a build of this candidate depends on, with `flags`. */
export function buildRequest(work: Work, flags: readonly string[]): Parameters<typeof compile>[0] {
  return {
    toolchain: work.toolchain,
    source: work.source,
    header: work.prepared.header,
    shim: work.prepared.shim,
    machine: work.prepared.machineKey,
    flags,
  };
}

/** Builds the candidate and notes what the compiler said. @returns undefined when it does not compile; the outcome says why. */
export async function compileStage(
  work: Work,
  outcome: Outcome,
  artifacts: ArtifactService,
): Promise<Compiled | undefined> {
  // The remarks come with the build itself: the same flags, more words.
  const flags = [...work.flags, ...work.toolchain.remarks_flags];
  const made = await compile(buildRequest(work, flags), work.context);
  outcome.remarks = parseRemarks(made.log, sourceFile(work));
  const spoken = withoutRemarks(made.log);
  const stage: CompileStage = {
    status: made.ok ? "ok" : made.timedOut ? "timeout" : "compile_error",
    seconds: made.seconds,
    cached: made.cached,
    artifacts: await longTexts(work, outcome, made, spoken, artifacts),
    command: made.command,
    toolchain: made.toolchain,
    ...(spoken === "" ? {} : { diagnostics: spoken.slice(0, DIAGNOSTICS_CHARS) }),
    ...(made.ok ? { binary_bytes: made.bytes } : {}),
  };
  outcome.stages.compile = stage;
  if (made.ok) return made;
  outcome.status = stage.status;
  const lines = spoken.split("\n");
  const first = lines.find((line) => /\b(error|undefined reference)\b/.test(line)) ?? lines[0] ?? "";
  outcome.reasons.push({
    code: stage.status,
    message: first.slice(0, 400) || "the source does not compile",
  });
  return undefined;
}

/** The whole log where it is long; assembly and remarks where compiling is all that was asked for. */
async function longTexts(
  work: Work,
  outcome: Outcome,
  made: Compiled,
  spoken: string,
  artifacts: ArtifactService,
): Promise<Record<string, string>> {
  const written: Record<string, string> = {};
  const write = async (key: string, name: string, media_type: string, text: string): Promise<void> => {
    written[key] = await artifacts.write(text, { name, media_type });
  };
  if (spoken.length > DIAGNOSTICS_CHARS) await write("log", "compiler.log", "text/plain", spoken);
  if (!made.ok || work.stages.length > 1) return written;
  const assembly = await disassemble(made, work.context);
  if (assembly !== undefined) await write("assembly", "kernel.s", "text/x-asm", assembly);
  if (outcome.remarks.length > 0) {
    const text = outcome.remarks.map((remark) => `line ${remark.line}: ${remark.text}\n`).join("");
    await write("vectorisation", "vectorisation.txt", "text/plain", text);
  }
  return written;
}
