import { readdirSync, readFileSync, rmSync, truncateSync, utimesSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { openStore, type Store } from "../../src/store/index.ts";
import { Folder } from "./fixtures.ts";

const INFO = { name: "kernel.s", media_type: "text/x-asm" };
let folder: Folder;
let store: Store;
beforeEach(() => {
  folder = new Folder();
  store = openStore(folder.path);
});
afterEach(() => {
  store.close();
  folder[Symbol.dispose]();
});

const fileOf = (id: string): string => join(folder.path, "artifacts", id.slice(4, 6), id);

async function pages(id: string, limit: number): Promise<string[]> {
  const texts: string[] = [];
  for (let offset: number | null = 0; offset !== null; ) {
    const page = await store.artifacts.read(id, { offset, limit });
    expect(page.text.length).toBeGreaterThan(0);
    texts.push(page.text);
    offset = page.next_offset;
  }
  return texts;
}

describe("artifacts", () => {
  it("have one id and one file per name, type and content", async () => {
    const id = await store.artifacts.write("text", INFO);
    expect(id).toMatch(/^art_[0-9a-f]{32}$/);
    expect(await store.artifacts.write(Buffer.from("text"), INFO)).toBe(id);
    expect(await store.artifacts.write("text", { ...INFO, name: "other" })).not.toBe(id);
    expect(await store.artifacts.write("text", { ...INFO, media_type: "text/plain" })).not.toBe(id);
    expect(await store.artifacts.write("b\0c", { ...INFO, name: "a" })).not.toBe(
      await store.artifacts.write("c", { ...INFO, name: "a\0b" }),
    );
    expect(readFileSync(fileOf(id), "utf8")).toBe("text");
    expect(readdirSync(join(folder.path, "artifacts", "partial"))).toEqual([]);
    expect(await store.artifacts.read(id, { offset: 0, limit: 100 })).toEqual({
      id,
      ...INFO,
      text: "text",
      total_bytes: 4,
      next_offset: null,
    });
  });

  it("are read in pages that join to the whole text, wherever characters lie", async () => {
    const text = "a\u00e9\u20ac\u{1F600}\0\r\n".repeat(50);
    const id = await store.artifacts.write(text, INFO);
    for (let limit = 4; limit < 40; limit += 1) {
      const texts = await pages(id, limit);
      expect(texts.join("")).toBe(text);
      for (const page of texts) expect(Buffer.byteLength(page)).toBeLessThanOrEqual(limit);
    }
  });

  it("go back to the character's begin from an offset within it", async () => {
    const id = await store.artifacts.write("x\u{1F600}y", INFO);
    for (const offset of [1, 2, 3, 4]) {
      const page = await store.artifacts.read(id, { offset, limit: 10 });
      expect(page.text).toBe("\u{1F600}y");
    }
    expect(await store.artifacts.read(id, { offset: 6, limit: 10 })).toMatchObject({
      text: "",
      next_offset: null,
    });
    expect(await store.artifacts.read(id, { offset: 99, limit: 10 })).toMatchObject({
      text: "",
      next_offset: null,
    });
  });

  it("that are no text or empty can be read too", async () => {
    const bytes = Buffer.from([...Array(300).keys()].map((index) => (index % 3 === 0 ? 0x80 : 0xff)));
    const id = await store.artifacts.write(bytes, INFO);
    let seen = 0;
    for (let offset: number | null = 0; offset !== null; seen += 1) {
      const page = await store.artifacts.read(id, { offset, limit: 7 });
      if (page.next_offset !== null) expect(page.next_offset).toBeGreaterThan(offset);
      offset = page.next_offset;
    }
    expect(seen).toBeGreaterThan(40);
    const empty = await store.artifacts.write("", INFO);
    expect(await store.artifacts.read(empty, { offset: 0, limit: 10 })).toMatchObject({
      text: "",
      next_offset: null,
    });
  });

  it("do not allocate what is asked for, but what there is", async () => {
    const id = await store.artifacts.write("x".repeat(3_000_000), INFO);
    const page = await store.artifacts.read(id, { offset: 0, limit: Number.MAX_SAFE_INTEGER });
    expect(page.text).toHaveLength(1 << 20);
    expect(page.next_offset).toBe(1 << 20);
  });

  it("are not found under names that lead elsewhere", async () => {
    writeFileSync(join(folder.path, "secret"), "secret");
    const names = [
      "../secret",
      "art_../../secret",
      `art_${"0".repeat(32)}`,
      "art_\0",
      "",
      "'; DROP TABLE artifacts",
      "a".repeat(1e6),
    ];
    for (const id of names) {
      await expect(store.artifacts.read(id, { offset: 0, limit: 10 })).rejects.toMatchObject({
        code: "not_found",
      });
    }
  });

  it("refuse pages that are none, by name", async () => {
    const id = await store.artifacts.write("text", INFO);
    for (const offset of [-1, 0.5, Number.NaN, Number.POSITIVE_INFINITY])
      await expect(store.artifacts.read(id, { offset, limit: 10 })).rejects.toThrow("offset");
    for (const limit of [-1, 0, 3, 4.5, Number.NaN])
      await expect(store.artifacts.read(id, { offset: 0, limit })).rejects.toThrow("limit");
  });

  it("say when their file is gone or cut, and are whole again when written again", async () => {
    const id = await store.artifacts.write("text".repeat(100), INFO);
    truncateSync(fileOf(id), 10);
    await expect(store.artifacts.read(id, { offset: 0, limit: 10 })).rejects.toMatchObject({
      code: "corrupt",
    });
    rmSync(fileOf(id));
    await expect(store.artifacts.read(id, { offset: 0, limit: 10 })).rejects.toMatchObject({
      code: "corrupt",
    });
    truncateSync(fileOf(await store.artifacts.write("text".repeat(100), INFO)), 10);
    await store.artifacts.write("text".repeat(100), INFO);
    expect((await store.artifacts.read(id, { offset: 396, limit: 10 })).text).toBe("text");
  });

  it("that a killed process left half-written are cleared away, young ones are not", () => {
    const partial = join(folder.path, "artifacts", "partial");
    for (const name of ["1-old", "1-new"]) writeFileSync(join(partial, name), "half");
    const hourAgo = Date.now() / 1000 - 3600;
    utimesSync(join(partial, "1-old"), hourAgo, hourAgo);
    store.close();
    store = openStore(folder.path);
    expect(readdirSync(partial)).toEqual(["1-new"]);
  });
});
