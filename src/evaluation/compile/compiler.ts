import { existsSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { z } from "zod";
import { KernelEvolveError, type Toolchain, type WorkContext } from "../../domain/index.ts";
import { canonicalJson, sha256 } from "../../platform/hash.ts";
import { cacheHome } from "../../platform/paths.ts";
import { probeSandbox } from "../../platform/sandbox-probe.ts";
import { runProcess } from "../../platform/subprocess.ts";
import { plainText } from "../../platform/text.ts";
import { which } from "../../platform/which.ts";
import { readOutput, runSandboxed, withJobFolder } from "../sandbox/run.ts";
import { fillCommand } from "./flags.ts";
import { Slots } from "./slots.ts";

const MAX_OBJECT_BYTES = 64 << 20;
const LOG_CAP = 1 << 20;
const GIB = 2 ** 30;

/** What one run of a compiler may use. */
export interface CompileLimits {
  readonly seconds: number;
  readonly memoryBytes: number;
}
const LIMITS: CompileLimits = { seconds: 60, memoryBytes: 4 * GIB };

export interface CompileRequest {
  readonly toolchain: Toolchain;
  readonly source: string;
  /** kernel.h and shim.c of the problem. */
  readonly header: string;
  readonly shim: string;
  readonly flags: readonly string[];
  /** Facts of the machine that `-march=native` depends on. */
  readonly machine: string;
  readonly limits?: CompileLimits;
}

export interface Compiled {
  readonly ok: boolean;
  /** Path of the shared object when ok. */
  readonly object: string;
  readonly key: string;
  /** The compiler's messages: untrusted text, plain, without folders of this machine. */
  readonly log: string;
  readonly command: string;
  readonly toolchain: string;
  readonly seconds: number;
  readonly cached: boolean;
  readonly bytes: number;
  readonly timedOut: boolean;
}

const metaSchema = z.object({
  ok: z.boolean(),
  log: z.string(),
  command: z.string(),
  toolchain: z.string(),
  bytes: z.number(),
  timedOut: z.boolean(),
});

const versions = new Map<string, Promise<string>>();
/** First line of `program --version`. @throws missing_tool. */
export function compilerVersion(program: string): Promise<string> {
  const known = versions.get(program);
  if (known !== undefined) return known;
  const asked = (async () => {
    if (which(program) === undefined) {
      throw new KernelEvolveError("missing_tool", `${program} is not installed`, {
        fix: "run `kernelevolve doctor`: it names the command that installs it",
      });
    }
    const result = await runProcess({ argv: [program, "--version"], timeoutMs: 10_000 });
    return result.stdout.split("\n")[0] ?? program;
  })();
  versions.set(program, asked);
  asked.catch(() => versions.delete(program));
  return asked;
}

const slots = new Slots();

/**
 * Compiles a source to a shared object in the sandbox. The result, good or bad, is kept by content: the same source, header, flags,
 * compiler and machine are never compiled twice.
 * @throws missing_tool, cancelled; a source that does not compile is a result with `ok: false`.
 */
export async function compile(request: CompileRequest, context: WorkContext): Promise<Compiled> {
  const { toolchain } = request;
  const version = await compilerVersion(toolchain.program);
  const key = sha256(
    canonicalJson([
      request.source,
      request.header,
      request.shim,
      request.flags,
      toolchain.command,
      version,
      request.machine,
    ]),
  );
  const folder = join(cacheHome(), "objects", key.slice(0, 2));
  const object = join(folder, `${key}.so`);
  const meta = join(folder, `${key}.json`);
  const known = readMeta(meta);
  if (known !== undefined && (!known.ok || existsSync(object)))
    return { ...known, object, key, seconds: 0, cached: true };
  return await slots.with(context.signal, async () => {
    const started = performance.now();
    const made = await build(request, version, context);
    if (context.signal.aborted) throw new KernelEvolveError("cancelled", "the compilation was cancelled");
    mkdirSync(folder, { recursive: true });
    const part = `.${process.pid}.${Math.trunc(performance.now() * 1000)}.part`;
    if (made.bytes !== undefined) {
      writeFileSync(object + part, made.bytes, { mode: 0o755 });
      renameSync(object + part, object);
    }
    const stored = {
      ok: made.bytes !== undefined,
      log: made.log,
      command: made.command,
      toolchain: version,
      bytes: made.bytes?.length ?? 0,
      timedOut: made.timedOut,
    };
    // Running out of time or memory depends on how busy the machine was: it is not remembered.
    if (made.lasting) {
      writeFileSync(meta + part, JSON.stringify(stored));
      renameSync(meta + part, meta);
    } else rmSync(meta, { force: true });
    return { ...stored, object, key, seconds: (performance.now() - started) / 1000, cached: false };
  });
}

function readMeta(file: string): z.infer<typeof metaSchema> | undefined {
  try {
    return metaSchema.parse(JSON.parse(readFileSync(file, "utf8")));
  } catch {
    return undefined;
  }
}

interface Built {
  readonly bytes: Buffer | undefined;
  readonly log: string;
  readonly command: string;
  readonly timedOut: boolean;
  /** Whether the same request would end the same way again. */
  readonly lasting: boolean;
}

async function build(request: CompileRequest, version: string, context: WorkContext): Promise<Built> {
  const { toolchain } = request;
  const limits = request.limits ?? LIMITS;
  const probe = await probeSandbox();
  return await withJobFolder(async (folder, uid) => {
    const inside = probe.bwrap === undefined ? folder : "/w";
    const source = `kernel${toolchain.extension}`;
    writeFileSync(join(folder, source), request.source, { mode: 0o644 });
    writeFileSync(join(folder, "kernel.h"), request.header, { mode: 0o644 });
    writeFileSync(join(folder, "shim.c"), request.shim, { mode: 0o644 });
    const places = {
      source: `${inside}/${source}`,
      shim: `${inside}/shim.c`,
      output: `${inside}/out.so`,
      include: inside,
    };
    const argv = fillCommand(toolchain.command, places, request.flags);
    const result = await runSandboxed({
      argv,
      jobFolder: folder,
      uid,
      limits: {
        cpuSeconds: limits.seconds,
        addressSpaceBytes: limits.memoryBytes,
        memoryBytes: limits.memoryBytes,
        fileBytes: MAX_OBJECT_BYTES,
        processes: 64,
      },
      timeoutMs: limits.seconds * 1000,
      signal: context.signal,
      cap: LOG_CAP,
    });
    const bytes = result.code === 0 ? readOutput(join(folder, "out.so"), MAX_OBJECT_BYTES) : undefined;
    const shown = (text: string): string => text.replaceAll(`${inside}/`, "").replaceAll(inside, ".");
    let log = shown(plainText(result.stderr + result.stdout, LOG_CAP));
    const starved = bytes === undefined && !result.timedOut && ranOut(log);
    if (result.timedOut) log = `the compiler did not end within ${limits.seconds} s\n${log}`;
    else if (starved) {
      const used = `${(limits.memoryBytes / GIB).toFixed(1)} GiB of memory or ${limits.seconds} s of processor time`;
      log = `the compiler used up its ${used} (${version})\n${log}`;
    }
    return {
      bytes,
      log,
      command: shown(argv.join(" ")),
      timedOut: result.timedOut,
      lasting: !result.timedOut && !starved,
    };
  });
}

/** Whether a compiler that failed was ended by a limit and not by what it read: it then has no error of the source to tell. */
function ranOut(log: string): boolean {
  return (
    /out of memory|memory exhausted|virtual memory exhausted|Cannot allocate memory|bad_alloc|(Killed|CPU time limit|File size limit|Terminated)[^\n]*\bsignal\b/i.test(
      log,
    ) || !/\b(error|undefined reference)\b/i.test(log)
  );
}
