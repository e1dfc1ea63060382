// Run from a folder that has @dlock/sql, and other drivers or none.
const [file, driver] = process.argv.slice(2);
const { sqlProvider } = await import("@dlock/sql");
try {
  const provider = sqlProvider({ filename: file, driver }, { strategy: "version" });
  await provider.connect();
  await provider.close();
  console.log("works", globalThis.loaded ?? "");
} catch ({ code, message }) {
  console.log(code, message);
}
