import { describe, expect, test } from "vitest";
import { asciidocToMarkdown } from "../../src/knowledge/ingest/asciidoc.ts";
import { htmlToMarkdown } from "../../src/knowledge/ingest/html.ts";
import { cutIntoParts } from "../../src/knowledge/ingest/parts.ts";
import { rowsOf } from "../../src/knowledge/ingest/pdf-rows.ts";
import { restToMarkdown } from "../../src/knowledge/ingest/rest.ts";
import { readTrace } from "../../src/knowledge/ingest/traces/index.ts";
import { traceMarkdown } from "../../src/knowledge/ingest/traces/summary.ts";

describe("HTML", () => {
  test("keeps headings, mnemonics, code and tables; drops navigation and scripts", async () => {
    const { title, markdown } =
      await htmlToMarkdown(`<!doctype html><html><head><title>Site</title><script>alert(1)</script></head><body>
      <nav>Home</nav><main><h1>MFMA<a class="headerlink" href="#x">¶</a></h1>
      <p>Use <code>v_mfma_f32_32x32x8_f16</code> and v_mfma_f32_16x16x16_f16, <b>never</b> _both_. See <a href="https://x.org/a">the guide</a> or <a href="#here">here</a>.</p>
      <section id="s"><h2>Shapes</h2><table><thead><tr><th>name</th><th>cycles</th></tr></thead><tbody><tr><td>a|b</td><td>16</td></tr></tbody></table>
      <div class="highlight-c++"><div class="highlight"><pre>int <span>a</span> = 1;\n  if (a &lt; 2) {}\n</pre></div></div>
      <ul><li>one</li><li>two <i>and</i> more</li></ul></section></main><footer>Copyright</footer></body></html>`);
    expect(title).toBe("MFMA");
    expect(markdown).toContain(
      "Use `v_mfma_f32_32x32x8_f16` and v_mfma_f32_16x16x16_f16, never _both_. See [the guide](https://x.org/a) or here.",
    );
    expect(markdown).toContain("## Shapes\n\n| name | cycles |\n|---|---|\n| a\\|b | 16 |");
    expect(markdown).toContain("```c++\nint a = 1;\n  if (a < 2) {}\n```");
    expect(markdown).toContain("- one\n\n- two and more");
    for (const gone of ["Home", "alert", "Copyright", "¶"]) expect(markdown).not.toContain(gone);
  });

  test("deep nesting is walked, absurd nesting refused", async () => {
    const nested = (depth: number): string =>
      `<body>${"<div>".repeat(depth)}deep text that is long enough to be the main part of it${"</div>".repeat(depth)}</body>`;
    expect((await htmlToMarkdown(nested(400))).markdown).toContain("deep text");
    await expect(htmlToMarkdown(nested(1000))).rejects.toThrow(/deep/);
    await expect(htmlToMarkdown(nested(200_000))).rejects.toThrow(/deep/);
    await expect(htmlToMarkdown(`<body>${"<b>x".repeat(20_000)}`)).rejects.toThrow(/deep/);
  });
});

test("AsciiDoc: headings, listings, tables, links; comments and includes out", () => {
  const markdown = asciidocToMarkdown(
    `= Vector\n:ver: 1.0\n\n== Loads of {ver}\n\n// hidden\ninclude::x.adoc[]\n[source,asm]\n----\n= not a heading\nvle32.v v0, (a0)\n----\n\nSee <<stores,the stores>> and link:https://riscv.org[the site].\n\n[cols="1,1"]\n|===\n| vtype | bits\n\n| vlmul | 3\n| vsew\n| 3\n|===\n\n* a\n** b\n`,
  );
  expect(markdown).toContain("# Vector");
  expect(markdown).toContain("## Loads of 1.0");
  expect(markdown).toContain("```asm\n= not a heading\nvle32.v v0, (a0)\n```");
  expect(markdown).toContain("See the stores and [the site](https://riscv.org).");
  expect(markdown).toContain("| vtype | bits |\n|---|---|\n| vlmul | 3 |\n| vsew | 3 |");
  expect(markdown).toContain("- a\n  - b");
  expect(markdown).not.toMatch(/hidden|include::/);
});

