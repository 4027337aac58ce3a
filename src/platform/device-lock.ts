import { tmpdir } from "node:os";
import { join } from "node:path";

/** The machine-wide lock that timing holds: one for each device, whatever data home a server uses. */
export function deviceLock(device: string): string {
  return join(tmpdir(), `kernelevolve-device-${device}.lock`);
}
