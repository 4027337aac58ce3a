/** Maps a value of a domain to a coordinate. */
export interface Scale {
  (value: number): number;
  readonly ticks: readonly { readonly value: number; readonly label: string }[];
}

/** A coordinate with two decimals: enough for a screen, and small in the file. */
export function px(value: number): string {
  return String(Math.round(value * 100) / 100);
}

/** Linear scale from [low, high] to [from, to], with about `count` ticks at round values. */
export function linear(
  domain: readonly [number, number],
  range: readonly [number, number],
  count = 6,
): Scale {
  const [low, high] = domain[0] === domain[1] ? [domain[0], domain[0] + 1] : domain;
  const step = roundStep((high - low) / count);
  const ticks: { value: number; label: string }[] = [];
  for (let i = Math.ceil(low / step); i * step <= high + step * 1e-9; i += 1)
    ticks.push({ value: i * step, label: tickLabel(i * step) });
  const map = (value: number): number => range[0] + ((value - low) / (high - low)) * (range[1] - range[0]);
  return Object.assign(map, { ticks });
}

/** Logarithmic scale; domain above 0. Ticks at 1, 2 and 5 of each decade where there is room, else at decades. */
export function logarithmic(
  domain: readonly [number, number],
  range: readonly [number, number],
  count = 8,
): Scale {
  const low = Math.log10(domain[0]);
  const high = domain[0] === domain[1] ? low + 1 : Math.log10(domain[1]);
  const map = (value: number): number =>
    range[0] + ((Math.log10(value) - low) / (high - low)) * (range[1] - range[0]);
  const decades = high - low;
  const steps = decades * 9 <= count ? [1, 2, 3, 4, 5, 6, 7, 8, 9] : decades * 3 <= count ? [1, 2, 5] : [1];
  const stride = decades > count ? Math.ceil(decades / count) : 1;
  const ticks: { value: number; label: string }[] = [];
  for (let exponent = Math.floor(low); exponent <= high; exponent += 1) {
    if (exponent % stride !== 0) continue;
    for (const step of steps) {
      const value = step * 10 ** exponent;
      if (value >= domain[0] * 0.999999 && value <= domain[1] * 1.000001)
        ticks.push({ value, label: tickLabel(value) });
    }
  }
  if (ticks.length >= 2) return Object.assign(map, { ticks });
  // Less than a decade without two round values: linear ticks read better.
  return Object.assign(map, {
    ticks: linear(domain, range, count).ticks.filter((tick) => tick.value >= domain[0]),
  });
}

function roundStep(rough: number): number {
  const power = 10 ** Math.floor(Math.log10(rough));
  const share = rough / power;
  return (share <= 1 ? 1 : share <= 2 ? 2 : share <= 5 ? 5 : 10) * power;
}

function tickLabel(value: number): string {
  const size = Math.abs(value);
  if (size >= 1e4 || (size > 0 && size < 1e-3)) {
    const exponent = Math.floor(Math.log10(size) + 1e-9);
    const factor = Math.round((value / 10 ** exponent) * 100) / 100;
    const power = String(exponent).replace(/[-0-9]/g, (digit) => SUPERSCRIPT[digit] ?? digit);
    return factor === 1 ? `10${power}` : `${factor}·10${power}`;
  }
  return String(Math.round(value * 1e6) / 1e6);
}

const SUPERSCRIPT: Readonly<Record<string, string>> = {
  "-": "⁻",
  "0": "⁰",
  "1": "¹",
  "2": "²",
  "3": "³",
  "4": "⁴",
  "5": "⁵",
  "6": "⁶",
  "7": "⁷",
  "8": "⁸",
  "9": "⁹",
};