test("reST: headings by underline, literal blocks, tables, roles; targets out", () => {
  const markdown = restToMarkdown(
    `=====\nTitle\n=====\n\n.. _target:\n\nPart\n----\n\nUse \`\`s_waitcnt\`\` and :ref:\`this <target>\`. Example::\n\n    s_waitcnt vmcnt(0)\n    # not a heading\n\nAfter.\n\n.. code-block:: c\n   :linenos:\n\n   int x;\n\n.. note:: Careful.\n\n===== =====\nname  bits\n===== =====\na     1\nb     2\n===== =====\n\n+-----+-----+\n| k   | v   |\n+=====+=====+\n| x   | y   |\n|     | z   |\n+-----+-----+\n\nDeep\n~~~~\n\nend\n`,
  );
  expect(markdown).toContain("# Title");
  expect(markdown).toContain("## Part");
  expect(markdown).toContain("### Deep");
  expect(markdown).toContain("Use `s_waitcnt` and this. Example:");
  expect(markdown).toContain("```\ns_waitcnt vmcnt(0)\n# not a heading\n```");
  expect(markdown).toContain("```c\nint x;\n```");
  expect(markdown).toContain("**note:** Careful.");
  expect(markdown).toContain("| name | bits |\n|---|---|\n| a | 1 |\n| b | 2 |");
  expect(markdown).toContain("| k | v |\n|---|---|\n| x | y z |");
  expect(markdown).not.toContain("_target");
});

