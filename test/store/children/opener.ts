import { openStore } from "../../../src/store/index.ts";

/** Waits for the moment given in ms since the epoch, then opens the store. Prints "ok" or the error. Arguments: home, moment. */
const [home = "", moment = "0"] = process.argv.slice(2);
while (Date.now() < Number(moment)) {
  // Spin: all begin at once.
}
const store = openStore(home);
store.graph.runs();
process.stdout.write("ok");
store.close();
