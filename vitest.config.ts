import { defineConfig } from 'vitest/config';

/** What passes with Node alone: no root, no package outside npm. */
export default defineConfig({
  test: {
    include: ['src/**/*.test.ts', 'conformance/**/*.test.ts', 'scripts/**/*.test.ts'],
    exclude: ['conformance/system/**', 'node_modules/**'],
    testTimeout: 60_000,
  },
});