test("long texts are cut at headings, never in code, and nothing is lost", () => {
  const text = Array.from(
    { length: 50 },
    (_, at) => `## H${at}\n\n${"word ".repeat(100)}\n\n\`\`\`\n# not ${at}\n\`\`\``,
  ).join("\n\n");
  const parts = cutIntoParts(text, 5000);
  expect(parts.length).toBeGreaterThan(4);
  expect(parts.join("\n")).toBe(text);
  for (const part of parts.slice(1)) expect(part).toMatch(/^(\n)?## H\d+/);
});

test("items of a page become rows from the top, cells by gaps", () => {
  const item = (
    text: string,
    x: number,
    y: number,
    width: number,
  ): { text: string; x: number; y: number; width: number; height: number } => ({
    text,
    x,
    y,
    width,
    height: 10,
  });
  const rows = rowsOf([
    item("31", 300, 500, 12),
    item("opc", 50, 501, 15),
    item("ode", 65, 500, 18),
    item("Title", 50, 700, 40),
    item("two", 50, 480, 20),
    item("words", 73, 480, 30),
  ]);
  expect(rows.map((row) => row.text)).toEqual(["Title", "opcode | 31", "two words"]);
});

describe("traces", () => {
  const ncu = (metrics: Record<string, [string, string]>): string =>
    `==PROF== Connected\n"ID","Kernel Name","Metric Name","Metric Unit","Metric Value"\n${Object.entries(
      metrics,
    )
      .map(([name, [unit, value]]) => `"0","gemm_kernel(float*, int)","${name}","${unit}","${value}"`)
      .join("\n")}\n`;

  test("Nsight Compute: each bottleneck by its figures", () => {
    const base: Record<string, [string, string]> = { "gpu__time_duration.sum": ["nsecond", "1,200,000"] };
    const cases: [string, Record<string, [string, string]>][] = [
      [
        "memory",
        {
          "gpu__compute_memory_throughput.avg.pct_of_peak_sustained_elapsed": ["%", "91.2"],
          "sm__throughput.avg.pct_of_peak_sustained_elapsed": ["%", "30"],
        },
      ],
      ["compute", { "Memory Throughput": ["%", "31"], "Compute (SM) Throughput": ["%", "88"] }],
      [
        "bank-conflict",
        {
          "l1tex__data_bank_conflicts_pipe_lsu_mem_shared.sum": ["", "700"],
          "l1tex__data_pipe_lsu_wavefronts_mem_shared.sum": ["", "1000"],
        },
      ],
      [
        "register",
        {
          "Achieved Occupancy": ["%", "12.5"],
          "Registers Per Thread": ["register/thread", "255"],
          "Compute (SM) Throughput": ["%", "20"],
        },
      ],
      [
        "latency",
        {
          "Compute (SM) Throughput": ["%", "20"],
          "Memory Throughput": ["%", "25"],
          "Achieved Occupancy": ["%", "60"],
        },
      ],
    ];
    for (const [bottleneck, metrics] of cases) {
      const summary = readTrace(ncu({ ...base, ...metrics }), "p.csv");
      expect(summary.bottleneck, bottleneck).toBe(bottleneck);
      expect(summary.rows[0]).toMatchObject({
        name: "gemm_kernel(float*, int)",
        microseconds: 1200,
        calls: 1,
      });
    }
  });

  test("Nsight Compute's raw page, a kernel a row with a row of units", () => {
    const text =
      '"ID","Kernel Name","gpu__time_duration.sum","dram__throughput.avg.pct_of_peak_sustained_elapsed"\n"","","us","%"\n"0","a","10","80"\n"1","b","30","85"\n"2","a","10","70"\n';
    const summary = readTrace(text, "raw.csv");
    expect(summary.rows.map((row) => [row.name, row.calls, row.microseconds])).toEqual([
      ["b", 1, 30],
      ["a", 2, 20],
    ]);
    expect(summary.bottleneck).toBe("memory");
  });

  test("PyTorch: kernels by time, an idle device is a launch problem", () => {
    const event = (ts: number, dur: number, name: string, cat = "kernel"): object => ({
      ph: "X",
      cat,
      name,
      ts,
      dur,
    });
    const summary = readTrace(
      JSON.stringify({
        traceEvents: [
          event(0, 10, "a"),
          event(100, 10, "b"),
          event(200, 15, "a"),
          event(0, 500, "aten::add", "cpu_op"),
          { ph: "M" },
        ],
      }),
      "t.json",
    );
    expect(summary.bottleneck).toBe("launch");
    expect(summary.rows.map((row) => row.name)).toEqual(["a", "b"]);
    expect(summary.metrics["device_busy_us"]).toBe(35);
    const busy = readTrace(
      JSON.stringify({ traceEvents: [event(0, 100, "a"), event(50, 60, "b")] }),
      "t.json",
    );
    expect(busy.bottleneck).toBeUndefined();
    expect(busy.metrics["device_busy_us"]).toBe(110);
  });

  test("Proton: leaves by time with their rates", () => {
    const tree = [
      {
        frame: { name: "ROOT" },
        metrics: {},
        children: [
          {
            frame: { name: "scope" },
            metrics: {},
            children: [
              {
                frame: { name: "matmul_kernel" },
                metrics: { "time (ns)": 2e6, count: 4, flops16: 4e12 / 1000, bytes: 1e6 },
                children: [],
              },
            ],
          },
        ],
      },
      { CUDA: {} },
    ];
    const summary = readTrace(JSON.stringify(tree), "p.hatchet");
    expect(summary.rows[0]).toMatchObject({ name: "matmul_kernel", calls: 4, microseconds: 2000, share: 1 });
    expect(summary.rows[0]?.metrics?.["TFLOP/s"]).toBeCloseTo(2, 3);
  });

  test("perf stat, perf report and callgrind", () => {
    const stat = readTrace(
      " Performance counter stats for './k':\n\n   1,000,000      instructions:u   #  0.50  insn per cycle\n   2,000,000      cycles:u\n     100,000      branches:u\n      20,000      branch-misses:u\n",
      "stat.txt",
    );
    expect(stat.bottleneck).toBe("divergence");
    expect(stat.metrics["instructions_per_cycle"]).toBe(0.5);
    const report = readTrace(
      "# Samples: 1K\n    72.10%  k   k.so   [.] kernel\n    20.00%  k   libm.so   [.] expf\n",
      "report.txt",
    );
    expect(report.rows[0]).toMatchObject({ name: "kernel (k.so)", share: 0.721 });
    const callgrind = readTrace(
      "# callgrind format\nevents: Ir Dr DLmr\nfn=(1) main\n10 100 10 0\ncalls=1 5\n12 900 90 9\nfn=(2) kernel\n20 900 90 9\nsummary: 1000 100 9\n",
      "callgrind.out.1",
    );
    expect(callgrind.bottleneck).toBe("memory");
    expect(callgrind.rows.map((row) => [row.name, row.share])).toEqual([
      ["kernel", 0.9],
      ["main", 0.1],
    ]);
  });

  test("names in a profile cannot break the page", () => {
    const summary = readTrace(
      JSON.stringify({
        traceEvents: [{ ph: "X", cat: "kernel", name: "a|b`\n# Ignore all", ts: 0, dur: 1 }],
      }),
      "t.json",
    );
    const markdown = traceMarkdown(summary, "T");
    expect(markdown).not.toMatch(/^# Ignore/m);
    expect(markdown).toContain("a\\|b'");
  });

  test("what is no profile, or was cut off, is an error that lists what is read", () => {
    expect(() => readTrace("hello", "x.csv")).toThrow(/no profile/);
    expect(() => readTrace('{"traceEvents": [', "x.json")).toThrow(/cut off/);
    expect(() => readTrace("{}", "x.json")).toThrow(/no profile/);
  });
});
