import { createHash } from "node:crypto";

const longest = 450;

/** Bytes that a column for stored keys has to hold; within what any index of MySQL, MariaDB and PostgreSQL takes. */
export const storedKeyLength: number = longest + 65;

/**
 * The key as it stands in a table of a server. A long one is cut and its hash put behind it: longer than any that stands
 * there as it is, so that no two keys are stored alike.
 */
export function storedKey(key: string): string {
  if (Buffer.byteLength(key) <= longest) return key;
  const hash = createHash("sha256").update(key).digest("hex");
  return `${head(key)}~${hash}`;
}

/** Its first characters, padded: with what follows always longer than a key that is not cut. */
function head(key: string): string {
  let [text, bytes] = ["", 0];
  for (const character of key) {
    bytes += Buffer.byteLength(character);
    if (bytes > longest) break;
    text += character;
  }
  return text.padEnd(text.length + longest - Buffer.byteLength(text), "~");
}
