import { defineConfig } from 'vitest/config';
import { reporting } from './vitest.report.ts';

/** What needs the packages of .ci/apt and the built programs: real processes, sockets and other people's peers. */
const config: ReturnType<typeof defineConfig> = defineConfig({
  test: {
    include: ['conformance/system/**/*.test.ts'],
    testTimeout: 300_000,
    hookTimeout: 120_000,
    // Real processes on two cores: files one after the other keep their timings their own.
    fileParallelism: false,
    ...reporting('system'),
  },
});
export default config;
