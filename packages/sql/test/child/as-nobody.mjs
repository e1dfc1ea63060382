import { sqlProvider } from "@dlock/sql";

// Permission bits do not bind root: whoever runs the tests, these files are opened as nobody. The drivers are loaded before.
const files = process.argv.slice(2);
const providers = files.map((filename) => sqlProvider({ filename }, { strategy: "version" }));
if (process.getuid() === 0) {
  process.setgroups([]);
  process.setgid(65534);
  process.setuid(65534);
}
const answers = [];
for (const provider of providers) {
  const request = { key: "key", id: "id", owner: "nobody", ttl: 1_000, mode: "exclusive", limit: 1, join: false };
  try {
    answers.push(String(await provider.claim(request).tryAcquire(performance.now() + 2_000)));
  } catch ({ code, field, message, cause }) {
    answers.push({ code, field, message, cause: cause instanceof Error });
  }
}
process.send(answers);
