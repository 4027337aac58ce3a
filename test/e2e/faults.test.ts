import { randomUUID } from "node:crypto";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { z } from "zod";
import { Place, Watched } from "./watched.ts";

const HEAD = `#define _GNU_SOURCE
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include "kernel.h"
static void honest(const float *x, float *y, int64_t M, int64_t N) {
  for (int64_t i = 0; i < M; i++) {
    float sum = 0;
    for (int64_t j = 0; j < N; j++) sum += x[i * N + j];
    y[i] = sum;
  }
}
void kernel(const float *x, float *y, int64_t M, int64_t N) {
`;

interface Fault {
  readonly body: string;
  readonly status: string;
  readonly verdict?: string;
  /** The first reason's code. */
  readonly code: string | RegExp;
  readonly message?: RegExp;
}

/** What a kernel does in its call, and what must be said of it. */
const FAULTS: Readonly<Record<string, Fault>> = {
  "crashes (SIGSEGV)": {
    body: "*(volatile int *)8 = 1;",
    status: "runtime_error",
    code: "segfault",
    message: /null pointer/,
  },
  "divides by zero (SIGFPE)": {
    body: "volatile int zero = 0; y[0] = (float)(7 / zero);",
    status: "runtime_error",
    code: "arithmetic_fault",
  },
  "has an instruction that there is not (SIGILL)": {
    body: "__builtin_trap();",
    status: "runtime_error",
    code: "illegal_instruction",
  },
  "forks until it is stopped": {
    body: "for (;;) fork();",
    status: "tampered",
    code: "forbidden_syscall",
    message: /clone|fork/,
  },
  "allocates without end": {
    body: "for (;;) { char *more = malloc(1 << 20); memset(more, 1, 1 << 20); }",
    status: "runtime_error",
    code: "out_of_memory",
  },
  "writes a huge file": {
    body: 'static char block[1 << 16]; int fd = open("/tmp/huge", O_CREAT | O_WRONLY, 0600); if (fd < 0) exit(9); while (write(fd, block, sizeof block) > 0) {} honest(x, y, M, N);',
    status: "runtime_error",
    // Or there is nowhere that it could write.
    code: /^(file_too_large|exited_early)$/,
  },
  "opens a socket": {
    body: "socket(AF_INET, SOCK_STREAM, 0); honest(x, y, M, N);",
    status: "tampered",
    code: "forbidden_syscall",
    message: /socket/,
  },
  "reads the home folder": {
    body: "HOME_OR_EXIT honest(x, y, M, N);",
    status: "runtime_error",
    code: "exited_early",
    message: /exit code 44/,
  },
  "writes over its input": {
    body: "honest(x, y, M, N); *(volatile float *)(uintptr_t)x = 0;",
    status: "runtime_error",
    code: "input_written",
    message: /near x/,
  },
  "writes past its output, within the page": {
    body: "honest(x, y, M, N); y[M] = 1;",
    status: "runtime_error",
    code: "wrote_outside_output",
  },
  "writes far past its output": {
    body: "honest(x, y, M, N); ((volatile float *)y)[M + 1024] = 1;",
    status: "runtime_error",
    code: "out_of_bounds",
  },
  "prints megabytes": {
    body: 'honest(x, y, M, N); for (int i = 0; i < 40000; i++) puts("the same line of output, again and again, all of it for nobody to read");',
    status: "ok",
    verdict: "passed",
    code: "output_discarded",
    message: /printed \d{7,} bytes/,
  },
  "calls exit(0)": {
    body: "exit(0);",
    status: "runtime_error",
    code: "exited_early",
    message: /exit code 0/,
  },
  "answers NaN": {
    body: 'honest(x, y, M, N); y[M / 2] = __builtin_nanf("");',
    status: "wrong_answer",
    code: "nan_mismatch",
  },
};

const record = z.object({
  record: z.object({
    verdict: z.string(),
    status: z.string(),
    reasons: z.array(z.object({ code: z.string(), message: z.string(), workload: z.string().optional() })),
  }),
});
type Said = z.infer<typeof record>["record"];

const place = new Place();
let server: Watched;
beforeAll(async () => {
  server = await Watched.start(place);
});
afterAll(async () => {
  expect(await server.close()).toEqual({ code: 0, signal: null });
  place[Symbol.dispose]();
});

/** Verifies a source that nobody has seen before. Small workloads: what is to be seen is not their size. */
async function verify(source: string, workloads: readonly string[] = ["narrow"]): Promise<Said> {
  const args = { problem: "row-reduction", source: `/* ${randomUUID()} */\n${source}`, workloads };
  return record.parse((await server.finish("kernel_verify", args)).structured).record;
}

/** Nothing of the last evaluation runs or lies about, and the next one is as if it had never been. */
async function expectClean(): Promise<void> {
  await server.quiet();
  expect(server.groups()).toEqual([]);
  expect(place.files()).toEqual([]);
  const next = await verify(`${HEAD}honest(x, y, M, N);\n}\n`);
  expect(next).toEqual({ verdict: "passed", status: "ok", reasons: [] });
}

describe("a kernel that", () => {
  test.each(Object.entries(FAULTS))("%s", async (_name, { body, status, verdict, code, message }) => {
    const source = body.replace("HOME_OR_EXIT", homeOrExit());
    const said = await verify(`${HEAD}${source}\n}\n`);
    expect(said.reasons[0]?.code, JSON.stringify(said)).toMatch(
      code instanceof RegExp ? code : new RegExp(`^${code}$`),
    );
    expect(said.status).toBe(status);
    expect(said.verdict).toBe(verdict ?? "rejected");
    if (message !== undefined) expect(said.reasons[0]?.message).toMatch(message);
    await expectClean();
  });

  test("does not compile", async () => {
    const said = await verify(`${HEAD}honest(x, y, M, N)\n}\n`);
    expect(said).toMatchObject({ verdict: "rejected", status: "compile_error" });
    expect(said.reasons).toHaveLength(1);
    expect(said.reasons[0]).toMatchObject({
      code: "compile_error",
      message: expect.stringMatching(/kernel\.c:\d+:\d+: error: expected ‘;’/),
    });
    await expectClean();
  });

  test("loops for ever, deaf to SIGTERM: one time-out, however many workloads there are", async () => {
    const said = await verify(`${HEAD}signal(SIGTERM, SIG_IGN); for (volatile int64_t i = 0;; i++) {}\n}\n`, [
      "512x1024",
      "32x65536",
      "prime-4099x257",
      "one",
      "narrow",
    ]);
    expect(said).toMatchObject({ verdict: "rejected", status: "timeout" });
    expect(said.reasons.map((reason) => reason.code)).toEqual(["call_timeout"]);
    await expectClean();
  });
});

/** C that ends with 44 when the home folder of whoever runs the server, or of root, cannot be read. */
function homeOrExit(): string {
  const homes = [process.env["HOME"] ?? "/root", "/root", "/home"];
  return homes.map((home) => `if (open(${JSON.stringify(home)}, O_RDONLY) < 0) exit(44);`).join(" ");
}
