/** What ZooKeeper refuses in a name, as first and last code points: control characters, and what is not in the BMP or has no meaning there. */
const refused = [
  [0, 0x1f],
  [0x7f, 0x9f],
  [0xd800, 0xf8ff],
  [0xfff0, 0x10ffff],
] as const;
/** Names that are taken: by paths, and in the root by ZooKeeper itself. */
const taken = /^(?:\.{1,2}|zookeeper)$/;

/** The name of a key's node. One key, one name: what cannot be kept as it is, and `%`, is percent-encoded in UTF-8. */
export function nodeName(key: string): string {
  if (taken.test(key)) return percent(key.slice(0, 1)) + nodeName(key.slice(1));
  return Array.from(key, (character) =>
    isRefused(character) || character === "%" ? percent(character) : character,
  ).join("");
}

/** In it lies the offset of the fencing tokens. No key has this name: what follows its `%` is no number. */
export const offsetName = "%offset";

/** Whether a name cannot have this character in it. */
export function isRefused(character: string): boolean {
  const point = character.codePointAt(0) ?? 0;
  return character === "/" || refused.some(([first, last]) => point >= first && point <= last);
}

/** Of ASCII too, which `encodeURIComponent` leaves alone in part. */
function percent(text: string): string {
  return Buffer.from(text).toString("hex").toUpperCase().replaceAll(/../g, "%$&");
}
