/** Characters of code or prose that one token of a language model holds, at the least, for common tokenizers. */
const CHARACTERS_PER_TOKEN = 3.2;

/** An upper estimate of the tokens of `text`: tokenizers differ, and a prompt must not exceed what was promised. */
export function estimateTokens(text: string): number {
  let wide = 0;
  // Text outside ASCII may take a token per character or more.
  for (let index = 0; index < text.length; index += 1) if (text.charCodeAt(index) > 0x7f) wide += 1;
  return Math.ceil((text.length - wide) / CHARACTERS_PER_TOKEN + wide);
}

/**
 * The longest head and tail of `text` within `tokens`, cut at line ends, with a line between that says what is missing.
 * Returns the text itself when it fits, and an empty text when not even one line does.
 */
export function fitText(text: string, tokens: number): string {
  if (estimateTokens(text) <= tokens) return text;
  const lines = text.split("\n");
  const kept = new Set<number>();
  let used = 16;
  let head = 0;
  let tail = lines.length - 1;
  // Two lines of the head for one of the tail: declarations come first, but the end of a message often holds the cause.
  for (let turn = 0; head <= tail; turn += 1) {
    const index = turn % 3 === 2 ? tail : head;
    const cost = estimateTokens(`${lines[index] ?? ""}\n`) + 1;
    if (used + cost > tokens) break;
    used += cost;
    kept.add(index);
    if (index === tail) tail -= 1;
    else head += 1;
  }
  if (kept.size === 0) return "";
  const missing = lines.length - kept.size;
  return [...lines.slice(0, head), `[… ${missing} lines left out …]`, ...lines.slice(tail + 1)].join("\n");
}

/** As many of `items`, in order, as fit into `tokens`; a last line counts those left out. */
export function fitList(items: readonly string[], tokens: number): string[] {
  const out: string[] = [];
  let used = 12;
  for (const [index, item] of items.entries()) {
    used += estimateTokens(`${item}\n`) + 1;
    if (used > tokens) return index === 0 ? [] : [...out, `(${items.length - index} more left out)`];
    out.push(item);
  }
  return out;
}
