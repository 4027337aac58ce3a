import { destination, type Logger, pino } from "pino";

/** Structured log on stderr: stdout belongs to the protocol. Level by KERNELEVOLVE_LOG (default warn). */
export const log: Logger = pino(
  { name: "kernelevolve", level: process.env["KERNELEVOLVE_LOG"] ?? "warn", base: { pid: process.pid } },
  destination({ fd: 2, sync: true }),
);
