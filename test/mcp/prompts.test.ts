import { expect, it } from "vitest";
import type { Services } from "../../src/domain/index.ts";
import { tools } from "../../src/mcp/tools/index.ts";
import { connect, ERAS } from "./connect.ts";

/** Only the two lists that completion asks for. */
const services = (): Promise<Services> => {
  const parts: unknown = {
    problems: { list: async () => [{ name: "matmul" }, { name: "softmax" }, { name: "batched-matmul" }] },
    targets: { list: async () => [{ id: "cpu-x86-64" }, { id: "nvidia-h100" }] },
  };
  return Promise.resolve(Object.assign(Object.create(null), parts));
};

it.each(ERAS)("%s: lists the prompts with their arguments", async (era) => {
  const client = await connect(era);
  const { prompts } = await client.listPrompts();
  const shape = prompts.map(({ name, arguments: given = [] }) => [
    name,
    given.map((one) => `${one.name}${one.required === true ? "!" : ""}`).join(" "),
  ]);
  expect(Object.fromEntries(shape)).toEqual({
    optimize_kernel: "problem! target goal",
    port_kernel: "problem! from! to!",
    explain_bottleneck: "evaluation!",
  });
  await client.close();
});

it("names only tools that exist, and puts the arguments in", async () => {
  const client = await connect("2025-11-25");
  const names = new Set(tools.map((tool) => tool.name));
  for (const [name, args] of [
    ["optimize_kernel", { problem: "softmax", target: "nvidia-h100", goal: "At least 3x." }],
    ["port_kernel", { problem: "softmax", from: "nvidia-h100", to: "amd-mi300x" }],
    ["explain_bottleneck", { evaluation: "eval_1" }],
  ] as const) {
    const { messages } = await client.getPrompt({ name, arguments: args });
    const [first] = messages;
    const text = first?.content.type === "text" ? first.content.text : "";
    for (const value of Object.values(args)) expect(text).toContain(value);
    for (const [word] of text.matchAll(/\b(?:kernel|evolve|knowledge|problem|target|artifact|job)_[a-z]+\b/g))
      expect([...names], word).toContain(word);
  }
  await expect(client.getPrompt({ name: "optimize_kernel", arguments: {} })).rejects.toThrow();
  await client.close();
});

it("completes problems and targets", async () => {
  const client = await connect("2025-11-25", { services });
  const complete = async (name: string, argument: string, value: string): Promise<string[]> =>
    (await client.complete({ ref: { type: "ref/prompt", name }, argument: { name: argument, value } }))
      .completion.values;
  expect(await complete("optimize_kernel", "problem", "mat")).toEqual(["matmul", "batched-matmul"]);
  expect(await complete("port_kernel", "to", "h100")).toEqual(["nvidia-h100"]);
  await client.close();
});
