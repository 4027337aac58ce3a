import { describe, expect, it } from "vitest";
import type { Reason, Status } from "../../../src/domain/index.ts";
import { workloadBenchmark } from "../../../src/evaluation/pipeline/credit.ts";
import { failureReason } from "../../../src/evaluation/pipeline/reasons.ts";
import {
  benchmarkStatus,
  findings,
  isLasting,
  NOTES,
  verdictOf,
  verifyStatus,
} from "../../../src/evaluation/pipeline/verdict.ts";
import { failure, measured, wrong } from "./events.ts";

const reason = (code: string): Reason => ({ code, message: code });
const passed = { workload: "a", trials: 8, passed: true, failures: [] };

describe("findings", () => {
  it("the most harmful one is the status, and its reasons come first", () => {
    const found = findings([
      wrong("value_mismatch"),
      failure("segfault"),
      failure("forbidden_syscall", { syscall: 41 }),
    ]);
    expect(found.status).toBe("tampered");
    expect(found.reasons.map((one) => one.code)).toEqual(["forbidden_syscall", "value_mismatch", "segfault"]);
    expect(found.reasons[0]?.message).toContain("socket");
  });

  it("what our own side does is never held against the candidate", () => {
    for (const role of ["baseline", "oracle"] as const) {
      const { status, reason: told } = failureReason(failure("segfault", { role }));
      expect(status).toBe("infrastructure_error");
      expect(told.code).toBe(`${role}_segfault`);
    }
  });

  it("nothing found is ok, and never more than twelve reasons are told", () => {
    expect(findings([])).toEqual({ status: "ok", reasons: [] });
    expect(findings(Array.from({ length: 40 }, () => wrong("value_mismatch"))).reasons).toHaveLength(12);
  });
});

describe("fail closed", () => {
  it("verification passes only with an explicit pass of every workload", () => {
    expect(verifyStatus("ok", [passed, passed], 2)).toBe("ok");
    expect(verifyStatus("ok", [passed], 2)).toBe("infrastructure_error");
    expect(verifyStatus("ok", [], 0)).toBe("ok");
    expect(verifyStatus("ok", [passed, { ...passed, passed: false }], 2)).toBe("infrastructure_error");
    expect(verifyStatus("timeout", [passed, passed], 2)).toBe("timeout");
  });

  it("a workload that could not be timed makes the answer too noisy, a missing one is ours", () => {
    const { benchmark } = workloadBenchmark(measured({}), undefined);
    expect(benchmarkStatus("ok", [benchmark], { timed: 1, unmeasured: 0 })).toBe("ok");
    expect(benchmarkStatus("ok", [benchmark], { timed: 2, unmeasured: 1 })).toBe("too_noisy");
    expect(benchmarkStatus("ok", [benchmark], { timed: 2, unmeasured: 0 })).toBe("infrastructure_error");
    expect(benchmarkStatus("tampered", [benchmark], { timed: 1, unmeasured: 0 })).toBe("tampered");
  });
});

describe("verdict", () => {
  it.each<[Status, string[], string]>([
    ["ok", [], "passed"],
    ["too_noisy", ["too_noisy"], "passed"],
    ["ok", [...NOTES], "passed"],
    ["ok", ["above_roofline"], "flagged"],
    ["ok", ["suspicious_source"], "flagged"],
    ["ok", ["a code that nobody knows"], "flagged"],
    ["wrong_answer", [], "rejected"],
    ["tampered", [], "rejected"],
    ["timeout", [], "rejected"],
    ["compile_error", [], "rejected"],
    ["infrastructure_error", [], "flagged"],
    ["unsupported", [], "flagged"],
  ])("%s with %j is %s", (status, codes, verdict) => {
    expect(verdictOf(status, codes.map(reason))).toBe(verdict);
  });

  it("only what would be the same again is remembered", () => {
    expect(isLasting({ status: "ok", reasons: [] })).toBe(true);
    expect(isLasting({ status: "wrong_answer", reasons: [] })).toBe(true);
    for (const status of ["too_noisy", "infrastructure_error", "timeout"] as const)
      expect(isLasting({ status, reasons: [] })).toBe(false);
    expect(isLasting({ status: "ok", reasons: [reason("profile_failed")] })).toBe(false);
  });
});
