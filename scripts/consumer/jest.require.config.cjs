module.exports = {
  testMatch: ["**/jest-require.test.cjs"],
  transform: { "\\.js$": ["babel-jest", { presets: [["@babel/preset-env", { targets: { node: "current" } }]] }] },
  transformIgnorePatterns: ["/node_modules/(?!@dlock/)"],
};
