import { connect } from "node:net";
import { loopback } from "./port.js";
import { within } from "./until.js";

/** Administrators' commands of four letters, answered on a connection of their own. */
export type Word = "ruok" | "srvr" | "mntr" | "wchs" | "wchc" | "wchp" | "dump" | "cons";

/** What the server says to a word; fails rather than waits. */
export async function say(word: Word, port: number, host: string = loopback): Promise<string> {
  const socket = connect({ port, host });
  const answer = new Promise<string>((resolve, reject) => {
    let said = "";
    socket
      .setEncoding("utf8")
      .on("data", (data) => (said += data))
      .once("error", reject)
      .once("close", () => resolve(said));
  });
  socket.write(word);
  try {
    return await within(2_000, answer, `${word} to ${host}:${port}`);
  } finally {
    socket.destroy();
  }
}
