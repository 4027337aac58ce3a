import { describe, expect, test } from "vitest";
import { z } from "zod";
import { openStore } from "../../src/store/index.ts";
import { Place, smallProblem, Watched } from "./watched.ts";

const ENDS: readonly (readonly [name: string, end: (server: Watched) => void])[] = [
  ["stdin's end", (server) => server.hangUp()],
  ["SIGTERM", (server) => server.kill("SIGTERM")],
  ["SIGINT", (server) => server.kill("SIGINT")],
  ["SIGHUP", (server) => server.kill("SIGHUP")],
];

/** For ever, and deaf to whatever a process can be deaf to. */
const DEAF = `#define _GNU_SOURCE
#include <signal.h>
#include "kernel.h"
void kernel(const float *x, float *y, int64_t M, int64_t N) {
  sigset_t all;
  sigfillset(&all);
  sigprocmask(SIG_BLOCK, &all, NULL);
  for (volatile int64_t i = 0;; i++) {
  }
}
`;

const started = z.object({ overview: z.object({ run: z.string() }) });

/** Waits for the server's end and looks at what it leaves. */
async function expectCleanEnd(server: Watched, place: Place): Promise<void> {
  expect(await server.ended).toEqual({ code: 0, signal: null });
  await server.quiet();
  expect(place.files()).toEqual([]);
  expect(server.groups()).toEqual([]);
}

describe.each(ENDS)("at %s the server ends in order", (_name, end) => {
  test("while it has nothing to do", async () => {
    using place = new Place();
    using server = await Watched.start(place);
    expect((await server.client.listTools()).tools.length).toBeGreaterThan(0);
    end(server);
    await expectCleanEnd(server, place);
  });

  test("in the middle of an evaluation, of a kernel deaf to signals", async () => {
    using place = new Place();
    using server = await Watched.start(place);
    // The answer never comes: its connection ends first.
    const answer = server.finish("kernel_verify", { problem: "row-reduction", source: DEAF });
    const failed = expect(answer).rejects.toThrow();
    await server.runs(/ke-host/);
    end(server);
    await expectCleanEnd(server, place);
    await server.client.close();
    await failed;
    const store = openStore(place.home);
    // Not lost and not failed: the next server goes on with it.
    expect(store.jobs.list().map(({ kind, state, owner }) => ({ kind, state, owner }))).toEqual([
      { kind: "evaluate", state: "queued", owner: null },
    ]);
    store.close();
  });

  test("in the middle of a run that it drives", async () => {
    using place = new Place();
    using server = await Watched.start(place);
    const problem = await smallProblem(server);
    const { run } = started.parse(
      (await server.call("evolve_start", { problem, nodes: 20, seconds: 400, seed: 1 })).structured,
    ).overview;
    await server.until("evolve_run", { run }, /timing/);
    end(server);
    await expectCleanEnd(server, place);
    const store = openStore(place.home);
    expect(store.graph.run(run)?.state).toBe("open");
    expect(store.jobs.live().map(({ kind, state, owner }) => ({ kind, state, owner }))).toEqual([
      { kind: "evolve", state: "queued", owner: null },
    ]);
    store.close();
  });
});
