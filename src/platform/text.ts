// biome-ignore lint/suspicious/noControlCharactersInRegex: these characters are what is removed
const CONTROL = /\u001b\[[0-9;?]*[ -/]*[@-~]|[\u0000-\u0008\u000b-\u001f\u007f-\u009f]/g;

/** Untrusted program output as plain text: no escape sequences or control characters, at most `limit` characters. */
export function plainText(text: string, limit: number): string {
  const clean = text.replace(CONTROL, "");
  return clean.length <= limit
    ? clean
    : `${clean.slice(0, limit)}\n… (${clean.length - limit} more characters)`;
}

/** `1 node`, `2 nodes`: a count with its noun, whose plural is regular unless given. */
export function counted(count: number, noun: string, plural = `${noun}s`): string {
  return `${count} ${count === 1 ? noun : plural}`;
}
