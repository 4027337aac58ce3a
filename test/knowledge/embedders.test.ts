import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer, type Server } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { z } from "zod";
import { chooseEmbedder } from "../../src/knowledge/dense/choose.ts";
import { conceptCounts, conceptHash } from "../../src/knowledge/dense/concept-hash.ts";
import { CONCEPTS } from "../../src/knowledge/dense/concepts.ts";
import type { Embedder } from "../../src/knowledge/dense/embedder.ts";
import { model2VecEmbedder } from "../../src/knowledge/dense/model2vec.ts";
import { onnxEmbedder } from "../../src/knowledge/dense/onnx.ts";
import { openAiEmbedder } from "../../src/knowledge/dense/openai.ts";

const signal = new AbortController().signal;
const dot = (a: Float32Array | undefined, b: Float32Array | undefined): number =>
  [...(a ?? [])].reduce((sum, value, at) => sum + value * (b?.[at] ?? 0), 0);
async function one(embedder: Embedder, text: string): Promise<Float32Array> {
  const [vector] = await embedder.embed([text], "query", signal);
  return vector ?? new Float32Array();
}

let folder = "";
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "kernelevolve-embed-"));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

describe("concept-hash", () => {
  const texts = [
    "How shared memory bank conflicts are avoided on an SM",
    "Avoiding LDS bank conflicts in a compute unit",
    "Huge pages and the TLB of a processor",
    "ds_bpermute_b32 moves values between lanes",
  ];

  test("groups fit the vector, and none is empty or repeated within itself", () => {
    expect(CONCEPTS.length).toBeGreaterThanOrEqual(55);
    expect(CONCEPTS.length).toBeLessThanOrEqual(64);
    for (const group of CONCEPTS) expect(new Set(group).size, group[0]).toBe(group.length);
  });

  test("vendors' words for one thing meet", async () => {
    expect([...conceptCounts("LDS").keys()]).toEqual([...conceptCounts("shared memory").keys()]);
    expect([...conceptCounts("warp shuffles").keys()]).toEqual(
      expect.arrayContaining([...conceptCounts("uses ds_bpermute_b32 here").keys()]),
    );
    expect(conceptCounts("uses ds_bpermute_b32 here").size).toBe(1);
    const source = conceptHash();
    const embedder = await source.open(source.fit(texts), signal);
    const [nvidia, amd, pages] = await embedder.embed(texts, "document", signal);
    expect(dot(nvidia, amd)).toBeGreaterThan(dot(nvidia, pages) + 0.2);
    expect(dot(nvidia, nvidia)).toBeCloseTo(1, 5);
    expect(embedder.dimension).toBe(576);
  });

  test("is deterministic, and its id follows the documents it was fitted to", async () => {
    const source = conceptHash();
    const first = await source.open(source.fit(texts), signal);
    const second = await source.open(source.fit(texts), signal);
    const other = await source.open(source.fit(texts.slice(1)), signal);
    expect(await one(first, texts[0] ?? "")).toEqual(await one(second, texts[0] ?? ""));
    expect(first.id).toBe(second.id);
    expect(first.id).not.toBe(other.id);
  });

  test("a misspelt mnemonic is still near; nothing to hash gives zeros, not NaN", async () => {
    const source = conceptHash();
    const embedder = await source.open(source.fit(texts), signal);
    const want = await one(embedder, "v_mfma_f32_32x32x8f16");
    const misspelt = dot(want, await one(embedder, "v_mfma_f32_32x32x8_f16"));
    expect(misspelt).toBeGreaterThan(dot(want, await one(embedder, "global_load_dwordx4")) + 0.2);
    expect((await one(embedder, "the of and !!")).every((value) => value === 0)).toBe(true);
  });
});

