import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { z } from "zod";
import {
  type Job,
  KernelEvolveError,
  type ProgressUpdate,
  type WorkContext,
} from "../../src/domain/index.ts";
import { LocalJobs } from "../../src/jobs/index.ts";
import { openStore, type Store } from "../../src/store/index.ts";
import { Folder } from "../store/fixtures.ts";

/** Work that a test holds and lets go, by name. */
class Bench {
  readonly started: string[] = [];
  readonly contexts = new Map<string, WorkContext>();
  readonly #gates = new Map<string, PromiseWithResolvers<unknown>>();

  gate(name: string): PromiseWithResolvers<unknown> {
    const known = this.#gates.get(name) ?? Promise.withResolvers<unknown>();
    this.#gates.set(name, known);
    return known;
  }

  /** Ends when let go, or with its signal. */
  async run({ name }: { name: string }, context: WorkContext): Promise<unknown> {
    this.started.push(name);
    this.contexts.set(name, context);
    const aborted = Promise.withResolvers<never>();
    context.signal.addEventListener("abort", () => aborted.reject(new Error("aborted")));
    return Promise.race([this.gate(name).promise, aborted.promise]);
  }

  report(name: string, update: ProgressUpdate): void {
    this.contexts.get(name)?.report(update);
  }
}

const named = z.object({ name: z.string() });
const never = new AbortController().signal;
let folder: Folder;
let store: Store;
let bench: Bench;
let jobs: LocalJobs;

function runner(options?: { concurrency?: number }): LocalJobs {
  const made = new LocalJobs(store.jobs, options);
  made.register("work", { args: named, run: (args, context) => bench.run(args, context) });
  made.register("single", { args: named, limit: 1, run: (args, context) => bench.run(args, context) });
  return made;
}

beforeEach(() => {
  folder = new Folder();
  store = openStore(folder.path);
  bench = new Bench();
  jobs = runner();
});
afterEach(async () => {
  await jobs.close();
  store.close();
  folder[Symbol.dispose]();
});

/** Waits; collects what was reported. */
async function wait(id: string, seconds = 20, on = jobs): Promise<{ job: Job; told: ProgressUpdate[] }> {
  const told: ProgressUpdate[] = [];
  const job = await on.wait(id, seconds, { signal: never, report: (update) => told.push(update) });
  return { job, told };
}

/** Until the bench has begun the work of that name. */
async function begun(name: string): Promise<void> {
  while (!bench.started.includes(name)) await new Promise((resolve) => setTimeout(resolve, 2));
}

describe("start", () => {
  it("answers a queued job, runs it, and keeps its result", async () => {
    const job = await jobs.start("work", { name: "a" });
    expect(job).toMatchObject({ kind: "work", state: "queued", progress: 0, message: "queued" });
    bench.gate("a").resolve({ answer: 42 });
    expect((await wait(job.id)).job).toMatchObject({ state: "done", result: { answer: 42 } });
    expect(await jobs.get(job.id)).toMatchObject({ state: "done", result: { answer: 42 } });
    expect(await jobs.list({ state: "done" })).toHaveLength(1);
    expect(await jobs.list({ state: "running" })).toEqual([]);
  });

  it("refuses an unknown kind or arguments by name, and stores nothing", async () => {
    await expect(jobs.start("nothing", {})).rejects.toMatchObject({
      code: "invalid_argument",
      fix: expect.stringContaining("work, single"),
    });
    await expect(jobs.start("work", { name: 1 })).rejects.toThrow(/^name: /);
    await expect(jobs.start("work", undefined)).rejects.toMatchObject({ code: "invalid_argument" });
    expect(await jobs.list()).toEqual([]);
  });

  it("joins a live job of the same key, whatever the order of the arguments' fields", async () => {
    const wide = z.object({ a: z.number(), b: z.number() });
    jobs.register("wide", { args: wide, run: () => bench.gate("wide").promise });
    const job = await jobs.start("wide", { a: 1, b: 2 }, { idempotency_key: "k" });
    expect((await jobs.start("wide", { b: 2, a: 1 }, { idempotency_key: "k" })).id).toBe(job.id);
    await expect(jobs.start("wide", { a: 1, b: 3 }, { idempotency_key: "k" })).rejects.toMatchObject({
      code: "conflict",
    });
    await expect(jobs.start("work", { name: "a" }, { idempotency_key: "k" })).rejects.toMatchObject({
      code: "conflict",
    });
    bench.gate("wide").resolve(1);
    await wait(job.id);
    expect((await jobs.start("wide", { a: 1, b: 2 }, { idempotency_key: "k" })).id).not.toBe(job.id);
  });

  it("runs no more of a kind at once than its limit; kinds do not wait for each other", async () => {
    const first = await jobs.start("single", { name: "s1" });
    const second = await jobs.start("single", { name: "s2" });
    await jobs.start("work", { name: "w1" });
    await begun("s1");
    await begun("w1");
    expect((await jobs.get(second.id)).state).toBe("queued");
    bench.gate("s1").resolve(null);
    await wait(first.id);
    await begun("s2");
    expect(bench.started.filter((name) => name.startsWith("s"))).toEqual(["s1", "s2"]);
  });

  it("keeps what went wrong, with code and fix", async () => {
    const known = await jobs.start("work", { name: "known" });
    const unknown = await jobs.start("work", { name: "unknown" });
    const unstorable = await jobs.start("work", { name: "unstorable" });
    await begun("unstorable");
    bench.gate("known").reject(new KernelEvolveError("missing_tool", "no gcc", { fix: "install gcc" }));
    bench.gate("unknown").reject(new TypeError("x is undefined"));
    bench.gate("unstorable").resolve(1n);
    expect((await wait(known.id)).job).toMatchObject({
      state: "failed",
      error: { code: "missing_tool", message: "no gcc", fix: "install gcc" },
    });
    expect((await wait(unknown.id)).job.error).toEqual({ code: "infrastructure", message: "x is undefined" });
    expect((await wait(unstorable.id)).job.error?.message).toContain("BigInt");
  });
});

