import { copyFileSync } from "node:fs";
import { join } from "node:path";
import type { WorkContext } from "../../domain/index.ts";
import { probeSandbox } from "../../platform/sandbox-probe.ts";
import { plainText } from "../../platform/text.ts";
import { which } from "../../platform/which.ts";
import { runSandboxed, withJobFolder } from "../sandbox/run.ts";
import type { Compiled } from "./compiler.ts";

const CAP = 4 << 20;

/**
 * The code of an object as assembly text. The object is untrusted, so the disassembler runs in the sandbox.
 * @returns undefined where there is no objdump or it cannot read the object.
 */
export async function disassemble(object: Compiled, context: WorkContext): Promise<string | undefined> {
  const objdump = which("objdump");
  if (objdump === undefined) return undefined;
  const probe = await probeSandbox();
  return await withJobFolder(async (folder, uid) => {
    const inside = probe.bwrap === undefined ? folder : "/w";
    copyFileSync(object.object, join(folder, "kernel.so"));
    const result = await runSandboxed({
      argv: [objdump, "-d", "--no-show-raw-insn", "--section=.text", `${inside}/kernel.so`],
      jobFolder: folder,
      uid,
      limits: {
        cpuSeconds: 30,
        addressSpaceBytes: 2 ** 30,
        memoryBytes: 2 ** 30,
        fileBytes: 1 << 20,
        processes: 8,
      },
      timeoutMs: 30_000,
      signal: context.signal,
      cap: CAP,
      writable: [],
    });
    if (result.code !== 0) return undefined;
    return plainText(result.stdout.replace(/^.*file format.*$/m, ""), CAP).trimStart();
  });
}
