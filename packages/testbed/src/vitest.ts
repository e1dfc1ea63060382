import { backends, lentUrl, onRequest, selectedBackends, software } from "./backend.js";
import { engineFor } from "./engine.js";
import { startRecord } from "./record.js";

/** Vitest's `globalSetup`: sees to the software before any test runs, and says at the end which backends were run, and how. */
export default async function setup(): Promise<() => void> {
  const selected = selectedBackends();
  for (const backend of selected) if (!lentUrl(backend)) await engineFor(software(backend));
  const stopRecord = startRecord();
  return () => {
    const notes = stopRecord();
    for (const backend of backends) {
      const ways = notes.filter((note) => note.backend === backend).map((note) => note.how);
      const counts = [...new Set(ways)].map((how) => `${ways.filter((way) => way === how).length} × ${how}`);
      const not = selected.includes(backend)
        ? "not asked for by the tests of this run"
        : onRequest.includes(backend)
          ? "NOT RUN, DLOCK_TEST_BACKENDS does not name it"
          : "NOT RUN, left out by DLOCK_TEST_BACKENDS";
      process.stdout.write(`dlock testbed: ${backend}: ${counts.join(", ") || not}\n`);
    }
  };
}
