import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { openStore } from "../../src/store/index.ts";
import { Folder } from "../store/fixtures.ts";

/** A server process; resolves when it is ready. */
async function serve(home: string, file: string, ms: number, ...names: string[]): Promise<ChildProcess> {
  const child = spawn(
    process.execPath,
    [
      "--disable-warning=ExperimentalWarning",
      join(import.meta.dirname, "children/server.ts"),
      home,
      file,
      String(ms),
      ...names,
    ],
    { stdio: ["pipe", "pipe", "inherit"] },
  );
  await once(child.stdout ?? child, "data");
  return child;
}

function lines(file: string, word: string): string[] {
  if (!existsSync(file)) return [];
  return readFileSync(file, "utf8")
    .split("\n")
    .filter((line) => line.startsWith(word))
    .map((line) => line.split(" ")[1] ?? "");
}

async function until(done: () => boolean): Promise<void> {
  while (!done()) await new Promise((resolve) => setTimeout(resolve, 10));
}

async function stop(child: ChildProcess): Promise<void> {
  const ended = once(child, "exit");
  child.stdin?.end();
  await ended;
  expect(child.exitCode).toBe(0);
}

describe("jobs of a server that was killed", () => {
  it("are gone on with exactly once by two servers that start together", async () => {
    using folder = new Folder();
    const file = join(folder.path, "log");
    const names = ["a", "b", "c", "d", "e", "f"];
    const first = await serve(folder.path, file, 60_000, ...names);
    await until(() => lines(file, "begin").length === 4);
    first.kill("SIGKILL");
    await once(first, "exit");

    const servers = await Promise.all([serve(folder.path, file, 200), serve(folder.path, file, 200)]);
    await until(() => lines(file, "end").length >= 6);
    for (const server of servers) await stop(server);
    expect(lines(file, "end").sort()).toEqual(names);
    // Four had begun before the kill; each began once more.
    expect(lines(file, "begin")).toHaveLength(10);
    const store = openStore(folder.path);
    expect(store.jobs.list()).toHaveLength(6);
    for (const job of store.jobs.list()) expect(job).toMatchObject({ state: "done", progress: 1 });
    store.close();
  });

  it("are taken over by a server that was there all along", async () => {
    using folder = new Folder();
    const file = join(folder.path, "log");
    const standing = await serve(folder.path, file, 10);
    const working = await serve(folder.path, file, 60_000, "a");
    await until(() => lines(file, "begin").length === 1);
    working.kill("SIGKILL");
    await until(() => lines(file, "end").length === 1);
    await stop(standing);
  });

  it("go over to the next one when the server closes in order", async () => {
    using folder = new Folder();
    const file = join(folder.path, "log");
    const first = await serve(folder.path, file, 60_000, "a");
    await until(() => lines(file, "begin").length === 1);
    await stop(first);
    expect(lines(file, "end")).toEqual([]);
    const second = await serve(folder.path, file, 10);
    await until(() => lines(file, "end").length === 1);
    await stop(second);
  });
});
