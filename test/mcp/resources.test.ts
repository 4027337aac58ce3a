import { describe, expect, it } from "vitest";
import { documentOf, uriOf } from "../../src/mcp/resources.ts";

describe("addresses of documents", () => {
  it.each([
    ["hardware-docs/nvidia/tma", "hardware://nvidia/tma"],
    ["hardware-docs/cpu-x86-64/numbers", "hardware://cpu-x86-64/numbers"],
    ["knowledge/guidance/operators/gemm", "knowledge://guidance/operators/gemm"],
    ["user/acme/manual/part-02", "knowledge://user/acme/manual/part-02"],
  ])("%s", (id, uri) => {
    expect(uriOf(id)).toBe(uri);
    expect(documentOf(uri)).toBe(id);
  });

  it.each(["file:///etc/passwd", "hardware://", "hardware://a b", "http://nvidia/tma", "knowledge://a?b"])(
    "%s is none",
    (uri) => {
      expect(documentOf(uri)).toBeUndefined();
    },
  );
});
