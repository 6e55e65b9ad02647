import { defineConfig } from 'vitest/config';
import { reporting } from './vitest.report.ts';

/** What passes with Node alone: no root, no package outside npm. */
const config: ReturnType<typeof defineConfig> = defineConfig({
  test: {
    include: ['src/**/*.test.ts', 'conformance/**/*.test.ts', 'scripts/**/*.test.ts', 'bench/*.test.ts'],
    exclude: ['conformance/system/**', '**/node_modules/**'],
    testTimeout: 120_000,
    ...reporting('unit'),
  },
});
export default config;
