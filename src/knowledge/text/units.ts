/** At most `digits` significant digits, without trailing zeros: 989.4, 3.35, 228. */
function short(value: number, digits = 4): string {
  return String(Number(value.toPrecision(digits)));
}

const BINARY = ["bytes", "KiB", "MiB", "GiB", "TiB"] as const;
const DECIMAL = ["", "K", "M", "G", "T", "P", "E"] as const;

/** Bytes as people read them: `228 KiB`; what is no round number of a larger unit stays in bytes below 10,000. */
export function readableBytes(bytes: number): string {
  let value = bytes;
  let unit = 0;
  while (value >= 1024 && unit < BINARY.length - 1) {
    value /= 1024;
    unit += 1;
  }
  if (unit === 1 && !Number.isInteger(value) && bytes < 10_000) return `${bytes} bytes`;
  return `${short(value)} ${BINARY[unit] ?? "bytes"}`;
}

const TERA = 4;

/** A rate with a decimal prefix: `989.4 TFLOP/s`, `3.35 TB/s`. Vendors stay with tera for a while: `1979 TFLOP/s`. */
export function readableRate(value: number, unit: string): string {
  let scaled = value;
  let step = 0;
  while (scaled >= (step === TERA ? 10_000 : 1000) && step < DECIMAL.length - 1) {
    scaled /= 1000;
    step += 1;
  }
  return `${short(scaled)} ${DECIMAL[step] ?? ""}${unit}`;
}

/** A number of the spec with its unit. */
export function readableLimit(value: number, unit: string): string {
  if (unit === "bytes") return readableBytes(value);
  const text = Number.isInteger(value) ? value.toLocaleString("en-US") : short(value, 6);
  return unit === "1" ? text : `${text} ${unit}`;
}