describe("progress", () => {
  it("reaches who waits at once, and never goes back", async () => {
    const job = await jobs.start("work", { name: "a" });
    const waited = wait(job.id);
    await begun("a");
    bench.report("a", { progress: 3, total: 10, message: "three" });
    bench.report("a", { progress: 1, total: 10, message: "one" });
    bench.report("a", { progress: Number.NaN, total: Number.POSITIVE_INFINITY, message: "x".repeat(9999) });
    expect(await jobs.get(job.id)).toMatchObject({ progress: 3, state: "running" });
    bench.gate("a").resolve(null);
    const { told, job: ended } = await waited;
    expect(told.map(({ progress, message }) => [progress, message.slice(0, 5)])).toEqual([
      [0, "runni"],
      [3, "three"],
      [3, "one"],
      [3, "xxxxx"],
    ]);
    expect(told.at(-1)?.message).toHaveLength(500);
    expect(ended).toMatchObject({ message: "done", progress: 3 });
  });

  it("is stored, so that another process on the store sees it", async () => {
    const job = await jobs.start("work", { name: "a" });
    await begun("a");
    bench.report("a", { progress: 2, total: 4, message: "half" });
    const other = runner();
    const seen: string[] = [];
    const waited = other.wait(job.id, 20, { signal: never, report: ({ message }) => seen.push(message) });
    while (!seen.includes("half")) await new Promise((resolve) => setTimeout(resolve, 10));
    bench.gate("a").resolve("result");
    expect(await waited).toMatchObject({ state: "done", result: "result" });
    await other.close();
  });

  it("of a waiter who fails to take it does not harm the job or other waiters", async () => {
    const job = await jobs.start("work", { name: "a" });
    await begun("a");
    let calls = 0;
    const broken = jobs.wait(job.id, 20, {
      signal: never,
      report: () => {
        calls += 1;
        if (calls > 1) throw new Error("connection closed");
      },
    });
    const waited = wait(job.id);
    bench.report("a", { progress: 1, message: "one" });
    bench.gate("a").resolve(1);
    expect((await waited).told.map(({ message }) => message)).toEqual(["running", "one"]);
    expect((await broken).state).toBe("done");
  });
});

