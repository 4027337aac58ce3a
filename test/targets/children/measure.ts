/** Asks for the machine's peaks and prints what it did and got: for tests of several processes. */
import { readMachine } from "../../../src/targets/machine.ts";
import { measurePeaks } from "../../../src/targets/peaks.ts";

const said: string[] = [];
const peaks = await measurePeaks(readMachine(), {
  signal: new AbortController().signal,
  report: ({ message }) => void said.push(message),
});
process.stdout.write(
  JSON.stringify({ measured: said.some((text) => text.startsWith("measuring")), at: peaks.measured_at }),
);
