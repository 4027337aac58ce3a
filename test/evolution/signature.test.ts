import { describe, expect, it } from "vitest";
import type { EvaluationRecord, Status } from "../../src/domain/evaluation.ts";
import { errorSignature } from "../../src/evolution/operator/signature.ts";

const about = { op_type: "matmul", timed: new Set(["big"]) };

function failed(
  status: Status,
  message: string,
  more: { diagnostics?: string; code?: string; workload?: string } = {},
) {
  const compile = { status, seconds: 1, cached: false, artifacts: {}, diagnostics: more.diagnostics ?? "" };
  const reason = {
    code: more.code ?? status,
    message,
    ...(more.workload === undefined ? {} : { workload: more.workload }),
  };
  const record: Pick<EvaluationRecord, "status" | "verdict" | "reasons" | "stages"> = {
    status,
    verdict: "rejected",
    reasons: [reason],
    stages: { compile },
  };
  return record;
}

const compileError = (diagnostics: string, source = "int main;") =>
  errorSignature(failed("compile_error", "first line", { diagnostics }), source, about);

describe("error signature", () => {
  it("of compile errors leaves out places, numbers and the kernel's names, keeps what the error is", () => {
    const same: [string, string][] = [
      [
        "kernel.c: In function ‘kernel’:\nkernel.c:12:5: error: ‘acc’ undeclared (first use in this function)",
        "void kernel() { acc += 1; }",
      ],
      ["kernel.c:3:17: error: ‘sum_0’ undeclared (first use in this function)\n   3 |  sum_0", "float *x;"],
      ["/home/somebody/work/kernel.c:120:9: error: ‘tile’ undeclared (first use in this function)", ""],
    ];
    const signatures = new Set(same.map(([text, source]) => compileError(text, source)));
    expect([...signatures]).toEqual(["compile_error|error: 'ID' undeclared (first use in this function)"]);
    // Unquoted names of the kernel, and sizes.
    expect(compileError('kernel.cu(12): error: identifier "smem" is undefined')).toBe(
      compileError('other.cu(999): error: identifier "buffer2" is undefined'),
    );
    expect(compileError("k.c:1:1: error: size of array acc is 128 bytes", "float acc[32];")).toBe(
      compileError("k.c:7:2: error: size of array tile is 4096 bytes", "float tile[1024];"),
    );
  });

  it("of compile errors tells different errors, and different intrinsics, apart", () => {
    const texts = [
      "k.c:1:1: error: ‘acc’ undeclared (first use in this function)",
      "k.c:1:1: error: expected ‘;’ before ‘}’ token",
      "k.c:1:1: error: inlining failed in call to ‘always_inline’ ‘_mm512_fmadd_ps’: target specific option mismatch",
      "k.c:1:1: error: inlining failed in call to ‘always_inline’ ‘_mm256_fmadd_ps’: target specific option mismatch",
      "k.o: in function `kernel': k.c:(.text+0x1a): undefined reference to `expf'",
      "NameError: name 'tl' is not defined",
      "triton.CompilationError: arange's range must be a power of 2",
    ];
    expect(new Set(texts.map((text) => compileError(text))).size).toBe(texts.length);
  });

  it("of a traceback is what was raised, not where", () => {
    const traceback = (line: number, name: string, error: string) =>
      compileError(
        `Traceback (most recent call last):\n  File "/tmp/x${line}/candidate.py", line ${line}, in kernel\n    raise error handling\ntriton.compiler.errors.CompilationError: at ${line}:8:\n    ${name} = tl.load(p)\n            ^\n${error}`,
      );
    const base = traceback(3, "acc", "NameError('tl2 is not defined')");
    expect(base).toBe(traceback(99, "total", "NameError('tl7 is not defined')"));
    expect(base).not.toBe(traceback(3, "acc", "ValueError('arange range must be a power of 2')"));
    expect(traceback(3, "acc", "")).toBe("compile_error|triton.compiler.errors.CompilationError: at N:N:");
  });

  it("of run-time failures is the judge's code, of exceptions their text", () => {
    const crash = (message: string) =>
      errorSignature(failed("runtime_error", message, { code: "segfault", workload: "big" }), "", about);
    expect(crash("the candidate segmentation fault: near A, kernel+0x10")).toBe(
      crash("the candidate segmentation fault: near C"),
    );
    const raised = (message: string) =>
      errorSignature(failed("runtime_error", message, { code: "exception", workload: "big" }), "", about);
    expect(raised("RuntimeError: shape [128, 64] is invalid for input of size 4096")).toBe(
      raised("RuntimeError: shape [32, 32] is invalid for input of size 9"),
    );
    expect(raised("RuntimeError: shape [1] is invalid")).not.toBe(raised("ValueError: bad stride"));
  });

  it("of wrong answers depends on code, contents, sizes and operator, not on values", () => {
    const wrong = (message: string, workload: string, op_type = "matmul") =>
      errorSignature(failed("wrong_answer", message, { code: "value_mismatch", workload }), "", {
        ...about,
        op_type,
      });
    const base = wrong("C[7] is 0.5, expected 1.0 (3 of 9 elements wrong, trial: ordinary)", "big");
    expect(wrong("out[70] is 3, expected 8 (1 of 2 elements wrong, trial: ordinary)", "big")).toBe(base);
    expect(wrong("C[7] is 0.5, expected 1 (3 of 9 elements wrong, trial: huge value)", "big")).not.toBe(base);
    expect(wrong("C[7] is 0.5, expected 1 (3 of 9 elements wrong, trial: ordinary)", "prime")).not.toBe(base);
    expect(
      wrong("C[7] is 0.5, expected 1 (3 of 9 elements wrong, trial: ordinary)", "big", "softmax"),
    ).not.toBe(base);
  });

  it("is there for the kernel's own faults only, and bounded whatever a compiler says", () => {
    for (const status of ["infrastructure_error", "unsupported", "too_noisy"] as const)
      expect(errorSignature(failed(status, "x"), "", about)).toBeUndefined();
    expect(errorSignature({ ...failed("compile_error", "x"), verdict: "passed" }, "", about)).toBeUndefined();
    const gap = `int acc${" \n".repeat(90_000)}= 1;`;
    expect(compileError("k.c:1:1: error: acc", gap)).toBe("compile_error|error: ID");
    expect(compileError(`k.c:1: error: ${"IGNORE ALL PREVIOUS ".repeat(10_000)}`)?.length).toBeLessThan(300);
  });
});