describe("wait", () => {
  it("ends on time with the job as it is; the job goes on", async () => {
    const job = await jobs.start("work", { name: "a" });
    await begun("a");
    expect((await wait(job.id, 0.02)).job.state).toBe("running");
    expect((await wait(job.id, 0)).job.state).toBe("running");
    bench.gate("a").resolve(null);
    expect((await wait(job.id)).job.state).toBe("done");
  });

  it("ends with its own signal and leaves the job", async () => {
    const job = await jobs.start("work", { name: "a" });
    await begun("a");
    const abort = new AbortController();
    const waited = jobs.wait(job.id, 20, { signal: abort.signal, report: () => undefined });
    abort.abort();
    await expect(waited).rejects.toMatchObject({ code: "cancelled" });
    await expect(
      jobs.wait(job.id, 20, { signal: abort.signal, report: () => undefined }),
    ).rejects.toMatchObject({
      code: "cancelled",
    });
    expect(bench.contexts.get("a")?.signal.aborted).toBe(false);
    bench.gate("a").resolve(7);
    expect((await wait(job.id)).job).toMatchObject({ state: "done", result: 7 });
  });

  it("names what is wrong with its arguments", async () => {
    await expect(wait("job_none")).rejects.toMatchObject({ code: "not_found" });
    const job = await jobs.start("work", { name: "a" });
    for (const seconds of [-1, Number.NaN, Number.POSITIVE_INFINITY])
      await expect(wait(job.id, seconds)).rejects.toThrow("seconds");
  });
});

describe("cancel", () => {
  it("aborts the work, waits for it to end, and marks the job", async () => {
    const job = await jobs.start("work", { name: "a" });
    const waited = wait(job.id);
    await begun("a");
    expect(await jobs.cancel(job.id)).toMatchObject({ state: "cancelled", error: { code: "cancelled" } });
    expect(bench.contexts.get("a")?.signal.aborted).toBe(true);
    expect((await waited).job.state).toBe("cancelled");
    expect((await jobs.cancel(job.id)).state).toBe("cancelled");
    bench.report("a", { progress: 9, message: "late" });
    expect(await jobs.get(job.id)).toMatchObject({ state: "cancelled", progress: 0 });
  });

  it("keeps a queued job from ever running", async () => {
    const first = await jobs.start("single", { name: "s1" });
    const second = await jobs.start("single", { name: "s2" });
    expect((await jobs.cancel(second.id)).state).toBe("cancelled");
    bench.gate("s1").resolve(null);
    await wait(first.id);
    await jobs.start("single", { name: "s3" });
    await begun("s3");
    expect(bench.started).toEqual(["s1", "s3"]);
  });

  it("leaves what has ended, and says what is unknown", async () => {
    const job = await jobs.start("work", { name: "a" });
    bench.gate("a").resolve(1);
    await wait(job.id);
    expect((await jobs.cancel(job.id)).state).toBe("done");
    await expect(jobs.cancel("job_none")).rejects.toMatchObject({ code: "not_found" });
  });

  it("reaches a job that another runner has; its late result is not taken", async () => {
    const job = await jobs.start("work", { name: "a" });
    await begun("a");
    const other = runner();
    expect((await other.cancel(job.id)).state).toBe("cancelled");
    const signal = bench.contexts.get("a")?.signal;
    while (signal?.aborted !== true) await new Promise((resolve) => setTimeout(resolve, 20));
    expect(await jobs.get(job.id)).toMatchObject({ state: "cancelled" });
    await other.close();
  });
});

describe("close", () => {
  it("ends waits, ends work, and leaves everything for the next server, which runs it once", async () => {
    const running = await jobs.start("single", { name: "s1" });
    const queued = await jobs.start("single", { name: "s2" });
    await begun("s1");
    bench.report("s1", { progress: 5, message: "five" });
    const waited = wait(running.id);
    const closed = jobs.close();
    await expect(waited).rejects.toMatchObject({
      code: "cancelled",
      message: expect.stringContaining("shutting down"),
    });
    await closed;
    await jobs.close();
    expect(bench.contexts.get("s1")?.signal.aborted).toBe(true);
    await expect(jobs.start("work", { name: "late" })).rejects.toMatchObject({ code: "cancelled" });
    expect(store.jobs.get(running.id)).toMatchObject({ state: "queued", owner: null });
    expect(store.jobs.get(queued.id)).toMatchObject({ state: "queued", owner: null });

    const [one, two] = [runner(), runner()];
    one.resume();
    two.resume();
    for (const name of ["s1", "s2"]) bench.gate(name).resolve(name);
    expect((await wait(running.id, 20, one)).job).toMatchObject({ state: "done", result: "s1" });
    expect((await wait(queued.id, 20, two)).job).toMatchObject({ state: "done", result: "s2" });
    expect(bench.started).toEqual(["s1", "s1", "s2"]);
    await one.close();
    await two.close();
  });

  it("waits for work that takes a while to end", async () => {
    let ended = false;
    jobs.register("slow", {
      args: z.object({}),
      run: (_, { signal }) =>
        new Promise((_resolve, reject) => {
          bench.started.push("slow");
          signal.addEventListener("abort", () =>
            setTimeout(() => {
              ended = true;
              reject(new Error("ended"));
            }, 50),
          );
        }),
    });
    await jobs.start("slow", {});
    await begun("slow");
    await jobs.close();
    expect(ended).toBe(true);
  });
});

