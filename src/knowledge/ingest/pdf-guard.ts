import { constants, inflateSync } from "node:zlib";
import { KernelEvolveError } from "../../domain/index.ts";

/** No stream of a real manual is larger once unpacked; images are not unpacked here, but are bounded too. */
const MAX_STREAM = 256 << 20;
const MAX_ALL = 4 * 1024 * (1 << 20);

/**
 * Unpacks every deflated stream once within bounds, before the PDF library does it without any.
 * @throws invalid_argument for a file that would blow up.
 */
export function guardAgainstBombs(bytes: Uint8Array, name: string): void {
  const file = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  let all = 0;
  const bomb = (): KernelEvolveError =>
    new KernelEvolveError(
      "invalid_argument",
      `${name} unpacks to far more than a manual would: it is not read`,
      {
        fix: "print it to a new PDF, or add the HTML edition",
      },
    );
  for (let at = file.indexOf("stream"); at >= 0; at = file.indexOf("stream", at + 6)) {
    if (file.subarray(at - 3, at).toString("latin1") === "end") continue;
    let start = at + 6;
    if (file[start] === 13) start += 1;
    if (file[start] === 10) start += 1;
    // The two bytes of a zlib header.
    const head = ((file[start] ?? 0) << 8) | (file[start + 1] ?? 0);
    if ((file[start] ?? 0) % 16 !== 8 || head % 31 !== 0) continue;
    const end = file.indexOf("endstream", start);
    try {
      const { length } = inflateSync(file.subarray(start, end < 0 ? undefined : end), {
        maxOutputLength: MAX_STREAM,
        finishFlush: constants.Z_SYNC_FLUSH,
      });
      all += length;
    } catch (error) {
      if (error instanceof Error && "code" in error && error.code === "ERR_BUFFER_TOO_LARGE") throw bomb();
      // Damaged or no deflate after all: the library will say.
    }
    if (all > MAX_ALL) throw bomb();
    if (end > 0) at = end;
  }
}
