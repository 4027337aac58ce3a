/** Whether the first characters of a file are those of a profile that is read here. */
export function looksLikeTrace(head: string): boolean {
  return (
    /"traceEvents"\s*:/.test(head) ||
    /^"?ID"?,"?Process ID"?/m.test(head) ||
    /"?Kernel Name"?.*"?Metric Name"?/.test(head) ||
    /^# callgrind format|^events: Ir/m.test(head) ||
    /Performance counter stats for/.test(head) ||
    /^# (Samples|Overhead|Total Lost Samples):?/m.test(head) ||
    /^\s*\[\s*\{\s*"(children|frame)"/.test(head)
  );
}
