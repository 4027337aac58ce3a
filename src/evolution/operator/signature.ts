import type { EvaluationRecord, Reason } from "../../domain/evaluation.ts";

/** What failures have a signature: those that are the kernel's own. */
const OWN_FAULTS: ReadonlySet<EvaluationRecord["status"]> = new Set([
  "compile_error",
  "runtime_error",
  "timeout",
  "wrong_answer",
  "tampered",
]);
/** Longest line of a message and source that are looked at: what follows changes no signature. */
const MESSAGE_LENGTH = 1000;
const SOURCE_LENGTH = 200_000;
/** Longest text of a signature: enough for what compilers say in one line. */
const LENGTH = 240;
/** Lines of a compiler that state the error rather than where it is. */
const ERROR_LINE = /\berror\b|undefined reference|multiple definition|ptxas\s+fatal/i;
/** A line of an interpreter that names an exception: `NameError: …`, `triton.compiler.errors.CompilationError: …`. */
const EXCEPTION = /^\s*[\w.]{0,120}(?:Error|Exception)\b/;

/** Names that belong to languages and their libraries: they say what the error is about, in every kernel. */
const LIBRARY_NAME =
  /^(?:_mm\w*|__\w+|svu?\w+_\w+|v\w+q_[fsu]\d+|(?:tl|tle|torch|triton|cute|cutlass|math|std|cuda|hip|wmma|nvcuda|np|numpy)(?:[.:]\w*)*|cuda[A-Z]\w*|hip[A-Z]\w*|KE_\w+|int\d+_t|uint\d+_t|size_t|float|double|int|long|short|char|void|bool|const|restrict|static|inline|unsigned|signed|struct|pointer|half|bfloat16|float16|float32|constexpr|kernel|include|define|malloc|free|memcpy|memset|aligned_alloc|omp\w*)$/;
const QUOTED = /[‘'`"“]([^‘’'`"“”]{1,200})[’'`"”]/g;

/** Errors by the library names in a quoted piece; what the kernel made up becomes `ID`. */
function quotedPiece(text: string): string {
  const piece = text.replace(/[A-Za-z_$][\w$]*(?:(?:\.|::)[A-Za-z_]\w*)*/g, (name) =>
    LIBRARY_NAME.test(name) ? name : "ID",
  );
  return `'${piece.replace(/\bID(?:\s+ID\b)+/g, "ID")}'`;
}

/** One line of a message without paths, numbers and the kernel's own names. */
export function normalisedMessage(message: string, source: string): string {
  const own = ownNames(source);
  return (
    message
      .slice(0, MESSAGE_LENGTH)
      // Where: `kernel.c:12:5:`, `File "/tmp/x.py", line 3`, `at 0x7f…`.
      .replace(
        /\(?(?:[A-Za-z]:)?[\w./\\+-]*\.(?:c|cc|cpp|cu|cuh|h|hpp|hip|cl|py|o|so)\b(?:[:(]\d+)*\)?:?/g,
        " ",
      )
      .replace(/(?:[A-Za-z]:)?(?:\/[\w.+-]+){2,}\/?/g, " ")
      .replace(/\bline \d+\b/g, "line N")
      .replace(QUOTED, (_, inner: string) => quotedPiece(inner))
      .replace(/[A-Za-z_$][\w$]*/g, (word) => (own.has(word) && !LIBRARY_NAME.test(word) ? "ID" : word))
      .replace(/\b0x[0-9a-fA-F]+\b|(?<![A-Za-z_])[-+]?\d[\d,]*(?:\.\d+)?(?:[eE][-+]?\d+)?/g, "N")
      .replace(/N(?:\s*[x×,]\s*N)+/g, "N")
      .replace(/\s+/g, " ")
      .trim()
      .slice(0, LENGTH)
  );
}

/** Names that a source gives: what is declared, assigned, or passed as a parameter, not the words of the language. */
function ownNames(source: string): ReadonlySet<string> {
  // One blank at most between words: the patterns must not walk long gaps twice.
  const text = source
    .slice(0, SOURCE_LENGTH)
    .replace(/[ \t\r]+/g, " ")
    .replace(/ ?\n[ \n]*/g, "\n");
  const names = new Set<string>();
  const add = (pattern: RegExp): void => {
    for (const found of text.matchAll(pattern)) if (found[1] !== undefined) names.add(found[1]);
  };
  // `type name =`, `type *name;`, `type name[`, `type name(` and parameters; `name =` and `def name` of Python; macros.
  add(/(?:[\w>]\s|[*&]\s?)([A-Za-z_]\w*)\s?(?=[=;,)[(])/g);
  add(/^([A-Za-z_]\w*)\s?(?:[-+*/]?=)(?!=)/gm);
  add(/^(?:def|class) ([A-Za-z_]\w*)/gm);
  add(/^# ?define ([A-Za-z_]\w*)/gm);
  for (const word of ["if", "for", "while", "return", "sizeof", "else", "in", "not", "and", "or"])
    names.delete(word);
  return names;
}

/**
 * How a candidate failed, as a text that is the same for the same error in another kernel: `compile_error|…`. Of a compile
 * error the compiler's first line that states one; of a failure at run time its code; of a wrong answer its code, on which
 * contents and whether on timed or awkward sizes, and for which operator. Undefined where the kernel is not to blame.
 */
export function errorSignature(
  record: Pick<EvaluationRecord, "status" | "verdict" | "reasons" | "stages">,
  source: string,
  problem: { readonly op_type: string; readonly timed: ReadonlySet<string> },
): string | undefined {
  if (record.verdict === "passed" || !OWN_FAULTS.has(record.status)) return undefined;
  const [first] = record.reasons;
  const parts: string[] = [record.status];
  switch (record.status) {
    case "compile_error": {
      const spoken = record.stages.compile?.diagnostics ?? "";
      parts.push(normalisedMessage(errorLine(spoken) ?? first?.message ?? "", source));
      break;
    }
    case "wrong_answer":
      parts.push(first?.code ?? "", trialOf(first), sizesOf(record.reasons, problem.timed), problem.op_type);
      break;
    default:
      parts.push(
        first?.code ?? "",
        codeSaysAll(first) ? "" : normalisedMessage(first?.message ?? "", source),
      );
  }
  return parts.join("|").slice(0, LENGTH + 40);
}

/** Compilers state the first error first; a traceback ends with what was raised, and Triton's with its cause. */
function errorLine(spoken: string): string | undefined {
  const lines = spoken.split("\n");
  const raised = lines.findLast((line) => EXCEPTION.test(line));
  return raised ?? lines.find((line) => ERROR_LINE.test(line));
}

/** The judge's own codes say what happened; of an exception in an interpreter the message does. */
function codeSaysAll(reason: Reason | undefined): boolean {
  return reason !== undefined && !/\w(?:Error|Exception)\b/.test(reason.message);
}

/** The contents on which the answer was wrong: `huge value`, `ordinary`. */
function trialOf(reason: Reason | undefined): string {
  return (/trial: ([^)]{1,60})/.exec(reason?.message ?? "")?.[1] ?? "").replace(/[-+]?\d[\d.]*/g, "N");
}

function sizesOf(reasons: readonly Reason[], timed: ReadonlySet<string>): string {
  const failed = reasons.flatMap(({ workload }) => workload ?? []);
  const some = (wanted: boolean): boolean => failed.some((workload) => timed.has(workload) === wanted);
  return some(true) ? (some(false) ? "all sizes" : "timed sizes") : "awkward sizes";
}