describe("services with OpenAI's protocol", () => {
  let server: Server | undefined;
  afterEach(() => {
    server?.closeAllConnections();
    server?.close();
  });
  const bodySchema = z.object({ input: z.array(z.string()), model: z.string() });
  async function serve(
    answer: (input: string[]) => { status: number; vectors: (number | null)[][] },
  ): Promise<string> {
    const made = createServer((request, response) => {
      let text = "";
      request.on("data", (chunk: Buffer) => {
        text += chunk.toString();
      });
      request.on("end", () => {
        const { input, model } = bodySchema.parse(JSON.parse(text));
        const { status, vectors } = answer(input);
        response.writeHead(status, { "content-type": "application/json" });
        const data = vectors.map((embedding, index) => ({ object: "embedding", index, embedding }));
        const body =
          status === 200 ? { object: "list", data, model } : { error: { message: "bad key sk-abcdefghijk" } };
        response.end(JSON.stringify(body));
      });
    });
    server = made;
    await new Promise<void>((resolve) => {
      made.listen(0, "127.0.0.1", resolve);
    });
    const address = made.address();
    return `http://127.0.0.1:${typeof address === "object" && address !== null ? address.port : 0}/v1`;
  }

  test("answer unit vectors, in order, over several batches", async () => {
    const baseUrl = await serve((input) => ({
      status: 200,
      vectors: input.map((text) => [text.length, 1, 0]),
    }));
    const embedder = await openAiEmbedder({ model: "m", baseUrl }).open(new Uint8Array(), signal);
    expect(embedder.dimension).toBe(3);
    const texts = Array.from({ length: 150 }, (_, index) => "x".repeat(index + 1));
    const vectors = await embedder.embed(texts, "document", signal);
    expect(vectors).toHaveLength(150);
    for (const [index, vector] of vectors.entries()) {
      expect((vector[0] ?? 0) / (vector[1] ?? 1)).toBeCloseTo(index + 1, 2);
      expect(dot(vector, vector)).toBeCloseTo(1, 4);
    }
  });

  test("a bad key, a dead address and vectors that are none are errors that do not tell the key", async () => {
    const refusing = await serve(() => ({ status: 401, vectors: [] }));
    const open = (baseUrl: string): Promise<Embedder> =>
      openAiEmbedder({ model: "m", baseUrl, apiKey: "sk-secret-key", retries: 0, timeoutMs: 2000 }).open(
        new Uint8Array(),
        signal,
      );
    const failure = await open(refusing).catch((error: unknown) => String(error));
    expect(failure).toMatch(/embedder openai:m/);
    expect(failure).not.toMatch(/sk-secret|sk-abcdefghijk/);
    await expect(open("http://127.0.0.1:9/v1")).rejects.toThrow(/embedder openai:m/);
    server?.close();
    let calls = 0;
    const odd = await serve((input) => ({
      status: 200,
      vectors: input.map(() => (calls++ === 0 ? [1, 0] : [1, null])),
    }));
    const embedder = await open(odd);
    await expect(embedder.embed(["a"], "query", signal)).rejects.toThrow(/no number/);
  });

  test("without key and address nothing is sent, and the way out is told", async () => {
    await expect(openAiEmbedder({ model: "m" }).open(new Uint8Array(), signal)).rejects.toMatchObject({
      code: "missing_tool",
      fix: expect.stringContaining("OPENAI_API_KEY"),
    });
  });
});

function safetensors(tensors: Record<string, { dtype: string; shape: number[]; bytes: Buffer }>): Buffer {
  let at = 0;
  const header: Record<string, unknown> = { __metadata__: { format: "pt" } };
  for (const [name, { dtype, shape, bytes }] of Object.entries(tensors)) {
    header[name] = { dtype, shape, data_offsets: [at, at + bytes.length] };
    at += bytes.length;
  }
  const json = Buffer.from(JSON.stringify(header));
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(json.length));
  return Buffer.concat([length, json, ...Object.values(tensors).map((tensor) => tensor.bytes)]);
}
const f32 = (values: number[]): Buffer => Buffer.from(Float32Array.from(values).buffer);

