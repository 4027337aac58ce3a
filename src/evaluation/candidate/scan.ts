import type { Reason } from "../../domain/index.ts";

/** Texts that no kernel needs. They only flag: behaviour is what decides. */
const SUSPICIOUS: readonly (readonly [RegExp, string])[] = [
  [/\bsyscall\s*\(|"[^"\n]*\b(syscall|sysenter|int\s+\$?0x80)\b[^"\n]*"/, "raw system calls"],
  [/\b(dlopen|dlsym|dlinfo|dl_iterate_phdr)\b/, "dynamic loading"],
  [/\b(mprotect|process_vm_\w+|ptrace|pkey_mprotect)\b/, "changing or reading other memory"],
  [/"[^"\n]*\/(proc|dev|sys)\/[^"\n]*"/, "files of the system"],
  [/\b(LD_PRELOAD|__libc_start_main|__cyg_profile\w*)\b/, "changes of program start"],
  [/\.incbin\b/, "a file of this machine in its code"],
  [
    /\b(clock_gettime|gettimeofday|clock|time|omp_get_wtime|__vdso_\w+)\s*\([^()]*\)\s*\{/,
    "a clock of its own",
  ],
];

/** A literal (kept), or a comment (replaced by a blank): read together, so that neither can hide in the other. */
const LITERAL_OR_COMMENT =
  /"(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])*'|\/\/(?:\\\r?\n|[^\n])*|\/\*[\s\S]*?(?:\*\/|$)/g;

/** C source without its comments; text inside literals stays, whatever it looks like. */
export function withoutComments(source: string): string {
  return source.replace(LITERAL_OR_COMMENT, (text) => (text.startsWith("/") ? " " : text));
}

/** A reason for each suspicious text in the source outside its comments. */
export function staticScan(source: string): Reason[] {
  const code = withoutComments(source.replace(/\\\r?\n/g, ""));
  return SUSPICIOUS.filter(([pattern]) => pattern.test(code)).map(([, what]) => ({
    code: "suspicious_source",
    message: `the source mentions ${what}; it is not credited until someone has looked at it`,
  }));
}
