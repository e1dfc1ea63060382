import { createProvider } from "dlock-file";

export async function open(folder) {
  return { provider: createProvider({ url: `file:${folder}` }), close: async () => {} };
}
