/** Median; 0 for an empty list. */
export function median(values: readonly number[]): number {
  if (values.length === 0) return 0;
  const sorted = [...values].sort((a, b) => a - b);
  const centre = sorted.length >> 1;
  const high = sorted[centre] ?? 0;
  return sorted.length % 2 === 1 ? high : ((sorted[centre - 1] ?? high) + high) / 2;
}

/**
 * Weights for choosing parents: a sigmoid of merit scaled by the median and its absolute deviation, so that one outlier
 * does not take everything, divided by 1 + children, so that what was tried often yields. Equal merits weigh equally.
 */
export function parentWeights(
  merits: readonly number[],
  children: readonly number[],
  sharpness = 2,
): number[] {
  const centre = median(merits);
  const deviation = median(merits.map((merit) => Math.abs(merit - centre)));
  // With over half of the merits equal the deviation is 0; the spread of the rest then sets the scale.
  const spread = Math.max(...merits) - Math.min(...merits);
  const scale = deviation > 0 ? deviation : spread > 0 ? spread : 1;
  return merits.map((merit, index) => {
    const sigmoid = 1 / (1 + Math.exp((-sharpness * (merit - centre)) / scale));
    return sigmoid / (1 + (children[index] ?? 0));
  });
}
