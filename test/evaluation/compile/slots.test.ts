import { describe, expect, it } from "vitest";
import { Slots } from "../../../src/evaluation/compile/slots.ts";

const never = new AbortController().signal;

function held(): { promise: Promise<void>; release: () => void } {
  let release = (): void => undefined;
  const promise = new Promise<void>((resolve) => {
    release = resolve;
  });
  return { promise, release };
}

describe("slots", () => {
  it("run as many at once as there are, the rest in order", async () => {
    const slots = new Slots(1);
    const first = held();
    const order: string[] = [];
    const one = slots.with(never, async () => {
      await first.promise;
      order.push("one");
    });
    const rest = ["two", "three"].map((name) => slots.with(never, async () => void order.push(name)));
    await Promise.resolve();
    expect(order).toEqual([]);
    first.release();
    await Promise.all([one, ...rest]);
    expect(order).toEqual(["one", "two", "three"]);
  });

  it("free the slot of work that fails", async () => {
    const slots = new Slots(1);
    await expect(slots.with(never, () => Promise.reject(new Error("broken")))).rejects.toThrow("broken");
    await expect(slots.with(never, async () => 7)).resolves.toBe(7);
  });

  it("let go of who is cancelled while waiting, and lose no slot by it", async () => {
    const slots = new Slots(1);
    const first = held();
    const one = slots.with(never, () => first.promise);
    const abort = new AbortController();
    const two = slots.with(abort.signal, async () => "ran");
    abort.abort();
    await expect(two).rejects.toMatchObject({ code: "cancelled" });
    first.release();
    await one;
    await expect(slots.with(never, async () => "ran")).resolves.toBe("ran");
  });
});
