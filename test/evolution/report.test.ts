import { createHash } from "node:crypto";
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { autotuneDriver } from "../../src/agent/autotune/driver.ts";
import { layout } from "../../src/evolution/export/charts/layout.ts";
import { escapeMarkdown, fenced } from "../../src/evolution/export/markdown.ts";
import { escapeHtml, html, jsonForScript, raw } from "../../src/evolution/export/markup.ts";
import { chooseShown, type ReportNode } from "../../src/evolution/export/model.ts";
import { linear, logarithmic } from "../../src/evolution/export/scale.ts";
import { randomFrom } from "../../src/evolution/random.ts";
import { landscape } from "../agent/landscape.ts";
import { context, type Outcome, tunable, World } from "./fakes.ts";
import { brokenNode, makeNode } from "./nodes.ts";

const HOSTILE = `</script><img src=x onerror=alert(1)><!--<script>`;

async function hostileWorld() {
  const judge = (source: string): Outcome =>
    source.includes("wrong")
      ? { status: "wrong_answer", message: `bad ${HOSTILE}`, diagnostics: HOSTILE }
      : { ratio: Number(/return ([0-9.]+)/.exec(source)?.[1] ?? 1), diagnostics: `warning ${HOSTILE}` };
  const world = new World(judge);
  const run = await world.evolution.start({ problem: "scale", target: "cpu-test", budget: { nodes: 9 } });
  for (const source of [
    `return 2.0; // ${HOSTILE}`,
    `return 3.0; /* ${HOSTILE} \u202e ' " & \` */`,
    `wrong; // ${HOSTILE}`,
  ]) {
    const { claim } = await world.evolution.next(run.id, HOSTILE);
    await world.evolution.submit(
      { run: run.id, claim: claim.id, source, rationale: `why ${HOSTILE}`, proposer: HOSTILE },
      context,
    );
  }
  return { world, run };
}

/** Content of every element of a name, and the page without them. */
function split(page: string, name: string): { inner: string[]; rest: string } {
  const inner: string[] = [];
  const rest = page.replace(new RegExp(`<${name}[^>]*>([\\s\\S]*?)</${name}>`, "g"), (_all, text: string) => {
    inner.push(text);
    return "";
  });
  return { inner, rest };
}

