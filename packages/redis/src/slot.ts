/** How many hash slots a Redis Cluster has. */
export const slots = 16_384;

/** The hash slot of a key, as Redis Cluster computes it. */
export function slotOf(key: string): number {
  return crc16(tagged(Buffer.from(key))) % slots;
}

const [open, close] = [0x7b, 0x7d];

/** What is hashed: the part between the first brace and the next closing one, unless that part is empty or missing. */
function tagged(bytes: Uint8Array): Uint8Array {
  const start = bytes.indexOf(open);
  if (start < 0) return bytes;
  const end = bytes.indexOf(close, start + 1);
  return end > start + 1 ? bytes.subarray(start + 1, end) : bytes;
}

/** CRC-16/XMODEM */
function crc16(bytes: Uint8Array): number {
  let crc = 0;
  for (const byte of bytes) crc = ((crc << 8) & 0xffff) ^ (table[(crc >> 8) ^ byte] ?? 0);
  return crc;
}

const table = Uint16Array.from({ length: 256 }, (_, byte) => {
  let crc = byte << 8;
  for (let bit = 0; bit < 8; bit++) crc = crc & 0x8000 ? (crc << 1) ^ 0x1021 : crc << 1;
  return crc & 0xffff;
});