describe("a Model2Vec folder", () => {
  const VOCAB = { "[UNK]": 0, warp: 1, "##s": 2, cache: 3, line: 4 };
  function model(name: string, tokenizer: unknown, file: Buffer): string {
    const place = join(folder, name);
    mkdirSync(place);
    writeFileSync(join(place, "tokenizer.json"), JSON.stringify(tokenizer));
    writeFileSync(join(place, "model.safetensors"), file);
    return place;
  }
  const tokenizer = {
    model: { type: "WordPiece", vocab: VOCAB, unk_token: "[UNK]" },
    normalizer: { type: "BertNormalizer", lowercase: true },
  };
  const table = { dtype: "F32", shape: [5, 2], bytes: f32([9, 9, 1, 0, 0, 1, 0, 2, 0, 4]) };

  test("gives the mean of its tokens' rows, unknown words left out", async () => {
    const place = model("plain", tokenizer, safetensors({ embeddings: table }));
    const embedder = await model2VecEmbedder(place).open(new Uint8Array(), signal);
    expect([...(await one(embedder, "Warp"))]).toEqual([1, 0]);
    const [x, y] = await one(embedder, "warps zzz");
    expect(x).toBeCloseTo(Math.SQRT1_2, 5);
    expect(y).toBeCloseTo(Math.SQRT1_2, 5);
    expect([...(await one(embedder, "zzz"))]).toEqual([0, 0]);
  });

  test("half precision, weights and a mapping are followed", async () => {
    const halves = Buffer.from(Uint16Array.from([0x3c00, 0, 0, 0x3c00]).buffer);
    const place = model(
      "mapped",
      tokenizer,
      safetensors({
        embeddings: { dtype: "F16", shape: [2, 2], bytes: halves },
        weights: { dtype: "F32", shape: [5], bytes: f32([1, 3, 1, 4, 1]) },
        mapping: {
          dtype: "I64",
          shape: [5],
          bytes: Buffer.from(BigInt64Array.from([0n, 0n, 1n, 1n, 1n]).buffer),
        },
      }),
    );
    const embedder = await model2VecEmbedder(place).open(new Uint8Array(), signal);
    const [x, y] = await one(embedder, "warp cache");
    expect(x).toBeCloseTo(0.6, 5);
    expect(y).toBeCloseTo(0.8, 5);
  });

  test("missing, broken and foreign files are errors that name the file", async () => {
    await expect(model2VecEmbedder(join(folder, "nowhere")).open(new Uint8Array(), signal)).rejects.toThrow(
      /lacks tokenizer.json/,
    );
    const cut = model("cut", tokenizer, safetensors({ embeddings: table }).subarray(0, -4));
    await expect(model2VecEmbedder(cut).open(new Uint8Array(), signal)).rejects.toThrow(/not whole/);
    const bpe = model("bpe", { model: { type: "BPE", vocab: VOCAB } }, safetensors({ embeddings: table }));
    await expect(model2VecEmbedder(bpe).open(new Uint8Array(), signal)).rejects.toThrow(/WordPiece/);
  });
});

describe("choosing", () => {
  test("a key alone changes nothing", () => {
    expect(chooseEmbedder({ OPENAI_API_KEY: "sk-x" }).name).toBe("concept-hash/1");
    expect(chooseEmbedder({ KERNELEVOLVE_EMBEDDER: "openai:large", OPENAI_API_KEY: "k" }).name).toContain(
      "openai:large@",
    );
    expect(chooseEmbedder({ KERNELEVOLVE_EMBEDDER: "model2vec:/models/p" }).name).toBe("model2vec:/models/p");
  });

  test("a name that means nothing is an error with the forms", () => {
    for (const name of ["word2vec", "onnx", "model2vec:"]) {
      expect(() => chooseEmbedder({ KERNELEVOLVE_EMBEDDER: name })).toThrow(/KERNELEVOLVE_EMBEDDER/);
    }
  });

  test("an ONNX folder without its files or without the library tells how to get them", async () => {
    await expect(onnxEmbedder(folder).open(new Uint8Array(), signal)).rejects.toThrow(/lacks config.json/);
  });
});
