// Run with NODE_OPTIONS=--experimental-vm-modules.
module.exports = { testMatch: ["**/jest-import.test.{mjs,cjs}"], transform: {} };
