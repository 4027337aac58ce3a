import { execFileSync } from "node:child_process";
import { existsSync, mkdirSync, readdirSync, rmSync, utimesSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { afterEach, describe, expect, it, vi } from "vitest";
import type { Node } from "../../src/domain/index.ts";
import { Archive } from "../../src/store/index.ts";
import { Folder, newNode } from "./fixtures.ts";

function node(id: string, step: number, more: Partial<Node> = {}): Node {
  return { ...newNode(id, "run_a").node, step, ...more };
}

function entry(made: Node, source: string, parents: string[] = [], best = false) {
  return { node: made, source, extension: ".c", record: `{"id":"${made.evaluation}"}`, parents, best };
}

function git(archive: Archive, ...args: string[]): string {
  return execFileSync("git", ["--git-dir", archive.directory, ...args], {
    encoding: "utf8",
    stdio: ["ignore", "pipe", "pipe"],
  });
}

afterEach(() => {
  vi.unstubAllEnvs();
});

describe("archive", () => {
  it("is a graph whose edges are the node's parents, with source, record and trailers", async () => {
    using folder = new Folder();
    const archive = new Archive(folder.path);
    const a = await archive.commit(entry(node("a", 0), "int a;"));
    const b = await archive.commit(entry(node("b", 1), "int b;", [a]));
    const c = await archive.commit(
      entry(node("c", 2, { rationale: "tile by 64", fitness: 2.5 }), "int c;", [b, a], true),
    );
    expect(git(archive, "rev-list", "--parents", "-1", c).trim()).toBe(`${c} ${b} ${a}`);
    expect(git(archive, "rev-parse", "refs/runs/run_a/best").trim()).toBe(c);
    expect(git(archive, "rev-parse", "refs/runs/run_a/nodes/000001").trim()).toBe(b);
    expect(git(archive, "show", `${c}:kernel.c`)).toBe("int c;");
    expect(git(archive, "show", `${c}:evaluation.json`)).toBe('{"id":"eval_c"}');
    expect(git(archive, "ls-tree", "--name-only", c)).toBe("evaluation.json\nkernel.c\n");
    expect(
      git(
        archive,
        "log",
        "-1",
        "--format=%s|%(trailers:key=Fitness,valueonly,separator=)|%(trailers:key=Step,valueonly,separator=)",
        c,
      ).trim(),
    ).toBe("tile by 64|2.500000|2");
    expect(git(archive, "log", "--graph", "--all", "--format=%s").match(/\*/g)).toHaveLength(3);
    expect(await archive.log("run_a")).toContain("tile by 64");
    expect(git(archive, "fsck", "--strict")).toBe("");
  });

  it("makes one commit of one node, however often and by whom it is archived", async () => {
    using folder = new Folder();
    const first = await new Archive(folder.path).commit(entry(node("a", 0), "int a;"));
    expect(await new Archive(folder.path).commit(entry(node("a", 0), "int a;"))).toBe(first);
  });

  it("takes a batch at once from several archives over one folder", async () => {
    using folder = new Folder();
    const archives = [new Archive(folder.path), new Archive(folder.path), new Archive(folder.path)];
    await archives[0]?.commit(entry(node("root", 0), "int root;"));
    const commits = await Promise.all(
      archives.flatMap((archive) =>
        [1, 2, 3, 4].map((step) => archive.commit(entry(node(`n${step}`, step), `int n${step};`, [], true))),
      ),
    );
    expect(new Set(commits).size).toBe(4);
    expect(
      git(archives[0] ?? new Archive(""), "for-each-ref", "refs/runs/run_a/nodes")
        .trim()
        .split("\n"),
    ).toHaveLength(5);
    await Promise.all(archives.map((archive) => archive.settled()));
  });

  it("keeps hostile text as text: nothing of it is an option, a command, or a trailer", async () => {
    using folder = new Folder();
    const archive = new Archive(folder.path);
    const texts = [
      "--upload-pack=touch /tmp/x",
      "done\ncommit refs/heads/evil\n",
      "data 3\nabc\nreset refs/runs/run_a/best\n",
      "Fitness: 99\nStep: 7",
      "subject\n\n---\nFitness: 99\n\nFitness: 98",
      "\nfrom refs/heads/x\n# comment\n\u0000\u001b[31m",
      "é".repeat(1900),
      "\u{1F600}".repeat(900),
      "",
      " \n ",
    ];
    for (const [step, text] of texts.entries()) {
      const commit = await archive.commit(
        entry(node(`n${step}`, step, { rationale: text, fitness: 1 }), text || "x"),
      );
      expect(git(archive, "show", `${commit}:kernel.c`)).toBe(text || "x");
      expect(
        git(archive, "log", "-1", "--format=%(trailers:key=Fitness,valueonly,separator=%x2c)", commit).trim(),
      ).toBe("1.000000");
      const message = git(archive, "log", "-1", "--format=%B", commit);
      const parsed = execFileSync("git", ["interpret-trailers", "--parse"], {
        input: message,
        encoding: "utf8",
      });
      expect(parsed.match(/^Fitness: .*/gm)).toEqual(["Fitness: 1.000000"]);
      expect(Array.from(message.split("\n")[0] ?? "").length).toBeLessThanOrEqual(100);
      expect(message).not.toContain("\ufffd");
    }
    expect(git(archive, "for-each-ref", "--format=%(refname)").trim().split("\n")).toEqual(
      texts.map((_, step) => `refs/runs/run_a/nodes/${String(step).padStart(6, "0")}`),
    );
  });

  it("refuses names that would lead elsewhere", async () => {
    using folder = new Folder();
    const archive = new Archive(folder.path);
    for (const run of ["../x", "a\nb", "a b", ""]) {
      await expect(archive.commit(entry(node("a", 0, { run }), "x"))).rejects.toMatchObject({
        code: "invalid_argument",
      });
      await expect(archive.log(run)).rejects.toMatchObject({ code: "invalid_argument" });
    }
    await expect(archive.commit({ ...entry(node("a", 0), "x"), extension: "/../../x" })).rejects.toThrow(
      "extension",
    );
    await expect(archive.commit(entry(node("a", 0), "x", ["HEAD"]))).rejects.toThrow("commit id");
  });

  it("hears nothing of the user's configuration, hooks, or environment", async () => {
    using folder = new Folder();
    const config = join(folder.path, "gitconfig");
    const marker = join(folder.path, "marker");
    const template = join(folder.path, "template", "hooks");
    mkdirSync(template, { recursive: true });
    const hook = `#!/bin/sh\ntouch ${marker}\n`;
    writeFileSync(join(template, "reference-transaction"), hook, { mode: 0o755 });
    writeFileSync(
      config,
      `[user]\nname = Somebody\n[core]\nhooksPath = ${template}\n[init]\ntemplateDir = ${dirname(template)}\ndefaultObjectFormat = sha256\n`,
    );
    vi.stubEnv("GIT_CONFIG_GLOBAL", config);
    vi.stubEnv("GIT_TEMPLATE_DIR", dirname(template));
    vi.stubEnv("GIT_AUTHOR_NAME", "Somebody");
    vi.stubEnv("GIT_DIR", join(folder.path, "elsewhere"));
    vi.stubEnv("GIT_OBJECT_DIRECTORY", join(folder.path, "objects"));
    const archive = new Archive(folder.path);
    const commit = await archive.commit(entry(node("a", 0), "int a;"));
    vi.unstubAllEnvs();
    expect(commit).toHaveLength(40);
    expect(git(archive, "log", "-1", "--format=%an %cn", commit).trim()).toBe("kernelevolve kernelevolve");
    expect(existsSync(marker)).toBe(false);
    expect(existsSync(join(folder.path, "elsewhere"))).toBe(false);
  });

  it("says how to install git when it is missing, and works once it is there", async () => {
    using folder = new Folder();
    const archive = new Archive(folder.path);
    vi.stubEnv("PATH", folder.path);
    await expect(archive.commit(entry(node("a", 0), "x"))).rejects.toMatchObject({
      code: "missing_tool",
      fix: expect.stringContaining("apt-get install git"),
    });
    vi.unstubAllEnvs();
    expect(await archive.commit(entry(node("a", 0), "x"))).toMatch(/^[0-9a-f]{40}$/);
  });

  it("reports a parent that is not there as damage, and leaves no wreck", async () => {
    using folder = new Folder();
    const archive = new Archive(folder.path);
    await archive.commit(entry(node("a", 0), "x"));
    await expect(archive.commit(entry(node("b", 1), "y", ["1".repeat(40)]))).rejects.toMatchObject({
      code: "corrupt",
    });
    expect(readdirSync(archive.directory).filter((name) => name.includes("crash"))).toEqual([]);
    rmSync(archive.directory, { recursive: true });
    const again = new Archive(folder.path);
    expect(await again.commit(entry(node("a", 0), "x"))).toMatch(/^[0-9a-f]{40}$/);
  });

  it("gets past the lock of a git that was killed", async () => {
    using folder = new Folder();
    const archive = new Archive(folder.path);
    await archive.commit(entry(node("a", 0), "x", [], true));
    const lock = join(archive.directory, "refs/runs/run_a/best.lock");
    writeFileSync(lock, "");
    const hourAgo = Date.now() / 1000 - 3600;
    utimesSync(lock, hourAgo, hourAgo);
    const commit = await archive.commit(entry(node("b", 1), "y", [], true));
    expect(git(archive, "rev-parse", "refs/runs/run_a/best").trim()).toBe(commit);
  });
});