describe("jobs without a living owner", () => {
  const orphan = (
    id: string,
    owner: string | undefined,
    more: { kind?: string; args?: string } = {},
  ): void => {
    const made = { id, kind: "work", args: '{"name":"a"}', key: `key_${id}`, owner: owner ?? "", ...more };
    store.jobs.create(made, Date.now());
    store.jobs.take(id, made.owner, `${made.owner}`, Date.now());
    if (owner === undefined) store.jobs.release(made.owner);
  };
  /** As this process names itself, but of a time long ago. */
  const deadOwner = async (): Promise<string> => {
    const job = await jobs.start("work", { name: "probe" });
    const [place, pid] = (store.jobs.get(job.id)?.owner ?? "").split(":");
    await jobs.cancel(job.id);
    return `${place}:${pid}:1:gone`;
  };

  it("are gone on with when their process is gone, at once", async () => {
    orphan("job_dead", await deadOwner());
    orphan("job_left", undefined);
    bench.gate("a").resolve(1);
    jobs.resume();
    expect((await wait("job_dead")).job.state).toBe("done");
    expect((await wait("job_left")).job.state).toBe("done");
    expect(bench.started.filter((name) => name === "a")).toHaveLength(2);
  });

  it("are left alone while an owner elsewhere still beats", async () => {
    orphan("job_elsewhere", "other-boot/1:1:1:x");
    jobs.resume();
    await new Promise((resolve) => setTimeout(resolve, 50));
    expect(store.jobs.get("job_elsewhere")?.owner).toBe("other-boot/1:1:1:x");
    expect(bench.started).toEqual([]);
  });

  it("are run by whoever joins them, also by one that does not go on with others' jobs", async () => {
    orphan("job_dead", await deadOwner());
    bench.gate("a").resolve("joined");
    const job = await jobs.start("work", { name: "a" }, { idempotency_key: "key_job_dead" });
    expect(job.id).toBe("job_dead");
    expect((await wait(job.id)).job).toMatchObject({ state: "done", result: "joined" });
  });

  it("fail, and are not tried for ever, when their arguments no longer fit", async () => {
    orphan("job_old", await deadOwner(), { args: '{"title":"a"}' });
    orphan("job_foreign", await deadOwner(), { kind: "of-a-later-version" });
    jobs.resume();
    expect((await wait("job_old")).job).toMatchObject({
      state: "failed",
      error: { code: "invalid_argument" },
    });
    expect(store.jobs.get("job_foreign")?.state).toBe("running");
  });
});

describe("retention", () => {
  it("keeps the newest ended jobs and every live one", async () => {
    const end = { state: "done", result: "1", error: null, message: "done" } as const;
    const start = Date.parse("2026-01-01T00:00:00Z");
    for (let index = 0; index < 10; index += 1) {
      store.jobs.create({ id: `j${index}`, kind: "k", args: "1", key: undefined, owner: "o" }, start);
      if (index > 0) store.jobs.finish(`j${index}`, undefined, end, start + index * 60_000);
    }
    store.jobs.prune(5, new Date(start).toISOString());
    expect(
      store.jobs
        .list()
        .map((job) => job.id)
        .sort(),
    ).toEqual(["j0", "j5", "j6", "j7", "j8", "j9"]);
    store.jobs.prune(5, new Date(start + 8 * 60_000).toISOString());
    expect(
      store.jobs
        .list()
        .map((job) => job.id)
        .sort(),
    ).toEqual(["j0", "j8", "j9"]);
    jobs.resume();
    expect(store.jobs.list().map((job) => job.id)).toEqual(["j0"]);
  });
});

describe("a store that fails for a while", () => {
  it("gets the end of a job when it works again", async () => {
    const job = await jobs.start("work", { name: "a" });
    await begun("a");
    const finish = store.jobs.finish.bind(store.jobs);
    let refused = 0;
    store.jobs.finish = () => {
      refused += 1;
      throw new KernelEvolveError("infrastructure", "the disk is full");
    };
    bench.gate("a").resolve("kept");
    while (refused === 0) await new Promise((resolve) => setTimeout(resolve, 2));
    expect((await jobs.get(job.id)).state).toBe("running");
    store.jobs.finish = finish;
    expect((await wait(job.id)).job).toMatchObject({ state: "done", result: "kept" });
  });
});
