import { cpSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { z } from "zod";
import {
  type ArtifactService,
  type CompiledKernel,
  type CompileStage,
  KernelEvolveError,
  type Reason,
  type Replacement,
  type TargetSpec,
} from "../../domain/index.ts";
import { plainText } from "../../platform/text.ts";
import { sandboxUid } from "../sandbox/run.ts";
import { languageOf, type TorchWork } from "./plan.ts";
import { torchSandbox } from "./sandbox.ts";
import { TorchServer } from "./server.ts";

/** Artifacts of more kernels than this are left out; their figures are told. */
const MOST_TEXTS = 6;
const MAX_REASONS = 8;
const num = z.number().nullish();
const file = z.object({ type: z.string(), path: z.string(), bytes: z.number() });

const kernelFields = {
  kernel: z.string(),
  num_warps: num,
  threads: num,
  shared_bytes: num,
  resources: z.record(z.string(), z.unknown()).nullish(),
  occupancy: z.object({ fraction: z.number(), limited_by: z.array(z.string()) }).nullish(),
  exceeds: z.array(z.string()),
  artifacts: z.array(file),
};

/** Events of `python -m ke_torch.compile`, as tools/torch/README.md lists them. */
const compileEventSchema = z.discriminatedUnion("event", [
  z.object({ event: z.literal("kernel"), ...kernelFields }),
  z.object({ event: z.literal("replaced"), ...kernelFields, candidate_cache: z.string().nullish() }),
  z.object({ event: z.literal("artifacts"), files: z.array(file) }),
  z.object({ event: z.literal("recorded"), kernels: num, launches: num, left_out: num }),
  z.object({
    event: z.literal("compile_error"),
    kernel: z.string().nullish(),
    stage: z.string(),
    message: z.string(),
    line: num,
    text: z.string(),
  }),
  z.object({ event: z.literal("warning"), message: z.string(), line: num }),
  z.object({ event: z.literal("tool"), name: z.string(), version: z.unknown() }),
  z.object({ event: z.literal("missing"), what: z.string(), reason: z.string() }),
  z.object({ event: z.literal("host_failure"), code: z.string(), message: z.string() }),
  z.object({ event: z.literal("compiled"), passed: z.boolean(), kernels: z.int(), failed: z.int() }),
  z.object({ event: z.literal("error"), code: z.string(), message: z.string() }),
  z.object({ event: z.literal("done"), ok: z.boolean(), seconds: z.number() }),
]);
export type CompileEvent = z.infer<typeof compileEventSchema>;

/** `python -m ke_torch.compile --serve`, kept warm. */
export class TorchCompiler extends TorchServer<CompileEvent> {
  constructor(python: string) {
    super(python, "ke_torch.compile", compileEventSchema);
  }
}

function hardware(spec: TargetSpec): Record<string, number> {
  return Object.fromEntries(Object.entries(spec.limits).map(([name, limit]) => [name, limit.value]));
}

function kernelOf(event: Extract<CompileEvent, { event: "kernel" | "replaced" }>): CompiledKernel {
  const resources = event.resources ?? {};
  const figure = (name: string): number | undefined => {
    const value = resources[name];
    return typeof value === "number" ? value : undefined;
  };
  const registers = figure("registers") ?? figure("vector_registers");
  const spills = [figure("spill_store_bytes"), figure("scratch_bytes")].find((one) => one !== undefined);
  return {
    name: `${plainText(event.kernel, 120)}${event.event === "replaced" ? " (edited)" : ""}`,
    ...(registers === undefined ? {} : { registers }),
    ...(typeof event.shared_bytes === "number" ? { shared_bytes: event.shared_bytes } : {}),
    ...(spills === undefined ? {} : { spill_bytes: spills }),
    ...(typeof event.threads === "number" ? { threads: event.threads } : {}),
    ...(event.occupancy === undefined || event.occupancy === null
      ? {}
      : { occupancy: event.occupancy.fraction, limited_by: event.occupancy.limited_by }),
    exceeds: event.exceeds,
  };
}

/** The text by its kind, which follows from what the target is compiled for. */
function replaceField(work: TorchWork, { kernel, text }: Replacement): object {
  const kind = work.spec.run?.arch?.startsWith("gfx") === true ? "amdgcn" : "ptx";
  return { kernel, [kind]: text };
}

/** One kernel's figures in a line. */
export function kernelText(kernel: CompiledKernel): string {
  const parts = [
    kernel.registers === undefined ? undefined : `${kernel.registers} registers`,
    kernel.shared_bytes === undefined ? undefined : `${kernel.shared_bytes} bytes of shared memory`,
    kernel.spill_bytes === undefined
      ? undefined
      : kernel.spill_bytes === 0
        ? "no spills"
        : `${kernel.spill_bytes} bytes spilled`,
    kernel.threads === undefined ? undefined : `${kernel.threads} threads a block`,
    kernel.occupancy === undefined
      ? undefined
      : `occupancy ${(kernel.occupancy * 100).toFixed(0)} % (limited by ${(kernel.limited_by ?? []).join(", ")})`,
    kernel.exceeds.length === 0 ? undefined : `exceeds ${kernel.exceeds.join(", ")}: it will not launch`,
  ];
  return `${kernel.name}: ${parts.filter((part) => part !== undefined).join(", ")}`;
}

/**
 * Compiles a candidate's kernels ahead of time for the target's `arch`, no device needed. A Triton candidate is called on the problem's
 * workloads in a confined process that records its launches instead of running them; a CUDA source is given to nvcc as it is.
 * An edited text is assembled in its kernel's place; of a Triton candidate it is laid out below `overrides`, where its launches find it.
 * @throws infrastructure when the compiler's own program fails.
 */
export async function compileAhead(
  work: TorchWork,
  problem: object,
  compiler: TorchCompiler,
  artifacts: ArtifactService,
  overrides?: string,
): Promise<{ stage: CompileStage; reasons: Reason[] }> {
  const folder = mkdtempSync(join(tmpdir(), "kernelevolve-ahead-"));
  const started = performance.now();
  try {
    const job = {
      abstraction: work.abstraction,
      arch: work.spec.run?.arch,
      source: work.source,
      ...(languageOf(work.toolchain) === undefined ? { problem } : { flags: work.toolchain.default_flags }),
      folder,
      ...(work.replace === undefined ? {} : { replace: replaceField(work, work.replace) }),
      hardware: hardware(work.spec),
      sandbox: torchSandbox(work.sandbox, work.environment, "cpu", []),
      uid: work.sandbox.root && work.sandbox.kind === "full" ? sandboxUid() : 0,
      seconds: 300,
    };
    const events = await compiler.ask(job, 600_000, work.context);
    const failed = events.find((event) => event.event === "error");
    if (failed?.event === "error" && failed.code === "infrastructure")
      throw new KernelEvolveError("infrastructure", plainText(failed.message, 600));
    const edited = events.flatMap((event) => (event.event === "replaced" ? [event] : []));
    const kernels = [
      ...edited.map(kernelOf),
      ...events.flatMap((event) => (event.event === "kernel" ? [kernelOf(event)] : [])),
    ];
    for (const { candidate_cache: place } of edited)
      if (overrides !== undefined && typeof place === "string")
        cpSync(join(place, "override"), join(overrides, "override"), { recursive: true });
    const reasons = events.flatMap((event): Reason[] => {
      if (event.event === "compile_error") {
        const where = typeof event.line === "number" ? ` (line ${event.line})` : "";
        const whose = event.kernel === undefined || event.kernel === null ? "" : `${event.kernel}: `;
        return [{ code: "compile_error", message: plainText(`${whose}${event.message}${where}`, 500) }];
      }
      if (event.event === "host_failure")
        return [{ code: event.code, message: `while it was compiled: ${plainText(event.message, 400)}` }];
      if (event.event === "error") return [{ code: "compile_error", message: plainText(event.message, 500) }];
      return [];
    });
    const missing = events.flatMap((event) =>
      event.event === "missing" ? [`${event.what} is missing: ${plainText(event.reason, 300)}`] : [],
    );
    const passed = events.some((event) => event.event === "compiled" && event.passed);
    const said = [
      ...kernels.map(kernelText),
      ...missing,
      ...events.flatMap((event) => (event.event === "compile_error" ? [plainText(event.text, 3000)] : [])),
    ].filter((text) => text !== "");
    const stage: CompileStage = {
      status: passed ? "ok" : "compile_error",
      seconds: (performance.now() - started) / 1000,
      cached: false,
      artifacts: await kept(events, artifacts),
      toolchain: `${languageOf(work.toolchain) === undefined ? `triton ${work.environment.packages["triton"] ?? ""}` : toolText(events)} for ${work.spec.run?.arch ?? ""}`,
      ...(said.length === 0 ? {} : { diagnostics: said.join("\n").slice(0, 4000) }),
      kernels,
    };
    const why =
      passed || reasons.length > 0
        ? reasons
        : [{ code: "compile_error", message: missing[0] ?? "nothing was compiled" }];
    return { stage, reasons: why.slice(0, MAX_REASONS) };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** The compiler's own words about its version. */
function toolText(events: readonly CompileEvent[]): string {
  const tool = events.find((event) => event.event === "tool");
  if (tool?.event !== "tool") return "nvcc";
  const version = z.array(z.string()).safeParse(tool.version);
  return plainText(`${tool.name} ${version.success ? version.data.join(" ") : ""}`, 200).trim();
}

const TEXTS = new Set(["ttir", "ttgir", "llir", "ptx", "sass", "amdgcn"]);

/** Lowered code of the first kernels as artifacts. */
async function kept(
  events: readonly CompileEvent[],
  artifacts: ArtifactService,
): Promise<Record<string, string>> {
  const written: Record<string, string> = {};
  const kernels = (["replaced", "kernel"] as const).flatMap((kind) =>
    events.flatMap((event) =>
      (event.event === "kernel" || event.event === "replaced") && event.event === kind
        ? [event.artifacts]
        : [],
    ),
  );
  // Of a CUDA source as a whole.
  const whole = events.flatMap((event) => (event.event === "artifacts" ? [event.files] : []));
  for (const files of [...kernels.slice(0, MOST_TEXTS), ...whole]) {
    for (const { type, path } of files) {
      const text = TEXTS.has(type);
      const name = basename(path);
      written[name] = await artifacts.write(text ? readFileSync(path, "utf8") : readFileSync(path), {
        name,
        media_type: text ? "text/plain" : "application/octet-stream",
      });
    }
  }
  return written;
}