describe("HTML report", () => {
  it("lets nothing hostile become markup, anywhere", async () => {
    const { world, run } = await hostileWorld();
    await using _ = world;
    const page = await world.evolution.report(run.id, "html", context);
    const scripts = split(page, "script");
    // The data and our script: nothing else opens or closes a script element.
    expect(scripts.inner).toHaveLength(2);
    expect(scripts.inner[0]).not.toContain("<");
    expect(JSON.parse(scripts.inner[0] ?? "")).toMatchObject({ nodes: [{}, {}, {}] });
    expect(JSON.stringify(JSON.parse(scripts.inner[0] ?? ""))).toContain(
      "</script><img src=x onerror=alert(1)>",
    );
    const { rest } = split(scripts.rest, "style");
    expect(rest).not.toMatch(/<img|<script|<!--/i);
    // The text is there, escaped.
    expect(rest).toContain("&lt;/script&gt;&lt;img src=x onerror=alert(1)&gt;");
    expect(rest).toContain("\\u{202e}");
    // No attribute of any element is an event handler, and no element has a name of its own making.
    for (const [tag] of rest.matchAll(/<[a-z][^>]*>/gi)) expect(tag).not.toMatch(/\son[a-z]+\s*=/i);
    const known =
      /^(a|aside|b|body|br|button|circle|code|details|div|figcaption|figure|g|h1|h2|h3|head|header|html|li|main|meta|ol|p|path|pre|rect|section|small|span|summary|svg|table|tbody|td|text|th|thead|title|tr|ul)$/;
    for (const [, name] of rest.matchAll(/<([a-z0-9]+)/gi)) expect(name).toMatch(known);
  });

  it("allows by its policy only its own style and script, and loads nothing", async () => {
    const { world, run } = await hostileWorld();
    await using _ = world;
    const page = await world.evolution.report(run.id, "html", context);
    const policy =
      /Content-Security-Policy" content="([^"]*)"/.exec(page)?.[1]?.replaceAll("&#39;", "'") ?? "";
    const hash = (text: string): string => `'sha256-${createHash("sha256").update(text).digest("base64")}'`;
    expect(policy).toContain("default-src 'none'");
    expect(policy).not.toContain("unsafe");
    expect(policy).toContain(`script-src ${hash(split(page, "script").inner[1] ?? "")}`);
    expect(policy).toContain(`style-src ${hash(split(page, "style").inner[0] ?? "")}`);
    // No style attributes (the policy would drop them), no addresses of resources.
    expect(page).not.toMatch(/\sstyle="/);
    expect(split(page, "script").rest).not.toMatch(/(?:src|href)="|url\(|@import/);
  });

  it("shows what matters", async () => {
    await using world = new World(
      landscape(),
      ["naive", "blocked"].map((kind) => ({ name: kind, source: tunable(kind), note: "" })),
    );
    const run = await world.evolution.start({ problem: "scale", target: "cpu-test", budget: { nodes: 30 } });
    const { best } = await autotuneDriver({ evolution: world.evolution }).drive(run.id, context);
    const page = await world.evolution.report(run.id, "html", context);
    for (const part of [
      "Speedup over the search",
      "Search graph",
      "Roofline",
      "By workload",
      "What was tried",
      "over reference",
      "over compiler-best",
      "budget spent: 30 nodes",
      best?.candidate.slice(0, 16) ?? "",
      "test device",
    ]) {
      expect(page).toContain(part);
    }
    expect(page.match(/class="mark [a-z]+(?: champion)?" data-n=/g)?.length).toBeGreaterThanOrEqual(60);
  });

  it("rebuilds every source from the patches that it carries", async () => {
    await using world = new World(landscape(), [{ name: "b", source: tunable("blocked"), note: "" }]);
    const run = await world.evolution.start({
      problem: "scale",
      target: "cpu-test",
      budget: { nodes: 15 },
      policy_params: { drafts: 1 },
    });
    await autotuneDriver({ evolution: world.evolution }).drive(run.id, context);
    const page = await world.evolution.report(run.id, "html", context);
    type Data = { nodes: { id: string; s?: string; b?: number; p?: (number | string[])[] }[] };
    const { nodes } = JSON.parse(split(page, "script").inner[0] ?? "") as Data;
    const rebuild = (index: number): string[] => {
      const node = nodes[index];
      if (node?.s !== undefined) return node.s.split("\n");
      const before = rebuild(node?.b ?? 0);
      let at = 0;
      return (node?.p ?? []).flatMap((op) => {
        if (typeof op !== "number") return op;
        const lines = op > 0 ? before.slice(at, at + op) : [];
        at += Math.abs(op);
        return lines;
      });
    };
    for (const [index, node] of nodes.entries()) {
      expect(rebuild(index).join("\n")).toBe((await world.evolution.node(node.id)).source);
    }
    expect(nodes.filter((node) => node.s !== undefined)).toHaveLength(1);
  });

  it("says so when nothing was credited, and when the peaks are not known", async () => {
    await using world = new World(() => ({ ratio: 0.5 }), [{ name: "slow", source: "int x;", note: "" }]);
    const run = await world.evolution.start({ problem: "scale", target: "cpu-test", budget: { nodes: 1 } });
    await world.evolution.prepare(run.id, context);
    expect(await world.evolution.report(run.id, "html", context)).toContain("No credited speedup");
    expect(await world.evolution.report(run.id, "markdown", context)).toContain("No node was credited");
  });
});

describe("Markdown report", () => {
  it("lets no markup of others through", async () => {
    const { world, run } = await hostileWorld();
    await using _ = world;
    const text = await world.evolution.report(run.id, "markdown", context);
    const [outside = ""] = text.split("## The best kernel");
    expect(outside).not.toMatch(/<img|<script/);
    expect(escapeMarkdown("[x](http://evil.example) | `a` <b> *c*\n# d www.evil.example a@b.c")).not.toMatch(
      /https?:\/\/|<|\n|www\.|@/,
    );
    expect(fenced("``` `````", "c").startsWith("``````c\n")).toBe(true);
  });
});

describe("export", () => {
  it("writes kernel, record and reports, whole or not at all", async () => {
    const { world, run } = await hostileWorld();
    await using _ = world;
    const folder = mkdtempSync(join(tmpdir(), "ke-export-"));
    try {
      const { files, best } = await world.evolution.export(run.id, join(folder, "a", "b"), context);
      expect(files.map((file) => file.path.slice(folder.length))).toEqual([
        "/a/b/kernel.c",
        "/a/b/evaluation.json",
        "/a/b/report.html",
        "/a/b/report.md",
        "/a/b/dispatch/ke_scale.h",
        "/a/b/dispatch/dispatch.c",
        "/a/b/dispatch/kernel.h",
        "/a/b/dispatch/reference.c",
        "/a/b/dispatch/kernel_1.c",
        "/a/b/dispatch/Makefile",
        "/a/b/flashinfer-trace/definitions/elementwise/scale.json",
        expect.stringMatching(
          /^\/a\/b\/flashinfer-trace\/solutions\/elementwise\/scale\/scale_node_\w+\.json$/,
        ),
        "/a/b/flashinfer-trace/traces/elementwise/scale.jsonl",
        "/a/b/training/sft.jsonl",
        "/a/b/training/preferences.jsonl",
        "/a/b/training/groups.jsonl",
        "/a/b/skills/elementwise-cpu-test-c.md",
      ]);
      expect(readFileSync(files[0]?.path ?? "", "utf8")).toContain("return 3.0;");
      expect(JSON.parse(readFileSync(files[1]?.path ?? "", "utf8"))).toMatchObject({
        id: best?.evaluation,
        verdict: "passed",
      });
      expect(readdirSync(join(folder, "a", "b")).sort()).toEqual([
        "dispatch",
        "evaluation.json",
        "flashinfer-trace",
        "kernel.c",
        "report.html",
        "report.md",
        "skills",
        "training",
      ]);
      writeFileSync(join(folder, "file"), "");
      await expect(world.evolution.export(run.id, join(folder, "file", "x"), context)).rejects.toMatchObject({
        code: "infrastructure",
      });
      expect(existsSync(join(folder, "file"))).toBe(true);
    } finally {
      rmSync(folder, { recursive: true });
    }
  });
});

describe("a long run", () => {
  const random = randomFrom("long");
  const nodes = Array.from({ length: 20_000 }, (_, step) => {
    const parents = step < 3 ? [] : [`n${random.integer(step)}`];
    return random.next() < 0.2
      ? brokenNode(step, { parents })
      : makeNode(step, { fitness: 1 + (step / 5000) * random.next(), parents });
  });
  const best = nodes.reduce((a, b) => (b.fitness > a.fitness ? b : a));

  it("is thinned to what fits, keeping improvements, the best lineage and all parents of what is kept", () => {
    const shown = chooseShown(nodes, best, 1000);
    expect(shown.length).toBeLessThanOrEqual(1000);
    const ids = new Set(shown.map((node) => node.id));
    expect(ids.has(best.id)).toBe(true);
    for (
      let at: typeof best | undefined = best;
      at !== undefined;
      at = nodes[Number(at.parents[0]?.slice(1) ?? Number.NaN)]
    ) {
      expect(ids.has(at.id)).toBe(true);
    }
    expect(shown.map((node) => node.step)).toEqual(shown.map((node) => node.step).toSorted((a, b) => a - b));
    expect(chooseShown(nodes.slice(0, 500), best, 1000)).toHaveLength(500);
  });

  it("is laid out on few lanes without two nodes at one place", () => {
    const entries = chooseShown(nodes, best, 2000).map(
      (node): ReportNode => ({ node, outcome: "credited", source: "", record: recordless }),
    );
    const { placed, lowest, highest } = layout(entries, []);
    expect(new Set(placed.map(({ column, lane }) => `${column},${lane}`)).size).toBe(entries.length);
    expect(highest - lowest).toBeLessThan(entries.length / 4);
  });
});

const recordless: ReportNode["record"] = {
  id: "",
  candidate: "",
  problem: "",
  target: "",
  abstraction: "",
  verdict: "passed",
  status: "ok",
  reasons: [],
  speedups: [],
  stages: {},
  sandbox: "full",
  device: "",
  versions: {},
  created_at: "",
  cached: false,
};

describe("markup", () => {
  it("escapes values, keeps markup, drops null and false", () => {
    expect(html`<p title="${'"<'}">${["a&b", html`<b>${"'"}</b>`, null, false, 3]}</p>`.text).toBe(
      '<p title="&quot;&lt;">a&amp;b<b>&#39;</b>3</p>',
    );
    expect(raw("<i>").text).toBe("<i>");
    expect(escapeHtml("<>&'\"")).toBe("&lt;&gt;&amp;&#39;&quot;");
    expect(jsonForScript({ a: "</script>\u2028<!--" }).text).toBe(
      '{"a":"\\u003c/script\\u003e\\u2028\\u003c!--"}',
    );
  });
});

describe("scales", () => {
  it("map ends to ends and put ticks at round values inside the domain", () => {
    const random = randomFrom("scales");
    for (let round = 0; round < 200; round += 1) {
      const low = random.next() * 10 + 0.01;
      const high = low * (1.05 + random.next() * 10 ** (random.next() * 5));
      for (const make of [linear, logarithmic]) {
        const scale = make([low, high], [0, 100]);
        expect(scale(low)).toBeCloseTo(0, 6);
        expect(scale(high)).toBeCloseTo(100, 6);
        expect(scale.ticks.length).toBeGreaterThanOrEqual(2);
        expect(scale.ticks.length).toBeLessThan(25);
        for (const tick of scale.ticks)
          expect(tick.value >= low * 0.999 && tick.value <= high * 1.001).toBe(true);
      }
    }
    expect(Number.isFinite(linear([1, 1], [0, 10])(1))).toBe(true);
    expect(Number.isFinite(logarithmic([2, 2], [0, 10])(2))).toBe(true);
  });
});
