import { availableParallelism } from 'node:os';
import { defineConfig } from 'vitest/config';
import { reporting } from './vitest.report.ts';

/** What passes with Node alone: no root, no package outside npm. */
const config: ReturnType<typeof defineConfig> = defineConfig({
  test: {
    include: ['src/**/*.test.ts', 'conformance/**/*.test.ts', 'scripts/**/*.test.ts', 'bench/*.test.ts'],
    exclude: ['conformance/system/**', '**/node_modules/**'],
    testTimeout: 300_000,
    // One worker less than there are processors is the default: on two of them, half of the time.
    maxWorkers: Math.max(2, availableParallelism() - 1),
    ...reporting('unit'),
  },
});
export default config;
